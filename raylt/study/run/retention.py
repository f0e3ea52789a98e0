"""Whose checkpoints stay on the disk, so that a study of many trials does not fill it.

What a trial reported, its predictions and its output are small, and always stay.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from raylt.study.record.listener import Listener, Task
from raylt.study.record.outcome import Outcome, ranked
from raylt.study.record.record import Record
from raylt.trial.checkpoints import bucket, checkpoint_names

_log = logging.getLogger("raylt")


class Retention(Listener):
    """Removes checkpoints when a trial ends, as `study.checkpoints` says.

    With `top` it keeps those of the baseline, of the best `confirm.top` trials, of a Pareto front,
    and of every trial that has not ended. A thread removes them from the bucket of a study, and
    the end of a `with` does so once more: a trial that was stopped may have sent one late.
    """

    def __init__(self, record: Record) -> None:
        self._record = record
        self._held = {outcome.number for outcome in record.outcomes() if outcome.over}
        """Ended trials whose checkpoints may still be there."""
        self._baseline = record.baseline()
        self._unwanted: frozenset[int] = frozenset()
        """Ended trials whose checkpoints must not be there."""
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._sweeping: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)
        if kind is None:
            self._sweep()

    def ended(self, task: Task, outcome: Outcome) -> None:
        """A trial is over: remove what is not wanted any more."""
        self._held.add(task.number)
        if outcome.role == "baseline":
            self._baseline = outcome
        if self._record.space.study.checkpoints == "all":
            return
        unwanted = self._held - self._kept()
        for number in unwanted:
            for path in self._record.trial_folder(number).glob(checkpoint_names.PATTERN):
                path.unlink(missing_ok=True)
        self._unwanted |= unwanted
        self._held -= unwanted
        if self._sweeping is None or self._sweeping.done():
            self._sweeping = self._thread.submit(self._sweep)

    def _sweep(self) -> None:
        top = self._record.bucket()
        if top is None or not self._unwanted:
            return
        try:
            bucket.retire(top, self._unwanted)
        except OSError as error:
            _log.warning("cannot remove checkpoints from %s now: %s", top, bucket.reason(error))

    def _kept(self) -> set[int]:
        # Only trials that may still have checkpoints: looking at every trial whenever one ends
        # would take ever longer.
        outcomes = {number: self._record.outcome(number) for number in self._held}
        if self._baseline is not None:
            # The constraints are measured against it, whatever became of it.
            outcomes[self._baseline.number] = self._baseline
        return kept(self._record, [*outcomes.values()])


def kept(record: Record, outcomes: Sequence[Outcome]) -> set[int]:
    """Those of ended trials whose checkpoints stay where `study.checkpoints` is `top`."""
    ranking = ranked(outcomes, record.space.study)
    finished = [outcome for outcome in ranking if outcome.state == "complete"]
    numbers = {outcome.number for outcome in finished if outcome.role == "baseline"}
    others = [outcome.number for outcome in finished if outcome.role != "baseline"]
    numbers.update(others[: record.space.study.confirm.top])
    if len(record.objectives) > 1:
        numbers.update(trial.number for trial in record.study.best_trials)
    return numbers
