"""Trials that share a folder of studies compute alike."""

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor

from raylt.trial import parts
from raylt.trial.execution import cache, choice
from tests.trial.execution.made import CPU, Machine, auto, chosen

KEY = {"machine": "M", "step": "S"}


def an_execution(**changed):
    return dataclasses.replace(parts.as_given(auto(), CPU), **changed)


def test_the_second_trial_takes_what_the_first_has_measured(monkeypatch, tmp_path):
    with cache.shared_in(tmp_path):
        Machine(monkeypatch, bfloat16=1.5)
        first = chosen(auto())
        machine = Machine(monkeypatch, bfloat16=0.9)
        assert chosen(auto()) == first
        assert machine.steps == 0
        # Another step is another question.
        assert chosen(auto(size=16)).precision == "float32"
    assert chosen(auto()).precision == "float32"
    assert first in cache.everything(tmp_path)


def test_batches_of_about_one_size_are_one_question(monkeypatch, tmp_path):
    Machine(monkeypatch, bfloat16=1.5)
    with cache.shared_in(tmp_path):
        for size in (64, 80, 100):
            chosen(auto(optimizer={"lr": 0.1, "batch_size": size}))
    assert len(cache.everything(tmp_path)) == 1


def test_of_two_that_begin_at_once_one_measures(tmp_path):
    measured = []

    def measure(number):
        def one():
            measured.append(number)
            return an_execution(ratios={"bfloat16": float(number)})

        with cache.shared_in(tmp_path):
            return cache.get(KEY, one)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(measure, range(1, 9)))
    assert len(measured) == 1
    assert {answer.ratios["bfloat16"] for answer in answers} == {float(measured[0])}


def test_where_files_cannot_be_locked_the_first_to_write_decides(monkeypatch, tmp_path):
    def refused(*arguments):
        raise OSError("no locks here")

    monkeypatch.setattr(cache.fcntl, "flock", refused)
    with cache.shared_in(tmp_path):

        def late():
            # Another machine was faster.
            cache.get(KEY, lambda: an_execution(ratios={"bfloat16": 1.0}))
            return an_execution(ratios={"bfloat16": 2.0})

        assert cache.get(KEY, late).ratios == {"bfloat16": 1.0}


def test_a_damaged_file_is_measured_anew(tmp_path):
    with cache.shared_in(tmp_path):
        cache.get(KEY, lambda: an_execution(ratios={"bfloat16": 1.0}))
        (path,) = (tmp_path / cache.FOLDER).glob("*.json")
        path.write_text("{")
        second = cache.get(KEY, lambda: an_execution(ratios={"bfloat16": 2.0}))
    assert second.ratios == {"bfloat16": 2.0}
    assert choice.read(path) == second
    assert json.loads(path.read_text())["machine"] == second.machine
