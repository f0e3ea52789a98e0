"""What a study has cost: hours of cores and GPUs, against its budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raylt.study.cost import budget
from raylt.study.record import text
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record

_STATES = ("complete", "stopped", "failed", "running", "interrupted", "waiting")
_WORDS = {"cpu_hours": "CPU-hours", "gpu_hours": "GPU-hours", "wall_clock": "time on the clock"}

Table = tuple[list[str], list[list[str]]]
"""The heads of a table, and its rows."""


def sentences(record: Record, fresh: Sequence[Outcome]) -> list[str]:
    """What a study cost, in sentences.

    Args:
        fresh: The runs over fresh seeds, whose cost is told apart.
    """
    outcomes = record.outcomes()
    whole = text.duration(sum(outcome.seconds for outcome in outcomes))
    lines = [
        f"All trials together took {whole}. A trial is counted from its start to its end, over "
        f"all attempts; its CPU- and GPU-hours are those of the cores and GPUs that it booked."
        if record.searched
        else f"The training took {whole} from its start to its end, over all attempts; its CPU- "
        f"and GPU-hours are those of the cores and GPUs that it booked."
    ]
    if state := budget.sentence(record):
        lines.append(f"{state[0].upper()}{state[1:]}.")
    if fresh:
        lines += [
            text.as_sentence("; ".join(_shares(outcomes, fresh))),
            "The baseline and candidates over fresh seeds count as confirm, whoever asked for "
            "them. The tables are of the search.",
        ]
    return lines


def _shares(searched: Sequence[Outcome], fresh: Sequence[Outcome]) -> Iterator[str]:
    """Hours of each kind, by the command that used them: `search 1.2, confirm 0.6 CPU-hours`."""
    runs_of = {
        "search": searched,
        "confirm": [run for run in fresh if run.role != "ablation"],
        "ablate": [run for run in fresh if run.role == "ablation"],
    }
    for kind in ("cpu", "gpu"):
        seconds = {
            verb: sum(getattr(run, f"{kind}_seconds") for run in runs)
            for verb, runs in runs_of.items()
            if runs
        }
        if any(seconds.values()):
            shares = (f"{verb} {text.hours(count / 3600)}" for verb, count in seconds.items())
            yield f"{', '.join(shares)} {_WORDS[f'{kind}_hours']}"


def hours(record: Record) -> Table:
    """What was used of each kind of hour, for a trial and for all, and what was allowed."""
    used, limits = budget.used(record), budget.limits(record.space.study.budget)
    begun = sum(outcome.attempts > 0 for outcome in record.outcomes())
    rows = [
        [
            _WORDS[name],
            _amount(name, hours),
            _amount(
                name, hours / begun if begun and record.searched and name != "wall_clock" else None
            ),
            _amount(name, limits.get(name)),
            f"{100 * hours / limits[name]:.0f} %" if name in limits else "-",
        ]
        for name, hours in used.items()
        # GPUs that nobody booked are left out.
        if hours or name in limits
    ]
    return ["", "used", "a trial", "budget", "used of it"], rows


def _amount(name: str, hours: float | None) -> str:
    """Hours of a kind: those on the clock as a time."""
    if hours is None or name != "wall_clock":
        return text.hours(hours)
    return text.duration(3600 * hours)


def states(outcomes: Sequence[Outcome]) -> Table:
    """What trials of each state cost."""
    rows: list[list[str]] = []
    for state in _STATES:
        group = [outcome for outcome in outcomes if outcome.state == state]
        if not group:
            continue
        seconds = sum(outcome.seconds for outcome in group)
        epochs = sum(outcome.epoch for outcome in group)
        rows.append(
            [
                state,
                str(len(group)),
                str(epochs),
                text.duration(seconds),
                text.duration(seconds / epochs) if epochs else "-",
                text.hours(sum(outcome.cpu_seconds for outcome in group) / 3600),
                text.hours(sum(outcome.gpu_seconds for outcome in group) / 3600),
                str(sum(max(0, outcome.attempts - 1) for outcome in group)),
            ]
        )
    heads = [
        "state",
        "trials",
        "epochs",
        "time",
        "time of an epoch",
        "CPU-hours",
        "GPU-hours",
        "started again",
    ]
    return heads, rows
