"""A method's step as one compiled program, where that works."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

_log = logging.getLogger("raylt")


class Compiled(nn.Module):
    """A method whose forward and backward pass `torch.compile` makes programs of.

    On a GPU they are replayed as CUDA graphs. It takes seconds to minutes at the first step, and
    again for a last batch that is not full. Where it fails, the method runs as it is, and a line
    says why.

    Attributes:
        failure: Why the method runs as it is, or "".
    """

    def __init__(self, method: nn.Module) -> None:
        super().__init__()
        self._method = method
        self._program: nn.Module | None = None
        self._tried = False
        self.failure = ""

    def forward(self, views: Sequence[Tensor], labels: Tensor) -> Mapping[str, Tensor]:
        """The weighted loss terms of a batch, by name."""
        if not self._tried:
            self._tried = True
            self._program = self._tested(views, labels)
        step = self._method if self._program is None else self._program
        return step(views, labels)

    def _tested(self, views: Sequence[Tensor], labels: Tensor) -> nn.Module | None:
        """The program, once it has run both ways, or None; the method is as it was before."""
        buffers = [(buffer, buffer.clone()) for buffer in self._method.buffers()]
        try:
            program = _program(self._method, labels.device)
            terms = program(views, labels)
            weights = [weight for weight in self._method.parameters() if weight.requires_grad]
            torch.autograd.grad(
                torch.stack(tuple(terms.values())).sum(), weights, allow_unused=True
            )
        except Exception as error:
            lines = str(error).strip().splitlines()
            self.failure = f"{type(error).__name__}: {lines[0].strip()[:300] if lines else ''}"
            _log.warning("steps are not compiled, and run as they are: %s", self.failure)
            return None
        finally:
            for buffer, before in buffers:
                buffer.copy_(before)
        return program


def _program(method: nn.Module, device: torch.device) -> nn.Module:
    # A process that is used for many trials would otherwise run out of the programs that torch
    # keeps for one piece of code: every temperature makes another.
    torch.compiler.reset()
    # A trial has one core on a CPU; a pool of compilers would take those of its neighbours.
    on_cpu: dict[str, Any] = {"compile_threads": 1}
    on_gpu: dict[str, Any] = {"triton.cudagraphs": True}
    options = on_cpu if device.type == "cpu" else on_gpu
    program: Any = torch.compile(method, dynamic=False, options=options)
    return program
