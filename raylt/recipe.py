"""Recipe: every choice of one training run, frozen and complete."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, SerializeAsAny, create_model, model_validator

from raylt import plugins
from raylt.schema import DatasetConfig, Frozen, InputError, MethodConfig, Value

Encoder = Literal["small", "resnet18", "resnet32", "resnet50", "resnext50"]


class Augment(Frozen):
    """How the images of a training step are disturbed; the defaults are SimCLR's for CIFAR."""

    crop: float = Field(default=0.1, gt=0, le=1)
    """Smallest share of the image's area that a random resized crop may keep."""
    flip: float = Field(default=0.5, ge=0, le=1)
    """Probability of a horizontal flip; 0 for digits and letters."""
    jitter: float = Field(default=1.0, ge=0, le=2)
    """Strength of the colour jitter: brightness, contrast, saturation 0.4 and hue 0.1 at 1."""
    grey: float = Field(default=0.2, ge=0, le=1)
    """Probability that a view loses its colours."""
    blur: float = Field(default=0.0, ge=0, le=1)
    """Probability of a Gaussian blur with a radius of 0.1 to 2 pixels."""
    rotate: float = Field(default=0.0, ge=0, le=180)
    """Largest turn of a view to either side in degrees; 0 in both papers, 20 for handwriting."""
    shear: float = Field(default=0.0, ge=0, lt=90)
    """Largest slant of a view to either side in degrees; 0 in both papers."""


class Optimizer(Frozen):
    """The optimizer and its step size."""

    name: Literal["sgd", "lars"] = "sgd"
    """Plain momentum SGD, or LARS for very large batches."""
    lr: float = Field(gt=0)
    """Peak learning rate, as given: it is never rescaled by the batch size."""
    batch_size: int = Field(ge=2)
    """Images of one step over all workers together."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of SGD."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """L2 penalty."""
    decay_norms: bool = True
    """Whether the penalty also falls on biases and norms, as in both published programs."""
    drop_last: bool = False
    """Whether the rest of an epoch that does not fill a batch is left out."""


class Schedule(Frozen):
    """The learning rate as a formula of the step."""

    name: Literal["cosine", "step", "constant"] = "cosine"
    """Cosine down to `floor`, or times `gamma` at each milestone, or flat."""
    warmup: int = Field(default=0, ge=0)
    """Epochs in which the learning rate climbs linearly to its peak."""
    floor: float = Field(default=0.0, ge=0)
    """Learning rate at the end of a cosine."""
    milestones: tuple[int, ...] = Field(default=(), strict=False)
    """Epochs after which a step schedule multiplies by `gamma`."""
    gamma: float = Field(default=0.1, gt=0, le=1)
    """Factor of a step schedule."""


class Evaluation(Frozen):
    """How a model is scored."""

    labels: Literal["balanced", "tail", "few-shot"] = "balanced"
    """The labels a probe is trained on: the balanced pool, the long-tailed training set itself,
    or one per cent of the pool (at least 4 a class)."""
    probe: Literal["lbfgs", "sgd", "adam", "reforward"] = "lbfgs"
    """Linear classifier on frozen features: multinomial logistic regression by L-BFGS, SDCLR's
    published SGD schedule or Adam on features that are computed once; or `reforward`, SDCLR's
    whole protocol, in which the images pass the encoder anew in every epoch, cropped and flipped,
    and validation chooses the epoch. Their numbers are not comparable with each other."""
    early_falls: bool = False
    """Whether the learning rate of `sgd` and `reforward` falls one epoch early, as in SDCLR's
    program for CIFAR; false is the schedule as it is written down."""
    selection: Literal["top-1", "top-5", "last"] = "top-1"
    """What chooses the epoch of a `reforward` probe on the validation images: the accuracy, the
    accuracy of the five likeliest classes as in SDCLR's program for ImageNet-100, or nothing: the
    last one is taken."""
    neighbours: int = Field(default=20, ge=1)
    """Neighbours that vote in the k-NN score."""
    every: int = Field(default=1, ge=1)
    """Epochs between two scores; the last epoch is always scored."""

    @model_validator(mode="after")
    def _nothing_without_effect(self) -> Evaluation:
        if self.early_falls and self.probe not in ("sgd", "reforward"):
            raise ValueError(
                f"early_falls must be false for the probe {self.probe}, whose learning rate does "
                "not fall; leave it out, or set probe: sgd or reforward"
            )
        if self.selection != "top-1" and self.probe != "reforward":
            raise ValueError(
                f"selection must be left out for the probe {self.probe}, which has no epoch to "
                f"choose, but got {self.selection}; leave it out, or set probe: reforward"
            )
        return self


class Recipe(Frozen):
    """One training run."""

    data: SerializeAsAny[DatasetConfig]
    method: SerializeAsAny[MethodConfig]
    encoder: Encoder
    size: int = Field(default=32, ge=8)
    """Height and width of the views in pixels."""
    augment: Augment = Augment()
    optimizer: Optimizer
    schedule: Schedule = Schedule()
    evaluation: Evaluation = Evaluation()
    epochs: int = Field(ge=1)
    """Passes over the training set."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of the network; auto takes bfloat16 on GPUs that have it and on CPUs with AMX
    tiles, and float32 elsewhere."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Decides the initial weights, the order of the images and every augmentation."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.schedule.warmup >= self.epochs:
            raise ValueError(
                f"schedule.warmup must be less than epochs, but got {self.schedule.warmup} and "
                f"{self.epochs}; shorten the warm-up"
            )
        chooses = self.evaluation.probe == "reforward" and self.evaluation.selection != "last"
        if chooses and not self.data.has_validation():
            raise ValueError(
                f"evaluation.selection must be last where data.validation is 0 and no image is "
                f"left to choose an epoch by, but got {self.evaluation.selection}; set it to last"
            )
        counts = self.data.train_counts()
        if counts is not None and self.optimizer.drop_last:
            images, batch = sum(counts), self.optimizer.batch_size
            if batch > images:
                raise ValueError(
                    f"optimizer.batch_size must be <= {images}, the training images, since "
                    f"optimizer.drop_last leaves out a batch that is not full, but got {batch}; "
                    f"lower it to {images} or set drop_last: false"
                )
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # The class is made for its method and dataset; another process makes its own.
        return parse, (self.model_dump(),)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that name this recipe: equal recipes, equal digests.

        A knob that a later version adds is left out while it has its default, so that checkpoints
        and studies of before go on being those of their recipe. The default of a knob that was
        released must therefore stay as it is.
        """
        chosen = self.model_dump(mode="json", exclude_defaults=True)
        names = {"method": self.method.name, "data": self.data.name}
        text = json.dumps({"names": names, **chosen}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def model(method: str, dataset: str) -> type[Recipe]:
    """The Recipe model whose `method` and `data` sections are those of the two plug-ins."""
    sections: dict[str, Any] = {
        "method": (plugins.config("methods", method), ...),
        "data": (plugins.config("datasets", dataset), ...),
    }
    return create_model("Recipe", __base__=Recipe, __module__=__name__, **sections)


def parse(values: dict[str, Any]) -> Recipe:
    """The recipe that nested plain values describe, as they come from YAML or JSON.

    Raises:
        InputError: `method.name` or `data.name` is missing or unknown.
        pydantic.ValidationError: a value breaks its field's rule.
    """
    return model(
        _name(values, "method", "methods"), _name(values, "data", "datasets")
    ).model_validate(values)


def model_of(values: Mapping[str, Any]) -> type[Recipe]:
    """The Recipe model of nested plain values.

    Raises:
        InputError: `method.name` or `data.name` is missing or unknown.
    """
    return model(_name(values, "method", "methods"), _name(values, "data", "datasets"))


def dataset(values: Mapping[str, Any]) -> DatasetConfig:
    """The `data` section of nested plain values, by itself.

    Raises:
        InputError: `data.name` is missing or unknown.
        pydantic.ValidationError: a value breaks its field's rule.
    """
    config = plugins.config("datasets", _name(values, "data", "datasets"))
    assert issubclass(config, DatasetConfig)
    return config.model_validate(values["data"])


def filled(fixed: Mapping[str, Any], point: Mapping[str, Value]) -> dict[str, Any]:
    """The recipe's values, nested, with those of a point put in."""
    values = deepcopy(dict(fixed))
    for path, value in point.items():
        *sections, last = path.split(".")
        inner = values
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = value
    return values


