"""The MLflow runs of a study: created once, and found again after a crash.

A run is known by its key, `study` or `trial/N`: it is looked up in memory, in the facts of the
record, and by its tag in MLflow.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_SOURCE_NAME, MLFLOW_SOURCE_TYPE

from raylt import scratch
from raylt.schema import EnvironmentError
from raylt.study.record.record import Record

STUDY = "study"
"""The key of the run of the study itself."""
_TRIAL = "trial/"


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


class MlflowRuns:
    """The runs of one study in one MLflow store.

    Args:
        record: The study.
        client: Speaks to the store.
        uri: The store's name in the record, without credentials.
        artifacts: Folder of artifacts, for a store that does not say where they go; else None.
        tags: For every run.

    Raises:
        EnvironmentError: the study's experiment was deleted in MLflow; so does `find` where it was
            the study's run.
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
            "study": record.name,
            "method": record.space.fixed["method"]["name"],
            "dataset": record.space.fixed["data"]["name"],
            "fingerprint": record.facts["fingerprint"],
        }
        self._record = record
        self._artifacts = artifacts
        self._known: dict[str, Run] = {}
        self.experiment = self._find_experiment(artifacts)

    def find(self, key: str) -> Run | None:
        """The run of a key; that of a trial which is not closed is alive again."""
        if key in self._known:
            return self._known[key]
        fact = self._fact(key)
        if not fact:
            tag = f"tags.`raylt.key` = '{self._tag(key)}'"
            runs = self.client.search_runs([self.experiment], tag, max_results=1)
            if not runs:
                return None
            fact = {"run": runs[0].info.run_id, "closed": False}
        elif key == STUDY and not self._is_active(str(fact["run"])):
            return None
        run = self._known[key] = Run(str(fact["run"]), bool(fact["closed"]))
        if not run.closed and key != STUDY:
            self.reopen(run)
        return run

    def create(self, key: str, *, name: str, tags: Mapping[str, str], began: float) -> Run:
        """A new run, which `note` has still to write down."""
        self._require_place()
        created = self.client.create_run(
            self.experiment,
            start_time=int(1000 * began),
            tags={**self.tags, **tags, "raylt.key": self._tag(key)},
            run_name=name,
        )
        run = self._known[key] = Run(created.info.run_id, closed=False)
        return run

    def note(self, key: str, run: Run) -> None:
        """Write the run of a key down in the record."""
        fact = {"uri": self.uri, "run": run.id, "closed": run.closed}
        self._record.note(f"mlflow:{key}", fact)

    def require_study(self) -> None:
        """Refuse a store in which somebody has deleted the study.

        Raises:
            EnvironmentError: its experiment or its run was deleted; how to restore it.
        """
        self._find_experiment(None)
        if STUDY in self._known:
            self._is_active(self._known[STUDY].id)

    def is_closed(self, key: str) -> bool:
        """Whether the run of a key has everything, as far as the record knows."""
        return bool(self._fact(key).get("closed"))

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
                Metric(name, value, int(1000 * at), step)
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

    def _find_experiment(self, artifacts: Path | None) -> str:
        name = self._record.name
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            place = (artifacts / name).resolve().as_uri() if artifacts else None
            return self.client.create_experiment(name, artifact_location=place)
        if experiment.lifecycle_stage == "deleted":
            raise EnvironmentError(
                f"the experiment {name!r} must exist in MLflow, but was deleted; restore it with "
                f"`{self._command(f'experiments restore -x {experiment.experiment_id}')}`, or "
                f"give the study another name with --study"
            )
        return experiment.experiment_id

    def _is_active(self, run: str) -> bool:
        """Whether the run of the study is there; False where it is gone for good.

        Raises:
            EnvironmentError: it was deleted and can be restored.
        """
        try:
            stage = self.client.get_run(run).info.lifecycle_stage
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise
        if stage == "deleted":
            raise EnvironmentError(
                f"the run of study {self._record.name!r} must exist in MLflow, but was deleted; "
                f"restore it with `{self._command(f'runs restore --run-id {run}')}`"
            )
        return True

    def _command(self, words: str) -> str:
        """A command of MLflow that finds this store."""
        return f"MLFLOW_TRACKING_URI={shlex.quote(self.uri)} mlflow {words}"

    def _require_place(self) -> None:
        """Refuse to make MLflow's folder anew where the runs were moved away."""
        if self._artifacts is not None and not self._artifacts.parent.is_dir():
            raise FileNotFoundError(f"{self._artifacts.parent} was moved or removed")

    def _tag(self, key: str) -> str:
        return f"{self._record.facts['id']}/{key}"

    def _fact(self, key: str) -> dict[str, Any]:
        """What the record holds of a run in this store."""
        fact: dict[str, Any] = self._record.facts.get(f"mlflow:{key}", {})
        return fact if fact.get("uri") == self.uri else {}
