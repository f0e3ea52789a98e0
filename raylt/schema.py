"""What every configuration is made of: frozen pydantic models, and the errors a user can cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Value = bool | int | float | str | None
"""What a hyperparameter may be."""


class Frozen(BaseModel):
    """A configuration: immutable, without unknown keys, without silent conversions.

    `true` and `"10"` are not numbers, `nan` and `inf` are not values. The string under a
    field is its documentation and shows up in the JSON Schema.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        use_attribute_docstrings=True,
    )


@dataclass(frozen=True, slots=True)
class Where:
    """In the annotation of a method's field: where it has an effect, as a condition over other
    hyperparameters, such as `method.classifier == 'tau'`."""

    condition: str


class MethodConfig(Frozen):
    """The hyperparameters of a method; each file in `raylt/methods` extends it as `Config`."""

    name: str
    """The method: the name of its file in `raylt/methods`."""

    def is_probed(self) -> bool:
        """Whether the probe of the recipe's `evaluation` classifies; not where `classifier` or
        `probe` of the method gives what does."""
        return True


class Published(Frozen):
    """The setting that a method was published with; each file in `raylt/methods` has one, as
    `PUBLISHED`. It is the baseline of a space that names none."""

    source: str = Field(min_length=1)
    """Paper or program, and which of its settings."""
    values: dict[str, Value]
    """Values by their dotted path, such as `method.temperature` or `optimizer.lr`."""


class Ablation(Frozen):
    """What a method can do without, to see what it is good for; a file in `raylt/methods` lists
    its own as `ABLATIONS`, and `raylt ablate` trains the winner so."""

    name: str = Field(min_length=1)
    """A few words, such as `no pruning`."""
    sentence: str = Field(min_length=1)
    """What is left then."""
    values: dict[str, Value]
    """Values by their dotted path; what is so already is not trained."""


_SWINGS = Where("method.temperature_schedule == 'cosine'")


class ContrastConfig(MethodConfig):
    """The hyperparameters of a method that divides similarities by a temperature."""

    temperature: float = Field(gt=0)
    """Softmax temperature of the contrast; with a cosine schedule the highest."""
    temperature_schedule: Literal["constant", "cosine"] = "constant"
    """Whether the temperature stays, or swings down to `temperature_min` and back: the schedule TS
    of Kukleva et al. (ICLR 2023), with `temperature: 1.0` in their program."""
    temperature_min: Annotated[float, _SWINGS] = Field(default=0.1, gt=0)
    """Lowest temperature of a cosine schedule; 0.1 in the program of TS."""
    temperature_period: Annotated[int, _SWINGS] = Field(default=400, ge=2)
    """Epochs of a cosine schedule from one highest temperature to the next; 400 in the program of
    TS, whose T of 200 is half a period."""

    @model_validator(mode="after")
    def _swings_downwards(self) -> ContrastConfig:
        cosine = self.temperature_schedule == "cosine"
        if cosine and self.temperature_min > self.temperature:
            raise ValueError(
                "temperature_min must be at most temperature, where a cosine schedule begins, but "
                f"got {self.temperature_min} and {self.temperature}; raise temperature"
            )
        return self


class DatasetConfig(Frozen):
    """The settings of one dataset; each file in `raylt/datasets` extends it as `Config`."""

    name: str
    """The dataset: the name of its file in `raylt/datasets`."""

    def train_counts(self) -> tuple[int, ...] | None:
        """Training images of each class, in class order; None where only the files can tell."""
        return None

    def has_validation(self) -> bool:
        """Whether any images are held out, without which a search sees training losses only."""
        return True

    @classmethod
    def silent(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """What a new space gets where its file is silent; a recipe that was stored without it
        keeps the field's default, and so its meaning and its digest."""
        return {}

    @classmethod
    def idle(cls, values: Mapping[str, Any]) -> tuple[str, str] | None:
        """A key of a new space's file that would do nothing beside the others, and why."""
        return None


class SamplerConfig(Frozen):
    """The settings of one sampler; each file in `raylt/samplers` extends it as `Config`."""

    name: str
    """The sampler: the name of its file in `raylt/samplers`."""
    package: ClassVar[str | None] = None
    """What it needs that raylt does not install by itself."""
    takes_prior: ClassVar[bool] = False
    """Whether `build` takes `prior`, trials of earlier studies (see `study.warm_start`)."""


class SeededConfig(SamplerConfig):
    """The settings of a sampler that draws."""

    seed: int = Field(default=0, ge=0, lt=2**32)
    """Decides every proposal, given the results; not for `grid`."""


class LearningConfig(SeededConfig):
    """The settings of a sampler that learns from the trials that have ended."""

    startup: int = Field(default=10, ge=0)
    """Random trials before the sampler trusts its model; the population of NSGA-II, of 4 at least;
    not for `random` and `grid`."""


class SchedulerConfig(Frozen):
    """The settings of one scheduler; each file in `raylt/schedulers` extends it as `Config`."""

    name: str
    """The scheduler: the name of its file in `raylt/schedulers`."""


class StoppingConfig(SchedulerConfig):
    """The settings of a scheduler that stops weak trials; the resource is the epoch."""

    metric: str | None = None
    """What it watches; the objective where there is one."""
    grace: int | None = Field(default=None, ge=1)
    """Epochs that every trial is given. A third of the epochs of the longest trial
    where it is left out, and with `hyperband` for its most patient bracket."""

    def patience(self) -> int:
        """One part of a trial's epochs in this many is its grace where none is given."""
        return 3


class RayltError(Exception):
    """Base of the errors that a user can cause and repair; its text is all that they see."""

    exit_code = 1


class InputError(RayltError):
    """The user's input is wrong: nothing was started, nothing was written."""

    exit_code = 2


class EnvironmentError(RayltError):
    """The machine, the storage or a service is not ready, and nothing was started; or it failed
    meanwhile, and what was reported before is kept.

    Args:
        names_command: Whether the text names the command that goes on.
    """

    exit_code = 3

    def __init__(self, text: str, *, names_command: bool = False) -> None:
        super().__init__(text)
        self.names_command = names_command
