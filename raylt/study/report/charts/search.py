"""Charts of a study: what was tried, what it brought, what it cost."""

from __future__ import annotations

from collections.abc import Sequence

from raylt.study.record.outcome import Outcome, improvements
from raylt.study.record.record import Record
from raylt.study.record.text import duration, short
from raylt.study.report.charts import figure, importance, parallel, parts
from raylt.study.report.charts.figure import Axis, Chart, Line, Panel

_CURVES = 60
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
    key, title = "response", "How the result answers to each leaf"
    metric = record.objectives[0].metric
    scored = [one for one in ranking if metric in one.last]
    leaves = record.space.leaves
    if not leaves:
        return figure.nothing(key, title, "no leaf is open")
    if not scored:
        return figure.nothing(key, title, _NO_SCORE)
    panels = tuple(
        Panel(
            title="",
            x=Axis(name, log=leaf.log, ticks=parts.choices(leaf)),
            y=Axis(parts.title(metric)),
            marks=parts.trials(
                [one for one in scored if leaf.path in one.point],
                record.best(),
                x=lambda one, leaf=leaf: parts.place(leaf, one.point[leaf.path]),
                y=lambda one: parts.shown(metric, one.last[metric]),
            ),
        )
        for leaf, name in zip(leaves, short([leaf.path for leaf in leaves]), strict=True)
    )
    return Chart(
        key=key,
        title=title,
        caption="Each mark is a trial; the other leaves differ too, so look for the edge of the "
        "cloud. Hollow marks were stopped early and stand where their last epoch left them.",
        body=panels,
    )


def cost(record: Record, ranking: Sequence[Outcome]) -> Chart:
    """The best result so far over the time that all trials took."""
    key, title = "cost", "What the search cost and what it brought"
    metric = record.objectives[0].metric
    ended = sorted((one for one in ranking if one.ended), key=lambda one: one.ended)
    times: dict[int, float] = {}
    spent = 0.0
    for one in ended:
        spent += one.seconds
        times[one.number] = spent
    line = list(improvements(record.outcomes(), record.space.study).items())
    if not line:
        return figure.nothing(key, title, "no trial has finished yet")
    clock = parts.clock(spent)
    width = spent / clock.seconds
    # The last height holds to the end.
    steps = [
        *((times[number] / clock.seconds, value) for number, value in line),
        (width, line[-1][1]),
    ]
    marks = (
        Line(
            name="best so far",
            colour=figure.VERMILION,
            width=3,
            steps=True,
            x=tuple(x for x, _ in steps),
            y=tuple(parts.shown(metric, y) for _, y in steps),
        ),
        *parts.baseline(record, metric=metric, width=width),
        *parts.floor(record, metric=metric, width=width),
        *parts.trials(
            [one for one in ended if metric in one.last],
            record.best(),
            x=lambda one: times[one.number] / clock.seconds,
            y=lambda one: parts.shown(metric, one.last[metric]),
        ),
    )
    whole = duration(spent)
    return Chart(
        key=key,
        title=title,
        caption=f"Time is that of all trials added up: {whole} for the {len(ended)} that ended.",
        body=(
            Panel(
                title="",
                x=Axis(f"{clock.word} of all trials"),
                y=Axis(parts.title(metric)),
                marks=marks,
            ),
        ),
    )


def curves(record: Record, ranking: Sequence[Outcome]) -> Chart:
    """The objective over the epochs of each trial."""
    key, title = "curves", "Learning curves"
    metric = record.objectives[0].metric
    best, baseline = record.best(), record.baseline()
    scored = [one for one in ranking if metric in one.last]
    if not scored:
        return figure.nothing(key, title, _NO_SCORE)
    drawn = scored[:_CURVES]
    if baseline and metric in baseline.last and baseline not in drawn:
        drawn.append(baseline)
    looks: dict[int, tuple[str, str, figure.Dash, float]] = {}
    if baseline:
        looks[baseline.number] = ("baseline", figure.BLUE, "dash", 3)
    if best:
        looks[best.number] = ("best", figure.VERMILION, "solid", 3)
    # The two that matter are drawn over the others.
    drawn.sort(key=lambda one: one.number in looks)
    lines = [
        curve(record, one, metric, looks.get(one.number, ("", figure.PALE, "solid", 1)))
        for one in drawn
    ]
    longest = max(x for line in lines for x in line.x)
    floor = parts.floor(record, metric=metric, width=longest)
    rest = len(scored) - len(drawn)
    return Chart(
        key=key,
        title=title,
        caption=f"{len(drawn)} trials; thin lines that end early were stopped."
        + (f" {rest} weaker trials are left out." if rest else ""),
        body=(
            Panel(title="", x=Axis("epoch"), y=Axis(parts.title(metric)), marks=(*lines, *floor)),
        ),
    )


def curve(
    record: Record, one: Outcome, metric: str, look: tuple[str, str, figure.Dash, float]
) -> Line:
    """A metric of one trial over its scored epochs; `look` is name, colour, dash and width."""
    name, colour, dash, width = look
    entries = [entry for entry in record.epochs(one.number) if metric in entry]
    return Line(
        name=name,
        colour=colour,
        dash=dash,
        width=width,
        x=tuple(entry["epoch"] for entry in entries),
        y=tuple(parts.shown(metric, entry[metric]) for entry in entries),
        told=tuple(f"trial {one.number} ({one.state})" for _ in entries),
    )


def pareto(record: Record, ranking: Sequence[Outcome]) -> Chart:
    """Accuracy on the few-shot classes over that on the many-shot ones."""
    key, title = "pareto", "Many against few"
    cut = next(
        (
            cut
            for cut in ("val/", "val/thirds/")
            if any(f"{cut}many" in one.last and f"{cut}few" in one.last for one in ranking)
        ),
        None,
    )
    if cut is None:
        return figure.nothing(key, title, "no trial has scores of many- and of few-shot classes")
    many, few = f"{cut}many", f"{cut}few"
    scored = [one for one in ranking if many in one.last and few in one.last]
    complete = [one for one in scored if one.state == "complete"]
    front = front_of([(one.last[many], one.last[few]) for one in complete])
    line = Line(
        name="nobody is better in both",
        colour=figure.BLACK,
        dash="dot",
        x=tuple(100 * x for x, _ in front),
        y=tuple(100 * y for _, y in front),
    )
    marks = parts.trials(
        scored,
        record.best(),
        x=lambda one: 100 * one.last[many],
        y=lambda one: 100 * one.last[few],
    )
    groups = "thirds of the classes" if cut != "val/" else "more than 100 and fewer than 20 images"
    return Chart(
        key=key,
        title=title,
        caption=f"The groups are {groups}; validation images. {len(front)} of {len(complete)} "
        f"finished trials are not beaten in both at once.",
        body=(
            Panel(
                title="",
                x=Axis("many-shot accuracy (%)"),
                y=Axis("few-shot accuracy (%)"),
                marks=(*([line] if len(front) > 1 else []), *marks),
            ),
        ),
    )


def front_of(pairs: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Those pairs that no other reaches in one number and beats in the other, left to right."""
    found: list[tuple[float, float]] = []
    for first, second in sorted(set(pairs), reverse=True):
        if not found or second > found[-1][1]:
            found.append((first, second))
    return tuple(reversed(found))
