"""What a person sees of a search: a live table while it runs, a summary at its end."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from raylt.space.metric_names import METRICS
from raylt.study.record import text
from raylt.study.record.listener import Listener, Task
from raylt.study.record.outcome import Metrics, Outcome, failures
from raylt.study.record.record import Record
from raylt.study.run.plan import small_sample
from raylt.study.run.result import Result
from raylt.study.verdict import floor

_OTHER_LINES = 8
"""Lines of the terminal that are not rows of the table."""
_FAILURES = 5
"""Different failures that the summary names."""
_STYLES = {
    "running": "cyan",
    "complete": "",
    "stopped": "dim",
    "failed": "red",
    "interrupted": "yellow",
    "waiting": "dim",
}


class Progress(Listener):
    """Shows the trials of a running study: a table on a terminal, a line for each ended trial
    elsewhere, and nothing at all when `quiet`.

    Use it in a `with`. Everything goes to standard error, so that standard output holds results
    only.

    Args:
        record: The study.
        quiet: Whether nothing is shown.
        console: Where it is shown.
        wanted: How many trials there will be; default: as many as the study wants.
    """

    def __init__(
        self, record: Record, *, quiet: bool, console: Console, wanted: int | None = None
    ) -> None:
        self._name = record.name
        self._wanted = wanted or record.wanted
        self._objective = record.objectives[0]
        self._paths = tuple(leaf.path for leaf in record.space.leaves)
        outcomes = record.outcomes()
        self._trials = {outcome.number: outcome for outcome in outcomes}
        self._clocks: dict[int, float] = {}
        """When the attempt of each trial that runs began, by the monotonic clock."""
        self._ended = sum(outcome.over for outcome in outcomes)
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._quiet = quiet
        self._console = console
        live = Live(
            console=console, get_renderable=self._render, refresh_per_second=2, transient=True
        )
        # A person watches only where both streams are a terminal.
        watched = console.is_terminal and sys.stdout.isatty() and not quiet
        self._live = live if watched else None

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

    def reported(self, task: Task, metrics: Metrics) -> None:
        """A trial scored an epoch."""
        with self._lock:
            self._trials[task.number] = replace(self._trials[task.number], last=metrics)

    def ended(self, task: Task, outcome: Outcome) -> None:
        """A trial is over."""
        with self._lock:
            self._trials[task.number] = outcome
            self._clocks.pop(task.number, None)
            self._ended += 1
        if self._live is None:
            self.say(f"[{self._ended}/{self._wanted}] {sentence(outcome, self._paths)}")

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
            best = leader(trials, self._objective.metric)
            states = sorted(Counter(trial.state for trial in trials).items())
            counts = ", ".join(f"{n} {state}" for state, n in states)
            minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
            head = Text.assemble(
                (self._name, "bold"),
                f"  {len(trials)}/{self._wanted} trials"
                f"{': ' + counts if counts else ''}  {minutes}:{seconds:02d}",
            )
            shown = crop(trials, best, max(3, self._console.height - _OTHER_LINES))
            body = table(shown, self._paths, self._objective.metric, best)
        hidden = len(trials) - len(shown)
        return Group(head, body, Text(f"... and {hidden} more" if hidden else "", style="dim"))


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


def table(
    trials: Sequence[Outcome], paths: Sequence[str], objective: str, best: int | None
) -> Table:
    """Trials with their leaves and scores; the best one stands out."""
    metrics = text.SHOWN if objective in text.SHOWN else (objective, *text.SHOWN)
    view = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    view.add_column("trial", justify="right", no_wrap=True)
    view.add_column("state", no_wrap=True)
    view.add_column("epoch", justify="right", no_wrap=True)
    for name in text.short(paths):
        # A name that is too long for its column breaks after an underscore.
        view.add_column(name.replace("_", "_\n"), justify="right", overflow="fold")
    for name in (*(metric.removeprefix("val/") for metric in metrics), "time"):
        view.add_column(name, justify="right", no_wrap=True)
    for trial in trials:
        view.add_row(
            f"{trial.number}{'*' if trial.role == 'baseline' else ''}",
            trial.state,
            _epochs(trial),
            *(text.plain(trial.point[path]) if path in trial.point else "-" for path in paths),
            *(text.score(metric, trial.last.get(metric)) for metric in metrics),
            text.duration(trial.seconds),
            style="bold green" if trial.number == best else _STYLES[trial.state],
        )
    return view


def sentence(trial: Outcome, paths: Sequence[str]) -> str:
    """One ended trial in one line."""
    names = dict(zip(paths, text.short(paths), strict=True))
    leaves = text.assignments({names[p]: trial.point[p] for p in paths if p in trial.point})
    result = trial.failure if trial.state == "failed" else " ".join(text.scores(trial.last))
    return (
        f"trial {trial.number} {trial.state} epoch {_epochs(trial)} {leaves}: {result} "
        f"({text.duration(trial.seconds)})"
    )


def _epochs(trial: Outcome) -> str:
    """The last scored epoch, of how many."""
    return f"{trial.epoch}/{trial.recipe.get('epochs', 0)}"


def summary(result: Result, console: Console) -> None:
    """Print the end of a search: the ranking, then the lines of `closing`."""
    best = result.best.number if result.best else None
    begun = [trial for trial in result.ranking if trial.state != "waiting"]
    if begun:
        console.print(table(begun, result.paths, result.objective, best))
    for line in closing(result):
        console.print(Text(line), soft_wrap=True)


def closing(result: Result) -> list[str]:
    """The summary's lines below the ranking: best against baseline, floor, files, what next."""
    lines = [*_verdict(result), *floor.lines(result.floor)]
    if hint := floor.unbeaten(result.floor, result.objective, result.best):
        lines.append(hint)
    if few := small_sample(result.validation):
        lines.append(few)
    for numbers, failure in failures(result.ranking)[:_FAILURES]:
        trials = "trial" if len(numbers) == 1 else "trials"
        lines.append(f"Failed: {trials} {', '.join(map(str, numbers))}: {failure}")
    if result.stopped:
        lines.append(f"Ended early: {result.stopped}")
    lines += [
        *result.notices,
        f"Written to {result.folder} (study.db, space.yaml, trials/), tracked in "
        f"{result.tracking_uri}; {text.duration(result.seconds)}",
        "",
    ]
    commands = result.commands
    if result.interrupted:
        return [*lines, f"Interrupted; go on with: {commands['resume']}"]
    missing = sum(trial.over for trial in result.ranking) < result.wanted
    return [
        *lines,
        f"Next: {commands['best']}   (the best recipe)",
        f"      {commands['confirm']}   (is it really better?)",
        f"      {commands['ui']}   (compare the trials in MLflow)",
        f"      {commands['resume']}   (go on with what is not finished)"
        if missing
        else f"      {commands['more']}   (as many trials again)",
    ]


def _verdict(result: Result) -> list[str]:
    metric, best, baseline = result.objective, result.best, result.baseline
    if best is None:
        return ["No trial has finished and kept the constraints."]
    lines = [f"Best: trial {best.number} with {', '.join(text.scores(best.last))}"]
    if not any(name.startswith("val/") for name in best.last):
        lines.append(
            "Nothing is held out (data.validation is 0), so only training losses are known; "
            "`raylt confirm` alone opens the test set"
        )
    if baseline is not None and metric in baseline.last:
        gap = text.lead(metric, best.last[metric] - baseline.last[metric])
        same = best.number == baseline.number
        lines.append(
            f"Baseline ({result.baseline_source}): trial {baseline.number} with "
            f"{', '.join(text.scores(baseline.last))}; "
            f"{'the best trial is the baseline' if same else f'{gap}, one seed'}"
        )
    return lines
