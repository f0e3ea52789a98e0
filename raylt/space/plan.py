"""Plan: how a study searches, the `study` part of a space file."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from raylt.schema import Frozen, InputError
from raylt.space import expressions
from raylt.space.leaf import Scalar
from raylt.space.metric_names import METRICS, Direction, Metric
from raylt.space.strategy import Sampler, Scheduler, stops
from raylt.space.study_name import study_name

LEVEL = 0.05
"""Chance of a false "better" that `raylt confirm` accepts over all its candidates."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Objective(Frozen):
    """What the search improves."""

    metric: Metric
    """Name of the metric."""
    direction: Direction | None = None
    """Which way is better; known for every metric, so it may be left out."""

    @model_validator(mode="after")
    def _the_right_way(self) -> Self:
        if self.direction not in (None, METRICS[self.metric]):
            raise ValueError(
                f"direction must be {METRICS[self.metric]} for {self.metric}, but got "
                f"{self.direction}; leave it out"
            )
        return self

    @property
    def better(self) -> Direction:
        """Which way is better."""
        return METRICS[self.metric]


def _text(bound: Any) -> Any:
    """A plain number is an expression too."""
    return str(bound) if isinstance(bound, int | float) and not isinstance(bound, bool) else bound


Bound = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": ["number", "string"]})]


