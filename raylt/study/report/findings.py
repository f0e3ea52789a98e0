"""What a study found, in sentences."""

from __future__ import annotations

import contextlib

from raylt.schema import InputError
from raylt.study.record import provenance
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.record.text import as_sentence, images_by_class, lead, scores, small_sample
from raylt.study.report import status, versus
from raylt.study.verdict import confirmation, floor


def sentences(record: Record) -> list[str]:
    """What the study found, in sentences, the most important one first."""
    best, baseline = record.best(), record.baseline()
    if best is None and not record.searched:
        return ["The training has not finished.", as_sentence(status.what_next(record))]
    if best is None:
        kept = " and kept the constraints" if record.space.study.constraints else ""
        return [f"No trial has finished{kept} yet.", as_sentence(status.what_next(record))]
    held_out = any(name.startswith("val/") for name in best.last)
    where = "on the validation images" if held_out else "in training, since nothing is held out"
    same = baseline is not None and best.number == baseline.number
    role = ", the baseline," if same else ""
    reached = f"{', '.join(scores(best.last))} {where}."
    result = [f"Trial {best.number}{role} is the best: {reached}"]
    if not record.searched:
        result = [f"The model reaches {reached}"]
    confirmed = confirmation.stored(record) is not None
    if record.searched and not (same and confirmed):
        result.append(_against_baseline(record, best, baseline))
    known, metric = record.facts["floor"], record.objectives[0].metric
    if hint := floor.unbeaten(known, metric, best, searched=record.searched):
        result.insert(1, f"{hint}.")
    if few := small_sample(images_by_class(record.facts)):
        result.append(f"{few}.")
    opened, *confirmations = confirmation.brief(record)
    if confirmed:
        # Fresh seeds say more than the search, which chose the best among its own.
        searched = result[0].replace(" is the best", " was the best of the search", 1)
        verdicts = [f"{sentence}." for sentence in confirmations]
        return [*verdicts, opened, *_rival(record), searched, *result[1:]]
    if not record.searched:
        return [*result, opened]
    ended = sum(trial.over for trial in record.outcomes())
    if ended < record.wanted:
        so_far = f"{ended} of {record.wanted} trials have ended: {status.what_next(record)}."
        return [*_rival(record), *result, so_far, opened]
    first, other = "it", "the baseline" if baseline else "the published setting"
    doubt = f": the best of {ended} trials is best in part by luck"
    if same:
        first, doubt = "the best of the others", ""
    command = provenance.command(record, "confirm", record.name)
    return [
        *_rival(record),
        *result,
        f"Nothing is confirmed yet{doubt}. "
        f"`{command}` trains {first} and {other} again over several seeds.",
        opened,
    ]


def _rival(record: Record) -> list[str]:
    """How the study and its `versus` compare, where both have a best trial on the same data."""
    with contextlib.suppress(InputError):
        if (compared := versus.beside(record)) is not None:
            return list(filter(None, [versus.leader(compared)]))
    return []


def _against_baseline(record: Record, best: Outcome, baseline: Outcome | None) -> str:
    metric = record.objectives[0].metric
    if baseline is None:
        return "The study names no baseline to compare with."
    if baseline.number == best.number:
        return "The search found nothing better than the baseline."
    if metric not in baseline.last:
        return "The baseline has no score to compare with."
    setting = record.space.study.baseline
    gap = lead(metric, best.last[metric] - baseline.last[metric])
    return (
        f"The baseline, {setting.source if setting else 'the setting as given'}, reaches "
        f"{', '.join(scores(baseline.last))}: a difference of {gap}, one seed each."
    )
