"""What the machine is asked, and what is made of its answers."""

import torch

from raylt.trial import parts
from raylt.trial.execution import fastest
from tests.trial.execution.made import CPU, Machine, auto, chosen
from tests.trial.made import run, small, weights


def test_what_is_faster_by_the_margin_is_taken(monkeypatch):
    Machine(monkeypatch, bfloat16=1.6, contiguous=0.8)
    execution = chosen(auto())
    assert (execution.precision, execution.layout) == ("bfloat16", "channels_last")
    assert {name: round(ratio, 6) for name, ratio in execution.ratios.items()} == {
        "bfloat16": 1.6,
        "contiguous": 0.8,
    }
    assert "bfloat16 1.60x" in str(execution)


def test_what_is_hardly_faster_is_not_taken(monkeypatch):
    Machine(monkeypatch, bfloat16=1.09, contiguous=1.09)
    execution = chosen(auto())
    assert (execution.precision, execution.layout) == ("float32", "channels_last")


def test_each_alternative_is_compared_with_the_best_so_far(monkeypatch):
    Machine(monkeypatch, bfloat16=2.0, contiguous=1.3)
    execution = chosen(auto())
    assert (execution.precision, execution.layout) == ("bfloat16", "contiguous")
    assert round(execution.ratios["contiguous"], 6) == 1.3


def test_threads_are_compared_where_there_are_several(monkeypatch):
    Machine(monkeypatch, threads_1=1.5)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        execution = chosen(auto())
    finally:
        torch.set_num_threads(threads)
    assert execution.threads == 1
    assert "1 thread" in execution.ratios


def test_a_recipe_that_leaves_nothing_open_is_not_measured(monkeypatch):
    machine = Machine(monkeypatch, bfloat16=2.0)
    for precision in ("float32", "bfloat16"):
        execution = chosen(small(precision=precision))
        assert (execution.precision, execution.ratios) == (precision, {})
    assert machine.steps == 0


def test_a_run_of_few_steps_is_not_measured(monkeypatch):
    machine = Machine(monkeypatch, bfloat16=2.0)
    few = auto(epochs=1, optimizer={"lr": 0.1, "batch_size": 256})
    assert chosen(few) == parts.as_given(few, CPU)
    assert machine.steps == 0


def test_measuring_takes_two_seconds_or_a_hundredth_of_the_run(monkeypatch):
    # A step of 64 images takes 6.4 s: only a part of it fits into a short run.
    for epochs in (3, 1000):
        machine = Machine(monkeypatch, bfloat16=1.5, image=0.1)
        recipe = auto(epochs=epochs)
        execution = chosen(recipe)
        whole = 0.1 * 1040 * epochs
        if execution.ratios:
            # What has begun is finished: three rounds of the last comparison.
            assert machine.spent < 1.5 * max(fastest.SECONDS, fastest.SHARE * whole)
        else:
            assert execution == parts.as_given(recipe, CPU)
            assert machine.spent < fastest.SECONDS
    assert execution.precision == "bfloat16"


def test_a_step_is_compiled_only_where_trying_it_costs_a_hundredth(monkeypatch):
    short = auto(compile="auto")
    Machine(monkeypatch, compiled=2.0)
    assert not chosen(short).compile
    long = auto(compile="auto", epochs=100_000)
    assert chosen(long).compile
    Machine(monkeypatch, compiled=1.05)
    execution = chosen(long)
    assert not execution.compile
    assert round(execution.ratios["compiled"], 2) == 1.05


def test_with_a_precision_only_compiling_is_left_open(monkeypatch):
    Machine(monkeypatch, bfloat16=2.0, compiled=2.0)
    execution = chosen(small(compile="auto", epochs=100_000))
    assert (execution.precision, execution.compile) == ("float32", True)
    assert list(execution.ratios) == ["compiled"]


def test_real_steps_are_timed_and_leave_no_trace():
    before = torch.random.get_rng_state(), torch.get_num_threads()
    execution = chosen(auto())
    assert set(execution.ratios) == {"bfloat16", "contiguous"}
    assert all(ratio > 0 for ratio in execution.ratios.values())
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]


def test_a_run_by_a_measured_choice_is_the_run_of_that_precision(monkeypatch, tmp_path):
    Machine(monkeypatch, bfloat16=2.0)
    assert run(auto(), tmp_path / "auto") == run(small(precision="bfloat16"), tmp_path / "given")
    Machine(monkeypatch, bfloat16=0.5)
    assert run(auto(), tmp_path / "slow") == run(small(), tmp_path / "whole")
    tensors = weights(tmp_path / "whole", small())[1]
    for name, tensor in weights(tmp_path / "slow", auto())[1].items():
        assert torch.equal(tensor, tensors[name]), name


def test_the_other_layout_trains_too(monkeypatch, tmp_path):
    Machine(monkeypatch, contiguous=2.0)
    rows = run(auto(), tmp_path)
    assert rows[-1]["epoch"] == 3


def test_the_digest_is_the_one_of_before():
    assert auto().digest == small(precision="auto", compile=False).digest
