"""The algebra that contrastive losses share.

Views of the same image lie beside each other: (image, view, dim). A loss compares the worker's own
rows, the anchors, with the rows of all workers, the keys; `start` is the number of the worker's
first image among all. Each worker averages over its own anchors, so that the mean over workers is
the loss of the whole batch. In one process anchors and keys are the same and `start` is 0: a loss
is then its formula and nothing else.

Everything here runs in float32 at least, also under autocast: exponentials of similarities over a
small temperature overflow in less.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn import functional

from raylt.collectives import gather, rank

Temperature = float | Float[Tensor, ""]
"""A number, or one that lies on the device because it changes from epoch to epoch."""


def unit(rows: Float[Tensor, "*rows dim"]) -> Float[Tensor, "*rows dim"]:
    """Rows of length 1."""
    return functional.normalize(widened(rows), dim=-1)


def similarities(
    anchors: Float[Tensor, "anchor dim"],
    keys: Float[Tensor, "key dim"],
    *,
    temperature: Temperature,
) -> Float[Tensor, "anchor key"]:
    """Scalar products over the temperature."""
    with torch.autocast(anchors.device.type, enabled=False):
        return widened(anchors) @ widened(keys).T / temperature


def themselves(
    anchors: int, keys: Shaped[Tensor, "key dim"], *, start: int
) -> Bool[Tensor, "a k"]:
    """Which key is the anchor itself, (anchors, keys), where anchor 0 is key `start`."""
    rows = torch.arange(start, start + anchors, device=keys.device)
    return rows[:, None] == torch.arange(len(keys), device=keys.device)


def log_softmax(
    similarity: Float[Tensor, "anchor key"], allowed: Bool[Tensor, "anchor key"]
) -> Float[Tensor, "anchor key"]:
    """Log-likelihood of each key among the allowed keys of its anchor."""
    evidence = torch.where(allowed, similarity, -torch.inf).logsumexp(1, keepdim=True)
    return similarity - evidence


def mean_over_positives(
    log_prob: Float[Tensor, "anchor key"], positive: Bool[Tensor, "anchor key"]
) -> Float[Tensor, ""]:
    """Average log-likelihood of the positives of each anchor, then over anchors that have any."""
    count = positive.sum(1)
    per_anchor = torch.where(positive, log_prob, 0).sum(1) / count.clamp(min=1)
    return per_anchor.sum() / (count > 0).sum().clamp(min=1)


def nt_xent(
    first: Float[Tensor, "image dim"],
    second: Float[Tensor, "image dim"],
    *,
    temperature: Temperature,
) -> Float[Tensor, ""]:
    """Normalised temperature-scaled cross-entropy (Chen et al., ICML 2020, equation 1).

    Takes raw head outputs. Row i of `first` and row i of `second` are two views of one image.
    Each of the 2n rows has to find its partner among the 2n - 1 others; the loss is the mean over
    the rows.
    """
    views = unit(torch.stack([first, second], 1))
    rows, columns = views.flatten(0, 1), gather(views).flatten(0, 1)
    similarity = similarities(rows, columns, temperature=temperature)
    start = rank() * len(rows)
    own = torch.arange(start, start + len(rows), device=rows.device)
    similarity = similarity.scatter(1, own[:, None], -torch.inf)
    # An even row's partner is the next row, an odd row's the one before.
    return functional.cross_entropy(similarity, own ^ 1)


def widened(tensor: Tensor) -> Tensor:
    """The tensor in float32, or as it is where it is wider."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()
