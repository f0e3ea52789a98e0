"""What every configuration is made of: frozen pydantic models, and the errors a user can cause."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A configuration: immutable, without unknown keys, without silent conversions.

    `true` is no number, `"10"` is no number, `nan` and `inf` are no values. The string under a
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


class MethodConfig(Frozen):
    """The knobs of one training method; each file in `raylt/methods` extends it as `Config`."""

    name: str
    """The method: the name of its file in `raylt/methods`."""


class DatasetConfig(Frozen):
    """The knobs of one dataset; each file in `raylt/datasets` extends it as `Config`."""

    name: str
    """The dataset: the name of its file in `raylt/datasets`."""

    def train_counts(self) -> tuple[int, ...] | None:
        """Training images of each class, in class order; None where only the files can tell."""
        return None


class RayltError(Exception):
    """Base of the errors that a user can cause and repair; its text is all that they see."""

    exit_code = 1


class InputError(RayltError):
    """The user's input is wrong: nothing was started, nothing was written."""

    exit_code = 2


class EnvironmentError(RayltError):
    """The machine, the storage or a service is not as it must be: nothing was started."""

    exit_code = 3
