"""The trials of a study as a table for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from raylt.study.record import text
from raylt.study.record.outcome import Outcome
from raylt.study.report.columns import Column, Columns

_STYLES = {
    "running": "cyan",
    "complete": "",
    "stopped": "dim",
    "failed": "red",
    "interrupted": "yellow",
    "waiting": "dim",
}
RANKS = {"val/few": 1, "val/many": 3, "val/medium": 4}
"""Which accuracies are left out on a narrow terminal: few-shot ones tell most of a long tail."""
_LEAF, _TIME, _EPOCH = 2, 5, 6
"""The epoch is left out only once all trials have ended."""


def table(
    trials: Sequence[Outcome],
    paths: Sequence[str],
    objective: str,
    best: int | None,
    *,
    name: Callable[[Outcome], str] | None = None,
) -> Columns:
    """Trials with their leaves and scores; the best one stands out.

    Args:
        name: What a trial is called; its number, and a star for the baseline, where None.
    """
    ended = all(trial.over for trial in trials)
    metrics = text.SHOWN if objective in text.SHOWN else (objective, *text.SHOWN)
    columns = [
        Column(head="run" if name else "trial", cells=[*map(name or _number, trials)]),
        Column(
            head="state",
            cells=[trial.state for trial in trials],
            right=False,
        ),
        Column(head="epoch", cells=[*map(epochs, trials)], rank=_EPOCH if ended else 0),
        *(
            Column(
                head=head,
                cells=[text.at(o.point, path) for o in trials],
                rank=_LEAF,
            )
            for path, head in zip(paths, text.short(paths), strict=True)
        ),
        *(
            Column(
                head=metric.removeprefix("val/"),
                cells=[text.score(metric, trial.last.get(metric)) for trial in trials],
                rank=0 if metric == objective else RANKS.get(metric, 1),
            )
            for metric in metrics
        ),
        Column(head="time", cells=[text.duration(o.seconds) for o in trials], rank=_TIME),
    ]
    styles = ["bold green" if o.number == best else _STYLES[o.state] for o in trials]
    return Columns(
        columns, styles, without={"epoch": "those that were trained longer stand first"}
    )


def epochs(trial: Outcome) -> str:
    """The last scored epoch, of how many."""
    planned = trial.recipe.get("epochs")
    return f"{trial.epoch}/{planned}" if planned else "-"


def _number(trial: Outcome) -> str:
    return f"{trial.number}{'*' if trial.role == 'baseline' else ''}"
