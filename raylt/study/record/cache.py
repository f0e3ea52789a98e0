"""A study's trials held in memory by the one process that may write them.

Optuna's own cache reads every unfinished trial anew whenever a sampler looks at the study, and
all facts of the study for each fact. With one writer nothing can have changed: what is written
goes to the database first and then into this memory, and reading costs nothing.

Milliseconds of processor time with SQLite, 300 finished trials and two that run (medians of one
run), Optuna's cache against this one: 20 and 11 to suggest, 2.7 and 0.8 to report, 3.0 and 0.05
to list the trials. What Optuna reads anew grows with the trials that run.

It is no subclass of Optuna's RDBStorage, which Optuna wraps in its own cache, nor of its
InMemoryStorage, which gives trials numbers and times of its own.
"""

# What each method must do is written in Optuna's own base class.
# ruff: noqa: D102

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Container, Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from raylt.study.record import storage


class WriteThroughStorage(BaseStorage):
    """One study of a database, for its only writer.

    Args:
        database: Where the study lies; no other process may write to the study.
    """

    def __init__(self, database: RDBStorage, study_id: int) -> None:
        self._database = database
        self._study = study_id
        self._lock = threading.Lock()
        trials = sorted(database.get_all_trials(study_id), key=lambda trial: trial.number)
        self._trials = {trial._trial_id: trial for trial in trials}  # pyright: ignore[reportPrivateUsage]
        self._ids = list(self._trials)
        """By the number of the trial."""
        self._facts = database.get_study_user_attrs(study_id)
        self._notes = database.get_study_system_attrs(study_id)

    # The study

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        return self._database.create_new_study(directions, study_name)

    def delete_study(self, study_id: int) -> None:
        self._database.delete_study(study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        with self._lock:
            self._database.set_study_user_attr(study_id, key, value)
            # A new mapping: another thread may be reading the old one.
            self._facts = {**self._facts, key: _plain(value)}

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        with self._lock:
            self._database.set_study_system_attr(study_id, key, value)
            self._notes = {**self._notes, key: _plain(value)}

    def get_study_id_from_name(self, study_name: str) -> int:
        return self._database.get_study_id_from_name(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._database.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._database.get_study_directions(study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._facts

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._notes

    def get_all_studies(self) -> list[Any]:
        return self._database.get_all_studies()

    # Its trials

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        with self._lock:
            trial_id = self._database.create_new_trial(study_id, template_trial)
            self._trials[trial_id] = self._database.get_trial(trial_id)
            self._ids.append(trial_id)
        return trial_id

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        with self._lock:
            self._database.set_trial_param(
                trial_id, param_name, param_value_internal, distribution
            )
            value = distribution.to_external_repr(param_value_internal)
            self._add(trial_id, "params", {param_name: value})
            self._add(trial_id, "distributions", {param_name: distribution})

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        if not 0 <= trial_number < len(self._ids):
            raise KeyError(f"no trial with number {trial_number}")
        return self._ids[trial_number]

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        with self._lock:
            changed = self._database.set_trial_state_values(trial_id, state, values)
            # The database sets times of its own.
            self._trials[trial_id] = self._database.get_trial(trial_id)
        return changed

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        with self._lock:
            self._database.set_trial_intermediate_value(trial_id, step, intermediate_value)
            self._add(trial_id, "intermediate_values", {step: intermediate_value})

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        with self._lock:
            self._database.set_trial_user_attr(trial_id, key, value)
            self._add(trial_id, "user_attrs", {key: _plain(value)})

    def set_trial_user_attrs(self, trial_id: int, attrs: Mapping[str, Any]) -> None:
        """Set several at once, which takes hardly longer than one."""
        with self._lock:
            storage.set_trial_user_attrs(self._database, trial_id, attrs)
            self._add(trial_id, "user_attrs", _plain(attrs))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        with self._lock:
            self._database.set_trial_system_attr(trial_id, key, value)
            self._add(trial_id, "system_attrs", {key: _plain(value)})

    def get_n_trials(
        self, study_id: int, state: tuple[TrialState, ...] | TrialState | None = None
    ) -> int:
        return len(self._ids) if state is None else super().get_n_trials(study_id, state)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        if trial_id not in self._trials:
            raise KeyError(f"no trial with id {trial_id}")
        trial = self._trials[trial_id]
        # Optuna writes into what it is handed of a trial that still runs.
        return trial if trial.state.is_finished() else copy.deepcopy(trial)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        with self._lock:
            trials = [self._trials[trial_id] for trial_id in self._ids]
        if states is not None:
            trials = [trial for trial in trials if trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def remove_session(self) -> None:
        self._database.remove_session()

    def _add(self, trial_id: int, field: str, items: Mapping[Any, Any]) -> None:
        """Add to a mapping of a trial, in a copy of it: others may be reading the old one."""
        trial = self._trials[trial_id] = copy.copy(self._trials[trial_id])
        setattr(trial, field, {**getattr(trial, field), **items})


def _plain(value: Any) -> Any:
    """A value as it comes back from the database."""
    return json.loads(json.dumps(value))
