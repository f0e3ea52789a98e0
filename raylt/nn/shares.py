"""A batch that is normalised in parts, as on several GPUs that do not talk to each other."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call


def in_shares(
    module: nn.Module, rows: Float[Tensor, "row ..."], shares: int
) -> Float[Tensor, "row ..."]:
    """What `module` makes of rows that are cut by place into parts of equal size.

    Every part is normalised by its own statistics, and the running statistics are those of the
    first part: `torch.nn.DataParallel` on `shares` GPUs, whose copies of the module on all others
    than the first are thrown away after the step. A batch of too few rows has parts of two, the
    least that a batch norm takes.
    """
    shares = min(shares, len(rows) // 2)
    if shares < 2:
        return module(rows)
    first, *others = rows.tensor_split(shares)
    results = [module(first)]
    for part in others:
        discarded = {name: buffer.clone() for name, buffer in module.named_buffers()}
        results.append(functional_call(module, discarded, (part,)))
    return torch.cat(results)
