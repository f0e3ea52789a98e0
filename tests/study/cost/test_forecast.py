import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from raylt import cli
from raylt.space.plan import Scheduler
from raylt.study.cost import forecast
from raylt.study.cost import measured as measures
from raylt.study.cost.forecast import corners, nearest, trained_share
from raylt.study.resources.allocation import Allocation
from raylt.trial.cost import cost
from tests.cluster.made import shape
from tests.study.cost.made import trial_cost
from tests.study.drive import toy


def booked(concurrent, **changes):
    return Allocation(shape=shape(**changes), concurrent=concurrent, machines=())


TWO = booked(2)

BASE = (
    "study.baseline.values={method.temperature: 0.2, method.prune: 0.9, optimizer.batch_size: 64}"
)


def test_a_run_takes_its_start_its_epochs_and_its_scores(tmp_path):
    space = toy(tmp_path, "epochs=6", "evaluation.every=4")
    recipe = space.at(space.baseline_point)
    # Scored after epochs 4 and 6.
    assert trial_cost().seconds(recipe) == pytest.approx(10 + 6 * 5 + 2 * 1.5)


def test_the_corners_are_the_baseline_and_the_ends_of_what_makes_steps_dear(tmp_path):
    space = toy(
        tmp_path,
        "optimizer.batch_size={low: 32, high: 256}",
        "size={choices: [16, 24]}",
        BASE[:-1] + ", size: 16}",
        "study.require=['not (size > 16 and optimizer.batch_size > 200)']",
    )
    found = [(one.optimizer.batch_size, one.size) for one in corners(space)]
    assert found[0] == (64, 16)
    assert sorted(found[1:]) == [(32, 16), (32, 24), (256, 16)]


def test_a_space_whose_steps_all_cost_alike_has_one_corner(tmp_path):
    assert len(corners(toy(tmp_path))) == 1


def test_a_draw_costs_what_the_nearest_corner_does(tmp_path):
    space = toy(
        tmp_path,
        "optimizer.batch_size={low: 32, high: 256}",
        BASE,
    )
    recipes = {one.optimizer.batch_size: one for one in corners(space)}
    measured = [(one, trial_cost(epoch=float(size))) for size, one in recipes.items()]
    drawn = space.at({**space.baseline_point, "optimizer.batch_size": 170})
    assert nearest(drawn, measured).epoch == 256
    assert (
        nearest(space.at({**space.baseline_point, "optimizer.batch_size": 40}), measured).epoch
        == 32
    )


@given(st.integers(1, 8), st.integers(1, 40), st.integers(2, 5))
@settings(max_examples=30, deadline=None)
def test_a_scheduler_saves_something_but_never_the_grace(grace, epochs, factor):
    scheduler = Scheduler(name="asha", grace=min(grace, epochs), factor=factor)
    share = trained_share(type("Plan", (), {"scheduler": scheduler}), epochs)
    assert scheduler.grace / epochs - 1e-9 <= share <= 1 + 1e-9
    nobody = type("Plan", (), {"scheduler": Scheduler(name="none")})
    assert trained_share(nobody, epochs) == 1


def test_one_in_factor_passes_each_rung(tmp_path):
    plan = toy(tmp_path, "study.scheduler={name: asha, grace: 1, factor: 3}").study
    # All train 1 epoch, a third 2 more, a ninth 6 more, the last ones 18 more.
    assert trained_share(plan, 27) == pytest.approx((1 + 2 / 3 + 6 / 9 + 18 / 27) / 27)
    assert trained_share(plan, 5) == pytest.approx((1 + 2 / 3 + 2 / 9) / 5)


def test_what_early_stopping_saves_is_said_as_an_estimate(tmp_path):
    halved = of(toy(tmp_path, "study.scheduler={name: asha, grace: 1, factor: 3}"))
    plain = of(toy(tmp_path, "study.scheduler={name: none}"))
    # Hours are those of trials that all train to their end.
    assert halved.cpu_hours == plain.cpu_hours
    (line,) = (line for line in forecast.lines(halved, free=None) if "early stopping" in line)
    assert f"about {100 * halved.share:.0f} % of the epochs (an estimate" in line
    assert not any("early stopping" in line for line in forecast.lines(plain, free=None))


def of(space, *, share=TWO, trials=6, **changes):
    measured = [(one, trial_cost(**changes)) for one in corners(space)]
    return forecast.forecast(space, measured, share, trials=trials)


def test_hours_clock_and_disk_follow_from_the_cost_of_a_trial(tmp_path):
    found = of(toy(tmp_path, "study.scheduler={name: none}", "study.budget.cpu_hours=0.1"))
    trial = 10 + 6 * 6.5
    assert (found.least, found.mean, found.most) == pytest.approx((trial, trial, trial))
    assert found.cpu_hours == pytest.approx(6 * trial / 3600)
    assert found.wall == pytest.approx(3 * trial)
    # Two that run, three winners and the baseline.
    assert found.disk == 6 * 2**20
    (limit,) = found.budget
    assert (limit.name, limit.limit, limit.used) == ("cpu_hours", 0.1, found.cpu_hours)
    assert found.affordable == 6
    dear = of(toy(tmp_path, "study.scheduler={name: none}", "study.budget.cpu_hours=0.04"))
    assert dear.affordable == 2
    assert forecast.lines(dear, free=None)[-1] == (
        "budget     cpu_hours: 0.0817 of 0.04 h, which is enough for about 2 of 6 trials"
    )


