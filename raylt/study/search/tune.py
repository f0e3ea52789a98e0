"""The part of a search that speaks Ray Tune: resources, scheduler, callbacks, one `fit`."""

from __future__ import annotations

import contextlib
import functools
import re
import shutil
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.search import ConcurrencyLimiter

from raylt.cluster import ray_compat
from raylt.schema import EnvironmentError, RayltError
from raylt.settings import Settings
from raylt.study.cost import packing
from raylt.study.cost.budget import BudgetMeter
from raylt.study.record.listener import Listener
from raylt.study.record.record import Record
from raylt.study.resources.allocation import Allocation
from raylt.study.search import schedulers
from raylt.study.search.searcher import TruthfulSearcher
from raylt.study.search.trials import OUT_OF_MEMORY, disk_full, is_disk_full
from raylt.study.workers import group, trainable


def run(
    record: Record,
    *,
    allocation: Allocation,
    concurrent: Callable[[], int],
    listeners: Sequence[Listener],
    interrupted: Callable[[], bool],
    ray_lost: Callable[[], bool],
    settings: Settings,
    say: Callable[[str], None],
) -> str:
    """Run the trials that a study still wants.

    Args:
        concurrent: How many run at a time; asked before each that begins.
        ray_lost: Whether Ray itself died: then no trial whose process died has failed.

    Returns:
        Why no further trial was started though some were wanted, or "".
    """
    watch, budget = _Watch(), _budget(record, allocation)
    on_shared_oom = functools.partial(_on_shared_oom, record, allocation, say)
    searcher = TruthfulSearcher(
        record,
        listeners,
        watch.cause,
        budget,
        on_shared_oom if allocation.has_company else None,
        settings.retries,
        ray_lost,
    )
    limited = watch.limited = Limited(searcher, concurrent)
    scratch = (record.folder / ".tune").resolve()
    constants = {
        "work": settings.work,
        "root": str(settings.data.resolve()),
        "runs": str(settings.runs.resolve()),
        "scratch": str(scratch),
        "system_metrics": settings.system_metrics,
        "bucket": record.bucket(),
        "modules": dict(record.space.modules),
    }
    stop = Stopper(lambda: limited.trouble is not None or interrupted(), budget)
    tuner = tune.Tuner(
        _trainable(allocation, constants, wanted=record.wanted),
        tune_config=_tune_config(record, allocation, limited),
        run_config=_run_config(scratch, stop, watch),
    )
    try:
        with ray_compat.out_of_memory_is_a_death():
            tuner.fit()
        limited.deliver()
    except Exception as error:
        if limited.trouble is not None:
            raise limited.trouble from error
        if is_disk_full(str(error)):
            raise EnvironmentError(disk_full(record)) from error
        raise
    finally:
        try:
            searcher.interrupt()
            budget.write()
        finally:
            # The study of record has everything; Tune's own folder would only mislead.
            shutil.rmtree(scratch, ignore_errors=True)
    if limited.trouble is not None:
        raise limited.trouble
    return searcher.stopped


def _budget(record: Record, allocation: Allocation) -> BudgetMeter:
    shape, alone = allocation.shape, allocation.alone
    return BudgetMeter(
        record,
        cpus=shape.workers * shape.cpus,
        gpus=shape.workers * shape.gpus,
        alone=(shape.workers * alone.cpus, shape.workers * alone.gpus),
    )


def _tune_config(record: Record, allocation: Allocation, searcher: Limited) -> tune.TuneConfig:
    return tune.TuneConfig(
        search_alg=searcher,
        scheduler=schedulers.scheduler(record),
        # The searcher says when it is enough.
        num_samples=-1,
        # A process takes seconds to start, but one that waits for a group cannot be reused.
        reuse_actors=allocation.shape.workers == 1,
        trial_dirname_creator=_folder_name,
    )


def _run_config(scratch: Path, stop: Stopper, watch: _Watch) -> tune.RunConfig:
    return tune.RunConfig(
        name="run",
        storage_path=str(scratch),
        stop=stop,
        callbacks=[watch],
        # The searcher hands a trial out again whose process died. Tune itself does so for a
        # machine that was taken away with a notice, which costs no retry.
        failure_config=tune.FailureConfig(max_failures=0),
        verbose=0,
    )


def _on_shared_oom(
    record: Record, allocation: Allocation, say: Callable[[str], None], number: int
) -> None:
    packing.learn_from_out_of_memory(record, allocation)
    shared = "GPU" if allocation.shape.gpus else "machine"
    say(
        f"Trial {number} ran out of memory while sharing a {shared}; it will run again alone: "
        f"{record.outcome(number).alone}"
    )


