"""The study of record: one Optuna study in a database, and what its trials mean.

Ray's own experiment folder is deleted after each run. The record is enough to go on after a killed
driver, on another machine, without losing a trial or running one twice.
"""

from __future__ import annotations

import datetime
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from raylt.schema import Value
from raylt.space import Space
from raylt.study.record import lock, storage
from raylt.study.record.epochs import Entry, Epochs, InFiles, InTable
from raylt.study.record.lock import Place
from raylt.study.record.outcome import (
    Metrics,
    Outcome,
    State,
    baseline_of,
    ranked,
    violations,
    winner,
)
from raylt.trial.checkpoints import bucket

_STATES: dict[TrialState, State] = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "stopped",
    TrialState.FAIL: "failed",
}
_TELL = {"complete": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}
_NO_POINT = "no point"
_KEPT = (
    *("role", "point", "digest", "recipe", "last", "best", "attempts", "began"),
    *("failure", "alone"),
)
_COSTS = ("seconds", "cpu_seconds", "gpu_seconds")
"""Fields of an outcome that are attributes of Optuna's trial, and those of what it cost."""
CHECKPOINTS = "checkpoints"
"""The fact that names the bucket of a study."""
REAL_ENDS = "real_ends"
"""The fact of a study in which a real hyperparameter is always drawn as a real number; 0.1.0 drew
whole numbers between whole ends."""


