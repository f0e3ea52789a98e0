"""Recipe: every choice of one training run, frozen and complete."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    SerializeAsAny,
    create_model,
    model_validator,
)

from raylt import encoders, plugins
from raylt.encoders import EncoderConfig
from raylt.schema import DatasetConfig, Frozen, InputError, MethodConfig, Value
from raylt.sections import Augment, Evaluation, Optimizer, Schedule

CHANGES_REMOVED = (
    "must be left out, since population based training was removed after version 0.1.0; that "
    "version reads this recipe"
)


class Recipe(Frozen):
    """One training run."""

    data: SerializeAsAny[DatasetConfig]
    method: SerializeAsAny[MethodConfig]
    encoder: str | EncoderConfig
    """Its name, or a mapping with `name` where there is more to say about its weights."""
    size: int = Field(default=32, ge=8)
    """Height and width of the views in pixels."""
    augment: Augment = Augment()
    optimizer: Optimizer
    schedule: Schedule = Schedule()
    evaluation: Evaluation = Evaluation()
    epochs: int = Field(ge=1)
    """Passes over the training set."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of the network; auto times a few steps on the machine that trains, and takes the
    faster one, with the memory layout and the threads that are fastest there."""
    compile: bool | Literal["auto"] = False
    """Whether a step runs as one compiled program, on a GPU as CUDA graphs: worth its minute where
    a run takes many; auto tries it where that costs at most a hundredth of the run. The numbers
    differ in their last digits. Steps of several workers, and those that cannot be compiled, run
    as they are, and a line says so."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Decides the initial weights, the order of the images and every augmentation."""

    @model_validator(mode="before")
    @classmethod
    def _without_changes(cls, values: Any) -> Any:
        """Recipes of version 0.1.0 have a key `changes`, which is empty but for population based
        training."""
        if not isinstance(values, dict) or "changes" not in values:
            return values
        if values["changes"]:
            raise InputError(f"recipe.changes: {CHANGES_REMOVED}")
        return {key: value for key, value in values.items() if key != "changes"}

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
        counts = self.data.train_counts() if self.optimizer.drop_last else None
        if counts is not None:
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

        A field that a later version adds is left out while it has its default, so that checkpoints
        and studies of before go on being those of their recipe. The default of a field that was
        released must therefore stay as it is.
        """
        chosen = self.model_dump(mode="json", exclude_defaults=True)
        if list(chosen["encoder"]) == ["name"]:
            # A mapping that says no more than its name does.
            chosen["encoder"] = str(self.encoder)
        names = {"method": self.method.name, "data": self.data.name}
        text = json.dumps({"names": names, **chosen}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def _model(method: type[Frozen], dataset: type[Frozen], described: bool) -> type[Recipe]:
    name = Annotated[str, AfterValidator(encoders.known)]
    sections: dict[str, Any] = {
        "method": (method, ...),
        "data": (dataset, ...),
        "encoder": (EncoderConfig if described else name, Field(examples=["small"])),
    }
    return create_model("Recipe", __base__=Recipe, __module__=__name__, **sections)


def parse(values: dict[str, Any]) -> Recipe:
    """The recipe that nested plain values describe, as they come from YAML or JSON.

    Raises:
        InputError: `method.name` or `data.name` is missing or unknown.
        pydantic.ValidationError: a value breaks its field's rule.
    """
    return model_of(values).model_validate(values)


def model_of(values: Mapping[str, Any]) -> type[Recipe]:
    """The Recipe model of nested plain values: that of their method and dataset, with an encoder
    that is its name alone or a mapping, as it is there.

    Raises:
        InputError: `method.name` or `data.name` is missing or unknown.
    """
    encoder = values.get("encoder")
    return _model(
        plugins.config("methods", _name(values, "method", "methods")),
        plugins.config("datasets", _name(values, "data", "datasets")),
        # Several names to choose from are a mapping, too.
        isinstance(encoder, Mapping) and "choices" not in encoder,
    )


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
    values = dict(fixed)
    for path, value in point.items():
        *sections, last = path.split(".")
        inner = values
        for section in sections:
            inner[section] = dict(inner.get(section, {}))
            inner = inner[section]
        inner[last] = value
    return values


def flat(values: Mapping[str, Any], path: str = "") -> dict[str, Value]:
    """Dotted path -> scalar of nested values; lists are left out."""
    scalars: dict[str, Value] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            scalars |= flat(value, f"{path}{key}.")
        elif not isinstance(value, list | tuple):
            scalars[path + key] = value
    return scalars


def defaults(model: type[BaseModel], path: str = "") -> dict[str, Value]:
    """Dotted path -> default of every scalar field that has one."""
    scalars: dict[str, Value] = {}
    for key, info in model.model_fields.items():
        section: Any = info.annotation
        if isinstance(info.default, BaseModel):
            scalars |= flat(info.default.model_dump(), f"{path}{key}.")
        elif isinstance(section, type) and issubclass(section, BaseModel) and info.is_required():
            scalars |= defaults(section, f"{path}{key}.")
        elif not info.is_required() and not isinstance(info.default, list | tuple):
            scalars[path + key] = info.default
    return scalars


def _name(values: Mapping[str, Any], section: str, package: str) -> str:
    part = values.get(section)
    name = part.get("name") if isinstance(part, dict) else None
    if not isinstance(name, str):
        raise InputError(
            f"recipe.{section}.name must name a file of raylt/{package}, but got {name!r}; "
            f"known: {', '.join(plugins.names(package))}"
        )
    return name
