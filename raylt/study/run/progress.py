"""What a person sees of a search: a live table while it runs, a summary at its end."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from raylt.schema import Value
from raylt.space.plan import METRICS
from raylt.study.record.listener import Listener, Task
from raylt.study.record.outcome import Metrics, Outcome, failures
from raylt.study.record.record import Record
from raylt.study.record.text import SHOWN, duration, lead, percent, plain, score, scores, short
from raylt.study.run.result import Result

_AROUND = 8
"""Lines of the terminal that are no rows of the table."""
_FAILURES = 5
"""Unlike failures that the summary names."""
_STYLES = {
    "running": "cyan",
    "complete": "",
    "stopped": "dim",
    "failed": "red",
    "interrupted": "yellow",
    "waiting": "dim",
}


@dataclass(slots=True)
class Row:
    """One trial as a table shows it."""

    number: int
    role: str
    point: Mapping[str, Value]
    epochs: int
    """Epochs of the whole trial."""
    state: str = "running"
    metrics: Metrics = field(default_factory=dict)
    seconds: float = 0.0
    began: float | None = None
    """When the attempt that runs now began, by the monotonic clock."""
    failure: str = ""

    @classmethod
    def of(cls, outcome: Outcome) -> Row:
        """The row of a trial as the record holds it."""
        return cls(
            outcome.number,
            outcome.role,
            outcome.point,
            epochs=int(outcome.recipe.get("epochs", 0)),
            state=outcome.state,
            metrics=outcome.last,
            seconds=outcome.seconds,
            failure=outcome.failure,
        )

    @property
    def elapsed(self) -> float:
        """Seconds over all attempts, up to now."""
        return self.seconds + (time.monotonic() - self.began if self.began is not None else 0.0)


class Progress(Listener):
    """Shows the trials of a running study: a table on a terminal, a line for each ended trial
    elsewhere, and nothing at all when `quiet`.

    Use it in a `with`. Everything goes to standard error, so that standard output holds results
    only.
    """

    def __init__(self, record: Record, *, quiet: bool, console: Console) -> None:
        self._name = record.name
        self._wanted = record.wanted
        self._objective = record.objectives[0]
        self._paths = tuple(leaf.path for leaf in record.space.leaves)
        outcomes = record.outcomes()
        self._rows = {one.number: Row.of(one) for one in outcomes}
        self._ended = sum(one.over for one in outcomes)
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._quiet = quiet
        self._console = console
        # A person looks on only where both streams are a terminal.
        self._live = (
            Live(
                console=console, get_renderable=self._render, refresh_per_second=2, transient=True
            )
            if console.is_terminal and sys.stdout.isatty() and not quiet
            else None
        )

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def say(self, line: str) -> None:
        """Show a line, above the table where there is one."""
        if not self._quiet:
            self._console.print(Text(line), soft_wrap=True)

    def started(self, task: Task) -> None:
        """A trial begins, or begins again."""
        with self._lock:
            row = self._rows.get(task.number)
            if row is None or not row.epochs:
                row = Row(task.number, task.role, task.point, task.recipe.epochs)
                self._rows[task.number] = row
            row.state, row.began = "running", time.monotonic()

    def reported(self, task: Task, metrics: Metrics) -> None:
        """A trial scored an epoch."""
        with self._lock:
            self._rows[task.number].metrics = metrics

    def ended(self, task: Task, outcome: Outcome) -> None:
        """A trial is over."""
        with self._lock:
            self._rows[task.number] = row = Row.of(outcome)
            self._ended += 1
        if self._live is None and not self._quiet:
            self._console.print(
                Text(f"[{self._ended}/{self._wanted}] {sentence(row, self._paths)}"),
                soft_wrap=True,
            )

    def interrupted(self, task: Task) -> None:
        """The search stops while the trial runs."""
        with self._lock:
            row = self._rows[task.number]
            row.state, row.seconds, row.began = "interrupted", row.elapsed, None

    def _render(self) -> RenderableType:
        with self._lock:
            rows = sorted(self._rows.values(), key=lambda row: row.number)
            best = leader(rows, self._objective.metric)
            states = Counter(row.state for row in rows)
            counted = ", ".join(f"{n} {state}" for state, n in sorted(states.items()))
            minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
            head = Text.assemble(
                (self._name, "bold"),
                f"  {len(rows)}/{self._wanted} trials"
                f"{': ' + counted if counted else ''}  {minutes}:{seconds:02d}",
            )
            room = max(3, self._console.height - _AROUND)
            shown = crop(rows, best, room)
            body = table(shown, self._paths, self._objective.metric, best)
            hidden = len(rows) - len(shown)
        foot = Text(f"... and {hidden} more" if hidden else "", style="dim")
        return Group(head, body, foot)


def leader(rows: Sequence[Row], metric: str) -> int | None:
    """Number of the finished trial that is best by a metric, or of any with a score so far."""
    sign = 1 if METRICS[metric] == "maximize" else -1
    scored = [row for row in rows if metric in row.metrics]
    finished = [row for row in scored if row.state == "complete"] or scored
    return max(finished, key=lambda row: sign * row.metrics[metric]).number if finished else None


def crop(rows: Sequence[Row], best: int | None, room: int) -> list[Row]:
    """The rows that a screen has room for: those that run, the best, then the newest."""

    def weight(row: Row) -> tuple[bool, bool, int]:
        return (row.state != "running", row.number != best, -row.number)

    return sorted(sorted(rows, key=weight)[:room], key=lambda row: row.number)


def table(rows: Sequence[Row], paths: Sequence[str], objective: str, best: int | None) -> Table:
    """Trials with their leaves and scores; the best one stands out."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    made.add_column("trial", justify="right", no_wrap=True)
    made.add_column("state", no_wrap=True)
    made.add_column("epoch", justify="right", no_wrap=True)
    for name in short(paths):
        # Long names would break within a word where there is no room for them.
        made.add_column(name.replace("_", "_\n"), justify="right", overflow="fold")
    metrics = SHOWN if objective in SHOWN else (objective, *SHOWN)
    for metric in metrics:
        made.add_column(metric.removeprefix("val/"), justify="right", no_wrap=True)
    made.add_column("time", justify="right", no_wrap=True)
    for row in rows:
        made.add_row(
            f"{row.number}{'*' if row.role == 'baseline' else ''}",
            row.state,
            f"{row.metrics.get('epoch', 0):.0f}/{row.epochs}",
            *(plain(row.point[path]) if path in row.point else "-" for path in paths),
            *(score(metric, row.metrics.get(metric)) for metric in metrics),
            duration(row.elapsed),
            style="bold green" if row.number == best else _STYLES[row.state],
        )
    return made


