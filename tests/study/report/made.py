"""Trials of a study that end in a moment, and what a command shows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pytest
from rich.console import Console

from raylt import cli


def begun(study: Any, number: int) -> None:
    """Hand out the next trial of a study."""
    from raylt.study.record import distributions

    space = study.space
    assert study.open_trial() == number
    point = dict(study.outcome(number).point) or {"method.temperature": 0.5, "method.prune": 0.5}
    recipe = space.at(point)
    study.start(
        number,
        point=point,
        recipe=recipe.model_dump(mode="json"),
        digest=recipe.digest,
        parameters=distributions.parameters(space, point),
    )


def ended(study: Any, number: int, accuracy: float) -> None:
    """Close the next trial of a study as complete."""
    begun(study, number)
    last = {"epoch": 6.0, "val/accuracy": accuracy, "val/few": accuracy / 2}
    study.finish(number, "complete", last=last, best=last, baseline=last, seconds=2.0, failure="")


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.run(arguments) == 0
    return capsys.readouterr().out


def text_of(parts: Sequence[object], width: int = 300) -> str:
    """What `output.show` prints to a terminal of a width, as plain text."""
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        for part in parts:
            console.print(part, highlight=False, markup=False)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())
