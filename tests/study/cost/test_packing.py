import contextlib
import functools
import math
from pathlib import Path

import pytest

from raylt import cli
from raylt.schema import EnvironmentError
from raylt.study.cost import forecast, measurements, packing
from raylt.study.record import studies
from raylt.study.resources import allocation
from raylt.study.resources.allocation import Allocation
from raylt.study.run import plan
from raylt.study.search.trials import OUT_OF_MEMORY
from raylt.trial.cost import memory
from tests.cluster.made import node, shape
from tests.study import drive
from tests.study.cost.made import trial_cost
from tests.study.drive import behave, settings, toy
from tests.study.run.made import accounted, agree


def test_the_need_is_that_of_the_hungriest_with_a_margin():
    costs = [
        trial_cost(memory=100, gpu_memory=10, gpu_size=80, gpu_busy=0.2),
        trial_cost(memory=50),
    ]
    result = packing.need(costs)
    assert (result.memory, result.gpu_memory) == pytest.approx((115, 11.5))
    assert (result.gpu_size, result.gpu_busy) == (80, 0.2)


def share(machine, **changes):
    return Allocation(shape=shape(**changes), concurrent=2, machines=(machine,))


def test_where_memory_ran_out_one_fewer_runs_next_time(study):
    record = study()
    costs = [trial_cost(memory=10, gpu_memory=10, gpu_size=80)]
    before = packing.learned(packing.need(costs), record)
    assert before == packing.need(costs)
    # Two of them on a machine of 100 bytes were too many, and so were four on a GPU of 80.
    packing.learn_from_out_of_memory(record, share(node(2, memory=100.0)))
    packing.learn_from_out_of_memory(record, share(node(4, 1), gpus=0.25))
    after = packing.learned(packing.need(costs), record)
    assert (after.memory, after.gpu_memory) == (100, pytest.approx(80 / 3))
    gpu, cpu = node(4, 1, memory=1000.0), node(2, memory=100.0)
    assert allocation.capacity.packed([gpu], shape(gpus=1.0), after).gpus == pytest.approx(1 / 3)
    assert (
        allocation.capacity.concurrent([cpu], allocation.capacity.packed([cpu], shape(), after))
        == 1
    )


def test_trials_have_company_where_they_share_and_could_do_without():
    assert share(node(2)).has_company
    assert share(node(4, 1), gpus=0.5).has_company
    assert not share(node(4, 2), gpus=1).has_company
    assert not Allocation(shape=shape(), concurrent=1, machines=(node(2),)).has_company


def test_a_number_of_sharers_is_a_share_of_a_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(allocation.local_ray, "gpus", lambda: 1)
    wish = settings(tmp_path, pack=2)
    assert allocation.planned(wish, None).shape.gpus == 0.5
    monkeypatch.setattr(allocation.local_ray, "gpus", lambda: 0)
    with pytest.raises(EnvironmentError, match="--concurrent"):
        allocation.require_fit(wish)


def test_without_a_gpu_trials_are_packed_by_cores_and_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(allocation.local_ray, "gpus", lambda: 0)
    monkeypatch.setattr(allocation.local_ray, "memory", lambda: 3.0 * 2**30)
    wish = settings(tmp_path, pack="auto", cpus=8)
    share = allocation.planned(wish, lambda _: packing.need([trial_cost(memory=2**30)]))
    assert share.concurrent == 2
    assert "1.1 GiB each" in str(share)


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["--pack", "some"], "must be auto or a whole number"),
        (["--pack", "0"], "must be auto or a whole number"),
        (["--pack", "2", "--workers", "2"], "several workers"),
        (["--pack", "2", "--cluster", "clusters/one-gpu.yaml"], "leave out one of the two"),
    ],
)
def test_a_bad_pack_is_refused(words, printed, capsys):
    assert cli.run(["tune", "-s", "search_spaces/sdclr.yaml", *words]) == 2
    assert printed in capsys.readouterr().err


def test_the_command_line_goes_before_the_profile(tmp_path, monkeypatch):
    collected = []
    monkeypatch.setattr(
        plan, "check", lambda _, chosen, **__: collected.append(chosen.pack) or 1 / 0
    )
    (tmp_path / "p.yaml").write_text("trial: {pack: auto}\n")
    words = ["tune", "-s", "search_spaces/sdclr.yaml", "--cluster", str(tmp_path / "p.yaml")]
    cli.run(words)
    cli.run([*words, "--pack", "3"])
    assert collected == ["auto", 3]


def test_what_says_that_memory_ran_out():
    import torch

    assert memory.ran_out(MemoryError())
    assert memory.ran_out(torch.OutOfMemoryError("CUDA out of memory"))
    assert not memory.ran_out(RuntimeError("another"))
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert memory.ran_out(caught.value)


