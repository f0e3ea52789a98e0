"""The study of record: one Optuna study in one SQLite file, and what its trials mean.

Ray's own experiment folder is thrown away after each run. What is here is enough to go on from a
killed driver, on another machine, without losing a trial or running one twice.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import sqlite3
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event

import raylt
from raylt import expressions
from raylt import space as spaces
from raylt.expressions import Value
from raylt.plan import Constraint
from raylt.schema import EnvironmentError, InputError
from raylt.space import Space

State = Literal["waiting", "running", "complete", "stopped", "failed"]
"""`stopped` is a trial that the scheduler ended early: PRUNED in Optuna's words."""

Metrics = Mapping[str, float]

_STATES: dict[TrialState, State] = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "stopped",
    TrialState.FAIL: "failed",
}
_TELL = {"complete": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}
_NETWORK = ("nfs", "lustre", "cifs", "smb", "ceph", "gpfs", "beegfs", "fuse", "9p", "afs", "gfs")
_NO_POINT = "no point"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One trial as the record holds it."""

    number: int
    state: State
    role: str
    """`baseline`, `point` (given in the space file) or `draw` (suggested by the sampler)."""
    point: Mapping[str, Value] = field(default_factory=dict)
    """The value of each active open leaf."""
    digest: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """The full recipe as plain values."""
    last: Metrics = field(default_factory=dict)
    """Metrics of the last scored epoch, `epoch` among them; the trial is judged by these."""
    best: Metrics = field(default_factory=dict)
    """Metrics of the scored epoch with the best objective."""
    seconds: float = 0.0
    """Wall-clock time over all attempts."""
    attempts: int = 0
    """How often the trial was started."""
    failure: str = ""
    """Why it failed, in one line."""
    began: float = 0.0
    """When it was first handed out, in seconds since 1970; 0 while it waits."""
    ended: float = 0.0
    """When it was closed, likewise; 0 while it is not."""

    @property
    def epoch(self) -> int:
        """Finished epochs at the last score."""
        return int(self.last.get("epoch", 0))


def bounds(constraint: Constraint, baseline: float | None) -> dict[str, float]:
    """The bounds of a constraint by side, `min` or `max`.

    A bound that speaks of the baseline is left out while the baseline's metric is not known.
    """
    found: dict[str, float] = {}
    for side, text in (("min", constraint.min), ("max", constraint.max)):
        if text is None:
            continue
        expression = expressions.parse(text)
        if baseline is not None:
            found[side] = expression.number({"baseline": baseline})
        elif not expression.names:
            found[side] = expression.number({})
    return found


class Record:
    """A study on disk: `space.yaml`, `study.db` and a folder for each trial.

    Only the process that holds the study's lock may write; anyone may read at any time.

    Args:
        folder: The study's folder.
        space: What it searches.
        storage: Optuna's storage on `study.db` in `folder`.
        study: The Optuna study in it.
    """

    def __init__(
        self, folder: Path, space: Space, storage: optuna.storages.RDBStorage, study: optuna.Study
    ) -> None:
        self.folder = folder
        self.space = space
        self.study = study
        self._storage = storage
        self._id = storage.get_study_id_from_name(study.study_name)
        self.objectives = space.study.objective

    @property
    def name(self) -> str:
        """The study's name."""
        return self.study.study_name

    @property
    def wanted(self) -> int:
        """How many trials the study is to have, failed ones included."""
        return self.facts["trials"]

    @property
    def facts(self) -> dict[str, Any]:
        """What is known about the study as a whole."""
        return self.study.user_attrs

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

    def close(self) -> None:
        """Let go of the database; it is one whole file then."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    # Reading

    def outcomes(self) -> tuple[Outcome, ...]:
        """Every trial, in the order of their numbers."""
        frozen = self.study.get_trials(deepcopy=False)
        return tuple(self._outcome(t) for t in frozen if not t.user_attrs.get(_NO_POINT))

    def outcome(self, number: int) -> Outcome:
        """One trial."""
        return self._outcome(self.frozen(number))

    def frozen(self, number: int) -> FrozenTrial:
        """Optuna's own view of a trial."""
        return self._storage.get_trial(self._trial_id(number))

    def baseline(self) -> Outcome | None:
        """The trial of the setting that the study is compared with."""
        return next((one for one in self.outcomes() if one.role == "baseline"), None)

    def ranking(self) -> tuple[Outcome, ...]:
        """Best first: finished trials that keep the constraints, then finished ones that do not,
        then those stopped early by how far they came, then failed, running and waiting ones."""
        outcomes = self.outcomes()
        reference = next((one.last for one in outcomes if one.role == "baseline"), {})
        first = self.objectives[0]

        def order(one: Outcome) -> tuple[float, ...]:
            sign = -1 if first.better == "maximize" else 1
            score = sign * one.last.get(first.metric, sign * math.inf)
            late = {"complete": 0, "stopped": 2, "failed": 3, "running": 4, "waiting": 5}
            excess = sum(max(0.0, x) for x in self.violations(one.last, reference).values())
            if one.state == "complete":
                return (0.0 if excess == 0 else 1.0, excess, score, one.number)
            return (late[one.state], -one.epoch, score, one.number)

        return tuple(sorted(outcomes, key=order))

    def best(self) -> Outcome | None:
        """The finished trial that keeps every constraint and has the best objective."""
        outcomes = self.ranking()
        reference = next((one.last for one in outcomes if one.role == "baseline"), {})
        return next(
            (
                one
                for one in outcomes
                if one.state == "complete" and self.keeps_constraints(one.last, reference)
            ),
            None,
        )

    def keeps_constraints(self, metrics: Metrics, baseline: Metrics) -> bool:
        """Whether metrics satisfy every outcome constraint of the study."""
        return all(x <= 0 for x in self.violations(metrics, baseline).values())

    def violations(self, metrics: Metrics, baseline: Metrics) -> dict[str, float]:
        """By how much each outcome constraint is missed; 0 or less is kept.

        A bound that speaks of the baseline binds only where the baseline's metric is known.
        """
        missed: dict[str, float] = {}
        for constraint in self.space.study.constraints:
            value = metrics.get(constraint.metric, math.nan)
            for side, bound in bounds(constraint, baseline.get(constraint.metric)).items():
                gap = bound - value if side == "min" else value - bound
                missed[f"{constraint.metric} {side}"] = math.inf if math.isnan(gap) else gap
        return missed

    def epochs(self, number: int) -> list[dict[str, float]]:
        """Metrics of every scored epoch of a trial, in order, and the `time` of each report."""
        try:
            lines = self._epochs_file(number).read_text("utf-8").splitlines()
        except FileNotFoundError:
            return []
        found: dict[int, dict[str, float]] = {}
        for line in lines:
            # A killed driver may leave half a line behind; the epoch is then reported again.
            with contextlib.suppress(json.JSONDecodeError):
                entry = json.loads(line)
                found.setdefault(int(entry["epoch"]), entry)
        return [found[epoch] for epoch in sorted(found)]

    # Writing

    def open_trial(self) -> int:
        """Take the next waiting trial, or make a new one; it is running from now on."""
        return self.study.ask().number

    def start(
        self, number: int, *, point: Mapping[str, Value], recipe: Mapping[str, Any], digest: str,
        distributions: Mapping[str, optuna.distributions.BaseDistribution],
    ) -> None:  # fmt: skip
        """Write down what a trial runs, before it runs."""
        trial = self._trial_id(number)
        known = self._storage.get_trial(trial).params
        for path, distribution in distributions.items():
            if path not in known:
                internal = distribution.to_internal_repr(point[path])
                self._storage.set_trial_param(trial, path, internal, distribution)
        self._set(number, point=dict(point), digest=digest)
        self.trial_folder(number).mkdir(parents=True, exist_ok=True)
        # Last, for it says that the draw is whole.
        self._set(number, recipe=dict(recipe))

    def begin_attempt(self, number: int) -> int:
        """Count a start of a trial; returns how many there were."""
        attempts = self.outcome(number).attempts + 1
        self._set(number, attempts=attempts)
        return attempts

    def report(self, number: int, metrics: Metrics) -> None:
        """Keep the metrics of a scored epoch, and its objective for the sampler."""
        epoch = int(metrics["epoch"])
        # Optuna keeps intermediate values for one objective only.
        if len(self.objectives) == 1:
            value = metrics[self.objectives[0].metric]
            self._storage.set_trial_intermediate_value(self._trial_id(number), epoch, value)
        entry = json.dumps({"time": round(time.time(), 3), **metrics})
        with self._epochs_file(number).open("a", encoding="utf-8") as file:
            # The break comes first: half a line of a killed driver spoils no other.
            file.write("\n" + entry)

    def discard(self, number: int) -> None:
        """Close a trial for which no point could be found; it does not count."""
        self._set(number, **{_NO_POINT: True})
        self.study.tell(number, state=TrialState.FAIL)

    def pause(self, number: int, *, seconds: float) -> None:
        """Leave a trial running in the record, to be taken up again; `seconds` were spent."""
        self._set(number, seconds=seconds)

    def finish(
        self, number: int, state: Literal["complete", "stopped", "failed"], *,
        last: Metrics, best: Metrics, baseline: Metrics, seconds: float, failure: str,
    ) -> Outcome:  # fmt: skip
        """Close a trial: its last metrics are its result.

        Args:
            number: The trial.
            state: How it ended.
            last: Metrics of the last scored epoch; empty if there is none.
            best: Metrics of the epoch with the best objective.
            baseline: Metrics of the baseline that constraints are measured against.
            seconds: Wall-clock time over all attempts.
            failure: Why it failed, in one line; "" unless it did.
        """
        self._set(number, last=dict(last), best=dict(best), seconds=seconds, failure=failure)
        trial = optuna.trial.Trial(self.study, self._trial_id(number))
        if last and state != "failed":
            for key, value in self.violations(last, baseline).items():
                trial.set_constraint(key, value)
        values = [last[o.metric] for o in self.objectives] if state == "complete" else None
        self.study.tell(number, values, state=_TELL[state])
        return self.outcome(number)

    def requeue_failed(self) -> int:
        """Queue every failed trial again under a new number; returns how many there are."""
        outcomes = self.outcomes()
        retried = {one.digest for one in outcomes if one.state != "failed"}
        failed = {one.digest: one for one in outcomes if one.state == "failed"}
        again = [one for digest, one in failed.items() if digest not in retried]
        for one in again:
            self.enqueue(one.point, role=one.role)
        self.note("trials", self.wanted + len(again))
        return len(again)

    def enqueue(self, point: Mapping[str, Value], *, role: str) -> None:
        """Queue a point to run before anything is drawn."""
        self.study.enqueue_trial(dict(point), user_attrs={"role": role, "point": dict(point)})

    def _epochs_file(self, number: int) -> Path:
        return self.trial_folder(number) / "epochs.jsonl"

    def _set(self, number: int, **attrs: Any) -> None:
        trial = self._trial_id(number)
        for key, value in attrs.items():
            self._storage.set_trial_user_attr(trial, key, value)

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)

    def _outcome(self, trial: FrozenTrial) -> Outcome:
        attrs = trial.user_attrs
        state = _STATES[trial.state]
        last: Metrics = attrs.get("last", {})
        if state == "running" and (epochs := self.epochs(trial.number)):
            last = epochs[-1]
        return Outcome(
            number=trial.number,
            state=state,
            role=attrs.get("role", "draw"),
            point=attrs.get("point", {}),
            digest=attrs.get("digest", ""),
            recipe=attrs.get("recipe", {}),
            last=last,
            best=attrs.get("best", {}),
            seconds=attrs.get("seconds", 0.0),
            attempts=attrs.get("attempts", 0),
            failure=attrs.get("failure", ""),
            began=trial.datetime_start.timestamp() if trial.datetime_start else 0.0,
            ended=trial.datetime_complete.timestamp() if trial.datetime_complete else 0.0,
        )


