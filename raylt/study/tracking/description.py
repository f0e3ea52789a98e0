"""What stands beside the numbers in MLflow: where a run comes from, and a study in words."""

from __future__ import annotations

import importlib.metadata
import subprocess
from collections.abc import Sequence
from pathlib import Path

import raylt
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.record.text import SHOWN, percent, plain, scores, short
from raylt.study.verdict import confirmation

_LIBRARIES = ("torch", "ray", "optuna", "mlflow")
_LINES = 20
"""Trials in the description; MLflow cuts a longer text."""


def provenance() -> dict[str, str]:
    """Versions and the commit of the program, as tags."""
    versions = {f"version.{name}": importlib.metadata.version(name) for name in _LIBRARIES}
    return {"version.raylt": raylt.__version__, **versions, **commit(Path(__file__).parent)}


def commit(folder: Path) -> dict[str, str]:
    """The commit of the repository around a folder and whether it has changes; {} without one."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return {"git.commit": git("rev-parse", "HEAD"), "git.dirty": str(bool(changed)).lower()}
    except (OSError, subprocess.SubprocessError):
        # Installed from a package, or no git: then there is no commit to name.
        return {}


def verdict(record: Record) -> list[str]:
    """What a study has found, in sentences, and how often its test set was opened."""
    best = record.best()
    found = [] if best is None else [f"Best: trial {best.number}, {', '.join(scores(best.last))}."]
    opened, *told = confirmation.brief(record)
    # What holds over fresh seeds says more than the search that chose among its own.
    known = confirmation.stored(record) is not None
    return [*told, *found, opened] if known else [*found, opened, *told]


def description(record: Record, *, command: str) -> str:
    """The study in Markdown: the verdict, the ranking, the baseline, the floor, the command."""
    ranking = [one for one in record.ranking() if one.state != "waiting"]
    baseline = record.space.study.baseline
    lines = [f"# {record.name}", "", "\n\n".join(verdict(record)), ""]
    lines += _table(ranking[:_LINES], [leaf.path for leaf in record.space.leaves])
    if len(ranking) > _LINES:
        lines.append(f"\n... and {len(ranking) - _LINES} more trials.")
    if baseline is not None:
        lines += ["", f"\\* the baseline: {baseline.source}"]
    if floor := record.facts["floor"]:
        levels = [f"{key.removeprefix('floor/')} {percent(v)}" for key, v in floor.items()]
        lines += ["", f"Floor (raw pixels): {', '.join(levels)}"]
    begun = record.facts.get("command", "")
    for word, typed in (("Begun with", begun), ("Then", command if command != begun else "")):
        if typed:
            lines += ["", f"{word} `{typed}`"]
    return "\n".join(lines)


def _table(outcomes: Sequence[Outcome], paths: Sequence[str]) -> list[str]:
    heads = ["trial", "state", "epoch", *short(paths), *(m.removeprefix("val/") for m in SHOWN)]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for one in outcomes:
        cells = [
            f"{one.number}{' *' if one.role == 'baseline' else ''}",
            one.state,
            str(one.epoch),
            *(plain(one.point[path]) if path in one.point else "-" for path in paths),
            *(percent(one.last.get(metric)) for metric in SHOWN),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
