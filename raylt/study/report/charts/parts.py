"""What the charts of a search share: marks of trials, reference levels, titles and units."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from raylt.schema import Value
from raylt.space.leaf import Leaf
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.record.text import plain
from raylt.study.report.charts import figure
from raylt.study.report.charts.figure import Line, Points
from raylt.study.verdict import floor

_STYLES: tuple[tuple[str, str, figure.Symbol], ...] = (
    ("not finished", figure.GREY, "square"),
    ("stopped early", figure.GREY, "hollow"),
    ("finished", figure.GREY, "circle"),
    ("baseline", figure.BLUE, "diamond"),
    ("best", figure.VERMILION, "star"),
)
"""How each kind of trial is marked, the later kinds over the earlier ones; one that runs,
failed or is interrupted is not finished."""


def trial_marks(
    trials: Sequence[Outcome],
    best: Outcome | None,
    *,
    x: Callable[[Outcome], float],
    y: Callable[[Outcome], float],
) -> tuple[Points, ...]:
    """A mark for each trial; each of `_STYLES` looks different."""
    ends = {"complete": "finished", "stopped": "stopped early"}
    kinds: dict[str, list[Outcome]] = {}
    for trial in trials:
        kind = ends.get(trial.state, "not finished")
        kinds.setdefault("baseline" if trial.role == "baseline" else kind, []).append(trial)
        if best is not None and trial.number == best.number:
            kinds["best"] = [trial]
    return tuple(
        Points(
            name=name,
            colour=colour,
            symbol=symbol,
            x=tuple(map(x, kinds[name])),
            y=tuple(map(y, kinds[name])),
            hover=tuple(map(_description, kinds[name])),
        )
        for name, colour, symbol in _STYLES
        if name in kinds
    )


def _description(trial: Outcome) -> str:
    """Number, state, epoch and values of a trial."""
    values = [f"{path.rpartition('.')[2]} {plain(value)}" for path, value in trial.point.items()]
    return ", ".join([f"trial {trial.number} ({trial.state}, epoch {trial.epoch})", *values])


def reference_lines(record: Record, *, metric: str, width: float) -> tuple[Line, ...]:
    """The levels of the baseline and of raw pixels, as far as known, from 0 to `width`."""
    baseline = record.baseline()
    if baseline is None or baseline.state != "complete" or metric not in baseline.last:
        return pixel_line(record, metric=metric, width=width)
    return (
        _level("baseline", metric, baseline.last[metric], width, figure.BLUE, "dash"),
        *pixel_line(record, metric=metric, width=width),
    )


def pixel_line(record: Record, *, metric: str, width: float) -> tuple[Line, ...]:
    """The level that raw pixels reach, by the better of the two classifiers, from 0 to `width`."""
    levels = floor.levels(record.facts["floor"], metric)
    if not levels:
        return ()
    height = max(levels.values())
    return (_level("floor of raw pixels", metric, height, width, figure.GREEN, "dot"),)


def _level(
    name: str, metric: str, value: float, width: float, colour: str, dash: figure.Dash
) -> Line:
    height = scaled(metric, value)
    label = f"{name} ({height:.1f})"
    return Line(name=label, x=(0.0, width), y=(height, height), colour=colour, dash=dash)


def time_unit(longest: float) -> tuple[str, float]:
    """The unit that suits times of up to so many seconds, and its length in seconds."""
    return ("hours", 3600.0) if longest > 2 * 3600 else ("minutes", 60.0)


def axis_title(metric: str) -> str:
    """A metric as the title of an axis."""
    name = metric.removeprefix("val/")
    return f"{name} (%)" if metric.startswith("val/") else name


def scaled(metric: str, value: float) -> float:
    """A metric's value as it is drawn: accuracies are percentages."""
    return 100 * value if metric.startswith("val/") else value


def choice_names(leaf: Leaf) -> tuple[str, ...]:
    """The names of a leaf's choices; none for a range."""
    return tuple(map(plain, leaf.choices)) if leaf.choices is not None else ()


def position(leaf: Leaf, value: Value) -> float:
    """Where a leaf's value stands on its axis: the number itself, or the place of the choice."""
    if leaf.choices is None:
        assert isinstance(value, int | float)
        return float(value)
    # Python takes 1 and true for equal; as choices they are different.
    return float([(type(c), c) for c in leaf.choices].index((type(value), value)))
