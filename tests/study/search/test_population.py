"""Population based training: who goes on from whom, and what the record says of it."""

import contextlib
import json
import random
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylt import recipe, space
from raylt.schema import InputError
from raylt.study.record import studies
from raylt.study.run import driver
from raylt.study.search.population import Population, Standing, changed, takeovers
from raylt.study.search.searcher import TruthfulSearcher
from tests.study import fake_population
from tests.study.drive import settings, toy

PBT = (
    "study.scheduler={name: pbt, every: 2, share: 0.34}",
    "study.sampler={name: random, seed: 3}",
    "epochs=8",
)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=12), st.floats(0.05, 0.5))
def test_the_weak_go_on_from_the_strong(found, share):
    standings = [Standing(n, float(score), spared) for n, (score, spared) in enumerate(found)]
    chosen = takeovers(standings, share=share, choose=lambda best: best[-1])
    scores = {one.number: one for one in standings}
    for number, parent in chosen.items():
        assert scores[number].score < scores[parent].score
        assert not scores[number].spared
    assert set(chosen).isdisjoint(chosen.values())
    assert len(chosen) <= len(standings) // 2


def test_a_quarter_is_replaced_from_a_quarter():
    standings = [Standing(n, n / 10, n == 0) for n in range(8)]
    assert takeovers(standings, share=0.25, choose=lambda best: best[0]) == {1: 7}


@given(st.integers(0, 2**32))
def test_changed_values_stay_in_their_ranges_and_near_the_old_ones(seed):
    leaves = (
        space.Leaf("a", 0.1, 0.4, log=True, complement=False, step=None, choices=None, when=None),
        space.Leaf("b", 0.0, 1.0, log=False, complement=False, step=0.25, choices=None, when=None),
    )
    found = changed({"a": 0.2, "b": 0.5}, leaves, random.Random(seed))
    assert all(leaf.admits(found[leaf.path]) for leaf in leaves)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("study.sampler={name: tpe}",), r"study.sampler.name: must be random with"),
        (("study.scheduler.every=8",), r"study.scheduler.every: must be a multiple .* try 1"),
        (("evaluation.every=3",), "which is 3, and less than epochs, 8, but got 2; try 3"),
        (("optimizer.batch_size={choices: [64, 128]}",), "optimizer.batch_size: must be fixed"),
        (("method.prune={choices: [0.1, 0.9]}",), "method.prune: must be fixed with"),
        (("method.refresh={low: 1, high: 4}",), "method.refresh: must be fixed with"),
        (("changes=[{epoch: 2, values: {optimizer.lr: 0.2}}]",), "changes: must be left out"),
        (
            ('method.random_share={low: 0.1, high: 0.5, when: "method.prune > 0.5"}',),
            "method.random_share.when: must be left out",
        ),
    ],
)
def test_a_space_that_cannot_breed_is_refused(tmp_path, overrides, said):
    with pytest.raises(InputError, match=said):
        toy(tmp_path, *PBT, *overrides)


def train(search, record, trial_id, config):
    """One unit of a trial in this process, as Tune would see it."""

    class Reached(Exception):
        pass

    reports = []

    def report(metrics):
        reports.append(metrics)
        search.on_trial_result(trial_id, metrics)
        if metrics["epoch"] >= config["until"]:
            raise Reached

    search.started(trial_id)
    wanted = recipe.parse(json.loads(config["recipe"]))
    folder = record.trial_folder(config["number"])
    with contextlib.suppress(Reached):
        fake_population.work(wanted, root=None, folder=folder, report=report, device=None)
    search.on_trial_complete(trial_id, reports[-1])


def breed(record, *, until=lambda record: False):
    """Drive a study two trials at a time until it is over, or a condition holds."""
    search = TruthfulSearcher(record, [], str)
    running, names = [], iter(range(1000))
    while not until(record):
        while len(running) < 2:
            trial_id = f"t{next(names)}"
            config = search.suggest(trial_id)
            if not isinstance(config, dict):
                break
            running.append((trial_id, config))
        if not running:
            assert config == "FINISHED"
            return
        train(search, record, *running.pop())


def check(record):
    """Everything that must be true of a population that is over."""
    outcomes = record.outcomes()
    assert [one.state for one in outcomes] == ["complete"] * len(outcomes)
    assert len({one.digest for one in outcomes}) == len(outcomes)
    for one in outcomes:
        assert [entry["epoch"] for entry in record.epochs(one.number)] == list(range(1, 9))
        assert record.frozen(one.number).params == one.point
        assert (one.role == "baseline") == (one.number == 0)
        wanted = recipe.parse(dict(one.recipe))
        assert wanted.digest == one.digest
        # Its recipe is its whole lineage: trained from the start it reaches the same.
        assert replayed(wanted) == pytest.approx(one.last["val/accuracy"])
        for taken in one.takeovers:
            assert taken["parent"] != one.number
            after = record.epochs(one.number)[taken["epoch"]]
            assert {path: after[f"leaf/{path}"] for path in taken["values"]} == taken["values"]
    assert outcomes[0].takeovers == ()
    assert any(one.takeovers for one in outcomes)


