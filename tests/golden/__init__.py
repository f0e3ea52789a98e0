"""Golden numbers: the inputs themselves, the value, and the gradient by every matrix."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def cases(name: str) -> list[dict[str, Any]]:
    return json.loads(Path(__file__).with_name(f"{name}.json").read_text("utf-8"))["cases"]


def assert_agrees(loss: Callable[..., Tensor], case: dict[str, Any]) -> None:
    """Value and gradients of `loss(**inputs)` are the stored ones; lists become tensors."""
    inputs = {
        name: torch.tensor(value, dtype=torch.float64, requires_grad=True)
        if name in case["gradients"]
        else torch.tensor(value)
        if isinstance(value, list)
        else value
        for name, value in case["inputs"].items()
    }
    value = loss(**inputs)
    value.backward()
    assert abs(value.item() - case["value"]) < 1e-12
    for name, expected in case["gradients"].items():
        result = inputs[name].grad
        # A part with weight 0 may have no gradient at all.
        result = torch.zeros_like(inputs[name]) if result is None else result
        expected = torch.tensor(expected, dtype=torch.float64)
        torch.testing.assert_close(result, expected, rtol=1e-11, atol=1e-13)