class Record:
    """A study: its database, `space.yaml` and a folder for each trial.

    Only the process that holds the study's lock may write; anyone may read at any time.

    Args:
        name: The study's name, which is that of its folder, also once somebody has renamed it.
        url: The server that has the database; None where it is `study.db` in `folder`.
        database: Optuna's storage on it, without Optuna's own cache.
        cached: The same with it.
        writes: Whether this process may write.
    """

    def __init__(
        self,
        folder: Path,
        space: Space,
        *,
        name: str,
        url: str | None,
        database: optuna.storages.RDBStorage,
        cached: optuna.storages.BaseStorage,
        study: optuna.Study,
        writes: bool,
    ) -> None:
        self.folder = folder
        self.name = name
        self.space = space
        self.study = study
        self.url = url
        self._database = database
        self._storage = cached
        self._id = database.get_study_id_from_name(study.study_name)
        self._epochs: Epochs = (
            InTable(database.engine, self._id) if url else InFiles(self.trial_folder)
        )
        self._live: dict[int, dict[int, Entry]] = {}
        """The epochs of the trials that run here, so that they are read once."""
        self._place = Place(folder) if writes else None
        self.begun = False
        """Whether a trial was started since the study was opened."""
        self.objectives = space.study.objective

    @property
    def first_name(self) -> str:
        """The name that it was begun under, which MLflow and the bucket go on with."""
        return self.space.study.name

    @property
    def searched(self) -> bool:
        """Whether its trials are compared; without an open leaf it is one training."""
        return bool(self.space.leaves)

    @property
    def wanted(self) -> int:
        """How many trials the study is to have, failed ones included."""
        return self.facts["trials"]

    @property
    def facts(self) -> Mapping[str, Any]:
        """What is known about the study as a whole."""
        return self._storage.get_study_user_attrs(self._id)

    @property
    def whole_ends(self) -> bool:
        """Whether ranges with whole ends draw whole numbers for real hyperparameters, too."""
        return not self.facts.get(REAL_ENDS, False)

    @property
    def began(self) -> float:
        """When the study was made, in seconds since 1970."""
        return datetime.datetime.fromisoformat(self.facts["created"]).timestamp()

    def note(self, key: str, value: Any) -> None:
        """Keep a fact about the study; `value` must be plain JSON."""
        self.study.set_user_attr(key, value)

    def trial_folder(self, number: int) -> Path:
        """Where a trial keeps its checkpoints and epochs."""
        return self.folder / "trials" / str(number)

    def bucket(self, number: int | None = None) -> str | None:
        """Where the bucket has a trial's checkpoints, or those of all; None without a bucket."""
        if (uri := self.facts.get(CHECKPOINTS)) is None:
            return None
        # The id keeps two studies of one name apart.
        top = bucket.join(uri, f"{self.first_name}-{self.facts['id'][:12]}", "trials")
        return top if number is None else bucket.join(top, number)

    def close(self) -> None:
        """Close the database; a SQLite study is one file then."""
        if self._place is not None:
            self._place.close()
        self._database.remove_session()
        self._database.engine.dispose()

    def remove(self, *, folder: bool) -> None:
        """Delete a study whose search did not start, and its `folder`, if that was made for it."""
        if self.url is not None or not folder:
            # Not where the folder goes as a whole: its disk may be full.
            optuna.delete_study(study_name=self.study.study_name, storage=self._database)
        self.close()
        (self.folder / storage.POINTER).unlink(missing_ok=True)
        if folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def rewrite(
        self,
        distributions: Mapping[str, optuna.distributions.BaseDistribution],
        facts: Mapping[str, Any],
    ) -> None:
        """Change what every trial was drawn from, and facts; the study must be opened anew."""
        storage.rewrite(self._database, self._id, distributions, facts)

    def outcomes(self) -> tuple[Outcome, ...]:
        """Every trial, in the order of their numbers."""
        return tuple(map(self._outcome, self._trials()))

    def of_digest(self, digest: str) -> list[Outcome]:
        """Every trial of a recipe."""
        return [self._outcome(t) for t in self._trials() if t.user_attrs.get("digest") == digest]

    def _trials(self) -> list[FrozenTrial]:
        """Optuna's own view of every trial that counts."""
        trials = self.study.get_trials(deepcopy=False)
        return [trial for trial in trials if not trial.user_attrs.get(_NO_POINT)]

    def outcome(self, number: int) -> Outcome:
        """One trial."""
        return self._outcome(self.frozen(number))

    def frozen(self, number: int) -> FrozenTrial:
        """Optuna's own view of a trial."""
        return self._storage.get_trial(self._trial_id(number))

    def baseline(self) -> Outcome | None:
        """The trial of the setting that the study is compared with."""
        return baseline_of(self.outcomes())

    def ranking(self) -> tuple[Outcome, ...]:
        """Every trial, best first, as people see them: none runs if nobody drives the search.

        The driver itself looks when its search is over.
        """
        trials = ranked(self.outcomes(), self.space.study)
        driver = lock.driver_of(self.folder, self.url)
        if driver is not None and driver.pid != os.getpid() and not driver.question:
            return trials
        return tuple(
            replace(trial, state="interrupted") if trial.state == "running" else trial
            for trial in trials
        )

    def best(self) -> Outcome | None:
        """The finished trial that keeps every constraint and has the best objective."""
        return winner(self.outcomes(), self.space.study)

    def epochs(self, number: int) -> list[dict[str, float]]:
        """Metrics of every scored epoch of a trial, in order, and the `time` of each report."""
        entries = self._live.get(number)
        if entries is None:
            entries = self._epochs.read(number)
        return [dict(entries[epoch]) for epoch in sorted(entries)]

    def open_trial(self) -> int:
        """Take the next waiting trial, or make a new one; it is running from now on."""
        return self.study.ask().number

    def start(
        self,
        number: int,
        *,
        point: Mapping[str, Value],
        recipe: Mapping[str, Any],
        digest: str,
        parameters: Mapping[str, tuple[optuna.distributions.BaseDistribution, Value]],
    ) -> None:
        """Store what a trial runs and, by Optuna's names, what it drew, before it runs."""
        trial = self._trial_id(number)
        known = self._storage.get_trial(trial).params
        for name, (distribution, drawn) in parameters.items():
            if name not in known:
                internal = distribution.to_internal_repr(drawn)
                self._storage.set_trial_param(trial, name, internal, distribution)
        self._set(number, point=dict(point), digest=digest)
        self.trial_folder(number).mkdir(parents=True, exist_ok=True)
        # Last: with it the draw is complete.
        self._set(number, recipe=dict(recipe))

    def begin_attempt(self, number: int) -> int:
        """Count a start of a trial; returns how many there were."""
        attempts = self.outcome(number).attempts + 1
        self._set(number, attempts=attempts, **({"began": time.time()} if attempts == 1 else {}))
        self.begun = True
        self._live[number] = self._epochs.read(number)
        return attempts

    def report(self, number: int, metrics: Metrics) -> None:
        """Keep the metrics of a scored epoch, and its objective for the sampler."""
        epoch = int(metrics["epoch"])
        self._require_place()
        # Optuna keeps intermediate values for one objective only.
        if len(self.objectives) == 1:
            value = metrics[self.objectives[0].metric]
            self._storage.set_trial_intermediate_value(self._trial_id(number), epoch, value)
        entry = {"time": round(time.time(), 3), **metrics}
        self._epochs.append(number, entry)
        if number in self._live:
            # A new mapping: the tracker's thread may be reading the old one.
            self._live[number] = {epoch: entry, **self._live[number]}

    def set_alone(self, number: int, *, reason: str) -> None:
        """Store that a running trial must go on with no other one beside it, and why."""
        self._set(number, alone=reason)

    def discard(self, number: int) -> None:
        """Close a trial that has no point, or that nobody wants any more; it does not count."""
        self._set(number, **{_NO_POINT: True})
        self._storage.set_trial_state_values(self._trial_id(number), TrialState.FAIL)

    def spend(
        self, number: int, *, seconds: float, cpu_seconds: float, gpu_seconds: float
    ) -> None:
        """Keep what a running trial has cost so far, over all of its attempts."""
        self._set(number, seconds=seconds, cpu_seconds=cpu_seconds, gpu_seconds=gpu_seconds)

    def finish(
        self,
        number: int,
        state: Literal["complete", "stopped", "failed"],
        *,
        last: Metrics,
        best: Metrics,
        baseline: Metrics,
        seconds: float,
        failure: str,
    ) -> Outcome:
        """Close a trial: its last metrics are its result."""
        self._set(number, last=dict(last), best=dict(best), seconds=seconds, failure=failure)
        if last and state != "failed" and self.space.study.constraints:
            trial = optuna.trial.Trial(self.study, self._trial_id(number))
            for key, value in violations(self.space.study.constraints, last, baseline).items():
                trial.set_constraint(key, value)
        values = [last[o.metric] for o in self.objectives] if state == "complete" else None
        self.study.tell(number, values, state=_TELL[state])
        self._live.pop(number, None)
        return self.outcome(number)

    def enqueue(self, point: Mapping[str, Value], *, role: str) -> None:
        """Queue a point to run before anything is drawn."""
        self.study.enqueue_trial(dict(point), user_attrs={"role": role, "point": dict(point)})

    def _set(self, number: int, **attrs: Any) -> None:
        self._require_place()
        storage.set_trial_user_attrs(self._database, self._trial_id(number), attrs)

    def _require_place(self) -> None:
        if self._place is not None:
            self._place.require()

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)

    def _outcome(self, trial: FrozenTrial) -> Outcome:
        attrs, state = trial.user_attrs, _STATES[trial.state]
        handed_out = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
        kept: dict[str, Any] = {"role": "sampled", "began": handed_out}
        kept |= {key: attrs[key] for key in (*_KEPT, *_COSTS) if key in attrs}
        if kept["role"] == "draw":
            kept["role"] = "sampled"  # As 0.1.0 called it.
        if state == "running" and (epochs := self.epochs(trial.number)):
            kept["last"] = epochs[-1]
        return Outcome(
            number=trial.number,
            state=state,
            ended=trial.datetime_complete.timestamp() if trial.datetime_complete else 0.0,
            **kept,
        )
