"""Makes MLflow agree with the study of record; called again, it sends only what is missing.

One run for the study and a child for each trial. What was sent is remembered by epoch, in memory;
after a restart a run that is not closed is sent once more from its start, and MLflow keeps a
point with the same step and time once.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import (
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_RUN_NOTE,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
)

from raylt.schema import EnvironmentError
from raylt.study.record.outcome import Metrics, Outcome
from raylt.study.record.record import Record
from raylt.study.tracking import artifacts, description
from raylt.study.tracking.best_so_far import BestSoFar

_STUDY = "study"
_EPOCHS = 50
"""Epochs of one request at most; MLflow takes 1000 metrics in one."""
_REFUSALS = ("RESOURCE_DOES_NOT_EXIST", "INVALID_STATE", "INVALID_PARAMETER_VALUE")
_ENDED = {"complete": "FINISHED", "stopped": "FINISHED", "failed": "FAILED"}
DRAWN = 200
"""Trials of a study up to which each has its charts; of a larger one only the baseline and those
that were the best when they ended, for a chart costs half a second of the driver's processor."""
_RANKED = 200
"""Trials that are told their rank at the end of a search, which waits for it."""


@dataclass(slots=True)
class Run:
    """An MLflow run and how much of the record it has."""

    id: str
    closed: bool
    epoch: int = 0
    """The last epoch that was sent."""
    interrupted: bool = False
    """Whether the store has it as one that was left."""


