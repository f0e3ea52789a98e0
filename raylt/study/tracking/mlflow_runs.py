"""The MLflow runs of a study: created once, and found again after a crash.

A run is known by its key, `study` or `trial/N`, which stands in a tag of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import (
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
)

from raylt import scratch
from raylt.schema import EnvironmentError
from raylt.study.record.record import Record
from raylt.study.tracking import metric_table

STUDY = "study"
"""The key of the run of the study itself."""
_TRIAL = "trial/"
_KEY = "raylt.key"
"""The tag by which a run is found."""
_REFUSALS = ("RESOURCE_DOES_NOT_EXIST", "INVALID_STATE", "INVALID_PARAMETER_VALUE")


def key_of(number: int) -> str:
    """The key of a trial's run."""
    return f"{_TRIAL}{number}"


@dataclass(slots=True)
class Run:
    """An MLflow run and how much of the record it has."""

    id: str
    closed: bool
    epoch: int = 0
    """The last epoch that was sent."""
    interrupted: bool = False
    """Whether MLflow shows it as interrupted."""


def is_refusal(error: Exception) -> bool:
    """Whether MLflow will never take what it was sent, however often it is sent."""
    return isinstance(error, MlflowException) and error.error_code in _REFUSALS


def is_active(client: MlflowClient, run: str) -> bool:
    """Whether a store has a run that nobody has deleted."""
    try:
        return client.get_run(run).info.lifecycle_stage == "active"
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise


