"""Makes MLflow agree with the study of record; called again, it sends only what is missing.

One run for the study and a child for each trial. What was sent is remembered by epoch, in memory;
after a restart a run that is not closed is sent once more from its start, and MLflow keeps a
point with the same step and time once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE

from raylt import escape
from raylt.study.cost import executions
from raylt.study.record.outcome import Outcome, Step, course
from raylt.study.record.record import Record
from raylt.study.record.text import plain
from raylt.study.report.charts import figure
from raylt.study.tracking import artifacts, description, metric_table, views
from raylt.study.tracking.mlflow_runs import STUDY, MlflowRuns, Run, is_refusal, key_of
from raylt.study.warm_start import origins

_EPOCHS = 50
"""Epochs of one request at most; MLflow takes 1000 metrics in one."""
_ENDED = {"complete": "FINISHED", "stopped": "FINISHED", "failed": "FAILED"}
DRAWN = 10
"""Trials of a study up to which each has its charts; of a larger one only the baseline and those
that were the best when they ended, for three charts take half a second of the driver's processor,
which the trials need. Every trial has the table that they are drawn from."""
_COLOUR = "mlflow.runColor"
"""The tag of a run's colour in MLflow's charts; the baseline has the one of the report."""
_RANKED = 200
"""Trials that get their rank at the end of a search, which waits for it."""


class MlflowMirror:
    """What MLflow shows of one study.

    Args:
        command: What the user typed, for the description.
    """

    def __init__(self, record: Record, runs: MlflowRuns, *, command: str) -> None:
        self.runs = runs
        self._record = record
        self._command = command
        self._ranks: dict[int, int] = {}
        self._course: tuple[Step, ...] = ()
        """Whose best objectives are sent."""
        self.study_run = self._open_study()

    def trial(self, number: int, *, interrupted: bool) -> None:
        """Send what the run of a trial lacks; `interrupted` marks one that is not over."""
        outcome = self._record.outcome(number)
        if not outcome.recipe:
            return
        run = self._open_trial(outcome)
        if run.closed:
            return
        if run.interrupted and not interrupted:
            self.runs.reopen(run)
        fresh = [entry for entry in self._record.epochs(number) if entry["epoch"] > run.epoch]
        for start in range(0, len(fresh), _EPOCHS):
            part = fresh[start : start + _EPOCHS]
            points = [point for entry in part for point in self._points(entry)]
            self.runs.client.log_batch(run.id, metrics=points)
            run.epoch = int(part[-1]["epoch"])
        if outcome.state in _ENDED:
            self._send_best_so_far()
            self._close_trial(run, outcome)
        elif interrupted:
            self.runs.log(run, tags={"state": "interrupted"})
            self.runs.client.set_terminated(run.id, "KILLED")
            run.interrupted = True

    def missing(self) -> tuple[int, ...]:
        """Trials that have begun and whose runs are not closed; MLflow never changes when a run
        began, so one whose process is not up yet is not among them."""
        return tuple(
            outcome.number
            for outcome in self._record.outcomes()
            if (outcome.attempts or outcome.over)
            and not self.runs.is_closed(key_of(outcome.number))
        )

    def finish(self, *, interrupted: bool) -> None:
        """Write the summary of the study: ranks, best, description, status."""
        record = self._record
        ranking = record.ranking()
        self._write_ranks([outcome for outcome in ranking if outcome.state == "complete"])
        best, baseline = record.best(), record.baseline()
        metrics = {f"trials/{s}": float(sum(o.state == s for o in ranking)) for s in _ENDED}
        metrics |= metric_table.summary("best", best.last if best else {})
        metrics |= metric_table.summary("baseline", baseline.last if baseline else {})
        ended = any(outcome.state in ("complete", "stopped") for outcome in ranking)
        state = "interrupted" if interrupted else "complete" if ended else "failed"
        self._write_views(ranking)
        pages = views.links(record, self.runs.fact(STUDY))
        tags = {
            "state": state,
            MLFLOW_RUN_NOTE: description.description(record, command=self._command, pages=pages),
            **({"best": str(best.number)} if best else {}),
        }
        self.runs.log(self.study_run, metrics, at=time.time(), tags=tags)
        # The list of experiments shows it beside the name.
        verdict = map(escape.markdown, description.verdict(record))
        note = "\n\n".join([*verdict, *description.linked(pages)])
        self.runs.client.set_experiment_tag(self.runs.experiment, MLFLOW_RUN_NOTE, note)
        self.runs.attach(self.study_run, artifacts.of_study(record))
        status = "KILLED" if interrupted else _ENDED[state]
        self.runs.client.set_terminated(self.study_run.id, status)

    def is_refusal(self, error: Exception) -> bool:
        """Whether MLflow will never take it, because somebody deleted the run."""
        return is_refusal(error)

    def _open_study(self) -> Run:
        record, run = self._record, self.runs.find(STUDY)
        if run is None:
            sources = ", ".join(record.space.study.warm_start)
            tags = {"role": STUDY, **({origins.FACT: sources} if sources else {})}
            run = self.runs.create(STUDY, name=record.name, tags=tags, began=time.time())
            self.runs.hang(run)
            self.runs.client.log_text(run.id, record.space.text, "space.yaml")
            self.runs.client.log_inputs(run.id, [self._dataset(record.space.fixed["data"])])
        self.runs.log(run, record.facts["floor"], at=record.began, tags={"state": "running"})
        self.runs.client.update_run(run.id, status="RUNNING")
        self.runs.note(STUDY, run)
        self.runs.write_views(views.tags(record, parent=run.id, compared=()))
        return run

    def _write_views(self, ranking: Sequence[Outcome]) -> None:
        """Let MLflow open on the trials, and on the best of them beside the baseline."""
        scored = [outcome.number for outcome in ranking if outcome.last]
        baseline = self._record.baseline()
        numbers = dict.fromkeys(scored[: views.COMPARED])
        numbers |= {baseline.number: None} if baseline else {}
        runs = [self.runs.find(key_of(number)) for number in numbers]
        compared = [run.id for run in runs if run is not None]
        self.runs.write_views(
            views.tags(self._record, parent=self.study_run.id, compared=compared)
        )

    def _open_trial(self, outcome: Outcome) -> Run:
        key, client = key_of(outcome.number), self.runs.client
        if (run := self.runs.find(key)) is not None:
            return run
        name, parent, place = self._place(outcome)
        recipe = outcome.recipe
        encoder = recipe["encoder"]
        tags = {
            "role": outcome.role,
            "state": "running",
            "method": recipe["method"]["name"],
            "encoder": encoder if isinstance(encoder, str) else encoder["name"],
            "dataset": recipe["data"]["name"],
            "epochs": str(recipe["epochs"]),
            "digest": outcome.digest,
            "seed": str(recipe["seed"]),
            "labels": recipe["evaluation"]["labels"],
            "attempt": str(outcome.attempts),
            MLFLOW_PARENT_RUN_ID: parent,
            **place,
        }
        if (origin := origins.tag(self._record, outcome)) is not None:
            tags[origins.FACT] = origin
        run = self.runs.create(key, name=name, tags=tags, began=outcome.began)
        params = [Param(path, plain(value)) for path, value in outcome.point.items()]
        client.log_batch(run.id, params=params)
        client.log_inputs(run.id, datasets=[self._dataset(recipe["data"])])
        client.log_text(run.id, json.dumps(recipe, indent=2), "recipe.json")
        self.runs.note(key, run)
        return run

    def _dataset(self, data: Mapping[str, Any]) -> DatasetInput:
        """What was seen in training, for MLflow's own column of datasets."""
        dataset = Dataset(
            name=data["name"],
            digest=self._record.facts["fingerprint"],
            source_type="raylt",
            source=json.dumps(data, default=str),
        )
        return DatasetInput(dataset, tags=[InputTag("mlflow.data.context", "train")])

    def _place(self, outcome: Outcome) -> tuple[str, str, dict[str, str]]:
        """The name of a trial's run, the run that it hangs under, and the tags that say what it
        is."""
        number = str(outcome.number)
        name, tags = f"trial {number}", {"trial": number}
        if outcome.role == "baseline":
            name, tags = f"{name} (baseline)", {**tags, _COLOUR: figure.BLUE}
        return name, self.study_run.id, tags

    def _close_trial(self, run: Run, outcome: Outcome) -> None:
        metrics = {
            **metric_table.summary("best_epoch", outcome.best),
            "seconds": outcome.seconds,
            "cpu_hours": outcome.cpu_seconds / 3600,
            "gpu_hours": outcome.gpu_seconds / 3600,
            "epochs": float(outcome.epoch),
        }
        tags = {"state": outcome.state, "attempt": str(outcome.attempts)}
        if outcome.failure:
            tags |= {"failure": outcome.failure, MLFLOW_RUN_NOTE: escape.markdown(outcome.failure)}
        if execution := executions.of_trial(self._record, outcome.number):
            tags |= {"machine": execution.machine, "execution": str(execution)}
        self.runs.log(run, metrics, at=outcome.ended, step=outcome.epoch, tags=tags)
        drawn = (
            self._record.wanted <= DRAWN
            or outcome.role == "baseline"
            or any(step.better for step in self._course if step.trial.number == outcome.number)
        )
        self.runs.attach(run, artifacts.of_trial(self._record, outcome.number, drawn=drawn))
        ended = int(1000 * outcome.ended)
        self.runs.client.set_terminated(run.id, _ENDED[outcome.state], ended)
        run.closed = True
        self.runs.note(key_of(outcome.number), run)

    def _send_best_so_far(self) -> None:
        """The best objective so far, over the trials in the order in which they ended."""
        name = f"best_so_far/{self._record.objectives[0].metric}"
        steps = course(self._record.outcomes(), self._record.space.study)
        points = [
            Metric(name, metric_table.rounded(step.best), int(1000 * step.trial.ended), number)
            for number, step in enumerate(steps, 1)
            if step.best is not None and number > len(self._course)
        ]
        for start in range(0, len(points), 1000):
            part = points[start : start + 1000]
            self.runs.client.log_batch(self.study_run.id, metrics=part)
        self._course = steps

    def _points(self, entry: Mapping[str, float]) -> list[Metric]:
        """The metrics of one scored epoch, at the time at which they were reported."""
        at, step = int(1000 * entry["time"]), int(entry["epoch"])
        values = metric_table.of_epoch(entry, self._record.space.study)
        return [Metric(name, value, at, step) for name, value in values.items()]

    def _write_ranks(self, complete: Sequence[Outcome]) -> None:
        for rank, outcome in enumerate(complete[:_RANKED], 1):
            run = self.runs.find(key_of(outcome.number))
            if run is None or self._ranks.get(outcome.number) == rank:
                continue
            try:
                self.runs.client.set_tag(run.id, "rank", f"{rank:03d}")
            except MlflowException as error:
                # A run that somebody deleted has no rank; it was named when it was closed.
                if not self.is_refusal(error):
                    raise
            self._ranks[outcome.number] = rank
