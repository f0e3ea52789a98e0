"""What a person sees at the end of a search."""

from __future__ import annotations

from raylt.study.record import text
from raylt.study.record.outcome import failures
from raylt.study.report import trials_table
from raylt.study.report.columns import Columns
from raylt.study.run.result import Result
from raylt.study.verdict import floor

_NOT_HELD_OUT = "Nothing is held out (data.validation is 0), so only training losses are known"
_FAILURES = 5
"""Different failures that the summary names."""


def parts(result: Result) -> list[Columns | str]:
    """The end of a search: the ranking, then the lines of `closing`."""
    best = result.best.number if result.best else None
    begun = [trial for trial in result.ranking if trial.state != "waiting"]
    table = trials_table.table(begun, result.paths, result.objective, best)
    return [*([table, ""] if begun else []), *closing(result)]


def closing(result: Result) -> list[str]:
    """The summary's lines below the ranking: best against baseline, floor, files, what next."""
    lines = [*_verdict(result), *floor.lines(result.floor)]
    searched, best = bool(result.paths), result.best
    if hint := floor.unbeaten(result.floor, result.objective, best, searched=searched):
        lines.append(hint)
    if few := text.small_sample(result.validation):
        lines.append(few)
    for numbers, failure in failures(result.ranking)[:_FAILURES]:
        noun = "trial" if len(numbers) == 1 else "trials"
        lines.append(f"Failed: {noun} {', '.join(map(str, numbers))}: {failure}")
    if result.stopped:
        lines.append(f"Ended early: {result.stopped}")
    lines += [
        *result.notices,
        f"Written to {result.folder} (study.db, space.yaml, trials/), tracked in "
        f"{result.tracking_uri}; {text.duration(result.seconds)}",
        "",
    ]
    commands = result.commands
    if result.interrupted:
        return [*lines, f"Interrupted; go on with: {commands['resume']}"]
    missing = sum(trial.over for trial in result.ranking) < result.wanted
    question = "is the best of the others better?" if _same(result) else "is it really better?"
    recipe = "the best recipe" if searched else "its recipe"
    steps = [("best", recipe), ("confirm", question)] if best else []
    steps += [
        ("ui", "compare the trials in MLflow" if searched else "see it in MLflow"),
        ("resume", "go on with what is not finished")
        if missing
        else ("more", "as many trials again"),
    ]
    rows = [f"      {commands[s]}   ({reason})" for s, reason in steps if s in commands]
    return [*lines, rows[0].replace("      ", "Next: ", 1), *rows[1:]]


def _same(result: Result) -> bool:
    """Whether the best trial is the baseline."""
    best, baseline = result.best, result.baseline
    return best is not None and baseline is not None and best.number == baseline.number


def _verdict(result: Result) -> list[str]:
    metric, best, baseline = result.objective, result.best, result.baseline
    if not result.paths:
        return _trained(result)
    if best is None:
        return ["No best trial yet: none has finished, or none has kept the constraints."]
    lines = [f"Best: trial {best.number} with {', '.join(text.scores(best.last))}"]
    if not any(name.startswith("val/") for name in best.last):
        lines.append(f"{_NOT_HELD_OUT}; `raylt confirm` alone opens the test set")
    if baseline is not None and metric in baseline.last:
        gap = text.lead(metric, best.last[metric] - baseline.last[metric])
        source = f" ({result.baseline_source})" if result.baseline_source else ""
        compared = f"; {'the best trial is the baseline' if _same(result) else f'{gap}, one seed'}"
        lines.append(
            f"Baseline{source}: trial {baseline.number} with "
            f"{', '.join(text.scores(baseline.last))}{compared}"
        )
    return lines


def _trained(result: Result) -> list[str]:
    """What one training reached, and whose setting it is."""
    if result.best is None:
        return ["The training has not finished."]
    known = result.best.last
    lines = [f"The model reaches {', '.join(text.scores(known))}"]
    if not any(name.startswith("val/") for name in known):
        lines.append(_NOT_HELD_OUT)
    if result.baseline is not None and result.baseline_source:
        lines.append(f"Its setting is that of {result.baseline_source}")
    return lines