def replayed(wanted):
    skill = sum(
        fake_population.gain(next(wanted.stages(epoch - 1))[0], epoch) for epoch in range(1, 9)
    )
    return skill / wanted.epochs


def test_a_population_is_trained_and_the_record_tells_the_truth(study):
    made = study(*PBT)
    breed(made)
    check(made)
    assert {one.attempts for one in made.outcomes()} == {1}
    starts = [replayed(made.space.at(one.point)) for one in made.outcomes()]
    assert made.best().last["val/accuracy"] > max(starts)


def test_the_schedule_of_the_best_is_shown_and_can_be_trained_again(study):
    made = study(*PBT)
    breed(made)
    best = made.best()
    assert best.takeovers
    text = best.best_text(made)
    for taken in best.takeovers:
        assert f"from trial {taken['parent']} after epoch {taken['epoch']}" in text
    for change in best.recipe["changes"]:
        assert f"from epoch {change['epoch'] + 1}: method.temperature" in text
    words = shlex.split(best.best(made)["retrain"])
    assert words[:3] == ["raylt", "train", "-s"]
    again = space.load(words[3], [word for word in words[6:] if "=" in word])
    assert again.leaves == ()
    assert again.at({}).digest == best.digest


def test_the_best_epoch_of_a_trial_is_one_that_its_weights_have_behind_them(study):
    # Weak trials have the best few-shot accuracy, and lose it when they go on from strong ones.
    metric = "study.scheduler.metric=val/accuracy"
    made = study(*PBT, metric, "study.objective=val/few", "data.imbalance=20")
    breed(made)
    replaced = [one for one in made.outcomes() if one.takeovers]
    for one in replaced:
        wanted = recipe.parse(dict(one.recipe))
        first = 1 - fake_population.gain(next(wanted.stages(0))[0], 1) / wanted.epochs
        assert one.best["epoch"] == 1
        assert one.best["val/few"] == pytest.approx(first)
    lost = [made.epochs(one.number)[0]["val/few"] - one.best["val/few"] for one in replaced]
    assert max(lost) > 0


def test_a_failed_member_is_retried_once_whoever_it_went_on_from(study):
    made = study(*PBT)
    breed(made, until=lambda record: any(one.takeovers for one in record.outcomes()))
    one = next(one for one in made.outcomes() if one.takeovers)
    made.finish(one.number, "failed", last={}, best={}, baseline={}, seconds=1.0, failure="no")
    again = study(*PBT)
    assert again.requeue_failed() == 1
    assert again.requeue_failed() == 0
    breed(again)
    assert again.requeue_failed() == 0
    retried = again.outcomes()[-1]
    assert (retried.state, retried.point) == ("complete", one.point)


def test_a_driver_killed_in_a_generation_is_followed_by_one_that_ends_it(
    study, tmp_path, monkeypatch
):
    whole = study(*PBT, "study.name=whole")
    breed(whole)

    broken = study(*PBT, "study.name=broken")
    calls = []

    def killed(self, *words, **more):
        calls.append(words)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return take_over(self, *words, **more)

    take_over = type(broken).take_over
    monkeypatch.setattr(type(broken), "take_over", killed)
    with pytest.raises(KeyboardInterrupt):
        breed(broken)
    monkeypatch.undo()
    again = study(*PBT, "study.name=broken")
    assert not again.facts["generations"][-1]["carried_out"]
    breed(again)
    check(again)
    assert [one.recipe for one in again.outcomes()] == [one.recipe for one in whole.outcomes()]


def test_a_killed_driver_rests_where_it_rested(study):
    made = study(*PBT)
    breed(
        made,
        until=lambda record: (
            [one.epoch for one in record.outcomes()] == [2, 2, 2, 0, 0, 0]
            or sum(one.epoch == 2 for one in record.outcomes()) == 3
        ),
    )
    again = study(*PBT)
    resting = [one.number for one in again.outcomes() if one.epoch == 2]
    assert [n for n in resting if Population(again).rests(n)] == resting
    breed(again)
    check(again)
    for one in again.outcomes():
        ran = (again.trial_folder(one.number) / "ran.txt").read_text().split()
        assert ran == [str(epoch) for epoch in range(1, 9)]


def test_more_trials_catch_up_and_join(study):
    made = study(*PBT)
    breed(made)
    made.note("trials", 10)
    breed(made)
    outcomes = made.outcomes()
    assert len(outcomes) == 10
    assert all(one.state == "complete" for one in outcomes)
    generations = made.facts["generations"]
    assert [g["members"] for g in generations[-3:]] == [[6, 7, 8, 9]] * 3
    assert all(g["carried_out"] for g in generations)


@pytest.mark.ray
def test_a_population_through_ray(tmp_path):
    made = toy(tmp_path, *PBT)
    options = settings(tmp_path, work="tests.study.fake_population:work")
    result = driver.search(made, options, floor=dict, fingerprint="f")
    assert result.exit_code == 0
    record = studies.open_study("toy", tmp_path / "runs")
    check(record)
    for one in record.outcomes():
        ran = (record.trial_folder(one.number) / "ran.txt").read_text().split()
        assert ran == [str(epoch) for epoch in range(1, 9)]
