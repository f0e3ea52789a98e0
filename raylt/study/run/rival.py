"""The search of the rival that `study.versus` names, after the study itself."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

from raylt.settings import Settings
from raylt.space.rival import rival
from raylt.study.record import storage, studies
from raylt.study.record.listener import Listener
from raylt.study.run import driver, plan
from raylt.study.run.result import Result


def follow(
    result: Result, settings: Settings, *, listeners: Sequence[Listener] = ()
) -> Result | None:
    """Search the rival of a study that has ended, or resume it; None where there is no rival."""
    if result.versus is None or result.interrupted:
        return None
    opened = studies.open_study(result.name, settings.runs, settings.storage)
    with contextlib.closing(opened) as study:
        other = rival(study.space)
        folder = settings.runs / other.study.name
        url = storage.chosen(folder, settings.storage)
        known = storage.exists(folder, url, other.study.name)
        checked = None if known else plan.check(other, settings, data_of=study)
    if checked is None:
        second = driver.resume(other.study.name, settings, retry_failed=False, listeners=listeners)
    else:
        second = driver.run(checked, listeners=listeners)
    if not second.interrupted:
        # The report and charts of the first study were drawn before there was a rival.
        unsent = driver.send(result.name, settings)
        second = replace(second, notices=(*second.notices, *unsent))
    return second