def sentence(row: Row, paths: Sequence[str]) -> str:
    """One ended trial in one line."""
    leaves = " ".join(
        f"{name}={plain(row.point[path])}"
        for name, path in zip(short(paths), paths, strict=True)
        if path in row.point
    )
    told = row.failure if row.state == "failed" else " ".join(scores(row.metrics))
    epoch = f"{row.metrics.get('epoch', 0):.0f}/{row.epochs}"
    return (
        f"trial {row.number} {row.state} epoch {epoch} {leaves}: {told} ({duration(row.elapsed)})"
    )


def summary(result: Result, console: Console) -> None:
    """The end of a search: ranking, best against baseline, floor, where things are, what next."""
    best = result.best.number if result.best else None
    rows = [Row.of(one) for one in result.ranking if one.state != "waiting"]
    if rows:
        console.print(table(rows, result.paths, result.objective, best))
    for line in closing(result):
        console.print(Text(line), soft_wrap=True)


def closing(result: Result) -> list[str]:
    """The summary's lines below the ranking."""
    lines = [*_verdict(result), *_floor(result.floor)]
    lines += [
        f"Failed: trial{'' if len(numbers) == 1 else 's'} {', '.join(map(str, numbers))}: {why}"
        for numbers, why in failures(result.ranking)[:_FAILURES]
    ]
    if result.stopped:
        lines.append(f"Ended early: {result.stopped}")
    lines += result.notices
    lines += [
        f"Written to {result.folder} (study.db, space.yaml, trials/), tracked in "
        f"{result.tracking_uri}; {duration(result.seconds)}",
        "",
    ]
    if result.interrupted:
        return [*lines, f"Interrupted; go on with: raylt resume {result.name}"]
    ended = sum(one.over for one in result.ranking)
    resume = f"      raylt resume {result.name}"
    return [
        *lines,
        f"Next: raylt best {result.name}   (the best recipe)",
        f"      raylt confirm {result.name}   (is it really better?)",
        "      raylt ui   (compare the trials in MLflow)",
        f"{resume}   (go on with what is not finished)"
        if ended < result.wanted
        else f"{resume} --trials +{result.wanted}   (as many trials again)",
    ]


def _verdict(result: Result) -> list[str]:
    metric, best, baseline = result.objective, result.best, result.baseline
    if best is None:
        return ["No trial has finished and kept the constraints."]
    lines = [f"Best: trial {best.number} with {', '.join(scores(best.last))}"]
    if not any(name.startswith("val/") for name in best.last):
        lines = [
            *lines,
            "Nothing is held out (data.validation is 0), so only training losses are known; "
            "`raylt confirm` alone opens the test set",
        ]
    if baseline is not None and metric in baseline.last:
        gap = best.last[metric] - baseline.last[metric]
        same = best.number == baseline.number
        which = "the best trial is the baseline" if same else f"{lead(metric, gap)}, one seed"
        lines.append(
            f"Baseline ({result.baseline_source}): trial {baseline.number} with "
            f"{', '.join(scores(baseline.last))}; {which}"
        )
    return lines


def _floor(floor: Mapping[str, float]) -> list[str]:
    """`floor/neighbour/many` and the like, a line for each model."""
    models: dict[str, list[str]] = {}
    for key, value in floor.items():
        _, model, group = key.split("/", 2)
        models.setdefault(model, []).append(f"{group} {percent(value)}")
    return [f"Floor (raw pixels, {name}): {', '.join(told)}" for name, told in models.items()]
