"""What a person sees of a search while it runs: how far it is, the best so far, the trials."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from raylt.space.metric_names import METRICS
from raylt.study.cost import budget
from raylt.study.record import text
from raylt.study.record.listener import Listener, Task
from raylt.study.record.outcome import Metrics, Outcome
from raylt.study.record.record import Record
from raylt.study.report import trials_table
from raylt.study.run.waiting import watched

_OTHER_LINES = 11
"""Lines of the terminal that are not rows of the table."""
_ENOUGH = 0.1
"""Part of a command's epochs that is trained before the time left is told, for the first ones
take longer; or the epochs of one trial, if they are fewer and took `_LONG`."""
_LONG = 60.0
"""Seconds in which the first epochs weigh little."""


@dataclass(slots=True)
class Start:
    """What the time of a command, and what is left of it, are counted from."""

    time: float
    """By the monotonic clock."""
    epochs: int
    """Epochs that were trained before."""
    begun: float | None = None
    """When the first trial began, by the same clock: Ray's processes were up."""


class Progress(Listener):
    """Shows the trials of a running study: a table on a terminal, a line for each ended trial
    elsewhere, and nothing at all when `quiet`.

    Use it in a `with`. Everything goes to standard error, so that standard output holds results
    only.

    Args:
        wanted: How many trials there will be; default: as many as the study wants.
        name: What a run is called, where none is better than another: those of a confirmation.
        only: The digests of those that are shown, where the record has others, too.
        start: That of an earlier part of the same command; default: now.
    """

    def __init__(
        self,
        record: Record,
        *,
        quiet: bool,
        console: Console,
        wanted: int | None = None,
        name: Callable[[Outcome], str] | None = None,
        only: Collection[str] | None = None,
        start: Start | None = None,
    ) -> None:
        self._name = record.name
        self._wanted = wanted or record.wanted
        self._objective = record.objectives[0]
        self._paths = () if name else tuple(leaf.path for leaf in record.space.leaves)
        self._run_name = name
        outcomes = [o for o in record.outcomes() if only is None or o.digest in only]
        self._trials = {outcome.number: outcome for outcome in outcomes}
        self._clocks: dict[int, float] = {}
        """When the attempt of each trial that runs began, by the monotonic clock."""
        epochs = record.space.known.get("epochs")
        self._epochs = epochs if isinstance(epochs, int) else None
        now = time.monotonic()
        self.start = start or Start(now, sum(outcome.epoch for outcome in outcomes))
        wall_clock = [a for a in budget.accounts(record) if a.name == "wall_clock"]
        within = min((3600 * (a.limit - a.used) for a in wall_clock), default=math.inf)
        self._deadline = now + within
        """When the budget is spent, by the monotonic clock."""
        self._begun = False
        self._stopping = ""
        self._lock = threading.Lock()
        self._quiet = quiet
        self._console = console
        live = Live(
            console=console, get_renderable=self._render, refresh_per_second=2, transient=True
        )
        self._live = live if watched(console) and not quiet else None

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def say(self, line: str) -> None:
        """Show a line, above the table where there is one."""
        if not self._quiet:
            self._console.print(Text(line), soft_wrap=True)

    def stopping(self) -> str:
        """What is said when the search is asked to stop; the table says it from now on."""
        # Called by the handler of a signal, which the lock's own thread may be in: no lock.
        running = sum(trial.state == "running" for trial in list(self._trials.values()))
        trials = "1 trial" if running == 1 else f"{running} trials"
        self._stopping = f"stopping: saving {trials}" if running else "stopping"
        return self._stopping

    def started(self, task: Task) -> None:
        """A trial begins, or begins again."""
        with self._lock:
            number = task.number
            trial = self._trials.get(number)
            if trial is None or not trial.recipe:
                epochs = {"epochs": task.recipe.epochs}
                trial = Outcome(
                    number=number, state="running", role=task.role, point=task.point, recipe=epochs
                )
            self._trials[number] = replace(trial, state="running")
            self._clocks[number] = time.monotonic()
            self.start.begun = self.start.begun or self._clocks[number]
            self._begun = True

    def reported(self, task: Task, metrics: Metrics) -> None:
        """A trial scored an epoch."""
        with self._lock:
            self._trials[task.number] = replace(self._trials[task.number], last=metrics)

    def ended(self, task: Task, outcome: Outcome) -> None:
        """A trial is over."""
        with self._lock:
            self._trials[task.number] = outcome
            self._clocks.pop(task.number, None)
            ended = sum(trial.over for trial in self._trials.values())
        if self._live is None:
            name = self._run_name(outcome) if self._run_name else f"trial {task.number}"
            self.say(f"[{ended}/{self._wanted}] {name} {sentence(outcome, self._paths)}")

    def interrupted(self, task: Task) -> None:
        """The search stops while the trial runs."""
        with self._lock:
            self._trials[task.number] = replace(self._timed(task.number), state="interrupted")
            self._clocks.pop(task.number, None)

    def _timed(self, number: int) -> Outcome:
        """A trial with the time of the attempt that runs now."""
        trial, now = self._trials[number], time.monotonic()
        return replace(trial, seconds=trial.seconds + now - self._clocks.get(number, now))

    def _render(self) -> RenderableType:
        with self._lock:
            trials = [self._timed(number) for number in sorted(self._trials)]
        best = None if self._run_name else leader(trials, self._objective.metric)
        shown = crop(trials, best, max(3, self._console.height - _OTHER_LINES))
        table = trials_table.table(
            shown, self._paths, self._objective.metric, best, name=self._run_name
        )
        lines = [
            self._how_far(trials),
            self._best_so_far(trials, best),
            self._stopping or self._waiting(),
        ]
        hidden = len(trials) - len(shown)
        return Group(
            self._bar(trials),
            *(Text(line, no_wrap=True, overflow="ellipsis") for line in lines if line),
            "",
            table,
            Text(f"... and {hidden} more" if hidden else "", style="dim"),
        )

    def _bar(self, trials: Sequence[Outcome]) -> Table:
        epochs, left = epochs_of(trials, self._wanted, self._epochs)
        line = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=max(1, epochs + left), completed=epochs, width=40)
        line.add_row(Text(self._name, style="bold", no_wrap=True), bar)
        return line

    def _how_far(self, trials: Sequence[Outcome]) -> str:
        """Trials, epochs and time."""
        ended = sum(trial.over for trial in trials)
        now = time.monotonic()
        elapsed = now - self.start.time
        epochs, left = epochs_of(trials, self._wanted, self._epochs)
        new = epochs - self.start.epochs
        training = now - (self.start.begun or now)
        fewest = self._epochs if self._epochs and training >= _LONG else math.inf
        known = left and new >= min(fewest, _ENOUGH * (new + left))
        to_come = training * left / new if known else math.inf
        within = max(0.0, self._deadline - now)
        rest = ""
        if within < to_come:
            rest = f", {_whole(within)} of the budget left"
        elif to_come < math.inf:
            rest = f", about {_whole(to_come)} left"
        runs = f"{ended}/{self._wanted} {'runs' if self._run_name else 'trials'}"
        return f"{runs}, {epochs}/{epochs + left} epochs, {_whole(elapsed)}{rest}"

    def _best_so_far(self, trials: Sequence[Outcome], best: int | None) -> str:
        metric = self._objective.metric
        scores = [
            f"{what} {text.score(metric, trial.last[metric])} (trial {trial.number})"
            for what, known in (
                ("best so far", (trial for trial in trials if trial.number == best)),
                ("baseline", (trial for trial in trials if trial.role == "baseline")),
            )
            if (trial := next(iter(known), None)) and metric in trial.last
        ]
        if best is None or not scores:
            return ""
        return f"{metric.removeprefix('val/')}: {', '.join(scores)}"

    def _waiting(self) -> str:
        # Ray's processes import torch before a trial can begin.
        return "" if self._begun else "waiting for Ray's first process, which loads torch"


