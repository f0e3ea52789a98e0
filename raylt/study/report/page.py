"""A study on one page: a single HTML file that needs no network, the verdict first."""

from __future__ import annotations

import html
import io
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from ruamel.yaml import YAML

from raylt import metrics
from raylt.schema import EnvironmentError
from raylt.study.cost import budget
from raylt.study.cost import tables as bill
from raylt.study.record import text
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.record.text import SHOWN, duration, percent, plain, score, short
from raylt.study.report import best, charts
from raylt.study.report.charts import classes
from raylt.study.report.charts import html as interactive
from raylt.study.report.charts.figure import Chart
from raylt.study.verdict import confirmation

_LINES = 100
"""Trials in the ranking."""
_RESULTS = ("versus", "cost", "paid", "classes", "pareto", "curves")
"""Charts of the results, the most telling first; that of a rival is there only with one."""


def write(record: Record, path: Path) -> Path:
    """Write the report of a study to a file, which appears when it is whole.

    Raises:
        EnvironmentError: the file cannot be written.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(page(record, charts.of_study(record)), "utf-8")
        draft.replace(path)
    except OSError as error:
        raise EnvironmentError(
            f"the report must be writable, but {path} is not: {error.strerror}; choose another "
            f"file with --output"
        ) from error
    return path


def page(record: Record, drawn: Sequence[Chart]) -> str:
    """The report as HTML; plotly.js stands in it once.

    Args:
        record: The study.
        drawn: Its charts.
    """
    from plotly.offline import get_plotlyjs

    found = {chart.key: chart for chart in drawn}
    body = "\n".join(
        (
            _head(record),
            _verdict(record),
            _numbers(record),
            "<h2>Results</h2>",
            *(_figure(found[key]) for key in _RESULTS if key in found),
            _confirmation(record),
            "<h2>The search</h2>",
            *(_figure(found[key]) for key in ("parallel", "importance", "response")),
            _ranking(record),
            _costs(record),
            "<h2>Data</h2>",
            _figure(found["data"]),
            _data(record),
            _repeat(record),
        )
    )
    drawings = {
        key: interactive.drawing(chart) for key, chart in found.items() if chart.body is not None
    }
    template = resources.files("raylt.study.report").joinpath("page.html").read_text("utf-8")
    return Template(template).substitute(
        name=html.escape(record.name),
        body=body,
        plotly=get_plotlyjs(),
        drawings=interactive.script(drawings),
    )


def verdict(record: Record) -> list[str]:
    """What the study found, in sentences, the most important one first."""
    best, baseline = record.best(), record.baseline()
    metric = record.objectives[0].metric
    if best is None:
        return [
            "No trial has finished and kept the constraints yet.",
            f"Go on with: raylt resume {record.name}",
        ]
    told = ", ".join(text.scores(best.last))
    held_out = any(name.startswith("val/") for name in best.last)
    where = "on the validation images" if held_out else "in training, for nothing is held out"
    lines = [f"Trial {best.number} is the best: {told} {where}."]
    if baseline is None:
        lines.append("The study names no baseline to compare with.")
    elif baseline.number == best.number:
        lines.append("That is the baseline itself: the search found nothing better.")
    elif metric in baseline.last:
        source = record.space.study.baseline
        gap = text.lead(metric, best.last[metric] - baseline.last[metric])
        lines.append(
            f"The baseline, {source.source if source else 'the setting as given'}, reaches "
            f"{', '.join(text.scores(baseline.last))}: a difference of {gap}, one seed each."
        )
    else:
        lines.append("The baseline has no score to compare with.")
    if confirmation.stored(record) is None:
        lines.append(
            f"Nothing is confirmed yet: the best of {len(record.outcomes())} trials is best in "
            f"part by luck. `raylt confirm {record.name}` trains it and the baseline again over "
            f"several seeds."
        )
        return [*lines, confirmation.brief(record)[0]]
    opened, *confirmations = confirmation.brief(record)
    # What holds over fresh seeds says more than the search that chose among its own.
    return [*(f"{line}." for line in confirmations), opened, *lines]


def _head(record: Record) -> str:
    fixed: Mapping[str, Any] = record.space.fixed
    when = record.facts["created"][:10]
    return (
        f"<h1>{_text(record.name)}</h1>\n<p class='quiet'>{_text(fixed['method']['name'])} on "
        f"{_text(fixed['data']['name'])}, {len(record.space.leaves)} open leaves, "
        f"begun {_text(when)}</p>"
    )


def _verdict(record: Record) -> str:
    lines = "\n".join(f"<p>{_sentence(line)}</p>" for line in verdict(record))
    return f"<div class='verdict'>\n{lines}\n</div>"


def _numbers(record: Record) -> str:
    best, baseline = record.best(), record.baseline()
    outcomes = record.outcomes()
    metric = record.objectives[0].metric
    name = metric.removeprefix("val/")
    found = {
        f"best {name}": _metric(metric, best),
        f"baseline {name}": _metric(metric, baseline),
        "best few-shot": _metric("val/few", best),
        "trials": str(len(outcomes)),
        "stopped early": str(sum(one.state == "stopped" for one in outcomes)),
        "time of all trials": duration(sum(one.seconds for one in outcomes)),
        "budget": budget.sentence(record).removeprefix("budget ") or "-",
    }
    cells = "".join(
        f"<div><b>{_text(value)}</b><span>{_text(word)}</span></div>"
        for word, value in found.items()
        if value != "-"
    )
    return f"<div class='numbers'>{cells}</div>"


def _figure(chart: Chart) -> str:
    place = f"<div id='chart-{chart.key}'></div>" if chart.body is not None else ""
    return (
        f"<figure><h3>{_text(chart.title)}</h3><figcaption>{_text(chart.caption)}</figcaption>"
        f"{place}</figure>"
    )


def _confirmation(record: Record) -> str:
    """The candidates against the baseline on the test images, over fresh seeds."""
    found = confirmation.stored(record)
    if found is None:
        return ""
    heads = [
        "trial",
        "verdict",
        "points",
        "interval",
        "p",
        "seeds",
        "lead in the search",
        "lead over fresh seeds",
        "who paid",
    ]
    rows: list[tuple[str, list[str]]] = []
    for each in found["candidates"]:
        seen, paid = each["verdict"], each["paid"]
        ends = f"{_signed(seen['low'])} to {_signed(seen['high'])}"
        rows.append(
            (
                "",
                [
                    str(each["runs"]["trial"]),
                    seen["word"],
                    _signed(seen["mean"]),
                    ends if seen["low"] is not None else "-",
                    f"{seen['p_holm']:.3f}",
                    str(seen["seeds"]),
                    _signed(each["promised"]),
                    _signed(each["kept"]),
                    paid["sentence"] if paid else "-",
                ],
            )
        )
    pool = f", {confirmation.POOL}" if found["retrain"] == "pool" else ""
    return (
        f"<h2>Confirmation</h2>\n<p class='quiet'>{_text(found['metric'])}, each candidate "
        f"against the baseline with the same seeds{pool}; p after Holm's correction.</p>\n"
        f"{_table(heads, rows)}"
    )


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:+.1f}"


def _ranking(record: Record) -> str:
    paths = [leaf.path for leaf in record.space.leaves]
    first = record.objectives[0].metric
    shown = list(dict.fromkeys([first, *SHOWN, "val/knn"]))
    best = record.best()
    ranking = [one for one in record.ranking() if one.state != "waiting"]
    heads = [
        "trial",
        "state",
        "epochs",
        *short(paths),
        *(metric.removeprefix("val/") for metric in shown),
        "time",
        "CPU-hours",
        "GPU-hours",
        "failure",
    ]
    rows = [
        (
            "best" if best and one.number == best.number else one.role,
            [
                str(one.number),
                one.state,
                str(one.epoch),
                *(plain(one.point[path]) if path in one.point else "-" for path in paths),
                *(_metric(metric, one) for metric in shown),
                duration(one.seconds),
                text.hours(one.cpu_seconds / 3600),
                text.hours(one.gpu_seconds / 3600),
                one.failure,
            ],
        )
        for one in ranking[:_LINES]
    ]
    rest = len(ranking) - len(rows)
    more = f"<p class='quiet'>... and {rest} more trials.</p>" if rest else ""
    return (
        "<h2>Ranking</h2>\n<p class='quiet'>Accuracies in per cent on the validation images after "
        "the last epoch. The best trial and the baseline are marked; a trial that was stopped "
        "early is ranked by how far it came.</p>\n" + _table(heads, rows) + more
    )


def _costs(record: Record) -> str:
    told = "".join(f"<p>{_text(line)}</p>" for line in bill.text(record))
    tables = "\n".join(
        _table(heads, [("", row) for row in rows])
        for heads, rows in (bill.hours(record), bill.states(record.outcomes()))
    )
    return f"<h2>Costs</h2>\n{told}\n{tables}"


def _data(record: Record) -> str:
    counts = classes.train_counts(record)
    floor: Mapping[str, float] = record.facts["floor"]
    evaluation: Mapping[str, Any] = record.space.fixed.get("evaluation", {})
    rows = [["fingerprint", record.facts["fingerprint"]]]
    if counts is not None:
        groups = metrics.groups(counts, by="thresholds")
        rows.append(["images by class", ", ".join(map(str, counts))])
        rows += [
            [
                f"{name}-shot",
                f"{classes.in_words(len(members))}, {sum(counts[k] for k in members)} images",
            ]
            for name, members in groups.items()
        ]
    rows.append(["labels of the probe", str(evaluation.get("labels", "balanced"))])
    rows += [
        [f"floor of raw pixels, {key.removeprefix('floor/').replace('/', ', ')}", percent(value)]
        for key, value in floor.items()
    ]
    return _table(["", ""], [("", row) for row in rows], words=True)


def _repeat(record: Record) -> str:
    best = record.best()
    versions: Mapping[str, str] = record.facts.get("versions", {})
    command = record.facts.get("command", "")
    parts = ["<h2>Repeat it</h2>"]
    if command:
        parts.append(f"<p>Begun with</p><pre class='command'>{_text(command)}</pre>")
    if best is not None:
        again = _text(retrain(record))
        parts.append(f"<p>Train the best setting again</p><pre class='command'>{again}</pre>")
        parts.append(f"<p>Its recipe, every choice</p><pre>{_text(yaml(best.recipe))}</pre>")
    parts.append(f"<p>The space, as space.yaml</p><pre>{_text(record.space.text)}</pre>")
    rows = [["raylt", record.facts["raylt"]], ["study", record.facts["id"]]]
    rows += [[key, value] for key, value in versions.items() if key != "version.raylt"]
    parts.append(_table(["", ""], [("", row) for row in rows], words=True))
    return "\n".join(parts)


def retrain(record: Record) -> str:
    """The command that trains the best setting again, from the space file of this study."""
    return best.best(record)["retrain"]


def yaml(values: Mapping[str, Any]) -> str:
    """Plain values as YAML."""
    writer = YAML()
    writer.default_flow_style = False
    found = io.StringIO()
    writer.dump(json.loads(json.dumps(values)), found)
    return found.getvalue()


def _metric(name: str, one: Outcome | None) -> str:
    return score(name, one.last.get(name) if one else None)


def _table(
    heads: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]], *, words: bool = False
) -> str:
    # On paper a long name is broken rather than the table cut off.
    names = [_text(cell).replace("_", "_<wbr>") for cell in heads]
    head = "".join(f"<th>{name}</th>" for name in names) if any(heads) else ""
    lines = "\n".join(
        f"<tr class='{kind}'>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>"
        for kind, row in rows
    )
    kind = " class='words'" if words else ""
    return f"<div class='wide'><table{kind}><tr>{head}</tr>\n{lines}</table></div>"


def _sentence(value: str) -> str:
    """A text with its commands, which stand between backticks, set as such."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", _text(value))


def _text(value: str) -> str:
    return html.escape(value)
