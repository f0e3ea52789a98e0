"""The result of a confirmation: how it is stored, and how it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from raylt.space.metric_names import GROUPS
from raylt.study.record import provenance
from raylt.study.record.record import Record
from raylt.study.record.text import as_sentence, interval, percent, plain, points, short
from raylt.study.verdict import answer, class_changes, significance, test_openings
from raylt.study.verdict.answer import Answer, SeedResults
from raylt.study.verdict.class_changes import ClassChanges
from raylt.study.verdict.significance import MOST_SEEDS, Verdict, shown_p

POOL = "trained on the whole training pool, validation images included"
"""What is said of runs that hold nothing out."""
_BEST = "test/best/"
"""Prefix of the metrics after the epoch that validation chose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One candidate against the baseline; differences are positive in its favour.

    The names of the fields stand in verdict.json and in the output of --json.
    """

    runs: SeedResults
    verdict: Verdict
    """On the test images."""
    dropped: int | None
    """After how many seeds it left the race, behind the baseline on validation; None if never."""
    promised: float | None
    """Its lead over the baseline in the search, on validation."""
    kept: float | None
    """The mean of that lead over the fresh seeds, on validation; what is missing was luck."""
    paid: ClassChanges | None
    """Which classes gained and which lost; None without a pair of tested runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation(Answer):
    """What `raylt confirm` found; the verdicts are on the test images."""

    file = "verdict.json"
    verb = "confirm"
    retrain: str
    """What the runs were trained on: `split` the images of the search, `pool` all of them."""
    baseline: SeedResults
    candidates: tuple[Candidate, ...]

    def results(self) -> tuple[SeedResults, ...]:
        """The baseline and the candidates."""
        return (self.baseline, *(candidate.runs for candidate in self.candidates))


def stored(study: Record) -> dict[str, Any] | None:
    """The last finished confirmation of a study, as plain values; None if there is none.

    As `Confirmation`, with lists for tuples.

    Raises:
        EnvironmentError: its file is damaged.
    """
    return answer.stored(study, Confirmation)


def summary(study: Record) -> dict[str, Any] | None:
    """The verdicts of a study's last confirmation, as plain values; None if there is none."""
    if (known := stored(study)) is None:
        return None
    verdicts = [
        {"trial": entry["runs"]["trial"], **entry["verdict"], "dropped": entry["dropped"]}
        for entry in known["candidates"]
    ]
    return {"metric": known["metric"], "seeds": known["seeds"], "verdicts": verdicts}


def brief(study: Record) -> list[str]:
    """What every result of a study says of its confirmation; the openings come first."""
    known = summary(study)
    lines = [as_sentence(test_openings.sentence(study))]
    if known is None:
        return [*lines, *_unconfirmed(study)]
    for verdict in known["verdicts"]:
        lines.append(_in_words(verdict, known["metric"]))
    return lines


def _unconfirmed(study: Record) -> list[str]:
    """What to ask of a best trial; nothing before there is one, and while others are trained."""
    best, baseline = study.best(), study.baseline()
    if best is None or any(trial.state == "running" for trial in study.outcomes()):
        return []
    if not study.searched:
        return []  # One run has nothing to compare.
    if baseline is not None and best.number == baseline.number:
        return ["The best trial is the baseline itself: the search found nothing better"]
    return [f"Is it really better? {provenance.command(study, 'confirm', study.name)}"]


def _in_words(verdict: Mapping[str, Any], metric: str) -> str:
    """A verdict as a sentence; nothing is called confirmed that is not shown."""
    word, seeds = verdict["word"], verdict["seeds"]
    verdict_words = {
        "better": "confirmed: better than the baseline",
        "worse": "refuted: worse than the baseline",
        "not shown": "not shown to be better than the baseline",
    }[word]
    if verdict["dropped"] is not None:
        count = verdict["dropped"]
        seen = f": it left the race after {count} seeds, behind on validation"
    elif verdict["mean"] is None:
        seen = f" in {metric}: no seed has both results"
    else:
        seen = (
            f", {points(verdict['mean'])} points in {metric} over {seeds} fresh seeds "
            f"(p {shown_p(verdict):.3f})"
        )
    return f"Trial {verdict['trial']} is {verdict_words}{seen}"


HEADS = (
    *("trial", "verdict", "points", "interval", "p", "seeds"),
    *("lead in the search", "lead over fresh seeds", "groups"),
)
"""The heads of `rows`."""


def rows(known: Mapping[str, Any]) -> list[list[str]]:
    """The candidates of a stored confirmation as cells of a table."""
    return [
        [
            str(candidate["runs"]["trial"]),
            verdict["word"],
            points(verdict["mean"]),
            interval(verdict["low"], verdict["high"]) or "-",
            f"{shown_p(verdict):.3f}",
            f"left after {candidate['dropped']}"
            if candidate["dropped"]
            else str(verdict["seeds"]),
            points(candidate["promised"]),
            points(candidate["kept"]),
            class_changes.stored_sentence(candidate["paid"]) if candidate["paid"] else "-",
        ]
        for candidate in known["candidates"]
        for verdict in [candidate["verdict"]]
    ]