def _whole(seconds: float) -> str:
    return text.duration(int(seconds)).replace(".0s", "s")


def epochs_of(trials: Sequence[Outcome], wanted: int, planned: int | None) -> tuple[int, int]:
    """Epochs that are trained, and those that are left by what trials took so far.

    Args:
        planned: Epochs of a trial, where all have the same.
    """
    ended = [trial.epoch for trial in trials if trial.over and trial.epoch]
    known = [int(trial.recipe["epochs"]) for trial in trials if trial.recipe.get("epochs")]
    whole = planned or (max(known) if known else 0)
    # Weak trials are stopped early, and those to come will be like those that were.
    usual = sum(ended) / len(ended) if ended else whole
    open_trials = [trial for trial in trials if not trial.over]
    left = sum(
        max(0.0, (trial.recipe.get("epochs") or whole) - trial.epoch)
        for trial in open_trials
        if trial.state != "waiting"
    )
    to_come = max(0, wanted - sum(trial.state != "waiting" for trial in trials))
    return sum(trial.epoch for trial in trials), round(left + to_come * usual)


def leader(trials: Sequence[Outcome], metric: str) -> int | None:
    """Number of the finished trial that is best by a metric, or of any with a score so far."""
    sign = 1 if METRICS[metric] == "maximize" else -1
    scored = [trial for trial in trials if metric in trial.last]
    finished = [trial for trial in scored if trial.state == "complete"] or scored
    best = max(finished, key=lambda trial: sign * trial.last[metric], default=None)
    return best.number if best else None


def crop(trials: Sequence[Outcome], best: int | None, space: int) -> list[Outcome]:
    """At most `space` trials: those that run, the best, then the newest."""

    def order(trial: Outcome) -> tuple[bool, bool, int]:
        return (trial.state != "running", trial.number != best, -trial.number)

    return sorted(sorted(trials, key=order)[:space], key=lambda trial: trial.number)


def sentence(trial: Outcome, paths: Sequence[str]) -> str:
    """How a trial ended, in one line."""
    names = dict(zip(paths, text.short(paths), strict=True))
    leaves = text.assignments({names[p]: trial.point[p] for p in paths if p in trial.point})
    result = trial.failure if trial.state == "failed" else " ".join(text.scores(trial.last))
    words = " ".join(filter(None, [trial.state, "epoch", trials_table.epochs(trial), leaves]))
    return f"{words}: {result} ({text.duration(trial.seconds)})"
