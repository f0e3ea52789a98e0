"""The ways of computing that trials took, as the study remembers them."""

import dataclasses

import pytest

from raylt.study.cost import executions
from raylt.study.record.listener import Task
from raylt.trial.execution import choice
from raylt.trial.execution.choice import Execution
from tests.study import made

PLAIN = Execution(
    machine="a processor",
    step="sdclr, small, 8 px, 64 images",
    precision="float32",
    layout="contiguous",
    threads=1,
    compile=False,
)
FAST = dataclasses.replace(PLAIN, precision="bfloat16", ratios={"bfloat16": 1.5})


@pytest.fixture
def record(tmp_path):
    return made.study(tmp_path, trials=4, stopped=(), failed=(), tables=False)


def hear(listener, record, number):
    """Tell that a trial has ended."""
    outcome = record.outcome(number)
    recipe = record.space.at(outcome.point)
    listener.ended(Task(number, outcome.role, outcome.point, recipe, 1), outcome)


def test_each_way_is_noted_once_in_the_order_of_the_trials(record):
    listener = executions.Executions(record)
    for number, execution in enumerate((FAST, PLAIN, FAST)):
        choice.write(record.trial_folder(number), execution)
        hear(listener, record, number)
    assert executions.noted(record) == (FAST, PLAIN)
    assert executions.rows(record) == [
        ["a processor", PLAIN.step, "bfloat16, contiguous, 1 thread (measured: bfloat16 1.50x)"],
        ["a processor", PLAIN.step, "float32, contiguous, 1 thread (not measured)"],
    ]
    assert [executions.of_trial(record, number) for number in (0, 1)] == [FAST, PLAIN]


def test_a_study_that_goes_on_keeps_what_was_noted_before(record):
    choice.write(record.trial_folder(0), FAST)
    hear(executions.Executions(record), record, 0)
    again = made.again(record)
    later = executions.Executions(again)
    choice.write(again.trial_folder(1), PLAIN)
    for number in (0, 1):
        hear(later, again, number)
    assert executions.noted(made.again(record)) == (FAST, PLAIN)


def test_a_trial_of_an_older_raylt_has_none(record):
    hear(executions.Executions(record), record, 0)
    assert executions.of_trial(record, 0) is None
    assert executions.noted(record) == ()
    assert executions.rows(record) == []
