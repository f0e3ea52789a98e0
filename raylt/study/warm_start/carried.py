"""The settings of earlier studies in the space of a new one."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from raylt.escape import text_table
from raylt.schema import InputError, Value
from raylt.space import Point, Space
from raylt.space.plan import Study
from raylt.study.record.outcome import Outcome, violations
from raylt.study.record.text import at, score, short
from raylt.study.warm_start import earlier, origins, prior
from raylt.study.warm_start.earlier import Earlier
from raylt.study.warm_start.mapping import mapped

_PART = 4
"""One trial in so many begins with a setting of an earlier study where no number is given."""
_SAID = 5
"""Settings that are left out and said one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A setting of an earlier study, and the point that it is here."""

    source: str
    """The study or file, as the space names it."""
    trial: int | None
    """Its trial there; None where a file does not say."""
    fingerprint: str | None
    """Of the data there; None where a file does not say."""
    metric: str
    score: float | None
    """What it reached there, which counts for nothing here."""
    setting: Mapping[str, Value]
    """The open leaves there."""
    point: Point
    """The open leaves here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStart:
    """What a study begins with."""

    points: tuple[Carried, ...] = ()
    """In the order in which they are tried, right after the study's own points."""
    left_out: tuple[str, ...] = ()
    """Settings that would have been among them, and why they are not."""
    unused: tuple[str, ...] = ()
    """Sources of which nothing is among them, and why."""
    notices: tuple[str, ...] = ()
    """What else the user should know."""
    prior: tuple[Mapping[str, Any], ...] = ()
    """Earlier trials for the sampler, see `raylt.study.warm_start.prior`."""

    @property
    def fact(self) -> dict[str, Any]:
        """What the study of record keeps, so that it goes on though its sources are gone."""
        return asdict(self)


def carry(space: Space, *, runs: Path, url: str | None) -> WarmStart:
    """What a new study begins with; nothing for a space without sources.

    The best of every source comes first, in the order of the sources, then the second best of
    each, and so on. A setting is one of the new space leaf by leaf: a leaf that was not searched
    there has the value of the new baseline, and one that is closed here keeps its value. A setting
    that the new space does not admit, or that broke a constraint of the new study there, is left
    out as a whole, since one with another value put in is no setting that anybody tried.

    Args:
        space: Of the new study.
        runs: Folder of all studies.
        url: The server of studies that are not there; None without one.

    Raises:
        InputError: a source cannot be used; file, line and remedy.
        EnvironmentError: its database cannot be read.
    """
    known = earlier.read(space, runs=runs, url=url)
    taken = _own(space)
    most = _most(space.study, own=len(taken))
    points: list[Carried] = []
    left_out: list[str] = []
    seen = {source.source.name: Counter[str]() for source in known}
    for source, trial in _best_first(known):
        if len(points) == most:
            break
        name = source.source.name
        try:
            carried = _carried(space, source, trial)
        except InputError as error:
            left_out.append(f"{origins.named(name, trial.number)}: {error}")
            seen[name]["left out"] += 1
            continue
        is_new = carried.point not in taken
        seen[name]["new" if is_new else "there already"] += 1
        if is_new:
            taken.append(carried.point)
            points.append(carried)
    entries, notice = prior.entries(space, known)
    running = [
        f"{source.source.name} is still running; what it has finished by now is used"
        for source in known
        if source.running
    ]
    return WarmStart(
        points=tuple(points),
        left_out=tuple(left_out),
        unused=tuple(_unused(name, kinds) for name, kinds in seen.items() if not kinds["new"]),
        notices=(*running, *([notice] if notice else [])),
        prior=entries,
    )


def lines(warm: WarmStart, space: Space) -> list[str]:
    """What a study will begin with, for people."""
    if not space.sources:
        return []
    numbered = list(enumerate(warm.points, len(_own(space))))
    named = [(number, origin.source, origin.trial) for number, origin in numbered]
    result = [f"warm start {origins.sentence(named) or 'nothing that is new here'}"]
    if numbered:
        paths = [open_leaf.path for open_leaf in space.leaves]
        metric = space.study.objective[0].metric
        rows = [["trial", f"{metric} there", *short(paths)]]
        rows += [
            [
                str(number),
                score(metric, origin.score),
                *(at(origin.point, path) for path in paths),
            ]
            for number, origin in numbered
        ]
        result += text_table(rows)
    return [*result, *notes(warm)]


def notes(warm: WarmStart) -> list[str]:
    """What was left out, and what else the user should know."""
    more = len(warm.left_out) - _SAID
    return [
        *(f"left out: {line}" for line in warm.left_out[:_SAID]),
        *([f"left out: {more} more"] if more > 0 else []),
        *warm.unused,
        *warm.notices,
    ]


def _unused(name: str, kinds: Mapping[str, int]) -> str:
    """Why nothing comes from a source, given how many of its settings are of each kind."""
    reasons = [f"{count} {'is' if count == 1 else 'are'} {kind}" for kind, count in kinds.items()]
    tried = f"of its settings {' and '.join(reasons)}" if reasons else "there is no room for it"
    return f"nothing comes from {name}: {tried}"


def _own(space: Space) -> list[Point]:
    """What is tried before: the baseline and the space's own points, each once."""
    points: list[Point] = []
    for point in (space.baseline_point, *space.points):
        if point is not None and point not in points:
            points.append(point)
    return points


def _most(study: Study, *, own: int) -> int:
    """How many settings of earlier studies are tried, after `own` of the space."""
    wanted = study.warm_points or max(1, study.trials // _PART)
    return max(0, min(wanted, study.trials - own))


def _best_first(known: Iterable[Earlier]) -> Iterator[tuple[Earlier, Outcome]]:
    """The finished trials: the best of each source, then the second best, and so on."""
    ranks = itertools.zip_longest(
        *([(source, trial) for trial in source.finished] for source in known)
    )
    return (pair for rank in ranks for pair in rank if pair is not None)


def _carried(space: Space, source: Earlier, trial: Outcome) -> Carried:
    """A trial's setting in the new space.

    Raises:
        InputError: the space does not admit it, or it broke a constraint.
    """
    metric = space.study.objective[0].metric
    missed = violations(space.study.constraints, trial.last, source.baseline)
    if trial.last and (broken := [name for name, gap in missed.items() if gap > 0]):
        raise InputError(f"it broke the constraint on {broken[0]} there")
    point = mapped(space, trial.point)
    try:
        space.at(point)
    except InputError as error:
        raise InputError(str(error).removeprefix(f"{space.source}: ").splitlines()[0]) from None
    return Carried(
        source=source.source.name,
        trial=trial.number if trial.number >= 0 else None,
        fingerprint=source.fingerprint,
        metric=metric,
        score=trial.last.get(metric),
        setting=dict(trial.point),
        point=point,
    )
