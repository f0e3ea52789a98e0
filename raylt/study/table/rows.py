"""The rows of a table: settings of comparable studies over their fresh seeds."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any, Literal

from raylt.schema import InputError
from raylt.space.metric_names import BEST, GROUPS
from raylt.space.plan import LEVEL
from raylt.study.confirm import confirm, scoring
from raylt.study.confirm.runs import SeedRuns, setting_digest
from raylt.study.record import provenance
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.report import leaderboard, status
from raylt.study.verdict import significance, test_openings
from raylt.study.verdict.answer import ASKED, FOLDER, LEFT, POOL, seed_runs
from raylt.trial.evaluation import classes

Images = Literal["test", "validation"]
COLUMNS = {"All": "accuracy", "Many": "many", "Medium": "medium", "Few": "few", "Std": "shots/std"}
"""The columns of scores and their metrics; `Std` is that of the three group means."""
_ORDER = ("baseline", "candidate", "ablation")
_WHOLE = {FOLDER: "", POOL: ", whole pool"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One score over the seeds, in points."""

    mean: float
    std: float | None
    """Sample standard deviation; None for one seed."""
    best: bool
    """Whether it is shown to be better than that of every other row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One setting."""

    study: str
    method: str
    name: str
    """`baseline`, `trial 3 (winner)`, or what an ablation left out."""
    cells: Mapping[str, Cell]
    """By column; without those that the images cannot tell."""
    seeds: int
    fewer: str
    """Why these are fewer than others of the study have, or than were asked for; "" where they
    are not."""
    hours: float
    """Of one run."""
    imbalance: float | None
    """Of the training images; None where it is not known."""
    recipe: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Settings of comparable studies."""

    rows: tuple[Row, ...]
    images: Images
    studies: tuple[str, ...]
    objective: str
    """What the settings were chosen by; "" where nothing was searched."""
    hours: str
    """What the hours of the rows are of: `GPU-hours` where a row has any, else `CPU-hours`."""
    openings: tuple[int, ...]
    """How often the test set of each study was opened; not by whom, for reviews are blind."""
    best_epoch: bool
    """Whether the scores are after the epoch that validation chose; else after the last one."""
    searched: bool
    """Whether the scores are those of the search, one seed each, since nothing else is there."""
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Runs:
    """The runs of one setting by seed, and their metrics."""

    study: str
    name: str
    role: str = ""
    digest: str = ""
    """With seed 0; "" for the trials of a search."""
    outcomes: Mapping[int, Outcome]
    scores: Mapping[int, Mapping[str, float]]
    imbalance: float | None
    place: str = ""
    failed: int = 0
    left_after: int = 0
    """Seeds after which it left a race; 0 if never."""
    asked: Sequence[Mapping[str, Any]] = ()
    """The questions about it that are not answered yet."""


def table(records: Sequence[Record], images: Images | None, *, ablations: bool) -> Table:
    """The settings of studies that were trained over fresh seeds; of a study without any the
    winner and the baseline as they were searched.

    Args:
        records: The studies.
        images: What the scores are on; the test images where None and some run was tested.
        ablations: Whether the settings of `raylt ablate` have rows.

    Raises:
        InputError: the studies cannot be compared, or there is no score on these images.
    """
    if unlike := leaderboard.differences(records):
        raise InputError(f"{unlike[0]}; their numbers cannot stand in one table")
    fresh = [setting for record in records for setting in _fresh(record)]
    settings = [setting for setting in fresh if ablations or setting.role != "ablation"]
    chosen: Images = images or ("test" if any(_has(s, "test") for s in settings) else "validation")
    scored = [setting for setting in settings if _has(setting, chosen)]
    searched = not scored and chosen == "validation"
    if searched:
        scored = [setting for record in records for setting in _searched(record)]
    if not scored:
        raise InputError(
            f"{records[0].name}: a setting must have been scored on the {chosen} images, but "
            f"none has; {_remedy(records[0], chosen, searched=searched)}"
        )
    notices = _notices(records, settings, scored, chosen, searched=searched)
    shown = {setting.study for setting in scored}
    records = [record for record in records if record.name in shown]
    best_epoch = confirm.metric(records[0]).startswith(BEST)
    on_gpus = any(run.gpu_seconds for setting in scored for run in setting.outcomes.values())
    return Table(
        rows=_rows(scored, chosen, best_epoch=best_epoch, on_gpus=on_gpus),
        images=chosen,
        studies=tuple(record.name for record in records),
        objective=next((r.objectives[0].metric for r in records if r.searched), ""),
        hours="GPU-hours" if on_gpus else "CPU-hours",
        openings=tuple(len(test_openings.openings(record)) for record in records),
        best_epoch=best_epoch,
        searched=searched,
        notices=tuple(notices),
    )


def _notices(
    records: Sequence[Record],
    settings: Sequence[_Runs],
    scored: Sequence[_Runs],
    images: Images,
    *,
    searched: bool,
) -> list[str]:
    """What is not finished, and which studies and settings are left out of the table."""
    shown = {setting.study for setting in scored}
    notices = [
        f"{r.name}: {line}" for r in records for line in status.question_lines(status.questions(r))
    ]
    over = " over fresh seeds" if images == "validation" and not searched else ""
    notices += [
        f"{record.name} is left out, for it has no score{over} on the {images} images; "
        f"{_remedy(record, images, searched=searched)}"
        for record in records
        if record.name not in shown
    ]
    notices += [
        f"{record.name}: {status.alone(record)}"
        for record in records
        if record.name in shown and not record.searched
    ]
    left = [s for s in settings if s.study in shown and not _has(s, images)]
    if left and any(_has(setting, images) for setting in settings):
        several = len(shown) > 1
        names = "; ".join(f"{s.study}, {s.name}" if several else s.name for s in left)
        notices.append(f"left out without a score on the {images} images: {names}")
    return notices


def _remedy(record: Record, images: Images, *, searched: bool) -> str:
    """How a study gets scores on the images; over fresh seeds unless `searched`."""
    if searched:
        return status.what_next(record)
    if not record.searched:
        return status.alone(record)
    confirmed = f"`{provenance.command(record, 'confirm', record.name)}` gives it one"
    if images == "test":
        return f"{confirmed}, and is counted as an opening of them"
    baseline, best = record.baseline(), record.best()
    if baseline is None or best is None or baseline.number == best.number:
        return f"{confirmed}, but opens the test images as well, which is counted"
    ablate = provenance.command(record, "ablate", record.name, "--no-path")
    return (
        f"`{ablate}` gives it one and leaves the test images closed; `raylt compare` ranks what "
        f"the searches saw, one seed each"
    )


def _fresh(record: Record) -> list[_Runs]:
    """The settings of a study that were trained over fresh seeds, the baseline first."""
    grouped = (_grouped(record, runs, place) for place, runs in seed_runs(record))
    settings = itertools.chain.from_iterable(grouped)
    return sorted(settings, key=lambda setting: _ORDER.index(setting.role))


def _grouped(record: Record, runs: Record, place: str) -> list[_Runs]:
    """The finished runs of a record by their setting."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in runs.outcomes():
        groups.setdefault(setting_digest(outcome.recipe), []).append(outcome)
    best = record.best()
    winner = {f"trial {best.number}": f"trial {best.number} (winner)"} if best else {}
    asked, left = runs.facts.get(ASKED, {}).values(), runs.facts.get(LEFT, {})
    settings: list[_Runs] = []
    for digest, every in groups.items():
        if not (outcomes := [outcome for outcome in every if outcome.state == "complete"]):
            continue
        is_open = not all(outcome.over for outcome in every)
        roles = SeedRuns(runs).names(digest, every)
        names = sorted(roles, key=lambda name: _ORDER.index(roles[name]))
        by_seed = {int(outcome.recipe["seed"]): outcome for outcome in outcomes}
        settings.append(
            _Runs(
                study=record.name,
                name=" = ".join(winner.get(name, name) for name in names) + _WHOLE[place],
                role=roles[names[0]],
                digest=digest,
                outcomes=by_seed,
                scores={seed: _scores(runs, outcome) for seed, outcome in by_seed.items()},
                imbalance=imbalance(runs, outcomes[0]),
                place=place,
                failed=sum(outcome.state == "failed" for outcome in every),
                left_after=left.get(digest, 0),
                asked=[q for q in asked if is_open or digest in q["settings"]],
            )
        )
    return settings


