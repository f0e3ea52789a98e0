"""Settings: how a search runs and where. Each is declared here once, for the command line, the
environment, the profile of a cluster and the code.

A field's docstring is its help text and its default is the default. A field with an `Option` has a
flag. The fields of `Trial` stand in the section `trial` of a profile and those of `Shared` at its
top; the fields of `Settings` itself are in no profile.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from raylt import uris
from raylt.data.reading.paths import expanded
from raylt.schema import Frozen, InputError
from raylt.space.file import bundled, document, explain
from raylt.trial.checkpoints import bucket

SCHEMES = ("sqlite", "http", "https", "postgresql", "mysql", "mssql", "databricks", "file")
"""What the URI of an MLflow store may begin with."""


@dataclass(frozen=True, slots=True)
class Option:
    """How a setting is given on the command line; its flag is the field's name."""

    metavar: str | None = None
    """What stands for the value in the help; None for a switch."""
    short: str | None = None
    """A flag of one letter."""
    variable: str | None = None
    """The environment variable that stands in for the flag."""
    credentials: str = ""
    """Where the user name and the password belong, which must not be part of a shared value."""
    shared: Callable[[str], None] | None = None
    """Raises a ValueError for a value that must not stand in a profile."""


def _require_shared_folder(text: str) -> None:
    if "://" in text:
        scheme = text.partition("://")[0]
        raise ValueError(
            f"must be a folder that every machine sees under the same name, but got {scheme}://; "
            f"mount it, name a folder on NFS or Lustre, or see `checkpoints` for buckets"
        )
    if not os.path.isabs(text) and not text.startswith("~"):
        raise ValueError(
            f"must be an absolute path, for it is used on several machines, but got {text!r}; "
            f"write {str(Path('/shared') / text)!r}"
        )


def _require_store(text: str) -> None:
    scheme = text.partition(":")[0].partition("+")[0]
    if scheme not in SCHEMES or "://" not in text:
        raise ValueError(
            f"must begin with one of {', '.join(SCHEMES)} and ://, but got "
            f"{uris.public(text)!r}; as in http://mlflow:5000"
        )


def _require_postgres(text: str) -> None:
    if not re.match(r"postgresql(\+psycopg2?)?://", text):
        raise ValueError(
            f"must begin with postgresql://, but got {uris.public(text)!r}; leave it out to keep "
            f"each study in its own folder"
        )