class Mirror:
    """The runs of one study in one MLflow store.

    Args:
        record: The study.
        client: Speaks to the store.
        uri: The store's name in the record, without credentials.
        artifacts: Folder of artifacts, for a store that does not say where they go; else None.
        tags: For every run.
        command: What the user typed, for the description.

    Raises:
        EnvironmentError: the study's experiment was deleted in MLflow.
    """

    def __init__(
        self,
        record: Record,
        client: MlflowClient,
        *,
        uri: str,
        artifacts: Path | None,
        tags: Mapping[str, str],
        command: str,
    ) -> None:
        self._record = record
        self._client = client
        self._uri = uri
        self._command = command
        self._tags = {
            **tags,
            MLFLOW_SOURCE_NAME: "raylt",
            MLFLOW_SOURCE_TYPE: "LOCAL",
            "study": record.name,
            "method": record.space.fixed["method"]["name"],
            "dataset": record.space.fixed["data"]["name"],
            "fingerprint": record.facts["fingerprint"],
        }
        self._runs: dict[str, Run] = {}
        self._ranks: dict[int, int] = {}
        self._best = BestSoFar(record)
        self._experiment = self._find_experiment(artifacts)
        self._parent = self._open_study()

    def trial(self, number: int, *, interrupted: bool) -> None:
        """Send what the run of a trial lacks; `interrupted` marks one that is not over."""
        outcome = self._record.outcome(number)
        if not outcome.recipe:
            return
        run = self._open_trial(outcome)
        if run.closed:
            return
        if run.interrupted and not interrupted:
            self._go_on(run)
        fresh = [entry for entry in self._record.epochs(number) if entry["epoch"] > run.epoch]
        for start in range(0, len(fresh), _EPOCHS):
            part = fresh[start : start + _EPOCHS]
            self._client.log_batch(run.id, metrics=[m for entry in part for m in _points(entry)])
            run.epoch = int(part[-1]["epoch"])
        if outcome.state in _ENDED:
            self._improve()
            self._close_trial(run, outcome)
        elif interrupted:
            self._client.log_batch(run.id, tags=_tags({"state": "interrupted"}))
            self._client.set_terminated(run.id, "KILLED")
            run.interrupted = True

    def missing(self) -> tuple[int, ...]:
        """Trials that have begun and whose runs are not closed."""
        return tuple(
            one.number
            for one in self._record.outcomes()
            if one.recipe and not self._noted(f"trial/{one.number}").get("closed")
        )

    def sent(self) -> dict[int, int]:
        """The last epoch that was sent of each trial, by its number."""
        return {
            int(key.removeprefix("trial/")): run.epoch
            for key, run in self._runs.items()
            if key != _STUDY
        }

    def finish(self, *, interrupted: bool) -> None:
        """Write the summary of the study: ranks, best, description, status."""
        record = self._record
        ranking = record.ranking()
        self._write_ranks([one for one in ranking if one.state == "complete"])
        now = time.time()
        best, baseline = record.best(), record.baseline()
        values = {f"trials/{s}": float(sum(o.state == s for o in ranking)) for s in _ENDED}
        values |= _summary("best", best.last if best else {})
        values |= _summary("baseline", baseline.last if baseline else {})
        ended = any(one.state in ("complete", "stopped") for one in ranking)
        state = "interrupted" if interrupted else "complete" if ended else "failed"
        self._client.log_batch(
            self._parent.id,
            metrics=[Metric(key, value, int(1000 * now), 0) for key, value in values.items()],
            tags=_tags(
                {
                    "state": state,
                    MLFLOW_RUN_NOTE: description.description(record, command=self._command),
                    **({"best": str(best.number)} if best else {}),
                }
            ),
        )
        # The list of experiments shows it beside the name.
        self._client.set_experiment_tag(
            self._experiment, MLFLOW_RUN_NOTE, "\n\n".join(description.verdict(record))
        )
        status = {"interrupted": "KILLED", "complete": "FINISHED", "failed": "FAILED"}[state]
        self._keep(self._parent, artifacts.of_study(record))
        self._client.set_terminated(self._parent.id, status)

    def is_refusal(self, error: Exception) -> bool:
        """Whether the store will never take it, because somebody deleted the run."""
        return isinstance(error, MlflowException) and error.error_code in _REFUSALS

    # Runs

    def _find_experiment(self, artifacts: Path | None) -> str:
        name = self._record.name
        found = self._client.get_experiment_by_name(name)
        if found is None:
            place = (artifacts / name).resolve().as_uri() if artifacts else None
            return self._client.create_experiment(name, artifact_location=place)
        if found.lifecycle_stage == "deleted":
            raise EnvironmentError(
                f"the experiment {name!r} must be alive in MLflow, but was deleted; restore it "
                f"with `mlflow experiments restore -x {found.experiment_id}`, or give the study "
                f"another name with --study"
            )
        return found.experiment_id

    def _open_study(self) -> Run:
        record = self._record
        run = self._run(_STUDY)
        if run is None:
            run = self._create(_STUDY, name=record.name, tags={"role": _STUDY}, began=time.time())
            self._client.log_text(run.id, record.space.text, "space.yaml")
        floor: dict[str, float] = record.facts["floor"]
        began = int(1000 * record.began)
        self._client.log_batch(
            run.id,
            metrics=[Metric(key, value, began, 0) for key, value in floor.items()],
            tags=_tags({"state": "running"}),
        )
        self._client.update_run(run.id, status="RUNNING")
        self._note(_STUDY, run)
        return run

    def _open_trial(self, outcome: Outcome) -> Run:
        key = f"trial/{outcome.number}"
        run = self._run(key)
        if run is None:
            name, parent = self._place(outcome)
            run = self._create(
                key,
                name=name,
                tags={
                    "role": outcome.role,
                    "state": "running",
                    "trial": str(outcome.number),
                    "digest": outcome.digest,
                    "seed": str(outcome.recipe["seed"]),
                    "labels": outcome.recipe["evaluation"]["labels"],
                    MLFLOW_PARENT_RUN_ID: parent,
                },
                began=outcome.began,
            )
            params = [Param(path, str(value)) for path, value in outcome.point.items()]
            self._client.log_batch(
                run.id, params=params, tags=_tags({"attempt": str(outcome.attempts)})
            )
            self._client.log_inputs(run.id, datasets=[self._dataset(outcome)])
            self._client.log_text(run.id, json.dumps(outcome.recipe, indent=2), "recipe.json")
            self._note(key, run)
        return run

    def _dataset(self, outcome: Outcome) -> DatasetInput:
        """What the trial saw, for MLflow's own column of datasets."""
        data = outcome.recipe["data"]
        dataset = Dataset(
            name=data["name"],
            digest=self._record.facts["fingerprint"],
            source_type="raylt",
            source=json.dumps(data),
        )
        return DatasetInput(dataset, tags=[InputTag("mlflow.data.context", "train")])

    def _place(self, outcome: Outcome) -> tuple[str, str]:
        """The name of a trial's run, and the run that it hangs under."""
        return f"trial {outcome.number}", self._parent.id

    def _close_trial(self, run: Run, outcome: Outcome) -> None:
        values = {
            **_summary("best", outcome.best),
            "seconds": outcome.seconds,
            "cpu_hours": outcome.cpu_seconds / 3600,
            "gpu_hours": outcome.gpu_seconds / 3600,
            "epochs": float(outcome.epoch),
        }
        at = int(1000 * outcome.ended)
        tags = {"state": outcome.state, "attempt": str(outcome.attempts)}
        if outcome.failure:
            tags |= {"failure": outcome.failure, MLFLOW_RUN_NOTE: outcome.failure}
        self._client.log_batch(
            run.id,
            metrics=[Metric(key, value, at, outcome.epoch) for key, value in values.items()],
            tags=_tags(tags),
        )
        drawn = (
            self._record.wanted <= DRAWN or outcome.role == "baseline" or self._best.was(outcome)
        )
        self._keep(run, artifacts.of_trial(self._record, outcome.number, drawn=drawn))
        self._client.set_terminated(run.id, _ENDED[outcome.state], at)
        run.closed = True
        self._note(f"trial/{outcome.number}", run)

    def _keep(self, run: Run, files: artifacts.Files) -> None:
        """Put files beside the numbers of a run, in one go."""
        if not files:
            return
        with tempfile.TemporaryDirectory(prefix="raylt-") as folder:
            for name, content in files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self._client.log_artifacts(run.id, folder)

    def _improve(self) -> None:
        """The best objective so far, over the trials in the order in which they ended."""
        metric = self._record.objectives[0].metric
        steps = self._best.steps()
        points = [
            Metric(f"best_so_far/{metric}", step.best, int(1000 * step.at), step.number)
            for step in steps
            if step.best is not None
        ]
        for start in range(0, len(points), 1000):
            self._client.log_batch(self._parent.id, metrics=points[start : start + 1000])
        self._best.advance(steps)

    def _run(self, key: str) -> Run | None:
        """The run of a key: known, noted in the record, or found by its tag after a crash."""
        if key in self._runs:
            return self._runs[key]
        noted = self._noted(key)
        if not noted:
            found = self._client.search_runs(
                [self._experiment], f"tags.`raylt.key` = '{self._key(key)}'", max_results=1
            )
            if not found:
                return None
            noted = {"run": found[0].info.run_id, "closed": False}
        run = self._runs[key] = Run(str(noted["run"]), bool(noted["closed"]))
        if not run.closed and key != _STUDY:
            self._go_on(run)
        return run

    def _go_on(self, run: Run) -> None:
        """The run of a trial that is taken up again is alive."""
        self._client.update_run(run.id, status="RUNNING")
        self._client.set_tag(run.id, "state", "running")
        run.interrupted = False

    def _write_ranks(self, complete: Sequence[Outcome]) -> None:
        for rank, one in enumerate(complete[:_RANKED], 1):
            run = self._run(f"trial/{one.number}")
            if run is None or self._ranks.get(one.number) == rank:
                continue
            try:
                self._client.set_tag(run.id, "rank", f"{rank:03d}")
            except MlflowException as error:
                # A run that somebody deleted has no rank; it was named when it was closed.
                if not self.is_refusal(error):
                    raise
            self._ranks[one.number] = rank

    def _create(self, key: str, *, name: str, tags: Mapping[str, str], began: float) -> Run:
        made = self._client.create_run(
            self._experiment,
            start_time=int(1000 * began),
            tags={**self._tags, **tags, "raylt.key": self._key(key)},
            run_name=name,
        )
        run = self._runs[key] = Run(made.info.run_id, closed=False)
        return run

    def _key(self, key: str) -> str:
        return f"{self._record.facts['id']}/{key}"

    def _noted(self, key: str) -> dict[str, Any]:
        """What the record holds of a run in this store."""
        noted: dict[str, Any] = self._record.facts.get(f"mlflow:{key}", {})
        return noted if noted.get("uri") == self._uri else {}

    def _note(self, key: str, run: Run) -> None:
        value = {"uri": self._uri, "run": run.id, "closed": run.closed}
        self._record.note(f"mlflow:{key}", value)


def _points(entry: Mapping[str, float]) -> Iterable[Metric]:
    """The metrics of one scored epoch, at the time at which they were reported."""
    at, step = int(1000 * entry["time"]), int(entry["epoch"])
    for key, value in entry.items():
        if key not in ("time", "epoch"):
            yield Metric(key, value, at, step)


def _summary(prefix: str, metrics: Metrics) -> dict[str, float]:
    return {
        f"{prefix}/{key.removeprefix('val/')}": value
        for key, value in metrics.items()
        if key == "epoch" or key.startswith("val/")
    }


def _tags(values: Mapping[str, str]) -> list[RunTag]:
    return [RunTag(key, value) for key, value in values.items()]