def create(
    folder: Path,
    space: Space,
    *,
    sampler: optuna.samplers.BaseSampler,
    queue: Sequence[Mapping[str, Value]],
    facts: Mapping[str, Any],
) -> Record:
    """Begin a study in a folder that holds none.

    Args:
        folder: Made where it is missing.
        space: What to search.
        sampler: Suggests points.
        queue: Points to run first, after the baseline and the space's own points.
        facts: What else is to be kept about the study, plain JSON.

    Raises:
        InputError: there is a study already.
        EnvironmentError: the folder cannot be written.
    """
    if (folder / "study.db").exists():
        raise InputError(
            f"a study must be new, but {folder} holds one already; go on with it by "
            f"`raylt resume {space.study.name}`, or choose another name with --study"
        )
    try:
        (folder / "trials").mkdir(parents=True, exist_ok=True)
        (folder / "space.yaml").write_text(space.text, "utf-8")
    except OSError as error:
        raise EnvironmentError(
            f"the folder of runs must be writable, but {folder} is not: {error.strerror}; "
            f"choose another with --runs or RAYLT_RUNS"
        ) from error
    storage = _storage(folder)
    study = optuna.create_study(
        storage=storage,
        sampler=sampler,
        pruner=optuna.pruners.NopPruner(),
        study_name=space.study.name,
        directions=[objective.better for objective in space.study.objective],
    )
    record = Record(folder, space, storage, study)
    record.note("id", uuid.uuid4().hex)
    record.note("trials", space.study.trials)
    record.note("space", space.digest)
    record.note("raylt", raylt.__version__)
    record.note("created", datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))
    for key, value in facts.items():
        record.note(key, value)
    baseline = [] if space.baseline_point is None else [space.baseline_point]
    queued: list[Mapping[str, Value]] = []
    for role, points in (("baseline", baseline), ("point", space.points), ("draw", queue)):
        for point in points:
            if point not in queued:
                record.enqueue(point, role=role)
                queued.append(point)
    return record


