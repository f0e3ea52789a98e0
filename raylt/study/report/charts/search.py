"""Charts of a study: what was tried, what it brought, what it cost."""

from __future__ import annotations

from collections.abc import Sequence

from raylt.study.record.outcome import Outcome, course
from raylt.study.record.record import Record
from raylt.study.record.text import duration, short
from raylt.study.report.charts import figure, importance, parallel, parts
from raylt.study.report.charts.figure import Axis, Chart, Line, Panel, Points

Style = tuple[str, str, figure.Dash, float]
"""Name, colour, dash and width of a line."""

_COST = ("cost", "What the search cost and what it brought")
_CURVES = ("curves", "Learning curves")
_PARETO = ("pareto", "Many against few")
_RESPONSE = ("response", "How the result depends on each leaf")
_SHOT_GROUPS = {
    "val/": "more than 100 and fewer than 20 images",
    "val/thirds/": "thirds of the classes",
}
"""How the classes are cut into many-shot and few-shot ones, by the prefix of the metrics."""
_DRAWN = 60
"""Trials whose learning curves are drawn: the best of them, and the baseline."""
_NO_SCORE = "no trial has a score yet"


def charts(record: Record) -> tuple[Chart, ...]:
    """The charts of the search itself, in the order in which they are read."""
    ranking = record.ranking()
    return (
        cost(record, ranking),
        parallel.parallel(record, ranking),
        importance.importance(record, ranking),
        response(record, ranking),
        pareto(record, ranking),
        curves(record, ranking),
    )


def response(record: Record, ranking: Sequence[Outcome]) -> Chart:
    """The objective over each open leaf."""
    metric = record.objectives[0].metric
    scored = [trial for trial in ranking if metric in trial.last]
    leaves = record.space.leaves
    if not leaves:
        return figure.nothing(*_RESPONSE, "no leaf is open")
    if not scored:
        return figure.nothing(*_RESPONSE, _NO_SCORE)
    panels = tuple(
        Panel(
            x=Axis(name, log=leaf.log, ticks=parts.choice_names(leaf)),
            y=Axis(parts.axis_title(metric)),
            marks=parts.trial_marks(
                [trial for trial in scored if leaf.path in trial.point],
                record.best(),
                x=lambda trial, leaf=leaf: parts.position(leaf, trial.point[leaf.path]),
                y=lambda trial: parts.scaled(metric, trial.last[metric]),
            ),
        )
        for leaf, name in zip(leaves, short([leaf.path for leaf in leaves]), strict=True)
    )
    return Chart(
        *_RESPONSE,
        "Each mark is a trial with its last score; the other leaves differ too, so look for the "
        "edge of the cloud.",
        panels,
    )


def cost(record: Record, ranking: Sequence[Outcome]) -> Chart:
    """The best result so far over the time that all trials took."""
    metric = record.objectives[0].metric
    steps = course(ranking, record.space.study)
    times: dict[int, float] = {}
    spent = 0.0
    for step in steps:
        spent += step.trial.seconds
        times[step.trial.number] = spent
    better = [step.trial for step in steps if step.better]
    if not better:
        return figure.nothing(*_COST, "no trial has finished yet")
    unit, seconds = parts.time_unit(spent)
    width = spent / seconds
    heights = [parts.scaled(metric, trial.last[metric]) for trial in better]
    marks = (
        Line(
            name="best so far",
            colour=figure.VERMILION,
            width=3,
            steps=True,
            # The last height holds to the end.
            x=(*(times[trial.number] / seconds for trial in better), width),
            y=(*heights, heights[-1]),
        ),
        *parts.reference_lines(record, metric=metric, width=width),
        *parts.trial_marks(
            [step.trial for step in steps if metric in step.trial.last],
            record.best(),
            x=lambda trial: times[trial.number] / seconds,
            y=lambda trial: parts.scaled(metric, trial.last[metric]),
        ),
    )
    return figure.plot(
        *_COST,
        f"Time is that of all trials added up: {duration(spent)} for the {len(steps)} that ended.",
        x=Axis(f"{unit} of all trials"),
        y=Axis(parts.axis_title(metric)),
        marks=marks,
    )


