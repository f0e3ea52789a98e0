"""A study on one page: a single HTML file that needs no network, the verdict first."""

from __future__ import annotations

import itertools
import math
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from raylt import escape, metrics, scratch
from raylt.schema import EnvironmentError
from raylt.space.file import document
from raylt.study.cost import budget, executions, tables
from raylt.study.record import revise, text
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.record.text import SHOWN, duration, percent, score, short
from raylt.study.report import charts, findings, status
from raylt.study.report.best import retrain
from raylt.study.report.charts import classes
from raylt.study.report.charts.figure import Chart, Parallel
from raylt.study.report.charts.html import drawing, script
from raylt.study.report.page_tables import facts, filled, table
from raylt.study.verdict import ablation, answer, class_changes, confirmation
from raylt.study.verdict.significance import P_VALUE
from raylt.study.warm_start import origins

_AXIS = 95
"""Pixels that an axis of parallel coordinates needs."""
_RANKED = 100
"""Trials in the ranking."""
_MARKED = (
    "The best trial and the baseline are marked; a trial that was stopped early is ranked by how "
    "far it came. A click on a head sorts."
)
"""What is said of the ranking."""
_RESULTS = ("versus", "cost", "paid", "classes", "pareto", "curves")
"""Charts of the results, the most telling first; that of a rival is there only with one."""
_OF_ONE = ("classes", "curves")
"""Those of one training."""


