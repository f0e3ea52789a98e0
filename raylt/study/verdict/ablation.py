"""The result of an ablation: how it is stored, and how it reads."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from raylt.study.record.record import Record
from raylt.study.record.text import table
from raylt.study.verdict import answer
from raylt.study.verdict.answer import Answer, SeedResults
from raylt.study.verdict.interplay import Estimate
from raylt.study.verdict.significance import Verdict

Way = Literal["whole", "out", "in", "declared"]
"""All changes together; one that is set back alone, or taken over alone; a part of the method."""
WORDS = {"better": "carries", "worse": "costs", "not shown": "noise"}
"""What a verdict on having a change means for the change."""
NOT_YET = "Nothing is judged yet, for not all runs are there."
"""Instead of a sentence on the changes while an ablation is not finished."""
WIDTH = 80
_KIND = "ablation"
_HEADS: dict[Way, str] = {
    "whole": "",
    "out": "set back alone: what {trial} loses",
    "in": "taken over alone: what the baseline gains",
    "declared": "a part of the method left out: what {trial} loses",
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
    """One step of the greedy path from the baseline to the winner, chosen on validation."""

    name: str
    score: float | None
    """The mean of the metric after the step."""
    gain: Estimate | None
    """Against the setting before the step; flattering, for the largest one was chosen."""
    tried: Mapping[str, float]
    """The mean gain on validation of each change that was tried here."""
    dropped: Mapping[str, int]
    """A change that was tried -> seeds after which it left the race."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation(Answer):
    """What `raylt ablate` found."""

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


def store(study: Record, result: Ablation) -> None:
    """Keep a finished ablation with its study, whole or not at all."""
    answer.store(study, _KIND, result)


def stored(study: Record) -> dict[str, Any] | None:
    """The last finished ablation of a study, as `Ablation`, with plain values and lists for
    tuples; None if there is none.

    Raises:
        EnvironmentError: its file is damaged.
    """
    return answer.stored(study, _KIND, "ablate")


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
    words = _by_word(e for e in rest if e.subject.way != "declared")
    parts = _by_word(e for e in rest if e.subject.way == "declared")
    lead = _signed(whole.verdict.mean)
    shown = {"better": "is shown", "worse": "is shown to be a loss", "not shown": "is not shown"}
    sentences = [f"Together the changes bring {lead} points, which {shown[whole.verdict.word]}"]
    if words["better"]:
        sentences.append(f"{_list(words['better'])} {_carry(words['better'])} the gain")
    if words["worse"]:
        sentences.append(f"{_list(words['worse'])} cost{'s'[len(words['worse']) > 1 :]}")
    if words["not shown"]:
        be = "is" if len(words["not shown"]) == 1 else "are"
        sentences.append(f"{_list(words['not shown'])} {be} within the noise of these seeds")
    for kind, better in (("better", "worse"), ("worse", "better")):
        if parts[kind]:
            make = "makes" if len(parts[kind]) == 1 else "make"
            sentences.append(f"{_list(parts[kind])} {make} the winner {better}")
    return ". ".join(_capital(words) for words in [*sentences, *_adds_up(interplay, apart)]) + "."


def _carry(names: Sequence[str]) -> str:
    return "carries" if len(names) == 1 else "carry"


def _adds_up(interplay: Mapping[str, Estimate], apart: Estimate | None) -> list[str]:
    """What interacts; nothing where there is one change."""
    if apart is None:
        return []
    size = f"{_signed(apart.mean)} points{ends(apart)}"
    if not apart.sure:
        return [f"Together they bring as much as one by one, but for {size}, which is noise"]
    more = "more" if apart.mean > 0 else "less"
    who = [name for name, e in interplay.items() if e.sure and (e.mean > 0) == (apart.mean > 0)]
    named = f": {_list(who)} {'work' if len(who) > 1 else 'works'} {_how(apart)}" if who else ""
    return [f"Together they bring {size} {more} than one by one{named}".replace("+-", "-")]


def _how(apart: Estimate) -> str:
    return "better beside the others" if apart.mean > 0 else "less beside the others"