@pytest.mark.ray
@pytest.mark.slow
def test_a_greedy_trial_ends_alone_and_a_huge_one_fails(tmp_path):
    behave(tmp_path, seconds=0.1, greedy=[1], huge=[2])
    plain = ("study.trials=5", "study.scheduler={name: none}")
    result = drive.search(toy(tmp_path, *plain), settings(tmp_path))
    states = {trial.number: trial.state for trial in result.ranking}
    assert states == {0: "complete", 1: "complete", 2: "failed", 3: "complete", 4: "complete"}
    record = studies.open_study("toy", tmp_path / "runs")
    assert {trial.number for trial in record.outcomes() if trial.alone} == {1, 2}
    assert record.outcome(1).attempts == 2
    assert "no room for trial 2" in record.outcome(2).failure
    assert record.facts["memory_needed"]["memory"] < math.inf
    assert result.exit_code == 4
    assert alone_in_time(record, 1)
    record.close()


def alone_in_time(record, number, *, since=1):
    """Whether nobody else reported anything between the reports of a trial from an epoch on."""
    times = {
        trial.number: [
            entry["time"]
            for entry in record.epochs(trial.number)
            if entry["epoch"] >= since or trial.number != number
        ]
        for trial in record.outcomes()
    }
    begin, *_, end = times.pop(number)
    return not [at for seen in times.values() for at in seen if begin <= at <= end]


@pytest.mark.ray
@pytest.mark.slow
def test_a_trial_that_rays_memory_monitor_kills_goes_on_alone_and_is_told_in_a_line(
    tmp_path, monkeypatch, capsys
):
    # The limit is near to what the machine uses now, so that little has to be taken.
    actual = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total, free = (int(actual[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
    limit = (total - free) / total + 3 * 2**20 / total
    monkeypatch.setenv("RAY_memory_usage_threshold", f"{limit:.3f}")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    behave(tmp_path, seconds=0.5, hoards=[1])
    options = settings(tmp_path, work="tests.study.hoarder:work", quiet=False)
    made = toy(tmp_path, "study.trials=5", "study.scheduler={name: none}")
    result = drive.search(made, options)
    assert [trial.state for trial in result.ranking] == ["complete"] * 5
    with contextlib.closing(studies.open_study("toy", tmp_path / "runs")) as record:
        killed = {trial.number: trial for trial in record.outcomes() if trial.alone}
        assert 1 in killed
        # It was killed after its second epoch, and begins none of the two once more.
        assert killed[1].attempts == 2
        starts = (record.trial_folder(1) / "starts.txt").read_text().splitlines()
        assert [line.split()[1] for line in starts] == ["0", "2"]
        assert alone_in_time(record, 1, since=3)
        agree(record, accounted(tmp_path))
    lines = capsys.readouterr().err.splitlines()
    for number, trial in killed.items():
        assert trial.alone == OUT_OF_MEMORY
        heard = [line for line in lines if line.startswith(f"Trial {number} ran out of memory")]
        assert heard == [
            f"Trial {number} ran out of memory while sharing a machine; it will run again alone: "
            f"{OUT_OF_MEMORY}"
        ]


@pytest.mark.ray
@pytest.mark.slow
def test_two_trials_share_a_gpu_and_one_for_which_it_is_too_small_has_it_alone(
    tmp_path, monkeypatch
):
    import ray

    # A GPU that Ray books and nobody uses, and what was measured on it before.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(ray, "init", functools.partial(ray.init, num_gpus=1))
    space = toy(tmp_path, "study.trials=5", "study.scheduler={name: none}")
    cost = trial_cost(memory=2**20, gpu_memory=30 * 2**30, gpu_size=80 * 2**30, gpu_busy=0.1)
    packed = settings(tmp_path, pack="auto")
    corners = forecast.corners(space)
    measurements.of_recipes(corners, packed, gpu=True, say=str, how=lambda *_, **__: cost)
    behave(tmp_path, seconds=0.2, greedy=[1])
    result = drive.search(space, packed)
    assert [trial.state for trial in result.ranking] == ["complete"] * 5
    with contextlib.closing(studies.open_study("toy", tmp_path / "runs")) as record:
        assert {trial.number for trial in record.outcomes() if trial.alone} == {1}
        assert record.outcome(1).attempts == 2
        assert alone_in_time(record, 1)
        assert record.facts["memory_needed"] == {"sharers_of_a_gpu": 1}
        for trial in record.outcomes():
            part = trial.gpu_seconds / trial.seconds
            assert part == pytest.approx(0.5) if trial.number != 1 else 0.5 < part < 1


@pytest.mark.gpu
def test_a_capped_process_cannot_take_more_than_its_share():
    import torch

    memory.cap(0.1)
    size = torch.cuda.get_device_properties(0).total_memory
    try:
        torch.empty(size // 20, dtype=torch.uint8, device="cuda")
        with pytest.raises(torch.OutOfMemoryError):
            torch.empty(size // 5, dtype=torch.uint8, device="cuda")
    finally:
        memory.cap(1.0)
        memory.release()