def text(result: Confirmation, *, again: str = "") -> str:
    """A confirmation for people.

    Args:
        again: The command that goes on with one that was interrupted.
    """
    if result.interrupted:
        return f"Interrupted; go on with: {again or f'raylt confirm {result.study}'}"
    count = len(result.candidates)
    lines = [
        f"{result.study}: {'a candidate' if count == 1 else f'{count} candidates'} against the "
        f"baseline, {result.metric} over the seeds {', '.join(map(str, result.seeds))}",
        f"Chance of a false 'better'{'' if count == 1 else ' over all of them'}: {result.level:g}",
    ]
    if result.retrain == "pool":
        lines.append(POOL[0].upper() + POOL[1:])
    if result.metric.startswith(_BEST):
        lines.append(
            "best/... is after the epoch that validation chose, the others after the last one"
        )
    baseline = result.baseline
    lines += ["", f"baseline, trial {baseline.trial}: {_scores(baseline, result.metric)}"]
    lines += _failures(baseline)
    for candidate in result.candidates:
        lines += ["", *_candidate(candidate, result.metric)]
    told = [significance.P_VALUE]
    told += [class_changes.BASIS] if any(candidate.paid for candidate in result.candidates) else []
    lines += ["", *map(as_sentence, told)]
    return "\n".join([*lines, "", as_sentence(result.test_openings), *result.notices])


def _candidate(candidate: Candidate, metric: str) -> list[str]:
    runs, changes = candidate.runs, candidate.paid
    named = zip(short(tuple(runs.point)), runs.point.values(), strict=True)
    values = " ".join(f"{name}={plain(value)}" for name, value in named)
    lines = [f"trial {runs.trial} ({values}): {_verdict(candidate)}"]
    if runs.test:
        lines.append(f"  {_scores(runs, metric)}")
    if changes is not None:
        lines += [f"  {changes.sentence}", *_classes(changes)]
    if candidate.promised is not None and candidate.kept is not None:
        lines.append(
            f"  on validation it led by {points(candidate.promised)} in the search, and by "
            f"{points(candidate.kept)} over fresh seeds"
        )
    return [*lines, *_failures(runs)]


def _verdict(candidate: Candidate) -> str:
    verdict = candidate.verdict
    if candidate.dropped is not None:
        return (
            f"{verdict.word}; left the race after {candidate.dropped} seeds, behind on validation"
        )
    if verdict.mean is None:
        return f"{verdict.word}; no seed with both results"
    size = f"{points(verdict.mean)} points {interval(verdict.low, verdict.high)}".rstrip()
    sentence = f"{verdict.word}, {size}, p {shown_p(asdict(verdict)):.3f}"
    if verdict.word == "not shown" and verdict.low is not None and verdict.low > 0:
        sentence += "; p decides, for the interval is too short over few seeds and not corrected"
    if verdict.word == "not shown" and verdict.more_seeds is not None:
        seeds = "seed" if verdict.more_seeds == 1 else "seeds"
        if len(candidate.runs.test) + verdict.more_seeds > MOST_SEEDS:
            sentence += f"; a lead of this size needs more than {MOST_SEEDS} seeds, the limit"
        else:
            sentence += f"; about {verdict.more_seeds} more {seeds} would show a lead of this size"
    return sentence


def _classes(changes: ClassChanges) -> list[str]:
    lines: list[str] = []
    for word, classes in (("gained", changes.winners), ("lost", changes.losers)):
        moved = [
            f"{changes.names[k]} {points(change.mean)} ({changes.train_counts[k]} images)"
            for k in classes
            if (change := changes.classes[k]) is not None
        ]
        if moved:
            lines.append(f"  classes that {word} most: {', '.join(moved)}")
    return lines


def _scores(runs: SeedResults, metric: str) -> str:
    """The mean over seeds of the metric and the shot groups, after the last epoch and, where the
    metric is of the best one, after that too."""
    parts: list[str] = []
    groups = [f"{_BEST}{group}" for group in GROUPS if metric.startswith(_BEST)]
    for name in dict.fromkeys((metric, *groups, *(f"test/{group}" for group in GROUPS))):
        values = [scores[name] for scores in runs.test.values() if name in scores]
        if values:
            mean = sum(values) / len(values)
            parts.append(f"{name.removeprefix('test/')} {percent(mean)}")
    return ", ".join(parts) or "not tested"


def _failures(runs: SeedResults) -> list[str]:
    return [f"  seed {seed} failed: {failure}" for seed, failure in runs.failures.items()]