def text(result: Ablation, *, again: str = "") -> str:
    """An ablation for people, in 80 columns.

    Args:
        again: The command that goes on with one that was interrupted.
    """
    if result.interrupted:
        return f"Interrupted; go on with: {again or f'raylt ablate {result.study}'}"
    trial = f"trial {result.trial}"
    count = len(result.effects)
    seeds = ", ".join(map(str, result.seeds))
    lines = _filled(
        f"{result.study}: which changes make {trial} differ from the baseline in {result.metric}, "
        f"over the seeds {seeds}",
        f"Chance of a false 'carries' over {'all ' if count > 1 else ''}{count} "
        f"comparison{'s' if count > 1 else ''}: {result.level:g}",
        f"Changes: {'; '.join(result.changes.values())}",
        *(f"{name} are one change, since {reason}" for name, reason in result.together.items()),
    )
    lines += ["", *_effects(result, trial), *_path(result), ""]
    lines += _filled(result.sentence)
    for runs in result.results():
        lines += [f"seed {seed} failed: {failure}" for seed, failure in runs.failures.items()]
    stopped = f"Stopped: {result.stopped}; go on with a larger budget" if result.stopped else ""
    lines += _filled(f"{_capital(result.test_openings)}.", stopped, *result.notices)
    return "\n".join(lines)


def rows(result: Mapping[str, Any]) -> list[list[str]]:
    """The effects of a stored ablation as cells: change, way, points, interval, p, verdict."""
    return [
        [
            effect["subject"]["name"],
            _HEADS[effect["subject"]["way"]].partition(":")[0],
            _signed(effect["verdict"]["mean"]),
            _interval(effect["verdict"]["low"], effect["verdict"]["high"]),
            f"{_p(effect['verdict']):.3f}",
            word(effect["verdict"]["word"], effect["dropped"]),
        ]
        for effect in result["effects"]
    ]


def word(verdict: str, dropped: int | None) -> str:
    """What a verdict means for a change."""
    return WORDS[verdict] + (f", out after {dropped} seeds" if dropped is not None else "")


def ends(estimate: Estimate) -> str:
    """An interval after its mean."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f" [{_signed(estimate.low)}, {_signed(estimate.high)}]"


def _effects(result: Ablation, trial: str) -> list[str]:
    cells = [["", "points", "", "p", ""]]
    heads: dict[int, str] = {}
    way: Way = "whole"
    for effect in result.effects:
        subject, verdict = effect.subject, effect.verdict
        if subject.way != way:
            way = subject.way
            heads[len(cells)] = _HEADS[way].format(trial=trial)
        p = _p(
            {"word": verdict.word, "p_holm": verdict.p_holm, "p_worse_holm": verdict.p_worse_holm}
        )
        cells.append(
            [
                f"{'' if way == 'whole' else '  '}{subject.name}",
                _signed(verdict.mean),
                _interval(verdict.low, verdict.high),
                f"{p:.3f}",
                "not yet" if result.stopped else word(verdict.word, effect.dropped),
            ]
        )
    lines: list[str] = []
    for number, line in enumerate(table(cells, right=(1, 3))):
        lines += [heads[number]] if number in heads else []
        lines.append(line)
    return lines


def _path(result: Ablation) -> list[str]:
    if not result.path:
        return []
    cells = [["  baseline", _percent(result), "", ""]]
    for number, step in enumerate(result.path, 1):
        score = "-" if step.score is None else f"{100 * step.score:.1f}"
        gain = step.gain
        cells.append(
            [
                f"  {number} {step.name}",
                score,
                _signed(gain.mean if gain else None),
                ends(gain).strip() if gain else "",
            ]
        )
    head = "greedy path from the baseline; gains flatter, for each was the largest there"
    return ["", head, *table(cells, right=(1, 2))]


def _percent(result: Ablation) -> str:
    scores = (
        result.baseline.test if result.metric.startswith("test/") else result.baseline.validation
    )
    values = [metrics[result.metric] for metrics in scores.values() if result.metric in metrics]
    return f"{100 * sum(values) / len(values):.1f}" if values else "-"


def _by_word(effects: Iterable[Effect]) -> dict[str, list[str]]:
    """The names of what was compared by the clearest verdict on it, in order."""
    words: dict[str, set[str]] = {}
    for effect in effects:
        words.setdefault(effect.subject.name, set()).add(effect.verdict.word)
    clearest = {
        name: next(w for w in ("better", "worse", "not shown") if w in sentence)
        for name, sentence in words.items()
    }
    return {w: [name for name, best in clearest.items() if best == w] for w in WORDS}


def _p(verdict: Mapping[str, Any]) -> float:
    return verdict["p_worse_holm" if verdict["word"] == "worse" else "p_holm"]


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None else f"[{_signed(low)}, {_signed(high)}]"


def _signed(value: float | None) -> str:
    # Adding 0 takes the minus from a zero.
    return "-" if value is None else f"{round(100 * value, 1) + 0.0:+.1f}"


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _capital(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}"


def _filled(*paragraphs: str) -> list[str]:
    return [line for words in paragraphs for line in textwrap.wrap(words, WIDTH)]
