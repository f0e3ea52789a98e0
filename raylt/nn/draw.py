"""Draws that a killed run repeats, and that do not ask how many workers share the rows."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn


class Draw(nn.Module):
    """Draws some candidates of each row at random, other ones at each call."""

    seed: Int[Tensor, ""]
    """Drawn like the initial weights, so that all workers and a resumed run hold the same."""
    calls: Int[Tensor, ""]

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seed", torch.randint(2**62, ()))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def forward(
        self, candidates: Bool[Tensor, "row column"], *, count: int, start: int
    ) -> Bool[Tensor, "row column"]:
        """`count` of the candidates of each row, or all of them where there are fewer; `start` is
        the number of this worker's first row among all workers."""
        self.calls.add_(1)
        ranks = random_ranks(self.seed, self.calls, *candidates.shape, start=start)
        return highest(candidates, ranks, count=count)


def highest(
    candidates: Bool[Tensor, "row column"], ranks: Int[Tensor, "row column"], *, count: int
) -> Bool[Tensor, "row column"]:
    """The `count` candidates of each row that rank highest; all of them where there are fewer."""
    count = min(count, candidates.shape[1])
    places = ranks.masked_fill(~candidates, -1).topk(count, dim=1).indices
    return torch.zeros_like(candidates).scatter(1, places, True) & candidates


def random_ranks(
    seed: Int[Tensor, ""], step: Int[Tensor, ""], rows: int, columns: int, *, start: int
) -> Int[Tensor, "row column"]:
    """Whole numbers in [0, 2^63), independent of each other for all practical purposes.

    Each is a function of the seed, the step, the number of its row and of its column, so that
    however many workers share the rows, and wherever a run goes on, the same are drawn, without
    a generator and without asking the device.
    """
    stream = _mixed(seed + _GOLDEN * step)
    row = _mixed(stream + _GOLDEN * torch.arange(start, start + rows, device=seed.device))
    column = _GOLDEN * torch.arange(columns, device=seed.device)
    return _mixed(row[:, None] + column) & _LARGEST


_GOLDEN, _FIRST, _SECOND = -7046029254386353131, -4658895280553007687, -7723592293110705685
"""The constants of SplitMix64 (Steele et al., OOPSLA 2014), as signed numbers."""
_LARGEST = 2**63 - 1


def _mixed(state: Tensor) -> Tensor:
    """SplitMix64's output function; the products wrap around."""
    state = (state ^ _shifted(state, 30)) * _FIRST
    state = (state ^ _shifted(state, 27)) * _SECOND
    return state ^ _shifted(state, 31)


def _shifted(state: Tensor, bits: int) -> Tensor:
    # torch shifts signed numbers with their sign; SplitMix64 has none.
    return (state >> bits) & (2 ** (64 - bits) - 1)
