"""The part of a search that speaks Ray Tune: resources, scheduler, callbacks, one `fit`."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from raylt.schema import EnvironmentError
from raylt.study import schedulers, trainable
from raylt.study.events import Listener
from raylt.study.record import Record
from raylt.study.searcher import TruthfulSearcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one trial books of the machine, and how many run at a time."""

    cpus: float
    gpus: float
    concurrent: int


class _Watch(tune.Callback):
    """Tells the searcher what Tune tells only to callbacks."""

    def __init__(self) -> None:
        self.searcher: TruthfulSearcher | None = None
        self._trials: Sequence[Trial] = ()

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its callbacks for a restore that never happens here.
        return {"searcher": None, "_trials": ()}

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self._trials = trials

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        assert self.searcher is not None
        self.searcher.started(trial.trial_id)

    def cause(self, trial_id: str) -> str:
        """Why the process of a trial died, in one line."""
        for trial in self._trials:
            if trial.trial_id == trial_id and (error := trial.get_error()) is not None:
                return trainable.one_line(error)
        return "the trial's process died"


class _Stopper(tune.Stopper):
    """Ends a trial that reported a failure, and everything when the search is interrupted."""

    def __init__(self, interrupted: Callable[[], bool]) -> None:
        self._interrupted = interrupted

    def __getstate__(self) -> dict[str, Any]:
        return {"_interrupted": bool}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return "failure" in result

    def stop_all(self) -> bool:
        return self._interrupted()


def run(
    record: Record,
    *,
    share: Share,
    listeners: Sequence[Listener],
    interrupted: Callable[[], bool],
    retries: int,
    root: Path,
    work: str,
) -> str:
    """Run the trials that a study still wants.

    Args:
        record: The study.
        share: Resources of a trial.
        listeners: Told of everything that happens.
        interrupted: Becomes true when the search must end at once.
        retries: How often a trial is started again whose process died.
        root: Folder of the datasets.
        work: `package.module:function` that trains one recipe.

    Returns:
        Why no further trial was started though some were wanted, or "".
    """
    watch = _Watch()
    searcher = watch.searcher = TruthfulSearcher(record, listeners, watch.cause)
    scratch = record.folder / ".tune"
    constants = {"work": work, "root": str(root)}
    tuner = tune.Tuner(
        tune.with_resources(
            functools.partial(_trial, constants), {"cpu": share.cpus, "gpu": share.gpus}
        ),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=schedulers.scheduler(record),
            # The searcher says when it is enough.
            num_samples=-1,
            max_concurrent_trials=share.concurrent,
            reuse_actors=True,
            trial_dirname_creator=_folder_name,
        ),
        run_config=tune.RunConfig(
            name="run",
            storage_path=str(scratch.resolve()),
            stop=_Stopper(interrupted),
            callbacks=[watch],
            failure_config=tune.FailureConfig(max_failures=retries),
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    finally:
        searcher.interrupt()
        # The study of record has everything; Tune's own folder would only mislead.
        shutil.rmtree(scratch, ignore_errors=True)
    return searcher.stopped


def share(
    resources: Mapping[str, float], *, workers: int, cpus_per_worker: int,
    gpus_per_worker: float | None, concurrent: int | None,
) -> Share:  # fmt: skip
    """Divide a machine among trials.

    Raises:
        EnvironmentError: not even one trial fits.
    """
    have = {"cores": resources.get("CPU", 0), "GPUs": resources.get("GPU", 0)}
    gpus = gpus_per_worker if gpus_per_worker is not None else float(have["GPUs"] >= workers)
    need = {"cores": float(workers * cpus_per_worker), "GPUs": workers * gpus}
    for name, wanted in need.items():
        if wanted > have[name]:
            raise EnvironmentError(
                f"a trial must fit the machine, but its {workers} workers need {wanted:g} {name} "
                f"and there are {have[name]:g}; ask for fewer"
            )
    fit = min(int(have[name] / wanted + 1e-9) for name, wanted in need.items() if wanted)
    return Share(cpus=need["cores"], gpus=need["GPUs"], concurrent=min(fit, concurrent or fit))


def _trial(constants: Mapping[str, str], config: dict[str, Any]) -> None:
    trainable.trial({**constants, **config})


def _folder_name(trial: Trial) -> str:
    return str(trial.config["number"])
