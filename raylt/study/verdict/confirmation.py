"""The result of a confirmation: what is kept of it, and how it reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from raylt.schema import Value
from raylt.space.metric_names import GROUPS
from raylt.study.record.record import Record
from raylt.study.record.text import plain, short
from raylt.study.verdict import test_openings
from raylt.study.verdict.class_changes import Change, Paid
from raylt.study.verdict.significance import Verdict

POOL = "trained on the whole training pool, validation images included"
"""What is said of runs that hold nothing out."""
FOLDER = "confirm"
"""The folder of a study that holds its confirmations."""
_FILE = "verdict.json"
_BEST = "test/best/"
"""What the names of metrics begin with that are of the epoch that validation chose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """One setting over the seeds; accuracies are fractions."""

    trial: int
    """Its number in the study."""
    role: str
    """`baseline` or `candidate`."""
    point: Mapping[str, Value]
    test: Mapping[str, Mapping[str, float]]
    """Test metrics by seed; empty for one that was dropped."""
    validation: Mapping[str, Mapping[str, float]]
    """Metrics of the last epoch by seed."""
    failures: Mapping[str, str]
    """Why a run failed, by seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One candidate against the baseline; differences are positive in its favour."""

    runs: Runs
    verdict: Verdict
    """On the test images."""
    dropped: int | None
    """After how many seeds it left the race, behind the baseline on validation; None if never."""
    promised: float | None
    """Its lead over the baseline in the search, on validation."""
    kept: float | None
    """The mean of that lead over the fresh seeds, on validation; what is missing was luck."""
    paid: Paid | None
    """Who won and who paid among the classes; None without a pair of tested runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What `raylt confirm` found."""

    study: str
    metric: str
    """The test metric that the verdicts are by."""
    level: float
    """Chance of a false "better" over all candidates."""
    seeds: tuple[int, ...]
    retrain: str
    """What the runs were trained on: `split` the images of the search, `pool` all of them."""
    baseline: Runs
    candidates: tuple[Candidate, ...]
    openings: int
    """How often the study's test set was opened, this time included."""
    test_openings: str
    """The same in words, with the last opening."""
    tracking_uri: str
    notices: tuple[str, ...]
    """What else the user should know."""
    interrupted: bool
    """Whether there are runs left; then no verdict stands."""

    @property
    def exit_code(self) -> int:
        """0, 4 with failed runs, 130 interrupted."""
        if self.interrupted:
            return 130
        everyone = (self.baseline, *(each.runs for each in self.candidates))
        return 4 if any(each.failures for each in everyone) else 0


def keep(study: Record, found: Confirmation) -> None:
    """Keep a finished confirmation with its study, whole or not at all."""
    path = study.folder / FOLDER / _FILE
    part = path.with_suffix(".part")
    part.write_text(json.dumps(asdict(found)), "utf-8")
    part.replace(path)


def stored(study: Record) -> dict[str, Any] | None:
    """The last finished confirmation of a study, as plain values; None if there is none.

    As `Confirmation`, with lists for tuples.
    """
    path = study.folder / FOLDER / _FILE
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def summary(study: Record) -> dict[str, Any] | None:
    """The verdicts of a study's last confirmation, as plain values; None if there is none."""
    found = stored(study)
    if found is None:
        return None
    verdicts = [
        {"trial": each["runs"]["trial"], **each["verdict"], "dropped": each["dropped"]}
        for each in found["candidates"]
    ]
    return {"metric": found["metric"], "seeds": found["seeds"], "verdicts": verdicts}


def brief(study: Record) -> list[str]:
    """What every result of a study says of its confirmation, in a few lines."""
    found = summary(study)
    told = test_openings.sentence(study)
    lines = [f"{told[0].upper()}{told[1:]}."]
    if found is None:
        return [*lines, f"Is it really better? raylt confirm {study.name}"]
    for each in found["verdicts"]:
        mean = f" by {_signed(each['mean'])} points" if each["mean"] is not None else ""
        lines.append(
            f"Confirmed over {len(found['seeds'])} seeds: trial {each['trial']} {each['word']}"
            f"{mean} in {found['metric']} (p {each['p_holm']:.3f})"
        )
    return lines


