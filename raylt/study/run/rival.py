"""The search of the rival that `study.versus` names, after the study itself."""

from __future__ import annotations

from dataclasses import replace

from raylt.space.rival import rival
from raylt.study.record import storage, studies
from raylt.study.run import begin, driver
from raylt.study.run.result import Result
from raylt.study.run.session import Settings


def follow(result: Result, settings: Settings) -> Result | None:
    """Search the rival of a study that has ended, or go on with it; None where there is none."""
    if result.versus is None or result.interrupted:
        return None
    study = studies.open_study(result.name, settings.runs, settings.storage)
    other = rival(study.space)
    study.close()
    folder = settings.runs / other.study.name
    if storage.exists(folder, storage.chosen(folder, settings.storage), other.study.name):
        found = driver.resume(other.study.name, settings, retry_failed=False)
    else:
        found = begin.begin(other, settings)
    if not found.interrupted:
        # The first one's report and charts were drawn before there was a rival.
        told = driver.send(result.name, settings)
        found = replace(found, notices=(*found.notices, *told))
    return found