def load(folder: Path, *, sampler: optuna.samplers.BaseSampler | None) -> Record:
    """Open the study in a folder, to read it, or with a sampler to go on with it.

    Raises:
        InputError: the folder holds no study, or its space file was changed.
        EnvironmentError: the study's database is damaged.
    """
    if not (folder / "study.db").is_file():
        raise InputError(_unknown(folder))
    space = spaces.load(folder / "space.yaml")
    storage = _storage(folder)
    try:
        study = optuna.load_study(study_name=None, storage=storage, sampler=sampler)
    except Exception as error:
        raise EnvironmentError(
            f"the study's database must be readable, but {folder / 'study.db'} is not: {error}; "
            f"restore it from a copy"
        ) from error
    record = Record(folder, space, storage, study)
    if record.facts["space"] != space.digest:
        raise InputError(
            f"{folder / 'space.yaml'} must be as it was when the study began, but it was changed; "
            f"undo the change, or begin another study with `raylt tune --study NAME`"
        )
    return record


def studies(runs: Path) -> tuple[str, ...]:
    """Names of the studies in a folder of runs."""
    return tuple(sorted(path.parent.name for path in runs.glob("*/study.db")))


def _unknown(folder: Path) -> str:
    from raylt.plugins import did_you_mean

    known = studies(folder.parent)
    return (
        f"{folder.parent} must hold the study {folder.name!r}, but it holds "
        f"{', '.join(known) or 'none'}{did_you_mean(folder.name, known)}; "
        f"begin one with `raylt tune`, or name the folder with --runs"
    )


def _storage(folder: Path) -> optuna.storages.RDBStorage:
    # Optuna's informational lines would break into the live table.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(
        f"sqlite:///{folder / 'study.db'}",
        # A reader such as `raylt status` may hold the file for a moment.
        engine_kwargs={"connect_args": {"timeout": 30}},
    )
    if not on_network(folder):
        # A commit costs a tenth in this mode, and readers never block the writer; it needs memory
        # shared by all who open the file, so it is for local disks only.
        event.listen(storage.engine, "connect", _write_ahead)
        storage.engine.dispose()
    return storage


def _write_ahead(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def on_network(path: Path) -> bool:
    """Whether a path lies on a file system that other machines see, as far as Linux tells."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/mounts").read_text("utf-8", "replace").splitlines()
        mounts = {Path(line.split()[1]): line.split()[2] for line in lines}
        whole = path.resolve()
        kind = next((mounts[p] for p in (whole, *whole.parents) if p in mounts), "")
        return kind.startswith(_NETWORK)
    return False
