"""SGD and LARS; the learning rate as a formula of the step."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

# The trust coefficient of LARS (You et al., 2017) and of SDCLR's unused option.
_TRUST = 0.001

for _method in ("add_param_group", "zero_grad", "state_dict", "load_state_dict"):
    # An optimizer's first call imports torch's compiler, as long as importing torch itself, only
    # to mark these as not to be compiled. Nothing is compiled here: they are marked as they are.
    _plain: Any = inspect.unwrap(getattr(torch.optim.Optimizer, _method))
    if not hasattr(_plain, "__dynamo_disable"):
        setattr(_plain, "__dynamo_disable", _plain)


def learning_rate(
    step: int,
    *,
    steps: int,
    epochs: int,
    peak: float,
    warmup: int,
    name: Literal["cosine", "step", "constant"],
    floor: float,
    milestones: Sequence[int],
    gamma: float,
    per: Literal["step", "epoch"],
    early: bool,
) -> float:
    """Learning rate of the 0-based update `step`.

    The warm-up is linear and never 0: the first update uses `peak / (warmup * steps)` as in the
    program of SDCLR, or per epoch `peak / warmup` as in ProCo's; then the schedule begins.

    Args:
        steps: Updates of an epoch.
        peak: Learning rate at the end of the warm-up.
        warmup: Epochs of the warm-up.
        name: "cosine" falls to `floor` at the end (Loshchilov and Hutter, ICLR 2017); "step"
            multiplies by `gamma` at each milestone.
        milestones: Epochs after which a step schedule falls.
        per: Whether the rate changes with every update, or with every epoch.
        early: Whether a cosine is one update ahead.
    """
    now, unit = (step, steps) if per == "step" else (step // steps, 1)
    start, end = warmup * unit, epochs * unit
    if now < start:
        return peak * (now + 1) / start
    if name == "cosine":
        # The programs that change it per epoch are one ahead, and would end one epoch later.
        ahead, later = int(early or per == "epoch"), int(per == "epoch")
        done = (now + ahead - start) / (end + later - start)
        return floor + (peak - floor) * (1 + math.cos(math.pi * done)) / 2
    if name == "step":
        return peak * gamma ** sum(now >= milestone * unit for milestone in milestones)
    return peak


def optimizer(
    module: nn.Module,
    *,
    name: Literal["sgd", "lars"],
    lr: float,
    momentum: float,
    weight_decay: float,
    decay_norms: bool,
) -> torch.optim.Optimizer:
    """The optimizer of everything in `module` that trains.

    Args:
        lr: Learning rate of the first update; the loop sets that of the others.
        decay_norms: Whether the penalty also falls on vectors: biases and normalisation.
    """
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    vectors = [parameter for parameter in trained if parameter.ndim < 2]
    others = [parameter for parameter in trained if parameter.ndim >= 2]
    groups: list[dict[str, Any]] = [
        {"params": others, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": weight_decay if decay_norms else 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if name == "lars":
        return Lars(groups, lr=lr, momentum=momentum)
    # One kernel for all parameters, where the device has it.
    fused = all(parameter.device.type in ("cpu", "cuda") for parameter in trained)
    return Sgd(groups, lr=lr, momentum=momentum, fused=fused)


class Sgd(torch.optim.SGD):
    """torch's SGD; its step does not import the compiler either."""

    _step = inspect.unwrap(torch.optim.SGD.step)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """Move every parameter once along its gradient."""
        assert closure is None, "the loop computes the gradients itself"
        self._step()


class Lars(torch.optim.Optimizer):
    """Layer-wise adaptive rate scaling (You et al., 2017, arXiv:1708.03888).

    Each weight tensor moves by a step in proportion to its own norm. Vectors (biases and
    normalisation) take the plain step of SGD, as is the custom.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], *, lr: float, momentum: float) -> None:
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move every parameter once along its gradient."""
        assert closure is None, "the loop computes the gradients itself"
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)

    def _move(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        decay = group["weight_decay"]
        update = gradient + decay * parameter
        if parameter.ndim >= 2:
            size, steepness = parameter.norm(), gradient.norm()
            trust = _TRUST * size / (steepness + decay * size)
            # Computed on the device, so that no step waits for the host.
            update = update * torch.where((size > 0) & (steepness > 0), trust, 1.0)
        state = self.state[parameter]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(parameter)
        state["velocity"].mul_(group["momentum"]).add_(update, alpha=group["lr"])
        parameter.sub_(state["velocity"])
