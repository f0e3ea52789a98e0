"""Ask the machine how it computes a recipe's step fastest, by a few steps of it.

A flag of the processor does not tell: with the same instructions bfloat16 trains 1.6 times as fast
as float32 on one processor, and more slowly on another. Only choices that leave the accuracy as it
is are tried: each in turn with the best so far, and taken if it is faster by a margin.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from raylt import collectives
from raylt.data.images import Splits
from raylt.recipe import Recipe
from raylt.trial import parts
from raylt.trial.execution import cache
from raylt.trial.execution.choice import Execution
from raylt.trial.fit import descend

MARGIN = 1.1
"""How many times as fast an alternative must be to be taken."""
SECONDS, SHARE = 2.0, 0.01
"""What measuring may take: so many seconds, or this share of the training where that is more."""
FEWEST = 10
"""Steps of a run below which nothing is asked, for there is nothing to gain."""
_ROUNDS, _FEW_ROUNDS = 5, 3
"""Comparisons of two forms, and how many are enough where time is short."""
_SMALL = 8
"""Images of the smallest step that may stand for the whole one."""
_COMPILING = 120.0
"""Seconds that a step is taken to need to compile: ResNets took 14 to 160. Trying it is too dear
where that is more than the share."""


def choose(
    recipe: Recipe, *, root: Path, device: torch.device, began: Execution | None
) -> Execution:
    """How all processes of a trial compute the steps of a recipe; a run that goes on keeps what it
    began with."""
    if began is not None:
        return began
    given = parts.as_given(recipe, device)
    asked = [name for name in ("precision", "compile") if getattr(recipe, name) == "auto"]
    splits = parts.splits_of(recipe, root)
    steps = recipe.epochs * -(-len(splits.train) // recipe.optimizer.batch_size)
    if not asked or steps < FEWEST:
        return given
    measured: Execution | None = None
    if collectives.rank() == 0:
        comparison = _Comparison(recipe, splits, given, device=device, steps=steps)
        key = {
            "torch": torch.__version__,
            "machine": given.machine,
            "step": given.step,
            "threads": given.threads,
            "asked": asked,
        }
        measured = cache.get(key, comparison.measured)
    return collectives.agreed(measured) or given


class _Form:
    """A step of a recipe in one form, on images that mean nothing; it leaves the weights alone."""

    def __init__(
        self,
        recipe: Recipe,
        splits: Splits,
        execution: Execution,
        *,
        images: int,
        device: torch.device,
    ) -> None:
        self.execution = execution
        self._device = device
        method = parts.method_of(recipe, splits, device, layout=execution.layout)
        self._step = parts.step_of(method, execution, device)
        self._optimizer = parts.optimizer_of(recipe, method)
        for group in self._optimizer.param_groups:
            group["lr"] = 0.0
        self._views = [
            torch.rand(images, splits.shape[0], recipe.size, recipe.size).to(
                device, memory_format=parts.memory_format(execution)
            )
            for _ in method.views(recipe.method)
        ]
        self._labels = (torch.arange(images) % splits.classes).to(device)
        method.train()
        method.begin_epoch(0)

    def seconds(self, clock: Callable[[], float]) -> float:
        """What one step takes."""
        parts.use_threads(self.execution, self._device)
        began = self._now(clock)
        autocast = parts.autocast(self.execution, self._device)
        descend(self._step, self._views, self._labels, self._optimizer, autocast)
        return self._now(clock) - began

    def _now(self, clock: Callable[[], float]) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return clock()


class _Comparison:
    """Measures one recipe in this process.

    Args:
        given: How it is computed where nothing is measured.
        steps: Steps of the whole run.
    """

    def __init__(
        self,
        recipe: Recipe,
        splits: Splits,
        given: Execution,
        *,
        device: torch.device,
        steps: int,
    ) -> None:
        self._recipe = recipe
        self._splits = splits
        self._given = given
        self._device = device
        self._steps = steps
        self._alone = collectives.world() == 1
        self._images = recipe.optimizer.batch_size // collectives.world()
        # What a busy machine does to the clock it does not do to the time of a processor.
        self._clock = time.process_time if device.type == "cpu" else time.perf_counter
        self._began = 0.0
        self._patience = SECONDS

    def measured(self) -> Execution | None:
        """The fastest form, with how the others compare; None where there was no time for that."""
        self._began = self._clock()
        # A run must draw the same numbers whether it was the one that measured or not.
        with torch.random.fork_rng(), collectives.alone():
            try:
                return self._chosen()
            finally:
                parts.use_threads(self._given, self._device)
                if self._device.type == "cuda":
                    torch.cuda.empty_cache()

    def _chosen(self) -> Execution | None:
        base = self._given
        if self._recipe.precision == "auto":
            base = replace(base, precision="float32")
        images, seconds = self._affordable(base)
        if not images:
            return None
        best = self._form(base, images)
        ratios: dict[str, float] = {}
        for name, change in self._alternatives():
            other = self._form(replace(best.execution, **change), images)
            ratios[name] = self._ratio(best, other, wall="threads" in change)
            if ratios[name] >= MARGIN:
                best, seconds = other, seconds / ratios[name]
        if self._recipe.compile == "auto" and self._alone and seconds * SHARE >= _COMPILING:
            best = self._compiled(best.execution, seconds, ratios)
        return replace(best.execution, ratios=ratios)

    def _affordable(self, base: Execution) -> tuple[int, float]:
        """Images of a step that is compared, 0 for none, and seconds of the whole training."""
        sizes = [self._images]
        while sizes[-1] >= 2 * _SMALL:
            sizes.append(sizes[-1] // 2)
        steps = 2 * (1 + _FEW_ROUNDS) * sum(1 for _ in self._alternatives())
        images = sizes[-1]
        while True:
            form = self._form(base, images)
            image = min(form.seconds(self._clock) for _ in range(2)) / images
            whole = image * self._images * self._steps
            self._patience = max(SECONDS, SHARE * whole)
            left = self._patience - (self._clock() - self._began)
            # An image of a small step costs more than one of a large step.
            fitting = max((n for n in sizes if steps * n * image <= left), default=0)
            if fitting <= images:
                return fitting, whole
            images = fitting

    def _alternatives(self) -> Iterator[tuple[str, dict[str, Any]]]:
        if self._recipe.precision != "auto":
            return
        if self._device.type == "cpu" or torch.cuda.is_bf16_supported(including_emulation=False):
            yield "bfloat16", {"precision": "bfloat16"}
        yield "contiguous", {"layout": "contiguous"}
        if self._given.threads > 1:
            yield "1 thread", {"threads": 1}

    def _form(self, execution: Execution, images: int) -> _Form:
        return _Form(self._recipe, self._splits, execution, images=images, device=self._device)

    def _ratio(self, first: _Form, other: _Form, *, wall: bool) -> float:
        """How many times as fast the other is: the median over rounds in which both take turns."""
        clock = time.perf_counter if wall else self._clock
        for form in (first, other):
            form.seconds(clock)
        ratios: list[float] = []
        for number in range(_ROUNDS):
            faster = sum(ratio >= MARGIN for ratio in ratios)
            late = number >= _FEW_ROUNDS and self._clock() - self._began > self._patience
            # More rounds could not move the median over the margin or back.
            if late or max(faster, number - faster) > _ROUNDS // 2:
                break
            if number % 2:
                fast, slow = other.seconds(clock), first.seconds(clock)
            else:
                slow, fast = first.seconds(clock), other.seconds(clock)
            ratios.append(slow / fast)
        return statistics.median(ratios)

    def _compiled(self, best: Execution, seconds: float, ratios: dict[str, float]) -> _Form:
        """The form that is compiled, if it earns back within the training what compiling takes.

        Args:
            best: The best that is not compiled.
            seconds: What the training takes by it.
            ratios: Gets one more.
        """
        plain, other = (
            self._form(replace(best, compile=compiled), self._images) for compiled in (False, True)
        )
        price = other.seconds(self._clock)
        ratio = ratios["compiled"] = self._ratio(plain, other, wall=False)
        # The last batch of an epoch may need a program of its own.
        earned = seconds * (1 - 1 / ratio) > 2 * price
        return other if ratio >= MARGIN and earned else plain
