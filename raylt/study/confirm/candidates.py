"""Who is confirmed: the baseline and the best trials of a study, as settings to train again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from raylt import recipe as recipes
from raylt.schema import InputError
from raylt.space import plan
from raylt.space.file import explain
from raylt.study.confirm.runs import Setting
from raylt.study.record.outcome import Outcome, violations
from raylt.study.record.record import Record
from raylt.study.report import status


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is asked of a confirmation; None stands for what the space file says."""

    top: int | None
    """Winners to confirm."""
    seeds: int | None
    """Seeds of each setting."""
    race: bool
    """Whether hopeless candidates are dropped early."""
    retry_failed: bool
    """Whether runs that failed are run again."""
    retrain: Literal["split", "pool"] | None = None
    """Images that the runs are trained on."""
    words: tuple[str, ...] = ()
    """The same as words of the command."""
    opener: str = "raylt.trial.evaluation.test_score:open_test"
    """The function that scores a finished run on the test images."""


def choose(study: Record, options: Options) -> tuple[Setting, tuple[Setting, ...]]:
    """The baseline and the candidates of a study, if the plan can reach the level.

    Raises:
        InputError: there is nothing to compare, or the plan cannot reach the level.
    """
    reference = study.baseline()
    assert reference is not None, "confirm gives a study a baseline that has none"
    recipe = study.space.at(reference.point)
    baseline = _setting(study, reference, "baseline", recipe.model_dump(mode="json"), options)
    finished = [
        outcome
        for outcome in study.ranking()
        if outcome.state == "complete"
        and outcome.digest != recipe.digest
        and _keeps_constraints(study, outcome, reference)
    ]
    if not finished:
        raise InputError(
            f"{study.name}: a trial besides the baseline must have finished and kept the "
            f"constraints, but none has; {status.what_next(study)}"
        )
    best = finished[: options.top or study.space.study.confirm.top]
    try:
        plan.Confirm(top=len(best), seeds=seeds(study, options))
    except ValidationError as error:
        keys, text = explain.sentences(error, plan.Confirm)[0]
        raise InputError(f"{study.name}: confirm: {explain.dotted(keys)} {text}") from None
    return baseline, tuple(_setting(study, o, "candidate", o.recipe, options) for o in best)


def seeds(study: Record, options: Options) -> int:
    """How many seeds each setting of a confirmation is trained with."""
    return options.seeds or study.space.study.confirm.seeds


def retrain(study: Record, options: Options) -> Literal["split", "pool"]:
    """Images that the runs of a confirmation are trained on."""
    return options.retrain or study.space.study.confirm.retrain


def _setting(
    study: Record, outcome: Outcome, role: str, recipe: Mapping[str, Any], options: Options
) -> Setting:
    """A trial as a setting to be trained once more.

    Raises:
        InputError: it is to be trained on the validation images too, but its dataset or its
            evaluation cannot do without them.
    """
    if retrain(study, options) == "pool":
        whole = {**recipe, "data": {**recipe["data"], "validation": 0}}
        try:
            recipe = recipes.parse(whole).model_dump(mode="json")
        except ValidationError as error:
            raise InputError(
                f"{study.name}: trial {outcome.number} cannot be trained on the validation images "
                f"too, for it needs them: {_message(error)}; use --retrain split"
            ) from None
    name = role if role == "baseline" else f"trial {outcome.number}"
    return Setting(name=name, number=outcome.number, role=role, point=outcome.point, recipe=recipe)


def _keeps_constraints(study: Record, outcome: Outcome, baseline: Outcome) -> bool:
    missed = violations(study.space.study.constraints, outcome.last, baseline.last)
    return all(gap <= 0 for gap in missed.values())


def _message(error: ValidationError) -> str:
    return error.errors()[0]["msg"].removeprefix("Value error, ")
