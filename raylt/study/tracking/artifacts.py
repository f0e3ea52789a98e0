"""The files that stand beside the numbers in MLflow: charts, tables, the report."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from raylt.study.record.record import Record
from raylt.study.report import charts
from raylt.study.report.charts import png
from raylt.study.report.charts.figure import Chart
from raylt.trial.evaluation import classes

_log = logging.getLogger("raylt")

Files = dict[str, bytes]
"""Content by its path in the run's artifacts."""


def of_trial(record: Record, number: int, *, drawn: bool) -> Files:
    """The table of a trial's classes; where it is `drawn`, its learning curves, confusions and
    accuracy by class too."""
    return _drawn(lambda: _of_trial(record, number, drawn=drawn))


def of_study(record: Record) -> Files:
    """The report, and its charts as pictures."""
    return _drawn(lambda: _of_study(record))


def _of_trial(record: Record, number: int, *, drawn: bool) -> Files:
    found = _pictures(charts.of_trial(record, number)) if drawn else {}
    table = record.trial_folder(number) / classes.FILE
    if table.is_file():
        found[classes.FILE] = table.read_bytes()
    return found


def _of_study(record: Record) -> Files:
    from raylt.study.report import page

    found = charts.of_study(record)
    return {"report.html": page.page(record, found).encode(), **_pictures(found)}


def _pictures(found: Sequence[Chart]) -> Files:
    return {f"charts/{chart.key}.png": png.png(chart) for chart in found if chart.body is not None}


def _drawn(draw: Callable[[], Files]) -> Files:
    """The files, or in their place why there are none: no chart is worth a trial's numbers."""
    try:
        return draw()
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        _log.warning("the charts for MLflow could not be drawn: %s", said)
        why = f"The charts could not be drawn: {type(error).__name__}: {error}\n"
        return {"charts/not-drawn.txt": why.encode()}