def _fewer(index: int, scored: Sequence[_Runs], values: Sequence[Sized], images: Images) -> str:
    """Why a setting has fewer seeds than others, or than it is asked for; "" where it has not."""
    setting, count = scored[index], len(values[index])
    asked = [len(q["seeds"]) for q in setting.asked if images == "validation" or q["test"]]
    alike = [(other.study, other.place) == (setting.study, setting.place) for other in scored]
    wanted = max([*asked, *map(len, itertools.compress(values, alike))])
    if count == wanted:
        return ""
    if count == setting.left_after:
        return f"left the race after {count} seeds"
    reasons = [f"{setting.failed} failed"] if setting.failed else []
    reasons += ["not finished"] if asked else []
    return f"{count} of {wanted} seeds, {', '.join(reasons) or 'no more were needed'}"


def _scores(runs: Record, outcome: Outcome) -> dict[str, float]:
    tested = scoring.read(runs.trial_folder(outcome.number), digest=outcome.digest)
    return {**outcome.last, **(tested["metrics"] if tested else {})}


def _searched(record: Record) -> list[_Runs]:
    """The baseline and the winner of a search, one seed each; one row where they are the same, and
    where there was no search."""
    baseline, best = record.baseline(), record.best()
    trials = {"baseline": baseline, "winner": best}
    if not record.searched:
        trials = {"the run" if baseline is None else "baseline": best}
    elif baseline is not None and best is not None and baseline.number == best.number:
        trials = {"baseline (winner)": baseline}
    return [
        _Runs(
            study=record.name,
            name=name,
            outcomes={0: trial},
            scores={0: trial.last},
            imbalance=imbalance(record, trial),
        )
        for name, trial in trials.items()
        if trial is not None and trial.state == "complete"
    ]