def curves(record: Record, ranking: Sequence[Outcome]) -> Chart:
    """The objective over the epochs of each trial."""
    metric = record.objectives[0].metric
    best, baseline = record.best(), record.baseline()
    scored = [trial for trial in ranking if metric in trial.last]
    if not scored:
        return figure.nothing(*_CURVES, _NO_SCORE)
    drawn = scored[:_DRAWN]
    # By its number: people see a trial that nobody drives as interrupted.
    if baseline and metric in baseline.last and baseline.number not in {t.number for t in drawn}:
        drawn.append(baseline)
    styles: dict[int, Style] = {}
    if baseline:
        styles[baseline.number] = ("baseline", figure.BLUE, "dash", 3)
    if best:
        name = "best" if record.searched else ""
        styles[best.number] = (name, figure.VERMILION, "solid", 3)
    # The best trial and the baseline are drawn over the others.
    drawn.sort(key=lambda trial: trial.number in styles)
    other: Style = ("", figure.PALE, "solid", 1)
    lines = [curve(record, trial, metric, styles.get(trial.number, other)) for trial in drawn]
    longest = max(x for line in lines for x in line.x)
    # A line through one point shows nothing.
    once = [line for line in lines if len(line.x) == 1]
    dots = Points(
        name="scored once",
        x=tuple(line.x[0] for line in once),
        y=tuple(line.y[0] for line in once),
        colour=figure.GREY,
        hover=tuple(line.hover[0] for line in once),
    )
    rest = len(scored) - len(drawn)
    several = f"{len(drawn)} trials; thin lines that end early were stopped or are not finished."
    alone = "1 trial." if record.searched else "After each epoch that was scored."
    return figure.plot(
        *_CURVES,
        (alone if len(drawn) == 1 else several)
        + (f" {rest} weaker trials are left out." if rest else ""),
        x=Axis("epoch"),
        y=Axis(parts.axis_title(metric)),
        marks=(
            *lines,
            *([dots] if once else []),
            *parts.pixel_line(record, metric=metric, width=longest),
        ),
    )


def curve(record: Record, trial: Outcome, metric: str, style: Style) -> Line:
    """A metric of one trial over its scored epochs."""
    name, colour, dash, width = style
    entries = [entry for entry in record.epochs(trial.number) if metric in entry]
    return Line(
        name=name,
        colour=colour,
        dash=dash,
        width=width,
        x=tuple(entry["epoch"] for entry in entries),
        y=tuple(parts.scaled(metric, entry[metric]) for entry in entries),
        hover=(f"trial {trial.number} ({trial.state})",) * len(entries),
    )


def pareto(record: Record, ranking: Sequence[Outcome]) -> Chart:
    """Accuracy on the few-shot classes over that on the many-shot ones."""
    for prefix in _SHOT_GROUPS:
        many, few = f"{prefix}many", f"{prefix}few"
        scored = [trial for trial in ranking if many in trial.last and few in trial.last]
        if scored:
            return _front(record, scored, prefix)
    return figure.nothing(*_PARETO, "no trial has scores of many- and of few-shot classes")


def _front(record: Record, scored: Sequence[Outcome], prefix: str) -> Chart:
    many, few = f"{prefix}many", f"{prefix}few"
    complete = [trial for trial in scored if trial.state == "complete"]
    front = front_of([(100 * trial.last[many], 100 * trial.last[few]) for trial in complete])
    line = Line(
        name="not beaten in both",
        colour=figure.BLACK,
        dash="dot",
        x=tuple(x for x, _ in front),
        y=tuple(y for _, y in front),
    )
    marks = parts.trial_marks(
        scored,
        record.best(),
        x=lambda trial: 100 * trial.last[many],
        y=lambda trial: 100 * trial.last[few],
    )
    are = "is" if len(front) == 1 else "are"
    unbeaten = (
        f"Of {len(complete)} finished trials {len(front)} {are} on the front: no other is as good "
        f"in both groups and better in one."
        if complete
        else "No trial has finished yet."
    )
    return figure.plot(
        *_PARETO,
        f"The groups are {_SHOT_GROUPS[prefix]}; validation images. {unbeaten}",
        x=Axis("many-shot accuracy (%)"),
        y=Axis("few-shot accuracy (%)"),
        marks=(*([line] if len(front) > 1 else []), *marks),
    )


def front_of(pairs: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Those pairs that no other reaches in one number and beats in the other, left to right."""
    front: list[tuple[float, float]] = []
    for first, second in sorted(set(pairs), reverse=True):
        if not front or second > front[-1][1]:
            front.append((first, second))
    return tuple(reversed(front))