def test_all_checkpoints_take_what_all_trials_leave(tmp_path):
    assert of(toy(tmp_path, "study.checkpoints=all"), trials=40).disk == 40 * 2**20


def test_workers_share_the_training_and_not_the_scores(tmp_path):
    space = toy(tmp_path, "study.scheduler={name: none}")
    four = booked(1, workers=4)
    assert of(space, share=four).mean == pytest.approx(10 + 6 * (5 / 4 + 1.5))


def test_a_search_is_never_shorter_than_its_longest_trial(tmp_path):
    many = booked(100)
    found = of(toy(tmp_path, "study.scheduler={name: none}"), share=many)
    assert found.wall == found.most


def test_more_than_fits_the_disk_is_a_warning(tmp_path):
    found = of(toy(tmp_path))
    assert not any("warning" in line for line in forecast.lines(found, free=2**30))
    assert any("warning" in line for line in forecast.lines(found, free=2**20))


def test_what_was_measured_is_kept_for_this_machine_and_its_threads(tmp_path):
    recipes = corners(toy(tmp_path))
    assert measures.stored(recipes, runs=tmp_path, threads=1, gpu=False) == []
    found = measures.measured(
        recipes, runs=tmp_path, threads=1, gpu=False, say=str, how=lambda _: trial_cost()
    )
    assert found == measures.stored(recipes, runs=tmp_path, threads=1, gpu=False)
    assert measures.stored(recipes, runs=tmp_path, threads=2, gpu=False) == []


def test_what_two_studies_measure_at_once_is_all_kept(tmp_path):
    space = toy(tmp_path)
    recipes = [space.at({**space.baseline_point, "method.prune": n / 100}) for n in range(20, 60)]

    def measure(mine):
        measures.measured(
            mine, runs=tmp_path, threads=1, gpu=False, say=str, how=lambda _: trial_cost()
        )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(measure, [recipes[i::4] for i in range(4)]))
    assert len(measures.stored(recipes, runs=tmp_path, threads=1, gpu=False)) == len(recipes)


def test_check_measures_when_asked(tmp_path, capsys, monkeypatch):
    toy(tmp_path)
    monkeypatch.setattr(cost, "measured", lambda *_, **__: trial_cost())
    words = ["check", str(tmp_path / "space.yaml"), "--measure", "--runs", str(tmp_path)]
    assert cli.run([*words, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)["forecast"]
    assert values["trials"] == 6
    assert values["mean"] == 10 + 6 * 6.5
    assert cli.run(words) == 0
    assert "49.0s to its end" in capsys.readouterr().out


def test_options_of_the_measurement_are_refused_without_it(tmp_path, capsys):
    toy(tmp_path)
    assert cli.run(["check", str(tmp_path / "space.yaml"), "--concurrent", "2"]) == 2
    assert "--concurrent does nothing without --measure" in capsys.readouterr().err


def test_a_cluster_is_not_measured_from_here(tmp_path, capsys):
    toy(tmp_path)
    (tmp_path / "profile.yaml").write_text("address: auto\n")
    words = ["--measure", "--cluster", str(tmp_path / "profile.yaml")]
    assert cli.run(["check", str(tmp_path / "space.yaml"), *words]) == 2
    assert "names the cluster auto" in capsys.readouterr().err


def test_a_few_real_steps_are_measured_in_a_process_of_their_own(tmp_path):
    space = toy(tmp_path)
    recipe = space.at(space.baseline_point)
    found = cost.measured(recipe, root=tmp_path / "data", threads=1, gpu=False)
    assert min(found.start, found.epoch, found.score, found.save) > 0
    assert found.disk > 100_000
    assert 100 * 2**20 < found.memory < 8 * 2**30
    assert (found.device, found.gpu_size, found.gpu_memory) == ("cpu", 0, 0)
    assert replace(found, epoch=0.0).seconds(recipe) < found.seconds(recipe)


@pytest.mark.gpu
def test_on_a_gpu_its_memory_and_its_time_are_measured_too(tmp_path):
    space = toy(tmp_path)
    recipe = space.at(space.baseline_point)
    found = cost.measured(recipe, root=tmp_path / "data", threads=1, gpu=True)
    assert 0 < found.gpu_memory < found.gpu_size
    assert 0 < found.gpu_busy <= 1
    assert found.device != "cpu"
    hidden = cost.measured(recipe, root=tmp_path / "data", threads=1, gpu=False)
    assert (hidden.device, hidden.gpu_memory) == ("cpu", 0)
