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
    if best is None:
        return [_unfinished(record), as_sentence(status.what_next(record))]
    known, metric = record.facts["floor"], record.objectives[0].metric
    pixels = floor.unbeaten(known, metric, best, searched=record.searched)
    few = small_sample(images_by_class(record.facts))
    opened, *confirmations = confirmation.brief(record)
    if not record.searched:
        return [f"The model reaches {_reached(best)}", *_ended(pixels, few), opened]
    same = baseline is not None and best.number == baseline.number
    trial = f"Trial {best.number}{', the baseline,' if same else ''}"
    if confirmation.stored(record) is not None:
        # Fresh seeds say more than the search, which chose the best among its own.
        first = f"{trial} was the best of the search: {_reached(best)}"
        against = [] if same else [_against_baseline(record, best, baseline)]
        searched = [first, *_ended(pixels), *against, *_ended(few)]
        return [*_ended(*confirmations), opened, *_rival(record), *searched]
    return [
        *_rival(record),
        f"{trial} is the best: {_reached(best)}",
        *_ended(pixels),
        _against_baseline(record, best, baseline),
        *_ended(few),
        _unconfirmed(record, baseline, same=same),
        opened,
    ]


def _unfinished(record: Record) -> str:
    if not record.searched:
        return "The training has not finished."
    kept = " and kept the constraints" if record.space.study.constraints else ""
    return f"No trial has finished{kept} yet."


def _reached(best: Outcome) -> str:
    """The scores of a trial, and on what they are."""
    held_out = any(name.startswith("val/") for name in best.last)
    where = "on the validation images" if held_out else "in training, since nothing is held out"
    return f"{', '.join(scores(best.last))} {where}."


def _ended(*sentences: str | None) -> list[str]:
    """Those sentences that there are, each with its full stop."""
    return [f"{sentence}." for sentence in sentences if sentence]


def _unconfirmed(record: Record, baseline: Outcome | None, *, same: bool) -> str:
    """What is to be done before anything is shown: end the search, or confirm what it found.

    Args:
        same: Whether the best trial is the baseline.
    """
    ended = sum(trial.over for trial in record.outcomes())
    if ended < record.wanted:
        return f"{ended} of {record.wanted} trials have ended: {status.what_next(record)}."
    first, other = "it", "the baseline" if baseline else "the published setting"
    doubt = f": the best of {ended} trials is best in part by luck"
    if same:
        first, doubt = "the best of the others", ""
    command = provenance.command(record, "confirm", record.name)
    return (
        f"Nothing is confirmed yet{doubt}. "
        f"`{command}` trains {first} and {other} again over several seeds."
    )


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
