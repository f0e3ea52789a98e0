"""What every question about a study is answered with that is trained over fresh seeds, and where
the last answer is kept."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from raylt import scratch
from raylt.schema import EnvironmentError, Value
from raylt.study.record import provenance, storage, studies
from raylt.study.record.record import Record

FOLDER = "confirm"
"""The folder of a study that holds its runs over fresh seeds."""
POOL = f"{FOLDER}/pool"
"""The same of those that hold no validation images out."""
ASKED = "asked"
"""The fact of such runs that holds what is not answered yet. Verb -> `words` of its command,
`wanted` runs once it is answered, its `seeds`, whether they are scored on the `test` images, and
the digests of its `settings`, with seed 0."""
LEFT = "left"
"""The fact of such runs that says after how many seeds a setting left a race, by its digest with
seed 0."""
NAMES = "names"
"""The fact of such runs that says what a setting is called, and the role that it has there, by its
digest with seed 0: a part of one trial may be a part of another one, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedResults:
    """One setting over the seeds; accuracies are fractions."""

    trial: int
    """Its number in the study."""
    role: str
    """`baseline`, `candidate` or `ablation`."""
    point: Mapping[str, Value]
    test: Mapping[str, Mapping[str, float]]
    """Test metrics by seed; empty for one that was dropped."""
    validation: Mapping[str, Mapping[str, float]]
    """Metrics of the last epoch by seed."""
    failures: Mapping[str, str]
    """Why a run failed, by seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What all answers have; the names of the fields are those of the stored file, too."""

    file: ClassVar[str]
    """Where the last one is kept, in `FOLDER`."""
    verb: ClassVar[str]
    """What it answers."""
    study: str
    metric: str
    """The metric that the verdicts are by."""
    level: float
    """Chance of a false "better" over everything that is compared."""
    seeds: tuple[int, ...]
    openings: int
    """How often the study's test set was opened, this time included."""
    test_openings: str
    """The same in words, with the last opening."""
    tracking_uri: str
    notices: tuple[str, ...]
    """What else the user should know."""
    interrupted: bool
    """Whether there are runs left; then no verdict stands."""
    stopped: str = ""
    """Why there are runs left though nobody interrupted them, such as a budget that is spent."""

    def results(self) -> tuple[SeedResults, ...]:
        """Every setting that was trained."""
        raise NotImplementedError

    def kept(self, study: Record) -> dict[str, Any]:
        """What its file holds from now on, as plain values."""
        return asdict(self)

    @property
    def exit_code(self) -> int:
        """0, 4 with failed runs, 130 interrupted."""
        if self.interrupted:
            return 130
        return 4 if any(results.failures for results in self.results()) else 0


def seed_runs(study: Record) -> Iterator[tuple[str, Record]]:
    """The runs of a study over fresh seeds, as far as there are any: `FOLDER` or `POOL`, and the
    record, which is open until the next is asked for."""
    for place in (FOLDER, POOL):
        folder, name = study.folder / place, f"{study.name}/{place}"
        if storage.exists(folder, study.url, name):
            runs = studies.load(folder, sampler=None, url=study.url, name=name)
            with contextlib.closing(runs):
                yield place, runs


def store(study: Record, answer: Answer) -> None:
    """Keep a finished answer with its study, whole or not at all."""
    path = study.folder / FOLDER / answer.file
    with scratch.draft(path) as draft:
        draft.write_text(json.dumps(answer.kept(study)), "utf-8")


def stored(study: Record, kind: type[Answer]) -> dict[str, Any] | None:
    """What the file of a kind of answer holds, with lists for tuples; None if there is none.

    Raises:
        EnvironmentError: its file is damaged.
    """
    path, verb = study.folder / FOLDER / kind.file, kind.verb
    try:
        return json.loads(path.read_text("utf-8")) if path.is_file() else None
    except (OSError, ValueError, RecursionError) as error:
        raise EnvironmentError(
            f"{path} must hold the last answer of `raylt {verb}`, but cannot be read: {error}; "
            f"remove it, and ask again with `{provenance.command(study, verb, study.name)}`",
            names_command=True,
        ) from error
