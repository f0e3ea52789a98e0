"""Population based training of real models on the digits, through Ray: whose weights go on."""

import contextlib
import json

import pytest
import torch

from raylt import recipe as recipes
from raylt.study.record import studies
from raylt.study.run import driver
from raylt.trial import worker
from raylt.trial.checkpoints import checkpoint
from tests.study import traced
from tests.study.drive import settings, toy

# One whose steps are far too long is there from the start, so that somebody is replaced.
POPULATION = (
    "study.sampler={name: random, seed: 3}",
    "study.baseline.values={method.temperature: 0.2, method.prune: 0.9, optimizer.lr: 0.1}",
    "study.points=[{method.temperature: 0.9, method.prune: 0.9, optimizer.lr: 30.0}]",
    "optimizer.lr={low: 0.01, high: 30.0, log: true}",
    "size=8",
    "data.imbalance=20",
)


def searched(folder, *overrides, **changes):
    """The record of a population that was searched with the real work."""
    options = settings(folder, work="tests.study.traced:work", **changes)
    found = driver.search(
        toy(folder, *POPULATION, *overrides), options, floor=dict, fingerprint="f"
    )
    assert (found.exit_code, found.interrupted) == (0, False)
    return contextlib.closing(studies.open_study("toy", folder / "runs"))


def accounted(record, epochs, every, workers=1):
    """Every worker of every trial trained each epoch once, from where its generation had
    ended."""
    for one in record.outcomes():
        assert (one.state, one.attempts) == ("complete", 1)
        assert [entry["epoch"] for entry in record.epochs(one.number)] == [*range(1, epochs + 1)]
        wanted = [epoch for epoch in range(0, epochs, every) for _ in range(workers)]
        starts = (record.trial_folder(one.number) / "starts.txt").read_text().split()
        assert [int(epoch) for epoch in starts] == wanted


def begun(record, number, epoch):
    """The weights that the workers of a trial went on from after an epoch."""
    lines = (record.trial_folder(number) / "weights.txt").read_text().splitlines()
    return [line.split()[1] for line in lines if line.split()[0] == str(epoch)]


def replaced(record):
    """The trials that went on from others; there is one at least."""
    found = [one for one in record.outcomes() if one.takeovers]
    assert found
    assert all(one.role != "baseline" for one in found)
    return found


def apart(record, one, run, folder):
    """How far the weights of a trial are from those of a run trained from its start, relative to
    how long they are."""
    worker.work(run, root=folder, folder=folder, report=str, device="cpu")
    ends = [
        checkpoint.read(max(where.glob("checkpoint-*.safetensors"))).tensors
        for where in (record.trial_folder(one.number), folder)
    ]
    mine, theirs = (
        torch.cat([t.flatten() for k, t in sorted(end.items()) if t.is_floating_point()])
        for end in ends
    )
    return ((mine - theirs).norm() / theirs.norm()).item()


def lineage(record, one):
    """A replaced trial's recipe, and one with the same changes but its own beginning."""
    whole = recipes.parse(dict(one.recipe))
    own = {
        **json.loads(record.space.at(one.point).model_dump_json()),
        "changes": one.recipe["changes"],
    }
    return whole, recipes.parse(own)


@pytest.mark.ray
@pytest.mark.slow
def test_who_goes_on_from_another_has_its_weights(tmp_path):
    plan = (
        "study.scheduler={name: pbt, every: 2, share: 0.34, metric: val/knn}",
        "study.trials=4",
    )
    with searched(tmp_path, *plan) as record:
        accounted(record, epochs=6, every=2)
        found = {one.number: lineage(record, one) for one in replaced(record)}
        for number, (whole, _) in found.items():
            # To the last bit: with the parent's weights, and its optimizer's state.
            one = record.outcome(number)
            assert apart(record, one, whole, tmp_path / f"whole-{number}") == 0
        # One may come back to its own beginning through a parent that had taken it over.
        others = {number: own for number, (whole, own) in found.items() if own != whole}
        assert others
        for number, own in others.items():
            assert apart(record, record.outcome(number), own, tmp_path / f"own-{number}") > 0.01


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_so_it_is_with_trials_of_two_workers(tmp_path):
    plan = (
        "study.scheduler={name: pbt, every: 2, share: 0.5, metric: val/knn}",
        "study.trials=2",
        "epochs=4",
    )
    with searched(tmp_path, *plan, workers=2) as record:
        accounted(record, epochs=4, every=2, workers=2)
        (one,) = replaced(record)
        assert [(taken["parent"], taken["epoch"]) for taken in one.takeovers] == [(0, 2)]
        # Both workers of both trials begin the second generation with the parent's weights; the
        # models that come of it differ, for the values differ.
        mine, theirs = begun(record, one.number, 2), begun(record, 0, 2)
        assert len(mine) == len(theirs) == 2
        assert len({*mine, *theirs}) == 1
        ends = [
            checkpoint.latest(record.trial_folder(n), digests=forerunners(record, n))
            for n in (one.number, 0)
        ]
        assert traced.fingerprint(ends[0]) != traced.fingerprint(ends[1])


def forerunners(record, number):
    return recipes.parse(dict(record.outcome(number).recipe)).forerunners
