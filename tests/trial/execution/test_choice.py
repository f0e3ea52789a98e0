"""The choice in words and in files."""

import contextlib
import dataclasses

from raylt.trial import parts
from raylt.trial.execution import choice
from tests.trial.execution.made import CPU, Machine, auto
from tests.trial.made import Killed, killed_after, run, small


def test_it_comes_back_from_its_file(tmp_path):
    given = dataclasses.replace(parts.as_given(auto(), CPU), ratios={"bfloat16": 1.5})
    choice.write(tmp_path, given)
    assert choice.read(tmp_path / choice.FILE) == given
    assert choice.parse({**given.plain, "of a newer raylt": 1}) == given
    assert choice.read(tmp_path / "none") is None


def test_the_processor_has_a_name():
    assert choice.processor()
    assert choice.processor() == parts.kind_of(CPU)


def test_a_run_that_goes_on_keeps_the_choice_that_it_began_with(monkeypatch, tmp_path):
    Machine(monkeypatch, bfloat16=2.0)
    whole = run(auto(), tmp_path / "whole")
    with contextlib.suppress(Killed):
        run(auto(), tmp_path / "killed", killed_after(2))
    machine = Machine(monkeypatch, bfloat16=0.5)
    assert run(auto(), tmp_path / "killed") == whole
    assert machine.steps == 0
    assert choice.read(tmp_path / "killed" / choice.FILE).precision == "bfloat16"


def test_a_given_precision_is_written_down_too(tmp_path):
    run(small(epochs=1), tmp_path)
    assert choice.read(tmp_path / choice.FILE) == parts.as_given(small(), CPU)
