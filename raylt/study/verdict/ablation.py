"""The result of an ablation: how it is stored, and how it reads."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from raylt.escape import text_table
from raylt.study.record.record import Record
from raylt.study.record.text import as_sentence, interval, listed, percent, points
from raylt.study.verdict import answer
from raylt.study.verdict.answer import Answer, SeedResults
from raylt.study.verdict.interplay import Estimate
from raylt.study.verdict.significance import P_VALUE, Verdict, shown_p

Way = Literal["whole", "out", "in", "declared"]
"""All changes together; one that is set back alone, or taken over alone; a part of the method."""
WORDS = {"better": "carries", "worse": "costs", "not shown": "noise"}
"""What a verdict on having a change means for the change."""
NOT_YET = "Nothing is judged yet, for not all runs are there."
"""Instead of a sentence on the changes while an ablation is not finished."""
COLUMNS = f"{as_sentence(P_VALUE)} What interacts is told by such intervals."
"""What stands in the table of effects."""
_NOISE = "within the noise of these seeds"
_WIDTH = 80
_HEADS: dict[Way, str] = {
    "whole": "",
    "out": "set back alone: what {trial} loses",
    "in": "taken over alone: what the baseline gains",
    "declared": "a part of the method left out or exchanged: what {trial} loses",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What one comparison is about."""

    name: str
    """A change such as `prune`, or what a method declares, such as `no pruning`."""
    way: Way
    words: str
    """From what to what, or the method's own sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What having a change brings; positive is in its favour."""

    subject: Subject
    runs: SeedResults
    """Of the setting that was trained for it; the winner for all changes together."""
    verdict: Verdict
    dropped: int | None
    """After how many seeds it left the race, behind on validation; None if never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the greedy path, chosen on validation; the baseline is the first."""

    name: str
    score: float | None
    """The mean of the metric after the step."""
    gain: Estimate | None
    """Against the setting before the step; flattering, for the largest one was chosen. None for
    the baseline."""
    tried: Mapping[str, float]
    """The mean gain on validation of each change that was tried here."""
    dropped: Mapping[str, int]
    """A change that was tried -> seeds after which it left the race."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation(Answer):
    """What `raylt ablate` found."""

    file = "ablation.json"
    verb = "ablate"
    trial: int
    """The winner."""
    together: Mapping[str, str]
    """A change of several leaves -> why they go together."""
    changes: Mapping[str, str]
    """Change -> from what to what."""
    baseline: SeedResults
    winner: SeedResults
    effects: tuple[Effect, ...]
    interplay: Mapping[str, Estimate]
    """Change -> what it brings more beside the others than without them."""
    one_by_one: Estimate | None
    """All changes together less the sum of those taken over alone."""
    set_back: Estimate | None
    """The sum of those set back alone less all changes together."""
    path: tuple[Step, ...]
    sentence: str
    """Which changes carry the gain, which are noise, and what interacts."""

    def results(self) -> tuple[SeedResults, ...]:
        """The baseline, the winner and the settings between and beside them."""
        return (self.baseline, self.winner, *(effect.runs for effect in self.effects))

    def kept(self, study: Record) -> dict[str, Any]:
        """The last one of each trial by each metric: none replaces another."""
        return {**stored(study), _key(self.metric, self.trial): asdict(self)}


def stored(study: Record) -> dict[str, dict[str, Any]]:
    """The last finished ablation of each trial by each metric, those on validation images first,
    and of these that of the best trial: as `Ablation`, with plain values and lists for tuples.

    Raises:
        EnvironmentError: its file is damaged.
    """
    known = answer.stored(study, Ablation) or {}
    best = study.best()
    # A file of before holds one, or one by each metric.
    results = sorted(
        [known] if "metric" in known else known.values(),
        key=lambda k: (is_tested(k), best is None or k["trial"] != best.number),
    )
    return {_key(result["metric"], result["trial"]): result for result in results}


def stored_path(study: Record, metric: str, trial: int) -> tuple[Step, ...]:
    """The path of the last finished ablation of a trial by a metric; empty without one."""
    known = stored(study).get(_key(metric, trial), {"path": ()})
    return tuple(_step(**step) for step in known["path"])


def _step(gain: Mapping[str, Any] | None, **others: Any) -> Step:
    return Step(gain=None if gain is None else Estimate(**gain), **others)


def _key(metric: str, trial: int) -> str:
    return f"{metric}, trial {trial}"


def is_tested(result: Mapping[str, Any]) -> bool:
    """Whether a stored ablation is one on the test images."""
    return result["metric"].startswith("test/")


def with_charts(study: Record) -> list[tuple[dict[str, Any], str]]:
    """The stored ablations, each with how the names of its charts end."""
    placed: dict[str, dict[str, Any]] = {}
    for result in stored(study).values():
        end = "_test" if is_tested(result) else ""
        placed[f"{end}_{result['trial']}" if end in placed else end] = result
    return [(result, end) for end, result in placed.items()]


def sentence(
    effects: Sequence[Effect], interplay: Mapping[str, Estimate], apart: Estimate | None
) -> str:
    """Which changes carry the gain, which are noise, and what interacts.

    Args:
        effects: Everything that was compared, all changes together first.
        interplay: What a change brings more beside the others than without them.
        apart: All changes together less the sum of those taken over alone.
    """
    whole, *rest = effects
    # One that was not scored, or left the race, is not judged.
    changes = _by_word(e for e in rest if e.subject.way != "declared")
    parts = _by_word(e for e in rest if e.subject.way == "declared")
    left = {e.subject.name for e in rest if e.dropped is not None}
    behind = [name for name in changes["not shown"] if name in left]
    scored = {e.subject.name for e in rest if e.verdict.mean is not None}
    noise = [name for name in changes["not shown"] if name in scored - left]
    shown = {"better": "is shown", "worse": "is shown to be a loss", "not shown": "is not shown"}
    carry = ("carries the gain", "carry the gain")
    if whole.verdict.word != "better":
        carry = ("brings a gain by itself", "bring a gain each by itself")
    gain = f"{points(whole.verdict.mean)} points, which {shown[whole.verdict.word]}"
    sentences = [
        f"together the changes bring {gain}",
        *_say(changes["better"], *carry),
        *_say(changes["worse"], "costs", "cost"),
        *_say(noise, f"is {_NOISE}", f"are {_NOISE}"),
        *_say(
            behind,
            "was behind at first and left the race",
            "were behind at first and left the race",
        ),
        # "no pruning makes it worse" reads like a denial.
        *(
            f"what makes the trial {is_then}: {listed(names)}"
            for is_then, names in (("worse", parts["better"]), ("better", parts["worse"]))
            if names
        ),
        *_adds_up(interplay, apart, seeds=whole.verdict.seeds),
    ]
    return " ".join(map(as_sentence, sentences))


def _say(names: Sequence[str], does: str, do: str) -> list[str]:
    return [f"{listed(names)} {does if len(names) == 1 else do}"] if names else []


def _adds_up(
    interplay: Mapping[str, Estimate], apart: Estimate | None, *, seeds: int
) -> list[str]:
    """What interacts; nothing where there is one change."""
    if apart is None:
        return []
    ends = interval(apart.low, apart.high)
    # A change that left the race has but the seeds until then.
    ends += f" over {apart.seeds} seeds" if apart.seeds < seeds else ""
    if not apart.sure:
        size = f"{points(apart.mean)} points {ends}".rstrip()
        return [
            f"together the changes bring as much as one by one, but for {size}, which is not shown"
        ]
    more, better = ("more", "better") if apart.mean > 0 else ("less", "less")
    who = [name for name, e in interplay.items() if e.sure and (e.mean > 0) == (apart.mean > 0)]
    works = _say(who, f"works {better} beside the others", f"work {better} beside the others")
    size = f"{100 * abs(apart.mean):.1f} points {more} than one by one {ends}"
    return [": ".join([f"together the changes bring {size}", *works])]


def text(result: Ablation, *, again: str = "") -> str:
    """An ablation for people, in 80 columns.

    Args:
        again: The command that goes on with one that was interrupted.
    """
    if result.interrupted:
        return f"Interrupted; go on with: {again or f'raylt ablate {result.study}'}"
    count = len(result.effects)
    seeds = ", ".join(map(str, result.seeds))
    lines = _filled(
        f"{result.study}: which changes make trial {result.trial} differ from the baseline in "
        f"{result.metric}, over the seeds {seeds}",
        f"Chance of a false 'carries' over {'all ' if count > 1 else ''}{count} "
        f"comparison{'s' if count > 1 else ''}: {result.level:g}",
        f"Changes: {'; '.join(result.changes.values())}",
        *(f"{name} are one change, since {reason}" for name, reason in result.together.items()),
    )
    plain = asdict(result)
    lines += ["", *_effects(plain), *_path(plain), ""]
    lines += _filled(result.sentence)
    for runs in result.results():
        lines += [f"seed {seed} failed: {failure}" for seed, failure in runs.failures.items()]
    lines += _filled(as_sentence(result.test_openings), *result.notices)
    # Its command stays one line.
    lines += [f"Stopped: {result.stopped}"] if result.stopped else []
    return "\n".join(lines)


def rows(result: Mapping[str, Any]) -> list[list[str]]:
    """The effects of a stored ablation as cells: change, way, points, interval, p, verdict."""
    return [
        [
            effect["subject"]["name"],
            _HEADS[effect["subject"]["way"]].format(trial=f"trial {result['trial']}"),
            points(verdict["mean"]),
            interval(verdict["low"], verdict["high"]),
            "-" if result["stopped"] else f"{shown_p(verdict):.3f}",
            word(effect),
        ]
        for effect in result["effects"]
        for verdict in [effect["verdict"]]
    ]


def word(effect: Mapping[str, Any]) -> str:
    """What a stored effect is shown to be."""
    seeds = effect["dropped"]
    return f"behind, out after {seeds} seeds" if seeds else WORDS[effect["verdict"]["word"]]


def steps(result: Mapping[str, Any]) -> list[list[str]]:
    """The greedy path of a stored ablation as cells: step, score in per cent, gain, interval."""
    rows: list[list[str]] = []
    for step in result["path"]:
        gain = step["gain"] or {"mean": None, "low": None, "high": None}
        ends = interval(gain["low"], gain["high"])
        rows.append([step["name"], percent(step["score"]), points(gain["mean"]), ends])
    return rows


def left_on_path(result: Mapping[str, Any]) -> list[str]:
    """Which changes left the race of a step of the greedy path, in sentences."""
    return [
        f"Step {number}: {name} left the race after {seeds} seeds, behind the leader."
        for number, step in enumerate(result["path"])
        for name, seeds in step["dropped"].items()
    ]


def _effects(result: Mapping[str, Any]) -> list[str]:
    """A table with a line above each way."""
    cells = [["", "points", "", "p", ""]]
    for name, way, *numbers, shown in rows(result):
        shown = "not yet" if result["stopped"] else shown
        cells.append([f"{way and '  '}{name}", *numbers, shown])
    head, *lines = text_table(cells, right=(1, 3))
    text = [head]
    for (_, above, *_), line in zip(rows(result), lines, strict=True):
        text += [line] if above in ("", *text) else [above, line]
    return [*text, *_filled(COLUMNS)]


def _path(result: Mapping[str, Any]) -> list[str]:
    if len(result["path"]) < 2:
        return []
    head = "greedy path from the baseline; gains flatter, for each was the largest there"
    cells = [
        [f"  {number or ' '} {name}", *numbers]
        for number, (name, *numbers) in enumerate(steps(result))
    ]
    left = _filled(*left_on_path(result))
    return ["", head, *text_table(cells, right=(1, 2)), *left]


def _by_word(effects: Iterable[Effect]) -> dict[str, list[str]]:
    """The names of what was compared by the clearest verdict on it, in order."""
    words: dict[str, set[str]] = {}
    for effect in effects:
        words.setdefault(effect.subject.name, set()).add(effect.verdict.word)
    clearest = {name: next(w for w in WORDS if w in known) for name, known in words.items()}
    return {w: [name for name, best in clearest.items() if best == w] for w in WORDS}


def _filled(*paragraphs: str) -> list[str]:
    return [line for words in paragraphs for line in textwrap.wrap(words, _WIDTH)]