class Constraint(Frozen):
    """What the result of a trial must satisfy to be ranked."""

    metric: Metric
    """Name of the metric."""
    min: Bound | None = None
    """Smallest value, a number or an expression over `baseline`, the measured baseline trial."""
    max: Bound | None = None
    """Largest value, a number or an expression over `baseline`."""

    @field_validator("min", "max")
    @classmethod
    def _over_the_baseline(cls, bound: str | None) -> str | None:
        if bound is None:
            return None
        try:
            expression = expressions.parse(bound)
            expression.number(dict.fromkeys(expression.names, 0.5))
        except InputError as error:
            raise ValueError(str(error)) from None
        if foreign := expression.names - {"baseline"}:
            raise ValueError(
                f"must use only numbers and `baseline`, but got {sorted(foreign)[0]!r}; write "
                f"it like `baseline - 0.01`"
            )
        return bound

    @model_validator(mode="after")
    def _bounds_something(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("must have min or max, but has neither; add `min: baseline - 0.01`")
        return self


class Baseline(Frozen):
    """The published setting: the first trial, and what `raylt confirm` compares with."""

    source: str = Field(min_length=1)
    """Where the values come from."""
    values: dict[str, Scalar]
    """The value of each open leaf, by its dotted path."""


class Budget(Frozen):
    """When the search ends before all trials have run."""

    gpu_hours: float | None = Field(default=None, gt=0)
    """Hours of GPUs over all trials."""
    cpu_hours: float | None = Field(default=None, gt=0)
    """Hours of cores over all trials."""
    wall_clock: str | None = None
    """Time of the search, as `90m` or `24h`."""

    @field_validator("wall_clock")
    @classmethod
    def _duration(cls, text: str | None) -> str | None:
        if text is not None and not _DURATION.fullmatch(text):
            raise ValueError(f"must be a number with s, m, h or d, but got {text!r}; as in 90m")
        return text

    @property
    def seconds(self) -> float | None:
        """`wall_clock` in seconds."""
        if self.wall_clock is None:
            return None
        match = _DURATION.fullmatch(self.wall_clock)
        assert match
        return float(match[1]) * _SECONDS[match[2]]


class Confirm(Frozen):
    """How many winners are compared with the baseline again, over how many seeds."""

    top: int = Field(default=3, ge=1)
    """Winners that are confirmed."""
    seeds: int = Field(default=6, ge=1, le=40)
    """Seeds that each of them and the baseline are trained with; the signs of up to 40 differences
    can be counted exactly."""
    retrain: Literal["split", "pool"] = "split"
    """Images that they are trained on: `split` those of the search, or `pool`, the whole published
    tail without held-out validation images, as the field does for its tables."""

    @model_validator(mode="after")
    def _can_reach_the_level(self) -> Self:
        # A sign-flip test over n paired seeds has no p-value below 1/2^n, and Holm's rule asks
        # the best of `top` candidates for LEVEL / top.
        needed = math.ceil(math.log2(self.top / LEVEL))
        if self.seeds < needed:
            winners = "a winner" if self.top == 1 else f"{self.top} winners"
            raise ValueError(
                f"seeds must be at least {needed} to compare {winners} at the level {LEVEL}, but "
                f"got {self.seeds}: the smallest p-value of {self.seeds} paired "
                f"seeds is 1/{2**self.seeds}, and {LEVEL / self.top:.2g} is asked for; add seeds"
                f"{' or lower top' if self.top > 1 else ''}"
            )
        return self


Named = Metric | Objective
"""An objective as it may be written."""


def _list(objectives: Any) -> Any:
    """One objective may stand without a list, and without a mapping."""
    items: list[Any] = list(objectives) if isinstance(objectives, list | tuple) else [objectives]
    if not items:
        raise ValueError("must name at least one metric, but got []; write val/accuracy")
    return [{"metric": item} if isinstance(item, str) else item for item in items]


def is_file(source: str) -> bool:
    """Whether an entry of `warm_start` is a file or folder, and not the name of a study."""
    return "/" in source or source.endswith((".json", ".yaml", ".yml"))


class Study(Frozen):
    """How a study searches."""

    name: str
    """Name of the study: of its folder and its MLflow run."""
    trials: int = Field(default=20, ge=1)
    """Trials of the whole study, the baseline included."""
    objective: Annotated[
        tuple[Objective, ...],
        BeforeValidator(
            _list, json_schema_input_type=Named | Annotated[list[Named], Field(min_length=1)]
        ),
    ] = Field(
        default=(Objective(metric="val/accuracy"),),
        strict=False,
        json_schema_extra={"default": "val/accuracy"},
    )
    """The metric to improve; several span a Pareto front."""
    constraints: tuple[Constraint, ...] = Field(default=(), strict=False)
    """Bounds on results; a trial that breaks one is not ranked."""
    sampler: Sampler = Sampler()
    scheduler: Scheduler = Scheduler()
    require: tuple[str, ...] = Field(default=(), strict=False)
    """Conditions on the open leaves; a point that breaks one is never tried."""
    baseline: Baseline | None = None
    """Left out, it is the published setting of the method, which the method's file states."""
    preset: str | None = None
    """Which of `presets` applies; none where it is left out."""
    presets: dict[str, dict[str, Scalar]] = Field(default={})
    """Values of the recipe that belong together, by the name of the preset and the dotted path,
    such as the peculiarities of a published program."""
    points: tuple[dict[str, Scalar], ...] = Field(default=(), strict=False)
    """More known settings, tried right after the baseline."""
    warm_start: tuple[str, ...] = Field(default=(), strict=False)
    """Earlier studies of the same method, by their names, whose best settings are tried after the
    baseline and the points; or files with one: what `raylt best STUDY --json` printed, or the
    `recipe.yaml` of `raylt export`. A name with a slash or one that ends in .json, .yaml or .yml
    is a file, or the folder of a study that lies elsewhere, counted from that of the space
    file."""
    warm_points: int | None = Field(default=None, ge=1)
    """Settings of `warm_start` that are tried; a quarter of the trials where it is left out."""
    budget: Budget = Budget()
    confirm: Confirm = Confirm()
    checkpoints: Literal["top", "all"] = "top"
    """Which checkpoints stay after a trial: those of the baseline and of the best `confirm.top`
    trials, or all."""
    versus: str | None = None
    """Another method to search with the same budget, and to compare."""

    _name = field_validator("name")(study_name)

    @field_validator("warm_start")
    @classmethod
    def _sources(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not is_file(name):
                study_name(name)
            if names.count(name) > 1:
                raise ValueError(f"must name each source once, but {name} is listed twice")
        return names

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len({o.metric for o in self.objective}) < len(self.objective):
            raise ValueError(
                "objective must name each metric once, but one is listed twice; remove it"
            )
        if self.name in self.warm_start:
            raise ValueError(
                f"warm_start must name other studies, but {self.name} is this one; go on with it "
                f"by `raylt resume {self.name}`, or give this study another name"
            )
        if self.warm_points is not None and not self.warm_start:
            raise ValueError(
                "warm_points must be left out without warm_start; name a study there, or remove it"
            )
        if self.warm_points is not None and self.warm_points >= self.trials:
            raise ValueError(
                f"warm_points must be less than the {self.trials} trials, the first of which is "
                f"the baseline, but got {self.warm_points}; lower it, or add trials"
            )
        if len(self.objective) > 1 and self.stops_early and self.scheduler.metric is None:
            raise ValueError(
                f"scheduler.metric must be given, since there are {len(self.objective)} "
                f"objectives, but is missing; add `metric: {self.objective[0].metric}`"
            )
        return self

    @property
    def stops_early(self) -> bool:
        """Whether a scheduler may stop a trial."""
        return stops(self.scheduler)

    @property
    def watched(self) -> str:
        """The metric that the scheduler watches."""
        return self.scheduler.metric or self.objective[0].metric
