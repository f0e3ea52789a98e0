"""How the trials of a study computed their steps, as facts of the study."""

from __future__ import annotations

from raylt.study.record.listener import Listener, Task
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.trial.execution import choice
from raylt.trial.execution.choice import Execution

_FACT = "executions"


class Executions(Listener):
    """Notes every way of computing that an ended trial took and no trial before it."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._known = list(noted(record))

    def ended(self, task: Task, outcome: Outcome) -> None:
        """A trial is over, and its files are here."""
        execution = of_trial(self._record, task.number)
        if execution is not None and execution not in self._known:
            self._known.append(execution)
            self._record.note(_FACT, [execution.plain for execution in self._known])


def of_trial(record: Record, number: int) -> Execution | None:
    """How a trial computed its steps; None where it has not begun, or an older raylt ran it."""
    return choice.read(record.trial_folder(number) / choice.FILE)


def noted(record: Record) -> tuple[Execution, ...]:
    """Every way in which ended trials of a study computed their steps."""
    return tuple(choice.parse(values) for values in record.facts.get(_FACT, ()))


def rows(record: Record) -> list[list[str]]:
    """Machine, step and choice of each way, for a table."""
    return sorted([e.machine, e.step, str(e)] for e in noted(record))
