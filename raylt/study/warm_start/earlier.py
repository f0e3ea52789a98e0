"""What a source of `study.warm_start` knows: an earlier study, or a file with a setting of one."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raylt import recipe
from raylt.plugins import outside
from raylt.schema import InputError, RayltError
from raylt.space import Space
from raylt.space.file import document
from raylt.space.space import Source
from raylt.study.record import lock, provenance, studies
from raylt.study.record.outcome import Metrics, Outcome, baseline_of, ranked


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """A source and its trials."""

    source: Source
    method: Any
    """The name of its method."""
    fingerprint: str | None
    """Of its data; None where a file does not say."""
    trials: tuple[Outcome, ...]
    """All of them, the best in the eyes of the new study first."""
    running: bool = False
    """Whether its search runs now."""
    resume: str = ""
    """The command that goes on with it; "" of a file."""

    @property
    def baseline(self) -> Metrics:
        """The metrics of its baseline, which constraints may refer to."""
        baseline = baseline_of(self.trials)
        return baseline.last if baseline else {}

    @property
    def finished(self) -> tuple[Outcome, ...]:
        """Its trials that trained to their end."""
        return tuple(trial for trial in self.trials if trial.state == "complete")


def read(space: Space, *, runs: Path, url: str | None) -> tuple[Earlier, ...]:
    """What the sources of a space know.

    Args:
        space: Of the new study, which says what is best.
        runs: Folder of all studies.
        url: The server of studies that are not there; None without one.

    Raises:
        InputError: there is no such study or file, it is of another method, or none of its trials
            has finished and was scored by the new study's objective; file, line and remedy.
        EnvironmentError: its database cannot be read.
    """
    # The modules beside the space file stay in use, though a study brings its own.
    with outside.restored():
        return tuple(_usable(source, space, runs, url) for source in space.sources)


def _usable(source: Source, space: Space, runs: Path, url: str | None) -> Earlier:
    try:
        if source.file is None:
            earlier = _of_study(source, space, runs / source.name, url)
        elif source.file.is_dir():
            earlier = _of_study(source, space, source.file, url)
        else:
            earlier = _of_file(source, space, source.file)
        _require_usable(earlier, space)
    except RayltError as error:
        raise type(error)(f"{source.place}: {error}") from None
    return earlier


def _of_study(source: Source, space: Space, folder: Path, url: str | None) -> Earlier:
    with contextlib.closing(studies.open_study(folder.name, folder.parent, url)) as record:
        return Earlier(
            source=source,
            method=record.space.known["method.name"],
            fingerprint=record.facts["fingerprint"],
            trials=ranked(record.outcomes(), space.study),
            running=lock.is_searching(record.folder, record.url),
            resume=provenance.command(record, "resume", record.name),
        )


def _of_file(source: Source, space: Space, file: Path) -> Earlier:
    """What `raylt best STUDY --json` printed, or a recipe that `raylt export` wrote."""
    values = document.read(file).values
    best: Any = values.get("best", {"recipe": values, "point": recipe.flat(values)})
    method: Any = _mapping(_mapping(_mapping(best).get("recipe")).get("method")).get("name")
    if method is None:
        raise InputError(
            f"{file}: must be what `raylt best STUDY --json` printed or the recipe.yaml of "
            f"`raylt export`, but has no method.name; name a study, or make such a file"
        )
    trials = [_outcome(best, "sampled")]
    if isinstance(values.get("baseline"), dict):
        trials.insert(0, _outcome(values["baseline"], "baseline"))
    fingerprint: Any = values.get("fingerprint")
    return Earlier(
        source=source,
        method=method,
        fingerprint=fingerprint if isinstance(fingerprint, str) else None,
        trials=ranked(trials, space.study),
    )


def _require_usable(earlier: Earlier, space: Space) -> None:
    name, method = earlier.source.name, space.known["method.name"]
    metric = space.study.objective[0].metric
    if earlier.method != method:
        raise InputError(
            f"must be a search of {method}, but {name} is one of {earlier.method}: what was "
            f"learned of one method says nothing of another; remove it"
        )
    if not earlier.finished:
        counts = Counter(trial.state for trial in earlier.trials)
        states = ", ".join(f"{n} {state}" for state, n in counts.items()) or "none"
        remedy = "wait for it" if earlier.running else f"go on with `{earlier.resume}`"
        raise InputError(
            f"must have a finished trial to begin with, but the trials of {name} are: {states}; "
            f"{remedy}, or remove it"
        )
    if not any(metric in trial.last or not trial.last for trial in earlier.finished):
        raise InputError(
            f"must have been scored by {metric}, the objective, but no trial of {name} was; "
            f"remove it, or choose an objective that it has"
        )


def _outcome(values: Mapping[str, Any], role: str) -> Outcome:
    number: Any = values.get("number")
    return Outcome(
        number=number if isinstance(number, int) else -1,
        state="complete",
        role=role,
        point={k: v for k, v in _mapping(values.get("point")).items() if _is_scalar(v)},
        last=dict(_scores(_mapping(values.get("last")))),
    )


def _scores(last: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    return ((key, float(v)) for key, v in last.items() if isinstance(v, int | float))


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