def _trainable(allocation: Allocation, constants: Mapping[str, Any], *, wanted: int) -> Any:
    shape = allocation.shape
    if shape.workers == 1:
        own = {**constants, "gpu_share": min(1.0, shape.gpus or 1.0)}
        function = functools.partial(_trial, trainable.trial, own)
        return tune.with_resources(function, functools.partial(bundles, allocation))
    # Two trials share the machines by halves, but one that is alone has all of them.
    own = {**constants, "shape": asdict(shape), "trials": min(allocation.most, wanted)}
    function = functools.partial(_trial, group.trial, own)
    # The group books the cores; its trial process would only wait on one. Ray wants a request
    # that is not empty.
    return tune.with_resources(function, {"cpu": 0, "memory": 2**20})


def bundles(allocation: Allocation, config: dict[str, Any]) -> tune.PlacementGroupFactory:
    """What a trial of one worker books, alone or beside others."""
    shape = allocation.alone if config["alone"] else allocation.shape
    wanted = {"CPU": shape.cpus, "GPU": shape.gpus, "memory": int(shape.memory)}
    return tune.PlacementGroupFactory([{name: n for name, n in wanted.items() if n}])


def _trial(
    run: Callable[[dict[str, Any]], None], constants: Mapping[str, Any], config: dict[str, Any]
) -> None:
    run({**constants, **config})


def _folder_name(trial: Trial) -> str:
    # A trial may be run more than once.
    return f"{trial.config['number']}-{trial.trial_id}"


class _Watch(tune.Callback):
    """Tells the searcher what Tune tells only to callbacks."""

    limited: Limited
    """Set once there is one: the searcher needs `cause` first."""

    def __init__(self) -> None:
        self._trials: Sequence[Trial] = ()

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its callbacks for a restore that never happens here.
        return {}

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self._trials = trials
        # Every trial has been told by now whether it goes on.
        self.limited.deliver()

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self.limited.searcher.started(trial.trial_id)

    def cause(self, trial_id: str) -> str:
        """Why the process of a trial died, in one line."""
        for trial in self._trials:
            if trial.trial_id == trial_id and trial.error_file is not None:
                return why_dead(Path(trial.error_file).read_text("utf-8", "replace"))
        return "the trial's process died"


class Limited(ConcurrencyLimiter):
    """Hands out no more trials at a time than there is room for now, and passes a score on only
    once its trial has been told to go on, so that no trial waits for what is written.
    """

    searcher: TruthfulSearcher

    def __init__(self, searcher: TruthfulSearcher, room: Callable[[], int]) -> None:
        self._room = room
        self._scores: list[tuple[str, dict[str, Any]]] = []
        self.trouble: Exception | None = None
        """What the study's files or a listener refused. Tune would take it for a failure of a
        trial, or end with a text of its own."""
        super().__init__(searcher, max_concurrent=room())

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its searcher for a restore that never happens here.
        return {}

    def get_state(self) -> dict[str, Any]:
        """Nothing: the study of record has it all."""
        return {}

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """As many trials as there is room for, then None."""
        self.deliver()
        self.max_concurrent = self._room()
        with self._remembered():
            return super().suggest(trial_id)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Keep a score until `deliver`."""
        self._scores.append((trial_id, result))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Pass on every score, and then at once that the trial is over."""
        self.deliver()
        with self._remembered():
            super().on_trial_complete(trial_id, result, error)

    def deliver(self) -> None:
        """Pass on the scores that were kept, in their order."""
        while self._scores:
            with self._remembered():
                super().on_trial_result(*self._scores.pop(0))

    @contextlib.contextmanager
    def _remembered(self) -> Generator[None]:
        try:
            yield
        except (RayltError, OSError) as error:
            self.trouble = self.trouble or error
            raise


def why_dead(text: str) -> str:
    """One line of all that Ray says about a process that died."""
    if "OutOfMemory" in text or "running low on memory" in text:
        return OUT_OF_MEMORY
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    detail = re.search(r"Worker exit detail: (.+?)\.(\s|$)", text)
    return f"the trial's process died: {detail[1] if detail else lines[-1][:300]}"


class Stopper(tune.Stopper):
    """Ends a trial that reported a failure, each one at its next score when the budget is spent,
    and everything when the search is interrupted.
    """

    def __init__(self, interrupted: Callable[[], bool], budget: BudgetMeter) -> None:
        self._interrupted = interrupted
        self._budget = budget

    def __getstate__(self) -> dict[str, Any]:
        return {"_interrupted": bool, "_budget": None}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether a trial ends with this report."""
        return "failure" in result or bool(self._budget.spent)

    def stop_all(self) -> bool:
        """Whether everything ends."""
        # Tune asks this all the time, whether anything is reported or not.
        self._budget.tick()
        return self._interrupted()