def imbalance(record: Record, trial: Outcome) -> float | None:
    """The largest class of a trial's training images over the smallest: as its recipe cuts the
    tail, or as counted where the images are taken as they are; None where it is not known."""
    data = trial.recipe["data"]
    if not data.get("natural"):
        return data.get("imbalance")
    seen = classes.read(record.trial_folder(trial.number))
    return max(seen.train_counts) / min(seen.train_counts) if seen else None


def _has(setting: _Runs, images: Images) -> bool:
    names = {"test": "test/accuracy", "validation": "val/accuracy"}
    return any(names[images] in scores for scores in setting.scores.values())


def _values(setting: _Runs, name: str) -> dict[int, float]:
    return {seed: 100 * scores[name] for seed, scores in setting.scores.items() if name in scores}


def _best(
    rows: Sequence[Mapping[int, float]], digests: Sequence[str], *, smaller: bool
) -> str | None:
    """The setting that is shown to be better than every other one; None without one.

    By the one-sided sign-flip test on the differences at common seeds, with Holm's correction over
    the others. Two studies may have the same setting.
    """
    sign = -1 if smaller else 1
    known = [i for i, row in enumerate(rows) if row]
    if not known:
        return None
    best = max(known, key=lambda i: sign * sum(rows[i].values()) / len(rows[i]))
    differences = [
        [sign * (value - rows[i][seed]) for seed, value in rows[best].items() if seed in rows[i]]
        for i in known
        if digests[i] != digests[best]
    ]
    most = significance.MOST_SEEDS
    verdicts = significance.judge(
        [row[:most] for row in differences], out_of_race=[False] * len(differences), level=LEVEL
    )
    shown = bool(verdicts) and all(verdict.word == "better" for verdict in verdicts)
    return digests[best] if shown else None


def _rows(
    scored: Sequence[_Runs], images: Images, *, best_epoch: bool, on_gpus: bool
) -> tuple[Row, ...]:
    """A row for each setting, with the columns that there are after the epoch that counts."""
    prefix = ("test/" if images == "test" else "val/") + ("best/" if best_epoch else "")
    values = {
        column: [_values(setting, prefix + name) for setting in scored]
        for column, name in COLUMNS.items()
        if not best_epoch or name in GROUPS
    }
    digests = [setting.digest for setting in scored]
    best = {
        column: _best(rows, digests, smaller=column == "Std") for column, rows in values.items()
    }
    return tuple(
        _row(i, scored, values, best, images=images, on_gpus=on_gpus) for i in range(len(scored))
    )


def _row(
    index: int,
    scored: Sequence[_Runs],
    values: Mapping[str, Sequence[Mapping[int, float]]],
    best: Mapping[str, str | None],
    *,
    images: Images,
    on_gpus: bool,
) -> Row:
    setting = scored[index]
    cells: dict[str, Cell] = {}
    for column, rows in values.items():
        if scores := [*rows[index].values()]:
            std = statistics.stdev(scores) if len(scores) > 1 else None
            mean, is_best = statistics.fmean(scores), best[column] == setting.digest
            cells[column] = Cell(mean=mean, std=std, best=is_best)
    outcomes = [*setting.outcomes.values()]
    seconds = sum(run.gpu_seconds if on_gpus else run.cpu_seconds for run in outcomes)
    return Row(
        study=setting.study,
        method=outcomes[0].recipe["method"]["name"],
        name=setting.name,
        cells=cells,
        seeds=len(values["All"][index]),
        fewer=_fewer(index, scored, values["All"], images),
        hours=seconds / 3600 / len(outcomes),
        imbalance=setting.imbalance,
        recipe=outcomes[0].recipe,
    )
