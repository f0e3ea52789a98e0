"""What an ablation trains: the baseline, the winner, and the settings between and beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from raylt import plugins
from raylt import recipe as recipes
from raylt.schema import Ablation, InputError
from raylt.study.ablate import changes
from raylt.study.ablate.path import Taken
from raylt.study.confirm.race import Comparison
from raylt.study.confirm.runs import Setting
from raylt.study.record import provenance
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.report import status
from raylt.study.verdict.ablation import Subject


class Variants:
    """The settings of the ablation of one trial.

    Args:
        study: The study.
        trial: The trial to be ablated; None for the best one.

    Raises:
        InputError: there is no baseline, no such finished trial, nothing differs between the two,
            or no validation images are held out.
    """

    def __init__(self, study: Record, trial: int | None) -> None:
        self.notices: list[str] = []
        baseline, winner = _ends(study, trial)
        self._study = study
        # A study may have ablations of several trials.
        best = study.best()
        self._of = "" if best and best.number == winner.number else f", of trial {winner.number}"
        self._before, self._after = baseline, winner
        self.changes = changes.changes(study.space, dict(baseline.point), dict(winner.point))
        if not self.changes:
            raise InputError(
                f"{study.name}: trial {winner.number} must differ from the baseline in an open "
                f"leaf, but it is the baseline{' with another seed' if trial else ''}; name "
                f"another trial with --trial N"
            )
        self.names = tuple(change.name for change in self.changes)
        # The baseline may not have been trained yet.
        recipe = study.space.at(baseline.point).model_dump(mode="json")
        self.baseline = _setting(baseline, "baseline", "baseline", recipe)
        self.winner = _setting(winner, f"trial {winner.number}", "candidate", winner.recipe)
        _require_validation(study, self.winner)
        self._known: dict[Taken, Setting | None] = {
            Taken(): self.baseline,
            Taken(self.names): self.winner,
        }

    def at(self, taken: Taken) -> Setting | None:
        """The setting with some changes taken over, or None where the space has none."""
        if taken not in self._known:
            self._known[taken] = self._between(taken)
        return self._known[taken]

    def comparisons(self) -> list[tuple[Subject, Comparison]]:
        """Everything that is compared; positive differences are what having it brings."""
        whole = Comparison(setting=self.winner, reference=self.baseline)
        rows = [(Subject(name="all changes", way="whole", words=""), whole)]
        several = self.changes if len(self.changes) > 1 else ()
        for change in several:
            if without := self.at(Taken(self.names) - {change.name}):
                compared = Comparison(setting=self.winner, reference=without)
                rows.append((Subject(name=change.name, way="out", words=change.words), compared))
        for change in several:
            if alone := self.at(Taken([change.name])):
                compared = Comparison(setting=alone, reference=self.baseline)
                rows.append((Subject(name=change.name, way="in", words=change.words), compared))
        return [*rows, *self._declared(rows)]

    def between(self) -> list[Setting]:
        """The settings between the two that were asked for so far."""
        return [setting for setting in self._known.values() if setting is not None]

    def _between(self, taken: Taken) -> Setting | None:
        space = self._study.space
        chosen = [change for change in self.changes if change.name in taken]
        point, refused = changes.between(
            space, dict(self._before.point), dict(self._after.point), chosen
        )
        missing = [name for name in self.names if name not in taken]
        if refused:
            self.notices.append(f"not trained, with {_and(taken)} alone: {refused}")
            return None
        below = len(missing) == 1 and len(taken) > 1
        return Setting(
            name=(f"{missing[0]} set back" if below else f"only {_and(taken)}") + self._of,
            number=(self._after if below else self._before).number,
            role="ablation",
            point=point,
            recipe=space.at(point).model_dump(mode="json"),
        )

    def _declared(
        self, others: Sequence[tuple[Subject, Comparison]]
    ) -> list[tuple[Subject, Comparison]]:
        """The winner against itself without a part of its method, for each that it has."""
        method = str(self.winner.recipe["method"]["name"])
        rows: list[tuple[Subject, Comparison]] = []
        alone = {c.setting.digest(0): c.setting for s, c in others if s.way == "in"}
        known = {c.reference.digest(0): f"{s.name} set back" for s, c in others if s.way == "out"}
        known[self.baseline.digest(0)] = "the baseline"
        for part in declared(method):
            values = recipes.filled(self.winner.recipe, part.values)
            try:
                recipe = recipes.parse(values)
            except ValidationError as error:
                reason = error.errors()[0]["msg"].removeprefix("Value error, ")
                self.notices.append(f"not trained, {part.name}: {reason}")
                continue
            setting = Setting(
                name=part.name + self._of,
                number=self.winner.number,
                role="ablation",
                point={**self.winner.point, **part.values},
                recipe=recipe.model_dump(mode="json"),
            )
            digest = setting.digest(0)
            if digest in known:
                self.notices.append(f"{part.name}: that is {known[digest]}")
            elif digest != self.winner.digest(0):
                known[digest] = part.name
                subject = Subject(name=part.name, way="declared", words=part.sentence)
                without = alone.get(digest, setting)
                rows.append((subject, Comparison(setting=self.winner, reference=without)))
        return rows


def declared(method: str) -> tuple[Ablation, ...]:
    """The ablations that a method declares in its file; none for one that declares none."""
    try:
        return plugins.declared("methods", method, "ABLATIONS")
    except AttributeError:
        return ()


def _setting(trial: Outcome, name: str, role: str, recipe: Mapping[str, Any]) -> Setting:
    """A trial of the search as a setting."""
    return Setting(name=name, number=trial.number, role=role, point=trial.point, recipe=recipe)


def _require_validation(study: Record, winner: Setting) -> None:
    if not winner.at(0).data.has_validation():
        confirm = provenance.command(study, "confirm", study.name)
        raise InputError(
            f"{study.name}: an ablation needs validation images, but the study holds none out; "
            f"search with data.validation, or compare settings with `{confirm}`"
        )


def _ends(study: Record, trial: int | None) -> tuple[Outcome, Outcome]:
    """The baseline and the trial that is ablated."""
    status.require_searched(study)
    name, baseline = study.name, study.baseline()
    if baseline is None:
        raise InputError(
            f"{name}: must have a baseline to go back to, but has none; run the published one "
            f"with `{provenance.command(study, 'resume', name, 'study.baseline=published')}`"
        )
    outcomes = study.outcomes()
    if trial is not None:
        chosen = next((o for o in outcomes if o.number == trial), None)
        if chosen is None or chosen.state != "complete":
            state = f"is {chosen.state}" if chosen else "does not exist"
            raise InputError(
                f"{name}: --trial: must be a trial that has finished, but trial {trial} {state}; "
                f"`{provenance.command(study, 'status', name)}` shows them"
            )
        return baseline, chosen
    best = study.best()
    if best is None or sum(outcome.over for outcome in outcomes) < study.wanted:
        raise InputError(
            f"{name}: its search must be over and have a winner, but it has not; "
            f"{status.what_next(study)}, or name a finished trial with --trial N"
        )
    if best.number == baseline.number:
        raise InputError(
            f"{name}: the winner must be another setting than the baseline, but the search found "
            f"nothing better; {status.what_next(study)}, or name a trial with --trial N"
        )
    return baseline, best


def _and(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