class MlflowRuns:
    """The runs of one study in one MLflow store.

    The experiment and those of the study's runs that somebody deleted are restored here, and made
    anew by `create` where they are gone for good. The facts of the record are believed of a run
    that the store has, under whatever name the store is reached now.

    Args:
        uri: The store's name in the record, without credentials.
        artifacts: Folder of artifacts, for a store that does not say where they go; else None.
    """

    def __init__(
        self,
        record: Record,
        client: MlflowClient,
        *,
        uri: str,
        artifacts: Path | None,
        tags: Mapping[str, str],
    ) -> None:
        self.client = client
        self.uri = uri
        self.tags = {
            **tags,
            MLFLOW_SOURCE_NAME: "raylt",
            MLFLOW_SOURCE_TYPE: "LOCAL",
            "study": record.first_name,
            "method": record.space.fixed["method"]["name"],
            "dataset": record.space.fixed["data"]["name"],
            "fingerprint": record.facts["fingerprint"],
        }
        self._record = record
        self._artifacts = artifacts
        self._known: dict[str, Run] = {}
        self.experiment = self._open_experiment()
        self._ids = self._restore("%")
        """The runs that the store has, by their keys."""
        for key in self._ids:
            fact = self.fact(key)
            if fact and fact["uri"] != uri:
                # The store was moved, or its server has another name now.
                record.note(f"mlflow:{key}", {**fact, "uri": uri})

    def find(self, key: str) -> Run | None:
        """The run of a key; that of a trial which is not closed is alive again."""
        if key in self._known:
            return self._known[key]
        if key not in self._ids:
            # The answer to `create` may have been lost.
            self._ids |= self._restore(key)
        if key not in self._ids:
            return None
        run = self._known[key] = Run(self._ids[key], self.is_closed(key))
        if not run.closed and key != STUDY:
            self.reopen(run)
        return run

    def create(self, key: str, *, name: str, tags: Mapping[str, str], began: float) -> Run:
        """A new run, which `note` has still to write down."""
        self._require_place()
        created = self.client.create_run(
            self.experiment,
            start_time=int(1000 * began),
            tags={**self.tags, **tags, _KEY: f"{self._prefix}{key}"},
            run_name=name,
        )
        self._ids[key] = created.info.run_id
        run = self._known[key] = Run(created.info.run_id, closed=False)
        return run

    def hang(self, parent: Run) -> None:
        """Hang the trials that are there under a new run of the study."""
        for key, run in self._ids.items():
            if key != STUDY:
                self.client.set_tag(run, MLFLOW_PARENT_RUN_ID, parent.id)

    def note(self, key: str, run: Run) -> None:
        """Write the run of a key down in the record."""
        fact = {**self.fact(key), "uri": self.uri, "run": run.id, "closed": run.closed}
        self._record.note(f"mlflow:{key}", fact)

    def fact(self, key: str) -> Mapping[str, Any]:
        """What the record holds of a run that this store has; empty where it has none."""
        fact: dict[str, Any] = self._record.facts.get(f"mlflow:{key}", {})
        return fact if fact and fact["run"] == self._ids.get(key) else {}

    def write_views(self, tags: Mapping[str, str]) -> None:
        """Give the experiment the pages of the study, and note whether the store takes them."""
        taken = True
        try:
            for name, value in tags.items():
                self.client.set_experiment_tag(self.experiment, name, value)
        except MlflowException as error:
            if not is_refusal(error):
                raise
            taken = False
        place = {"experiment": self.experiment, "views": taken}
        self._record.note(f"mlflow:{STUDY}", {**self.fact(STUDY), **place})

    def require_study(self) -> None:
        """Refuse a store in which somebody has deleted the study since it was opened.

        Raises:
            EnvironmentError: its experiment or its run was deleted.
        """
        name = self._record.first_name
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None or experiment.lifecycle_stage == "deleted":
            raise EnvironmentError(f"the experiment {name!r} was deleted in MLflow")
        if STUDY in self._known and not is_active(self.client, self._known[STUDY].id):
            raise EnvironmentError(f"the run of study {name!r} was deleted in MLflow")

    def is_closed(self, key: str) -> bool:
        """Whether the run of a key has everything, as far as the record knows."""
        return bool(self.fact(key).get("closed"))

    def reopen(self, run: Run) -> None:
        """Show a run as running again."""
        self.client.update_run(run.id, status="RUNNING")
        self.client.set_tag(run.id, "state", "running")
        run.interrupted = False

    def sent(self) -> dict[int, int]:
        """The last epoch that was sent of each trial, by its number."""
        trials = [(key, run) for key, run in self._known.items() if key != STUDY]
        return {int(key.removeprefix(_TRIAL)): run.epoch for key, run in trials}

    def log(
        self,
        run: Run,
        metrics: Mapping[str, float] | None = None,
        *,
        at: float = 0.0,
        step: int = 0,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Send metrics of one moment and step, and tags, in one request."""
        self.client.log_batch(
            run.id,
            metrics=[
                Metric(name, metric_table.rounded(value), int(1000 * at), step)
                for name, value in (metrics or {}).items()
            ],
            tags=[RunTag(name, value) for name, value in (tags or {}).items()],
        )

    def attach(self, run: Run, files: Mapping[str, bytes]) -> None:
        """Put files, by their paths, beside the numbers of a run."""
        if not files:
            return
        self._require_place()
        with scratch.folder("mlflow") as folder:
            content_folder = folder / "files"
            for name, content in files.items():
                path = content_folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self.client.log_artifacts(run.id, str(content_folder))

    def _open_experiment(self) -> str:
        """The study's experiment, restored where it was deleted."""
        name = self._record.first_name
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            place = (self._artifacts / name).resolve().as_uri() if self._artifacts else None
            return self.client.create_experiment(name, artifact_location=place)
        if experiment.lifecycle_stage == "deleted":
            self.client.restore_experiment(experiment.experiment_id)
        return experiment.experiment_id

    def _restore(self, keys: str) -> dict[str, str]:
        """The runs of the study in the store by their keys, of which `keys` is a pattern of SQL;
        those that were deleted are back."""
        ids: dict[str, str] = {}
        token: str | None = None
        while token is None or token:
            runs = self.client.search_runs(
                [self.experiment],
                f"tags.`{_KEY}` LIKE '{self._prefix}{keys}'",
                run_view_type=ViewType.ALL,
                page_token=token,
            )
            for run in runs:
                if run.info.lifecycle_stage == "deleted":
                    self.client.restore_run(run.info.run_id)
                ids[run.data.tags[_KEY].removeprefix(self._prefix)] = run.info.run_id
            token = runs.token or ""
        return ids

    def _require_place(self) -> None:
        """Refuse to make MLflow's folder anew where the runs were moved away."""
        if self._artifacts is not None and not self._artifacts.parent.is_dir():
            raise FileNotFoundError(f"{self._artifacts.parent} was moved or removed")

    @property
    def _prefix(self) -> str:
        """How the keys of this study's runs begin in the store."""
        return f"{self._record.facts['id']}/"
