import contextlib
import json
import re
import shutil

import pytest

from raylt import cli, encoders
from raylt.cluster.capacity import Node
from raylt.space import load
from raylt.study.record import studies
from raylt.study.run import driver, plan, session
from raylt.study.warm_start import carried, origins
from tests.study.drive import behave, settings
from tests.study.made import study
from tests.study.warm_start.made import new, warm


def finished(record, metric="val/accuracy"):
    done = [trial for trial in record.outcomes() if trial.state == "complete"]
    return sorted(done, key=lambda trial: -trial.last[metric])


def test_the_best_settings_come_first_a_quarter_of_the_trials_and_never_the_baseline(
    old, tmp_path
):
    record = old(tmp_path)
    result = warm(tmp_path)
    assert len(result.points) == 4
    best = [trial for trial in finished(record) if trial.role != "baseline"]
    assert [trial.trial for trial in result.points] == [trial.number for trial in best[:4]]
    first = result.points[0]
    assert first.point == {
        "method.temperature": best[0].point["method.temperature"],
        "method.prune": best[0].point["method.prune"],
        "optimizer.lr": 0.5,
    }
    assert first.setting == best[0].point
    assert first.score == best[0].last["val/accuracy"]
    assert (first.source, first.fingerprint) == ("old", "f" * 16)
    assert (result.left_out, result.notices, result.prior) == ((), (), ())


@pytest.mark.parametrize(
    ("overrides", "count"),
    [
        (("study.warm_points=2",), 2),
        (("study.trials=2",), 1),
        (("study.trials=1",), 0),
        (
            (
                "study.trials=3",
                "study.warm_points=2",
                "study.points=[{method.temperature: 0.5, method.prune: 0.5, optimizer.lr: 0.1}]",
            ),
            1,
        ),
    ],
)
def test_there_is_room_for_the_baseline_and_the_own_points(old, tmp_path, overrides, count):
    old(tmp_path)
    assert len(warm(tmp_path, *overrides).points) == count


def test_what_the_space_does_not_admit_is_left_out_and_said_and_the_next_takes_its_place(
    old, tmp_path
):
    record = old(tmp_path)
    narrow = "method.prune={low: 0.7, high: 0.99}"
    result = warm(tmp_path, narrow, "study.require=['method.temperature < 0.6']")
    assert result.points
    space = new(tmp_path, narrow)
    for trial in result.points:
        assert space.refusal(trial.point) is None
        assert trial.point["method.temperature"] < 0.6
    out = [trial for trial in finished(record) if trial.point["method.prune"] < 0.7]
    assert len(
        [line for line in result.left_out if "method.prune: must be 0.7 to" in line]
    ) == len(out)
    assert any("must satisfy study.require" in line for line in result.left_out)
    assert all(line.startswith("old, trial ") for line in result.left_out)
    assert "\n" not in "".join(result.left_out)


def test_what_broke_a_constraint_of_the_new_study_there_is_left_out(old, tmp_path):
    record = old(tmp_path)
    least = finished(record, "val/few")[1].last["val/few"]
    result = warm(tmp_path, f"study.constraints=[{{metric: val/few, min: {least}}}]")
    numbers = {trial.number for trial in finished(record) if trial.last["val/few"] >= least}
    assert {trial.trial for trial in result.points} == numbers - {0}
    assert any("it broke the constraint on val/few min there" in line for line in result.left_out)


def test_several_sources_take_turns_and_what_both_know_comes_once(old, tmp_path):
    old(tmp_path)
    old(tmp_path, name="again")
    old(tmp_path, "study.sampler.seed=9", name="less", trials=5, failed=(), stopped=())
    result = warm(tmp_path, "study.warm_start=[old, again, less]", "study.warm_points=6")
    sources = [item.source for item in result.points]
    points = [item.point for item in result.points]
    assert sources[0] == "old"
    assert all(points.count(point) == 1 for point in points)
    # The same draws: each of them is known from the first source.
    assert "again" not in sources


def test_a_source_that_gives_nothing_is_named_with_what_became_of_its_settings(old, tmp_path):
    old(tmp_path)
    old(tmp_path, name="again")
    sources = "study.warm_start=[old, again]"
    (sentence,) = warm(tmp_path, sources, "study.warm_points=6").unused
    assert re.fullmatch(
        r"nothing comes from again: of its settings \d are there already", sentence
    )
    narrow = "method.prune={low: 0.7, high: 0.99}"
    result = warm(tmp_path, sources, "study.warm_points=6", narrow)
    tried = r"again: of its settings \d are there already and \d are left out"
    assert re.search(tried, *result.unused)
    lines = carried.lines(result, new(tmp_path, sources, narrow))
    assert result.unused[0] in lines
    (no_room,) = warm(tmp_path, sources, "study.warm_points=1").unused
    assert no_room == "nothing comes from again: there is no room for it"


