"""What a search found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from raylt.study.record.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The study as it stands when the driver returns."""

    name: str
    folder: Path
    objective: str
    """The metric that the ranking is by."""
    paths: tuple[str, ...]
    """The open leaves, in the order of the space file."""
    wanted: int
    """Trials that the study is to have."""
    ranking: tuple[Outcome, ...]
    """All trials, best first."""
    best: Outcome | None
    """The best finished trial that keeps the constraints."""
    baseline: Outcome | None
    versus: str | None
    """The method that is searched next with the same budget."""
    baseline_source: str
    """Where the baseline's values come from."""
    floor: Mapping[str, float]
    """What raw pixels reach on the same labels."""
    tracking_uri: str
    """MLflow's store, without credentials."""
    seconds: float
    """Wall-clock time of this command."""
    validation: Sequence[int]
    """Validation images of each class."""
    commands: Mapping[str, str]
    """What may be done next, by the verb: best, confirm, ui, resume, and `more` trials; one
    run has neither confirm nor more."""
    interrupted: bool
    stopped: str
    """Why no further trial was started though some were wanted; "" where none is missing."""
    notices: tuple[str, ...]
    """What else the user should know, such as points that could not be tracked yet."""

    @property
    def exit_code(self) -> int:
        """0 for a study without failures, 4 with some, 5 with nothing else, 130 interrupted."""
        if self.interrupted:
            return 130
        failed = any(outcome.state == "failed" for outcome in self.ranking)
        ended = any(outcome.state in ("complete", "stopped") for outcome in self.ranking)
        return (4 if ended else 5) if failed else 0
