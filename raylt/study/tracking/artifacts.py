"""The files beside the numbers in MLflow: charts, tables, the report."""

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
    """The table of a trial's classes, and its charts where it is `drawn`."""
    return _files_or_reason(lambda: _of_trial(record, number, drawn=drawn))


def of_study(record: Record) -> Files:
    """The report, and its charts as pictures."""
    return _files_or_reason(lambda: _of_study(record))


def _of_trial(record: Record, number: int, *, drawn: bool) -> Files:
    files = _pictures(charts.of_trial(record, number)) if drawn else {}
    table = record.trial_folder(number) / classes.FILE
    if table.is_file():
        files[classes.FILE] = table.read_bytes()
    return files


def _of_study(record: Record) -> Files:
    from raylt.study.report import page

    drawn = charts.of_study(record)
    return {"report.html": page.page(record, drawn).encode(), **_pictures(drawn)}


def _pictures(drawn: Sequence[Chart]) -> Files:
    return {f"charts/{chart.key}.png": png.png(chart) for chart in drawn if chart.body is not None}


def _files_or_reason(draw: Callable[[], Files]) -> Files:
    """The files, or a file that says why there are none: a chart must not stop the numbers."""
    try:
        return draw()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        _log.warning(
            "the charts for MLflow could not be drawn: %s", " ".join(reason.split())[:300]
        )
        return {"charts/not-drawn.txt": f"The charts could not be drawn: {reason}\n".encode()}