def test_nothing_is_carried_without_sources_or_open_leaves(old, tmp_path):
    old(tmp_path)
    assert warm(tmp_path, "study.warm_start=[]") == carried.WarmStart()
    closed = ("method.temperature=0.2", "method.prune=0.9", "optimizer.lr=0.5")
    assert warm(tmp_path, *closed) == carried.WarmStart()


def test_people_read_what_a_study_will_begin_with(old, tmp_path):
    old(tmp_path)
    narrow = "method.prune={low: 0.55, high: 0.99}"
    result = warm(tmp_path, narrow, "study.warm_points=2")
    lines = carried.lines(result, new(tmp_path, narrow))
    there = ", ".join(str(item.trial) for item in result.points)
    assert lines[0] == f"warm start Trials 1-2 come from old (its trials {there})"
    assert lines[1].split() == ["trial", "val/accuracy", "there", "temperature", "prune", "lr"]
    assert lines[2].split()[0] == "1"
    assert lines[4].startswith("left out: old, trial ")
    many = carried.WarmStart(left_out=tuple(f"old, trial {n}: no" for n in range(9)))
    assert carried.notes(many)[-1] == "left out: 4 more"


def test_the_modules_of_a_source_do_not_take_the_place_of_those_of_the_new_space(old, tmp_path):
    """Both have a module of one name beside their space files."""
    for folder, size in (("a/runs", 4), ("b", 8)):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "tiny.py").write_text(
            "from torch import nn\n\n\nclass Tiny(nn.Sequential):\n"
            '    """One layer."""\n\n'
            "    def __init__(self, *, channels: int, size: int) -> None:\n"
            f"        super().__init__(nn.Flatten(), nn.Linear(channels * size * size, {size}))\n"
        )
    study(tmp_path / "a" / "runs", "encoder=tiny:Tiny", name="old", trials=2).close()
    new(tmp_path / "b")
    opened = load(tmp_path / "b" / "new.yaml", ["encoder=tiny:Tiny"])
    carried.carry(opened, runs=tmp_path / "a" / "runs", url=None)
    network = encoders.build(
        opened.at(opened.baseline_point).encoder, channels=1, size=8, mean=(0.5,), std=(0.2,)
    )
    assert network.width == 8


def test_check_prints_the_points_and_takes_the_folder_of_runs(old, tmp_path, capsys):
    old(tmp_path)
    new(tmp_path)
    command = ["check", str(tmp_path / "new.yaml"), "--runs", str(tmp_path / "runs")]
    assert cli.run(command) == 0
    assert "warm start Trials 1-4 come from old (its trials" in capsys.readouterr().out
    assert cli.run([*command, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)["warm_start"]
    assert [item["point"] for item in values["points"]] == [
        item.point for item in warm(tmp_path).points
    ]
    assert cli.run([*command[:2], "--runs", str(tmp_path)]) == 2
    assert "new.yaml:7: study.warm_start.0: " in capsys.readouterr().err


@pytest.mark.ray
@pytest.mark.slow
def test_a_search_remembers_and_goes_on_when_its_source_is_gone(
    old, tmp_path, capsys, monkeypatch
):
    old(tmp_path).close()
    behave(tmp_path)
    space, options = new(tmp_path, "study.trials=4", "study.warm_points=2"), settings(tmp_path)
    result = plan.check(space, options)
    assert driver.run(result).exit_code == 0
    shutil.rmtree(tmp_path / "runs" / "old")
    wanted = []
    with monkeypatch.context() as patch:
        # As far as Ray: what draws the further trials is tested with the prior.
        here = Node(id="", name="here", address="", cpus=1, gpus=0)
        patch.setattr(session, "ray_nodes", lambda *_, **__: contextlib.nullcontext([here]))
        patch.setattr(driver, "_run", lambda record, *_: wanted.append(record.wanted))
        driver.resume("new", options, retry_failed=False, trials="+2")
    assert wanted == [6]
    record = studies.open_study("new", tmp_path / "runs")
    roles = [outcome.role for outcome in record.outcomes()]
    assert roles == ["baseline", "warm", "warm", "sampled"]
    assert {outcome.state for outcome in record.outcomes()} == {"complete"}
    points = [outcome.point for outcome in result.warm.points]
    assert [dict(outcome.point) for outcome in record.outcomes()[1:3]] == points
    assert list(origins.origins(record)) == [1, 2]
    # Optuna has the study's own scores and no other.
    heard = [trial.value for trial in record.study.get_trials()]
    assert heard == [outcome.last["val/accuracy"] for outcome in record.outcomes()]
    assert cli.run(["status", "new", "--runs", str(tmp_path / "runs")]) == 0
    assert "Trials 1-2 come from old (its trials" in capsys.readouterr().out
