import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from raylt import cli
from raylt.space.plan import Scheduler
from raylt.study.cost import forecast, tables
from raylt.study.cost import measured as measures
from raylt.study.cost.announce import ForecastListener
from raylt.study.cost.forecast import Means, corners, nearest, trained_share
from raylt.study.resources.allocation import Allocation
from raylt.study.search.searcher import TruthfulSearcher
from raylt.trial.cost import cost
from tests.cluster.made import node, shape
from tests.study.cost.made import trial_cost
from tests.study.drive import toy

TWO = Means(workers=1, cpus=1, gpus=0, concurrent=2)

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


@given(st.integers(1, 8), st.integers(1, 40), st.integers(2, 5), st.integers(1, 20))
@settings(max_examples=30, deadline=None)
def test_a_scheduler_saves_something_but_never_the_grace(grace, epochs, factor, trials):
    scheduler = Scheduler(name="asha", grace=min(grace, epochs), factor=factor)
    plan = type("Plan", (), {"scheduler": scheduler, "baseline": None})
    share = trained_share(plan, epochs, trials)
    assert scheduler.grace / epochs - 1e-9 <= share <= 1 + 1e-9
    # The baseline is one of the trials and runs to its end.
    beside = type("Plan", (), {"scheduler": scheduler, "baseline": "a paper"})
    spared = trained_share(beside, epochs, trials)
    assert max(share, 1 / trials) - 1e-9 <= spared <= share + 1 / trials + 1e-9
    assert trials > 1 or spared == 1
    nobody = type("Plan", (), {"scheduler": Scheduler(name="none")})
    assert trained_share(nobody, epochs, trials) == 1


def test_more_trials_are_stopped_more_sharply(tmp_path):
    plan = toy(tmp_path, "study.scheduler={name: asha, grace: 1, factor: 3}").study
    assert trained_share(plan, 27, 100) < trained_share(plan, 27, 4) < 1
    # One in three of many goes on at each rung: 1, 3 and 9 epochs, and 27 for the last.
    ideal = (1 + 2 / 3 + 6 / 9 + 18 / 27) / 27
    assert trained_share(plan, 27, 2000) == pytest.approx(ideal, rel=0.1)


def of(space, *, means=TWO, trials=6, **changes):
    measured = [(one, trial_cost(**changes)) for one in corners(space)]
    return forecast.forecast(space, measured, means, trials=trials)


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
    assert forecast.budget(dear) == [
        "cpu_hours: 0.0817 of 0.04 h, which is enough for about 2 of 6 trials"
    ]


def test_all_checkpoints_take_what_all_trials_leave(tmp_path):
    assert of(toy(tmp_path, "study.checkpoints=all"), trials=40).disk == 40 * 2**20


def test_workers_share_the_training_and_not_the_scores(tmp_path):
    space = toy(tmp_path, "study.scheduler={name: none}")
    four = Means(workers=4, cpus=4, gpus=0, concurrent=1)
    assert of(space, means=four).mean == pytest.approx(10 + 6 * (5 / 4 + 1.5))


def test_a_search_is_never_shorter_than_its_longest_trial(tmp_path):
    many = Means(workers=1, cpus=1, gpus=0, concurrent=100)
    found = of(toy(tmp_path, "study.scheduler={name: none}"), means=many)
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


def told(record, tmp_path):
    said = []
    share = Allocation(shape=shape(), concurrent=2, machines=(node(2),))
    foresight = ForecastListener(record, share, runs=tmp_path / "runs", threads=1, say=said.append)
    search = TruthfulSearcher(record, [foresight], str)
    search.suggest("a")
    search.started("a")
    before = len(said)
    search.on_trial_complete("a", {"epoch": 6, "val/accuracy": 0.5})
    return said[:before], said[before:]


def test_a_search_with_a_budget_says_what_it_will_take(study, tmp_path):
    record = study("study.budget.wall_clock=2h", "study.trials=50")
    before, after = told(record, tmp_path)
    assert before == []
    assert len(after) == 1
    assert after[0].startswith("forecast (from the baseline): 50 trials take wall_clock: ")
    assert tables.foreseen(record)["source"] == "from the baseline"


def test_a_resumed_search_knows_its_baseline(study, tmp_path):
    options = ("study.budget.wall_clock=2h", "study.trials=50")
    told(study(*options), tmp_path)
    before, after = told(study(), tmp_path)
    assert before[0].startswith("forecast (from the baseline): 50 trials")
    assert after == []


def test_it_says_so_at_once_where_the_corners_were_measured(study, tmp_path):
    record = study("study.budget.wall_clock=2h", "study.trials=50")
    measures.measured(
        corners(record.space),
        runs=tmp_path / "runs",
        threads=1,
        gpu=False,
        say=str,
        how=lambda _: trial_cost(epoch=600.0),
    )
    before, after = told(record, tmp_path)
    assert "is enough for about" in before[0]
    assert after == []


def test_a_search_without_a_budget_says_nothing(study, tmp_path):
    record = study()
    assert told(record, tmp_path) == ([], [])
    assert tables.foreseen(record) is None


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