def write(record: Record, path: Path) -> Path:
    """Write the report of a study to a file, which appears when it is whole.

    Raises:
        EnvironmentError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch.draft(path) as draft:
            draft.write_text(page(record, charts.of_study(record)), "utf-8")
    except OSError as error:
        raise EnvironmentError(
            f"the report must be writable, but {path} is not: {error.strerror}; choose another "
            f"file with --output"
        ) from error
    return path


def page(record: Record, drawn: Sequence[Chart]) -> str:
    """The report as HTML, with plotly.js in it."""
    from plotly.offline import get_plotlyjs

    # The script looks for the place of every drawing.
    shown = [c for c in drawn if record.searched or c.key in (*_OF_ONE, "data")]
    by_key = {chart.key: chart for chart in shown}
    body = "\n".join(
        (
            _head(record),
            _verdict(record),
            _numbers(record),
            "<h2>Results</h2>",
            *(_figure(by_key[key]) for key in _RESULTS if key in by_key),
            _confirmation(record),
            _ablation(record, by_key),
            *(_search(by_key) if record.searched else ()),
            _ranking(record),
            _costs(record),
            "<h2>Data</h2>",
            _figure(by_key["data"]),
            _data(record),
            _repeat(record),
        )
    )
    drawings = {chart.key: drawing(chart) for chart in shown if chart.body is not None}
    template = resources.files("raylt.study.report").joinpath("page.html").read_text("utf-8")
    return Template(template).substitute(
        name=escape.html(record.name),
        body=body,
        plotly=get_plotlyjs(),
        drawings=script(drawings),
    )


def _head(record: Record) -> str:
    fixed: Mapping[str, Any] = record.space.fixed
    leaves = f"{len(record.space.leaves)} open leaves" if record.searched else "one training"
    return (
        f"<h1>{_text(record.name)}</h1>\n<p class='quiet'>{_text(fixed['method']['name'])} on "
        f"{_text(fixed['data']['name'])}, {leaves}, "
        f"begun {_text(record.facts['created'][:10])}</p>"
    )


def _verdict(record: Record) -> str:
    unfinished = map(text.as_sentence, status.question_lines(status.questions(record)))
    sentences = [*findings.sentences(record), *unfinished]
    paragraphs = "\n".join(f"<p>{_text(sentence)}</p>" for sentence in sentences)
    # Commands stand between backticks.
    marked = re.sub("`([^`]+)`", r"<code>\1</code>", paragraphs)
    return f"<div class='verdict'>\n{marked}\n</div>"


def _numbers(record: Record) -> str:
    trials = record.outcomes()
    counts = {
        "trials ended": f"{sum(trial.over for trial in trials)} of {record.wanted}",
        "stopped early": str(sum(trial.state == "stopped" for trial in trials)),
    }
    whole = "time of all trials" if record.searched else "time of the training"
    numbers = {
        **_scores(record),
        **(counts if record.searched else {}),
        whole: duration(sum(trial.seconds for trial in trials)),
        **{
            f"{account.name}, used of the budget": (
                f"{duration(3600 * account.used)} of {duration(3600 * account.limit)}"
            )
            for account in budget.accounts(record)
        },
    }
    cells = "".join(
        f"<div><b>{_text(number)}</b><span>{_text(label)}</span></div>"
        for label, number in numbers.items()
        if number != "-"
    )
    return f"<div class='numbers'>{cells}</div>"


def _scores(record: Record) -> dict[str, str]:
    """The best trial and the baseline over fresh seeds, or in the search before there are any."""
    if (known := confirmation.stored(record)) is not None:
        metric = known["metric"]
        name, seen = metric.removeprefix("test/"), "test, mean of fresh seeds"
        runs = max(known["candidates"], key=_standing)["runs"]
        return {
            f"{name} of trial {runs['trial']}\n{seen}": _mean(runs, metric),
            f"{name} of the baseline\n{seen}": _mean(known["baseline"], metric),
            f"few-shot of trial {runs['trial']}\n{seen}": _mean(runs, "test/few"),
        }
    best, baseline = record.best(), record.baseline()
    if baseline is not None and baseline.state != "complete":
        baseline = None  # Its score is that of an early epoch.
    metric = record.objectives[0].metric
    name = metric.removeprefix("val/")
    seen = "validation, one seed" if name != metric else "one seed"
    few = _score("val/few", best)
    if not record.searched:
        of_few = {} if metric == "val/few" else {"few\nvalidation, one seed": few}
        return {f"{name}\n{seen}": _score(metric, best), **of_few}
    return {
        f"best {name}\n{seen}": _score(metric, best),
        f"baseline {name}\n{seen}": _score(metric, baseline),
        "few-shot of the best\nvalidation, one seed": few,
    }


def _standing(candidate: Mapping[str, Any]) -> tuple[bool, float]:
    """What the best candidate has most of; one that left the race has no mean."""
    verdict = candidate["verdict"]
    mean = -math.inf if verdict["mean"] is None else verdict["mean"]
    return verdict["word"] == "better", mean


def _mean(runs: Mapping[str, Any], metric: str) -> str:
    """The mean of a test metric over the seeds of a setting."""
    values = [scores[metric] for scores in runs["test"].values() if metric in scores]
    return percent(statistics.fmean(values)) if values else "-"


def _figure(chart: Chart) -> str:
    place = f"<div id='chart-{chart.key}'></div>" if chart.body is not None else ""
    if isinstance(chart.body, Parallel):
        # Axes that come too close to each other are scrolled instead.
        width = _AXIS * len(chart.body.dimensions)
        place = f"<div class='scroll'><div style='min-width: {width}px'>{place}</div></div>"
    return (
        f"<figure><h3>{_text(chart.title)}</h3><figcaption>{_text(chart.caption)}</figcaption>"
        f"{place}</figure>"
    )


def _confirmation(record: Record) -> str:
    """The candidates against the baseline on the test images, over fresh seeds."""
    stored = confirmation.stored(record)
    if stored is None:
        return ""
    verdicts = table(confirmation.HEADS, confirmation.rows(stored))
    pool = f", {confirmation.POOL}" if stored["retrain"] == "pool" else ""
    basis = " ".join(map(text.as_sentence, (P_VALUE, class_changes.BASIS)))
    return (
        f"<h2>Confirmation</h2>\n<p class='quiet'>{_text(stored['metric'])}, each candidate "
        f"against the baseline with the same seeds{pool}. {_text(basis)}</p>\n{verdicts}"
    )


def _ablation(record: Record, charts: Mapping[str, Chart]) -> str:
    """What each change from the baseline to the winner brings."""
    parts: list[str] = []
    for stored, suffix in ablation.with_charts(record):
        where = "test" if ablation.is_tested(stored) else "validation"
        metric, trial = stored["metric"], stored["trial"]
        changes = "; ".join(stored["changes"].values())
        heads = ("change", "points", "interval", "p", "verdict")
        rows: list[list[str]] = []
        for how, effects in itertools.groupby(ablation.rows(stored), lambda row: row[1]):
            rows += [[how]] if how else []
            rows += [[name, *numbers] for name, _, *numbers in effects]
        parts += [
            f"<h2>Ablation of trial {trial} on the {where} images</h2>\n"
            f"<p>{_text(stored['sentence'])}</p>",
            f"<p class='quiet'>{_text(changes)}. {_text(metric)} over {len(stored['seeds'])} "
            f"seeds. {_text(ablation.COLUMNS)}</p>",
            _figure(charts[f"ablation{suffix}"]),
            table(heads, rows),
        ]
        if stored["path"]:
            heads = ("step", f"{metric} (%)", "gain", "interval")
            parts += [_figure(charts[f"path{suffix}"]), table(heads, ablation.steps(stored))]
            parts += [f"<p>{_text(line)}</p>" for line in ablation.left_on_path(stored)]
    return "\n".join(parts)


def _search(charts: Mapping[str, Chart]) -> Iterator[str]:
    """What was tried, before the ranking."""
    yield "<h2>The search</h2>"
    yield from (_figure(charts[key]) for key in ("parallel", "importance", "response"))


def _ranking(record: Record) -> str:
    paths = [leaf.path for leaf in record.space.leaves]
    shown = list(dict.fromkeys([record.objectives[0].metric, *SHOWN, "val/knn"]))
    best = record.best()
    begun = [trial for trial in record.ranking() if trial.state != "waiting"]
    trials = begun[:_RANKED]
    names = [metric.removeprefix("val/") for metric in shown]
    heads = ["trial", "state", "epochs", *short(paths), *names]
    rows = [
        [
            str(trial.number),
            trial.state,
            str(trial.epoch),
            *(text.at(trial.point, path) for path in paths),
            *(_score(metric, trial) for metric in shown),
            (duration(trial.seconds), trial.seconds),
            text.hours(trial.cpu_seconds / 3600 or None),
            text.hours(trial.gpu_seconds / 3600 or None),
            trial.failure,
        ]
        for trial in trials
    ]
    kinds = ["best" if best and trial.number == best.number else trial.role for trial in trials]
    kinds = kinds if record.searched else []
    heads += ["time", "CPU-hours", "GPU-hours", "failure"]
    ranked = table(*filled(heads, rows), kinds=kinds, sortable=record.searched)
    rest = len(begun) - len(trials)
    more = f"<p class='quiet'>... and {rest} more trials.</p>" if rest else ""
    title = "Ranking" if record.searched else "Scores"
    words = "Accuracies in per cent on the validation images after the last epoch."
    marked = f" {_MARKED}" if record.searched else ""
    head = f"<h2>{title}</h2>\n<p class='quiet'>{words}{marked}</p>\n"
    return f"{head}{_origins(record)}{ranked}{more}"


def _origins(record: Record) -> str:
    """Which trials come from earlier studies, and what each was there."""
    entries = origins.origins(record)
    sentences = "".join(f"<p>{_text(line)}</p>" for line in origins.sentences(record))
    if not entries:
        return sentences
    rows = [
        [
            str(number),
            origins.named(entry["source"], entry["trial"]),
            score(entry["metric"], entry["score"]),
            text.assignments(entry["setting"]),
            entry["fingerprint"] or "-",
        ]
        for number, entry in entries.items()
    ]
    heads = ["trial", "comes from", "reached there", "setting there", "fingerprint of its data"]
    return f"{sentences}\n{table(heads, rows)}\n"


def _costs(record: Record) -> str:
    fresh = [run for _, runs in answer.seed_runs(record) for run in runs.outcomes()]
    sentences = "".join(f"<p>{_text(line)}</p>" for line in tables.sentences(record, fresh))
    # The scores of one training say its state and its time.
    states = [tables.states(record.ranking())] if record.searched else []
    shown = [tables.hours(record), *states]
    if steps := executions.rows(record):
        shown.append((["machine", "a step of", "computed in"], steps))
    return f"<h2>Costs</h2>\n{sentences}\n" + "\n".join(table(*filled(*known)) for known in shown)


def _data(record: Record) -> str:
    counts = classes.train_counts(record)
    floor: Mapping[str, float] = record.facts["floor"]
    evaluation: Mapping[str, Any] = record.space.fixed.get("evaluation", {})
    rows = {"fingerprint": record.facts["fingerprint"]}
    if counts is not None:
        named = zip(text.class_names(record.facts, len(counts)), counts, strict=True)
        rows["images by class"] = ", ".join(f"{name}: {count}" for name, count in named)
        for name, members in metrics.groups(counts, by="thresholds").items():
            images = sum(counts[k] for k in members)
            rows[f"{name}-shot"] = f"{classes.counted(len(members))}, {images} images"
    data: Mapping[str, Any] = record.facts.get("data", {})
    if data.get("broken"):
        such = data["broken_names"][0]
        rows["images that cannot be read"] = f"{data['broken']} left out, such as {such}"
    if data.get("copies"):
        rows["images in several parts"] = data["copies"]
    rows["labels of the probe"] = str(evaluation.get("labels", "balanced"))
    for key, value in floor.items():
        classifier = key.removeprefix("floor/").replace("/", ", ")
        rows[f"floor of raw pixels, {classifier}"] = percent(value)
    return facts(rows)


def _repeat(record: Record) -> str:
    best = record.best()
    command = record.facts.get("command", "")
    parts = ["<h2>Repeat it</h2>"]
    if command:
        parts.append(f"<p>Begun with</p><pre class='command'>{_text(command)}</pre>")
    for number, revision in enumerate(revise.revisions(record), start=2):
        parts.append(f"<p>Revision {number} of the space, {_text(revision['when'])}</p>")
        if again := revision.get("command"):
            parts.append(f"<pre class='command'>{_text(again)}</pre>")
        changes = "\n".join(revision["changes"])
        parts.append(f"<pre>{_text(changes)}</pre>")
    if best is not None:
        again = _text(retrain(record, best))
        recipe = _text(document.dump(best.recipe))
        setting = "the best setting" if record.searched else "it"
        parts.append(f"<p>Train {setting} again</p><pre class='command'>{again}</pre>")
        parts.append(f"<p>Its recipe, every choice</p><pre>{recipe}</pre>")
    parts.append(f"<p>The space, as space.yaml</p><pre>{_text(revise.current_text(record))}</pre>")
    versions = {"raylt": record.facts["raylt"], "study": record.facts["id"]}
    versions |= {k: v for k, v in record.facts.get("versions", {}).items() if k != "version.raylt"}
    return "\n".join([*parts, facts(versions)])


def _score(metric: str, trial: Outcome | None) -> str:
    return score(metric, trial.last.get(metric) if trial else None)


def _text(value: str) -> str:
    return escape.html(value)
