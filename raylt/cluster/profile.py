"""A profile from `clusters/`: how the trials of any search map on the machines of one place."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from raylt.schema import Frozen, InputError
from raylt.space.file import document, explain
from raylt.trial.checkpoints import bucket

Placement = Literal["pack", "spread", "strict_pack", "strict_spread"]

SCHEMES = ("sqlite", "http", "https", "postgresql", "mysql", "mssql", "databricks", "file")
"""What an MLflow store may begin with."""


def _folder(text: str) -> str:
    """A folder: every machine must mean the same one by it."""
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
    return text


def _tracking_uri(text: str) -> str:
    scheme = text.partition(":")[0].partition("+")[0]
    if scheme not in SCHEMES or "://" not in text:
        raise ValueError(
            f"must begin with one of {', '.join(SCHEMES)} and ://, but got {text!r}; as in "
            f"http://mlflow:5000"
        )
    if "@" in text:
        raise ValueError(
            "must hold no user name or password, for profiles are shared; put them into "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    return text


def _storage(text: str) -> str:
    if not re.match(r"postgresql(\+psycopg2?)?://", text):
        raise ValueError(
            f"must begin with postgresql://, but got {text.partition('@')[0]!r}; leave it out to "
            f"keep each study in its own folder"
        )
    if "@" in text or "password=" in text:
        raise ValueError(
            "must hold no user name or password, for profiles are shared; put them into PGUSER "
            "and PGPASSWORD, or into ~/.pgpass"
        )
    return text


Folder = Annotated[str, AfterValidator(_folder)]


class Trial(Frozen):
    """What one trial books."""

    workers: int = Field(default=1, ge=1)
    """Processes that train one trial together; the batch is divided among them."""
    min_workers: int | None = Field(default=None, ge=1)
    """The fewest that a trial makes do with while machines are missing; all of `workers` where
    left out. The batch over all of them stays the same."""
    cpus_per_worker: int = Field(default=1, ge=1)
    """Cores of each, and threads of torch."""
    gpus_per_worker: float | None = Field(default=None, ge=0)
    """GPUs of each; below 1 a share of one; where left out, one where there are any."""
    pack: Literal["auto"] | Annotated[int, Field(ge=1)] | None = None
    """Trials that share one GPU; `auto` finds the number from a few measured steps, and without a
    GPU sees to it that the trials on a machine fit its memory."""
    placement: Placement = "pack"
    """Where its workers stand: `pack` near each other if possible and `strict_pack` on one
    machine, `spread` apart if possible and `strict_spread` each on a machine of its own."""

    @model_validator(mode="after")
    def _fewest_first(self) -> Self:
        if self.min_workers is not None and self.min_workers > self.workers:
            raise ValueError(
                f"min_workers must be at most workers, but got {self.min_workers} and "
                f"{self.workers}; lower min_workers to {self.workers}"
            )
        return self

    @model_validator(mode="after")
    def _whole_or_share(self) -> Self:
        gpus = self.gpus_per_worker
        if gpus is not None and gpus > 1 and gpus != int(gpus):
            raise ValueError(
                f"gpus_per_worker must be a whole number or a share of one GPU, but got {gpus}; "
                f"try {int(gpus)}"
            )
        return self

    @model_validator(mode="after")
    def _packs_single_workers(self) -> Self:
        if self.pack is None:
            return self
        if self.workers > 1:
            raise ValueError(
                f"pack must be left out where a trial has several workers, but got workers "
                f"{self.workers}; a GPU is shared by trials of one worker"
            )
        if self.gpus_per_worker not in (None, 0, 1):
            raise ValueError(
                f"pack must be left out where gpus_per_worker says what share of the GPUs a trial "
                f"gets, but got {self.gpus_per_worker:g}; leave out one of the two"
            )
        return self


class Profile(Frozen):
    """How trials map on machines, where they write, and how a cluster is reached."""

    address: str | None = None
    """The cluster: `auto` or HOST:6379 on one of its machines, http://HOST:8265 from outside;
    this machine alone where left out."""
    trial: Trial = Trial()
    concurrent: int | None = Field(default=None, ge=1)
    """Trials at a time; as many as fit where left out, and never more."""
    retries: int = Field(default=2, ge=0)
    """How often a trial is started again whose process or machine died."""
    wait: float = Field(default=0, ge=0)
    """Minutes that machines may take to come up, an autoscaler's for instance."""
    runs: Folder | None = None
    """Folder of all studies; on more than one machine it must be shared."""
    checkpoints: Annotated[str, AfterValidator(bucket.require_uri)] | None = None
    """Bucket that keeps the checkpoints, too, as in s3://BUCKET/PREFIX, so that trials of one
    worker go on elsewhere without a shared folder; only the folder of runs where left out."""
    data: Folder | None = None
    """Folder of the datasets on every machine."""
    tracking_uri: Annotated[str, AfterValidator(_tracking_uri)] | None = None
    """MLflow's store; `mlflow.db` beside the studies where left out."""
    tracking_optional: bool = False
    """Whether a search begins though the store does not answer; it gets what it lacks later."""
    system_metrics: bool = False
    """Whether MLflow is told what the machine of each trial does: processors, memory, disk,
    network and GPUs."""
    storage: Annotated[str, AfterValidator(_storage)] | None = None
    """PostgreSQL database of the studies of record; a file in each study's folder where left
    out."""


def load(source: Path | str) -> Profile:
    """Read a profile and check all of it.

    Raises:
        InputError: one line for each rule that the file breaks, with its place.
    """
    found = document.read(source)
    try:
        return Profile.model_validate(found.values)
    except ValidationError as error:
        lines = [str(found.error(loc, text)) for loc, text in explain.sentences(error, Profile)]
        raise InputError("\n".join(lines)) from None
