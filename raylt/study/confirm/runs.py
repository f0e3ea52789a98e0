"""The runs over fresh seeds: some settings, each trained with the same ones.

They are a study of their own in the folder `confirm` of the study that they are about, for all
questions together: a killed command goes on where it was, and a run that has finished is never run
again, whatever is asked later.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import optuna

from raylt import recipe as recipes
from raylt.recipe import Recipe
from raylt.schema import Value
from raylt.space import Leaf, Space
from raylt.space.plan import Budget, Objective, Scheduler
from raylt.study.record import storage, studies
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.verdict.answer import FOLDER, NAMES, POOL

_SEED = "seed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting that is trained with several seeds."""

    name: str
    """What it is called among the settings of its question."""
    number: int
    """The trial of the study that it is, or that it is a variant of."""
    role: str
    """`baseline`, `candidate` or `ablation`."""
    point: Mapping[str, Value]
    recipe: Mapping[str, Any]
    """Its recipe as plain values; the seed is that of the search."""
    _digests: dict[int, str] = field(
        default_factory=dict[int, str], init=False, repr=False, compare=False
    )

    def at(self, seed: int) -> Recipe:
        """The recipe with another seed."""
        return recipes.parse({**self.recipe, _SEED: seed})

    def digest(self, seed: int) -> str:
        """The digest of that recipe; it is asked for often, and parsed once."""
        if seed not in self._digests:
            self._digests[seed] = self.at(seed).digest
        return self._digests[seed]


def setting_digest(recipe: Mapping[str, Any]) -> str:
    """The digest of a recipe without its seed, as that of `Setting.digest` with seed 0."""
    return recipes.parse({**recipe, _SEED: 0}).digest


def fresh_seeds(settings: Iterable[Setting], count: int) -> tuple[int, ...]:
    """Seeds that the search has not seen: the chosen trials won with theirs, partly by luck."""
    used = {setting.recipe[_SEED] for setting in settings}
    free = (seed for seed in itertools.count(1) if seed not in used)
    return tuple(itertools.islice(free, count))


class SeedRuns:
    """The runs over fresh seeds of one study; the caller holds the study's lock to write."""

    def __init__(self, record: Record) -> None:
        self.record = record

    def limit(self, budget: Budget) -> None:
        """Begin no run once all of them together have cost that much."""
        plan = self.record.space.study.model_copy(update={"budget": budget})
        self.record.space = replace(self.record.space, study=plan)

    def run(self, setting: Setting, seed: int) -> Outcome | None:
        """The latest run of a setting with a seed, a finished one before all others."""
        known = self.record.of_digest(setting.digest(seed))
        return max(known, key=lambda run: (run.state == "complete", run.number), default=None)

    def is_open(self, setting: Setting, seed: int) -> bool:
        """Whether a setting is still to be trained with a seed."""
        run = self.run(setting, seed)
        return run is None or run.state not in ("complete", "failed")

    def finished(self, setting: Setting, seeds: Iterable[int]) -> dict[int, Outcome]:
        """The finished runs of a setting by seed."""
        runs = {seed: self.run(setting, seed) for seed in seeds}
        return {seed: run for seed, run in runs.items() if run and run.state == "complete"}

    def queue(self, runs: Iterable[tuple[Setting, int]]) -> None:
        """Queue what has never run, in the given order; what another question left waiting is
        withdrawn."""
        wanted = {setting.digest(seed): (setting, seed) for setting, seed in runs}
        known: set[str] = set()
        for outcome in self.record.outcomes():
            if outcome.state == "waiting" and outcome.digest not in wanted:
                self.record.discard(outcome.number)
            known.add(outcome.digest)
        for digest, run in wanted.items():
            if digest not in known:
                self._enqueue(*run)
        self._count()

    def retry(self, runs: Iterable[tuple[Setting, int]]) -> None:
        """Queue again what has failed."""
        for setting, seed in runs:
            run = self.run(setting, seed)
            if run is not None and run.state == "failed":
                self._enqueue(setting, seed)
        self._count()

    def _enqueue(self, setting: Setting, seed: int) -> None:
        recipe = setting.at(seed)
        self.record.study.enqueue_trial(
            {},
            user_attrs={
                "role": setting.role,
                "point": {**setting.point, _SEED: seed},
                "recipe": recipe.model_dump(mode="json"),
                "digest": recipe.digest,
                "setting": setting.number,
                "name": setting.name,
            },
        )

    def _count(self) -> None:
        outcomes = self.record.outcomes()
        for outcome in outcomes:
            self.record.trial_folder(outcome.number).mkdir(parents=True, exist_ok=True)
        self.record.note("trials", len(outcomes))

    def label(self, run: Outcome) -> str:
        """What a run is called: its setting and its seed."""
        return f"{self.name_of(run)}, seed {run.recipe['seed']}"

    def brief(self, run: Outcome) -> str:
        """The same where all variants are of one trial."""
        return re.sub(r", of trial \d+(?=, seed)", "", self.label(run))

    def name_of(self, run: Outcome) -> str:
        """What the setting of a run is called; one of version 0.1.0 has no name of its own."""
        role = "baseline" if run.role == "baseline" else "trial"
        unnamed = f"{role} {self.setting_of(run.number)}"
        return self.record.frozen(run.number).user_attrs.get("name", unnamed)

    def names(self, digest: str, runs: Iterable[Outcome]) -> dict[str, str]:
        """What a setting is called -> the role that it has there.

        Args:
            digest: Its digest with seed 0.
            runs: Its runs.
        """
        first = {self.name_of(run): run.role for run in runs}
        return {**first, **self.record.facts.get(NAMES, {}).get(digest, {})}

    def setting_of(self, number: int) -> int:
        """The trial of the study that a run repeats, or that it is a variant of."""
        return self.record.frozen(number).user_attrs["setting"]


def open_runs(study: Record, *, validated: bool = True) -> SeedRuns:
    """The runs of a study over fresh seeds; begun here where there are none.

    Args:
        validated: Whether its runs hold validation images out. Those that do not are kept apart,
            for they have training losses only.
    """
    place = FOLDER if validated else POOL
    folder = study.folder / place
    space = _space(study.space, validated=validated)
    sampler = optuna.samplers.RandomSampler(seed=0)
    # On a server it needs a name that no study can have.
    name = f"{study.name}/{place}"
    if storage.exists(folder, study.url, name):
        record = studies.load(folder, sampler=sampler, url=study.url, name=name)
        record.space = space
        record.objectives = space.study.objective
    else:
        keys = ("floor", "fingerprint", "data")
        facts = {key: study.facts[key] for key in keys if key in study.facts}
        record = studies.create(
            folder, space, sampler=sampler, queue=(), facts=facts, url=study.url, name=name
        )
    return SeedRuns(record)


def _space(space: Space, *, validated: bool) -> Space:
    """The searched space with the seed as one more column, and nothing that stops a run."""
    plan = space.study.model_copy(
        # The budget is that of the search, which is over; every run is needed at the end, when
        # the test images are opened.
        update={
            "scheduler": Scheduler(name="none"),
            "budget": Budget(),
            "constraints": (),
            "points": (),
            "checkpoints": "all",
        }
    )
    if not validated:
        plan = plan.model_copy(update={"objective": (Objective(metric="train/loss"),)})
    seed = Leaf(path=_SEED, low=0, high=2**32 - 1)
    leaves = (*(leaf for leaf in space.leaves if leaf.path != _SEED), seed)
    return replace(space, study=plan, leaves=leaves, baseline_point=None, points=())