def text(found: Confirmation) -> str:
    """A confirmation for people."""
    if found.interrupted:
        return f"Interrupted; go on with: raylt confirm {found.study}"
    one = len(found.candidates) == 1
    who = "a candidate" if one else f"{len(found.candidates)} candidates"
    lines = [
        f"{found.study}: {who} against the baseline, {found.metric} over the seeds "
        f"{', '.join(map(str, found.seeds))}",
        f"Chance of a false 'better'{'' if one else ' over all of them'}: {found.level:g}",
        *([f"{POOL[0].upper()}{POOL[1:]}"] if found.retrain == "pool" else []),
        *(
            ["best/... is after the epoch that validation chose, the others after the last one"]
            if found.metric.startswith(_BEST)
            else []
        ),
        "",
        f"baseline, trial {found.baseline.trial}: {_scores(found.baseline, found.metric)}",
        *_failures(found.baseline),
    ]
    for each in found.candidates:
        lines += ["", *_candidate(each, found)]
    return "\n".join(
        [*lines, "", f"{found.test_openings[0].upper()}{found.test_openings[1:]}.", *found.notices]
    )


def _candidate(each: Candidate, found: Confirmation) -> list[str]:
    point = each.runs.point
    named = zip(short(tuple(point)), point.values(), strict=True)
    leaves = " ".join(f"{name}={plain(value)}" for name, value in named)
    lines = [f"trial {each.runs.trial} ({leaves}): {_words(each)}"]
    if each.runs.test:
        lines.append(f"  {_scores(each.runs, found.metric)}")
    if each.paid is not None:
        lines += [f"  {each.paid.sentence}", *_classes(each.paid)]
    if each.promised is not None and each.kept is not None:
        lines.append(
            f"  the search promised {_signed(each.promised)} on validation, fresh seeds gave "
            f"{_signed(each.kept)}"
        )
    return [*lines, *_failures(each.runs)]


def _words(each: Candidate) -> str:
    seen = each.verdict
    if each.dropped is not None:
        return f"{seen.word}; dropped after {each.dropped} seeds, behind on validation"
    if seen.mean is None:
        return f"{seen.word}; no seed with both results"
    ends = "" if seen.low is None else f" [{_signed(seen.low)}, {_signed(seen.high)}]"
    told = f"{seen.word}, {_signed(seen.mean)} points{ends}, p {seen.p_holm:.3f}"
    if seen.word == "worse":
        return f"{seen.word}, {_signed(seen.mean)} points{ends}, p {seen.p_worse_holm:.3f}"
    if seen.word == "not shown" and seen.more_seeds is not None:
        told += f"; about {seen.more_seeds} more seeds would show a lead of this size"
    return told


def _classes(paid: Paid) -> list[str]:
    lines: list[str] = []
    for word, classes in (("won", paid.winners), ("lost", paid.losers)):
        if classes:
            told = ", ".join(
                f"{k} {_signed(_mean(paid.classes[k]))} ({paid.train_counts[k]} images)"
                for k in classes
            )
            lines.append(f"  classes that {word} most: {told}")
    return lines


def _mean(change: Change | None) -> float:
    assert change is not None
    return change.mean


def _scores(runs: Runs, metric: str) -> str:
    """The mean over seeds of the metric and the shot groups, after the last epoch and, where the
    metric is of the best one, after that too."""
    parts: list[str] = []
    groups = [f"{_BEST}{group}" for group in GROUPS if metric.startswith(_BEST)]
    for name in dict.fromkeys((metric, *groups, *(f"test/{group}" for group in GROUPS))):
        values = [scores[name] for scores in runs.test.values() if name in scores]
        if values:
            mean = sum(values) / len(values)
            parts.append(f"{name.removeprefix('test/')} {100 * mean:.1f}")
    return ", ".join(parts) or "not tested"


def _failures(runs: Runs) -> list[str]:
    return [f"  seed {seed} failed: {why}" for seed, why in runs.failures.items()]


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:+.1f}"