def _auto_or_number(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError:
        raise ValueError(f"must be auto or a whole number from 1, but got {value!r}") from None


# YAML and the command line give a text for a path.
Folder = Annotated[Path, Field(strict=False), AfterValidator(expanded)]
Uri = Annotated[str, AfterValidator(uris.require_readable)]
Bucket = Annotated[str, AfterValidator(bucket.require_uri)]
Count = Annotated[int, Field(ge=1)]
Pack = Annotated[Literal["auto"] | Count, WrapValidator(_auto_or_number)]
Placement = Literal["pack", "spread", "strict_pack", "strict_spread"]


class Trial(Frozen):
    """The resources of one trial."""

    workers: Annotated[Count, Option("N")] = 1
    """Worker processes of each trial; they divide the batch among them."""
    min_workers: Count | None = None
    """Fewest workers that a trial trains with while machines are missing; default: all of
    `workers`. The batch over all workers stays the same."""
    cpus_per_worker: Count = 1
    """CPU cores and torch threads of each worker."""
    gpus_per_worker: float | None = Field(default=None, ge=0)
    """GPUs of each worker, or a share of one; default: one if there are any."""
    pack: Annotated[Pack | None, Option("auto|N")] = None
    """Trials that share one GPU; auto measures a few steps to find out how many fit, and without a
    GPU how many fit the memory."""
    placement: Placement = "pack"
    """Machines of a trial's workers: `pack` few if possible, `strict_pack` one, `spread` many if
    possible, `strict_spread` one for each worker."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_workers is not None and self.min_workers > self.workers:
            raise ValueError(
                f"min_workers must be at most workers, but got {self.min_workers} and "
                f"{self.workers}; lower min_workers to {self.workers}"
            )
        gpus = self.gpus_per_worker
        if gpus is not None and gpus > 1 and gpus != int(gpus):
            raise ValueError(
                f"gpus_per_worker must be a whole number or a share of one GPU, but got {gpus}; "
                f"try {int(gpus)}"
            )
        if self.pack is not None and self.workers > 1:
            raise ValueError(
                f"pack must be left out where a trial has several workers, but got workers "
                f"{self.workers}; a GPU is shared by trials of one worker"
            )
        if self.pack is not None and gpus not in (None, 0, 1):
            raise ValueError(
                f"pack must be left out where gpus_per_worker sets a trial's share of the GPUs, "
                f"but got {gpus:g}; leave out one of the two"
            )
        return self


class Shared(Frozen):
    """What everybody who uses the same machines may share in a profile."""

    address: Annotated[
        str | None, AfterValidator(lambda a: None if a == "local" else a), Option("ADDRESS")
    ] = None
    """Ray cluster to use: auto or HOST:6379 to join the one of this machine, http://HOST:8265 to
    send the command to another one, local for this machine alone; default: local."""
    runs: Annotated[
        Folder, Option("FOLDER", variable="RAYLT_RUNS", shared=_require_shared_folder)
    ] = Path("runs")
    """Folder of all studies; several machines must share it."""
    data: Annotated[
        Folder, Option("FOLDER", variable="RAYLT_DATA", shared=_require_shared_folder)
    ] = Path("data")
    """Folder of the datasets, on every machine."""
    tracking_uri: Annotated[
        Uri | None,
        Option(
            "URI",
            variable="MLFLOW_TRACKING_URI",
            credentials="MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
            shared=_require_store,
        ),
    ] = None
    """URI of the MLflow store; default: mlflow.db in the folder of runs."""
    tracking_optional: Annotated[bool, Option()] = False
    """Start even if MLflow is unreachable; upload later."""
    system_metrics: Annotated[bool, Option()] = False
    """Log the CPU, memory, disk, network and GPU use of each trial's machine to MLflow."""
    storage: Annotated[
        Uri | None,
        Option(
            "URL",
            variable="OPTUNA_STORAGE",
            credentials="PGUSER and PGPASSWORD, or into ~/.pgpass",
            shared=_require_postgres,
        ),
    ] = None
    """PostgreSQL URL of the study; default: local study.db."""
    checkpoints: Annotated[Bucket | None, Option("URI", variable="RAYLT_CHECKPOINTS")] = None
    """Also upload checkpoints to this S3 bucket, so that trials can resume elsewhere; as in
    s3://BUCKET/PREFIX."""
    concurrent: Annotated[Count | None, Option("N")] = None
    """Trials at a time; default: as many as fit."""
    retries: int = Field(default=2, ge=0)
    """How often a trial starts again after its process or machine died."""
    wait: float = Field(default=0, ge=0)
    """Minutes to wait for the machines of a cluster to come up."""


class Profile(Shared):
    """A file that says how trials use the machines of one place; see clusters/."""

    # The default folders are relative to this machine's working directory.
    model_config = ConfigDict(validate_default=False)

    trial: Trial = Trial()

    @field_validator("*", mode="before")
    @classmethod
    def _can_be_shared(cls, value: Any, info: ValidationInfo) -> Any:
        option = option_of(cls.model_fields[info.field_name or ""])
        if option is None or not isinstance(value, str):
            return value
        if option.shared is not None:
            option.shared(value)
        if option.credentials and uris.has_secrets(value):
            raise ValueError(
                f"must hold no user name or password, for profiles are shared; put them into "
                f"{option.credentials}"
            )
        return value


class Settings(Trial, Shared):
    """How a search runs and where; what it searches is in the space."""

    cpus: Count | None = None
    """CPU cores of this machine that may be used; default: all."""
    quiet: Annotated[bool, Option(short="-q")] = False
    """Show nothing while the command runs."""
    command: Annotated[str, AfterValidator(uris.redacted)] = ""
    """The command line, for the description of the study in MLflow."""
    profile: Folder | None = None
    """The profile's file, for the commands that messages name."""
    given: tuple[str, ...] = Field(default=(), strict=False)
    """The settings that are not from the profile, by name."""
    work: str = "raylt.trial.worker:work"
    """The `package.module:function` that trains one recipe."""


def option_of(field: FieldInfo) -> Option | None:
    """How a field is given on the command line; None where it is not."""
    return next((mark for mark in field.metadata if isinstance(mark, Option)), None)


def flag(name: str) -> str:
    """The flag of a field."""
    return f"--{name.replace('_', '-')}"


def load(source: Path | str) -> Profile:
    """Read a profile: a file, or a bundled one by its name, such as "laptop".

    Raises:
        InputError: one line for each rule that the file breaks, with its place.
    """
    return explain.check(Profile, document.read(bundled.find(source, "clusters")))


def merged(
    given: Mapping[str, Any], profile: Profile | None = None, model: type[Settings] = Settings
) -> Settings:
    """The settings that the command line or else the environment gives, completed from a profile
    and then from the defaults.

    Raises:
        InputError: the settings break a rule.
    """
    shared = profile.model_dump(exclude_unset=True, exclude_none=True) if profile else {}
    values = {**shared.pop("trial", {}), **shared}
    if "workers" in given:
        # A number of workers on the command line is meant as it stands.
        values.pop("min_workers", None)
    try:
        return model.model_validate({**values, **given, "given": tuple(given)})
    except ValidationError as error:
        loc, text = explain.placed(error.errors(include_url=False)[0], model)
        blamed = [name for name in given if name in loc] or [
            name for name in given if name in Trial.model_fields
        ]
        raise InputError(f"{flag(blamed[-1])}: {text}" if blamed else text) from None