def flat(values: Mapping[str, Any], path: str = "") -> dict[str, Value]:
    """Dotted path -> scalar of nested values; lists are left out."""
    found: dict[str, Value] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{path}{key}.")
        elif not isinstance(value, list | tuple):
            found[path + key] = value
    return found


def defaults(model: type[BaseModel], path: str = "") -> dict[str, Value]:
    """Dotted path -> default of every scalar field that has one."""
    found: dict[str, Value] = {}
    for key, info in model.model_fields.items():
        section = _section(info.annotation)
        if isinstance(info.default, BaseModel):
            found |= flat(info.default.model_dump(), f"{path}{key}.")
        elif section is not None and info.is_required():
            found |= defaults(section, f"{path}{key}.")
        elif not info.is_required() and not isinstance(info.default, list | tuple):
            found[path + key] = info.default
    return found


def paths(model: type[BaseModel], path: str = "") -> tuple[str, ...]:
    """The dotted path of every field that holds a value and not a section."""
    found: list[str] = []
    for key, info in model.model_fields.items():
        section = _section(info.annotation)
        found += paths(section, f"{path}{key}.") if section else [path + key]
    return tuple(found)


def _section(annotation: Any) -> type[BaseModel] | None:
    return (
        annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    )


def _name(values: Mapping[str, Any], section: str, package: str) -> str:
    part = values.get(section)
    name = part.get("name") if isinstance(part, dict) else None
    if not isinstance(name, str):
        raise InputError(
            f"recipe.{section}.name must name a file of raylt/{package}, but got {name!r}; "
            f"known: {', '.join(plugins.names(package))}"
        )
    return name
