"""Every sampler with every scheduler: what happened to each trial is what the record says."""

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest
from ray.tune.schedulers import TrialScheduler

from raylt import recipe
from raylt.study.record import distributions, studies
from raylt.study.search import schedulers
from raylt.study.search.searcher import TruthfulSearcher
from tests.study import drive, fake
from tests.study.drive import behave, settings, toy

SAMPLERS = {
    "tpe": "{name: tpe, seed: 3, startup: 4}",
    "random": "{name: random, seed: 3}",
    "grid": "{name: grid}",
    "gp": "{name: gp, seed: 3, startup: 4}",
    "nsga2": "{name: nsga2, seed: 3, startup: 4}",
    "cmaes": "{name: cmaes, seed: 3, startup: 4}",
}
SCHEDULERS = {
    "asha": "{name: asha, factor: 2}",
    "hyperband": "{name: hyperband, factor: 2}",
    "median": "{name: median}",
    "none": "{name: none}",
}
STEPS = (
    "method.temperature={low: 0.1, high: 0.9, step: 0.1}",
    "method.prune={low: 0.1, high: 0.9, step: 0.1}",
    "study.baseline.values={method.temperature: 0.2, method.prune: 0.9}",
)
DENSITY = ("method.prune={low: 0.1, high: 0.99, log: complement}",)
TRIALS = 10


def overrides(sampler, scheduler):
    leaves = STEPS if sampler == "grid" else DENSITY if scheduler == "none" else ()
    return (
        f"study.sampler={SAMPLERS[sampler]}",
        f"study.scheduler={SCHEDULERS[scheduler]}",
        f"study.trials={TRIALS}",
        *leaves,
    )


@pytest.fixture(autouse=True)
def brackets():
    """Ray draws a trial's bracket of HyperBand by numpy's own generator: in one draw of some all
    trials are in the patient ones, where none is stopped."""
    np.random.seed(0)


class Slot(SimpleNamespace):
    """A trial as Tune's schedulers see it."""

    def __hash__(self):
        return hash(self.trial_id)


def play(search, stops, slots=3):
    """Tune's loop with some trials at a time, an epoch each in turn: last epoch of each trial."""
    live, names, ends = [], itertools.count(), {}
    while True:
        while len(live) < slots and isinstance(config := search.suggest(f"t{next(names)}"), dict):
            trial_id = next(reversed(search._live))
            search.started(trial_id)
            wanted = recipe.parse(json.loads(config["recipe"]))
            live.append(Slot(trial_id=trial_id, config=config, recipe=wanted, epoch=0))
            stops.on_trial_add(None, live[-1])
        if not live:
            return ends
        for slot in tuple(live):
            slot.epoch += 1
            result = fake.metrics(slot.recipe, slot.epoch)
            stop = stops.on_trial_result(None, slot, result) == TrialScheduler.STOP
            if not stop and slot.epoch < slot.recipe.epochs:
                search.on_trial_result(slot.trial_id, result)
                continue
            stops.on_trial_complete(None, slot, result)
            search.on_trial_complete(slot.trial_id, result)
            live.remove(slot)
            ends[slot.config["number"]] = slot.epoch


def agree(record, ends, sampler, scheduler):
    """The record holds what happened, and no setting was tried twice."""
    # The rest of a grid waits in its queue.
    outcomes = [outcome for outcome in record.outcomes() if outcome.state != "waiting"]
    assert len(outcomes) == len({outcome.digest for outcome in outcomes}) == TRIALS
    for outcome in outcomes:
        trial, end = record.frozen(outcome.number), ends[outcome.number]
        state = ("complete", "COMPLETE") if end == 6 else ("stopped", "PRUNED")
        assert (outcome.state, trial.state.name, outcome.epoch) == (*state, end)
        made = recipe.parse(dict(outcome.recipe))
        curve = {epoch: fake.metrics(made, epoch)["val/accuracy"] for epoch in range(1, end + 1)}
        assert trial.intermediate_values == pytest.approx(curve)
        assert trial.value == pytest.approx(curve[end])
        heard = {
            distributions.parameter(leaf): distributions.to_optuna(leaf, outcome.point[leaf.path])
            for leaf in record.space.leaves
        }
        assert trial.params == pytest.approx(heard)
        assert scheduler != "none" or sampler == "grid" or "1 - method.prune" in trial.params
        assert all(leaf.admits(outcome.point[leaf.path]) for leaf in record.space.leaves)
    assert outcomes[0].role == "baseline"
    assert ends[0] == 6
    stopped = [number for number, end in ends.items() if end < 6]
    assert bool(stopped) == (scheduler != "none")


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_record_tells_what_happened(study, sampler, scheduler):
    made = study(*overrides(sampler, scheduler))
    ends = play(TruthfulSearcher(made, [], str), schedulers.scheduler(made))
    agree(made, ends, sampler, scheduler)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "scheduler"),
    [
        ("random", "asha"),
        ("grid", "median"),
        ("gp", "hyperband"),
        ("nsga2", "asha"),
        ("cmaes", "none"),
    ],
)
def test_so_it_does_through_ray(tmp_path, sampler, scheduler):
    behave(tmp_path, seconds=0.05)
    made = toy(tmp_path, *overrides(sampler, scheduler))
    result = drive.search(made, settings(tmp_path))
    assert result.exit_code == 0
    record = studies.open_study("toy", tmp_path / "runs")
    ends = {
        int(path.parent.name): len(path.read_text().split())
        for path in (record.folder / "trials").glob("*/ran.txt")
    }
    agree(record, ends, sampler, scheduler)
