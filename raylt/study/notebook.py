"""Studies in a notebook: search a space, open a study, look at it as a table.

import raylt

space = raylt.load_space("search_spaces/sdclr.yaml", ["study.trials=20"])
study = raylt.tune(space)
study.best.point
study.frame().sort_values("val/few")
study.figures.parallel()
optuna.visualization.plot_contour(study.optuna)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from raylt import escape
from raylt.data.reading.paths import expanded
from raylt.plugins import did_you_mean
from raylt.schema import InputError
from raylt.settings import merged
from raylt.space import Space, load
from raylt.study.record import studies
from raylt.study.record.listener import Listener
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.record.text import SHOWN, at, percent, short
from raylt.study.report import charts
from raylt.study.report.figures import Figures
from raylt.study.run import driver, plan
from raylt.study.run.rival import follow
from raylt.study.verdict import confirmation

if TYPE_CHECKING:
    import optuna
    import pandas as pd


_SHOWN = 10
"""Trials that a study shows of itself in a notebook."""


class Settings(TypedDict, total=False):
    """The settings of `tune`, as on the command line and in a profile; `raylt.settings.Settings`
    says what each means, and its default."""

    address: str | None
    tracking_uri: str | None
    tracking_optional: bool
    system_metrics: bool
    storage: str | None
    checkpoints: str | None
    concurrent: int | None
    retries: int
    wait: float
    workers: int
    min_workers: int | None
    cpus_per_worker: int
    gpus_per_worker: float | None
    pack: Literal["auto"] | int | None
    placement: Literal["pack", "spread", "strict_pack", "strict_spread"]
    cpus: int | None
    quiet: bool
    work: str


class Confirmed(dict[str, Any]):
    """What `raylt confirm` found last, as plain values; a table of the verdicts in a notebook."""

    def _repr_html_(self) -> str:
        return escape.html_table(
            f"{self['metric']} against the baseline, {len(self['seeds'])} fresh seeds",
            confirmation.HEADS,
            confirmation.rows(self),
        )


class Study:
    """A study on disk, to read; another process may still write to it.

    Args:
        record: The study of record.
    """

    def __init__(self, record: Record) -> None:
        self._record = record

    @property
    def name(self) -> str:
        """Its name."""
        return self._record.name

    @property
    def optuna(self) -> optuna.Study:
        """The study of Optuna that holds the trials, for `optuna.visualization` and the like."""
        return self._record.study

    @property
    def figures(self) -> Figures:
        """The charts of the study's report."""
        return Figures(charts.of_study(self._record))

    def figures_of(self, trial: int) -> Figures:
        """The charts of one trial: its learning curves, its confusions, its classes."""
        return Figures(charts.of_trial(self._record, trial))

    @property
    def best(self) -> Outcome | None:
        """The finished trial that keeps every constraint and has the best objective."""
        return self._record.best()

    @property
    def baseline(self) -> Outcome | None:
        """The trial of the setting that the study is compared with."""
        return self._record.baseline()

    @property
    def trials(self) -> tuple[Outcome, ...]:
        """Every trial, best first."""
        return self._record.ranking()

    @property
    def confirmation(self) -> Confirmed | None:
        """What `raylt confirm` found last, as plain values; None before."""
        known = confirmation.stored(self._record)
        return None if known is None else Confirmed(known)

    def frame(self) -> pd.DataFrame:
        """One row for each trial, best first, by its number.

        Columns: `state`, `role`, the open leaves under their dotted paths (missing where a leaf is
        not active), the metrics of the last scored epoch, and `seconds`; `cost/seconds`, the time
        up to that epoch, only in a study that looks at it. `raylt help NAME` explains a column.
        """
        import pandas as pd

        paths = [leaf.path for leaf in self._record.space.leaves]
        plan = self._record.space.study
        asked = {item.metric for item in (*plan.objective, *plan.constraints)}
        hidden = {"cost/seconds"} - asked
        rows = [
            {
                "trial": trial.number,
                "state": trial.state,
                "role": trial.role,
                **{path: trial.point.get(path) for path in paths},
                **{name: value for name, value in trial.last.items() if name not in hidden},
                "seconds": trial.seconds,
            }
            for trial in self.trials
        ]
        # A study may have no trials yet.
        return pd.DataFrame(rows, columns=None if rows else ["trial"]).set_index("trial")

    def epochs(self) -> pd.DataFrame:
        """One row for each scored epoch of each trial, in the order of training."""
        import pandas as pd

        rows = [
            {"trial": trial.number, **entry}
            for trial in self._record.outcomes()
            for entry in self._record.epochs(trial.number)
        ]
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        return f"<Study {self._headline()}>"

    def _headline(self) -> str:
        best = self.best
        state = f"best trial {best.number}" if best else "no trial finished"
        return f"{self.name!r}: {len(self.trials)} of {self._record.wanted} trials, {state}"

    def _repr_html_(self) -> str:
        """The study in a notebook: its best trials and the baseline."""
        paths = [leaf.path for leaf in self._record.space.leaves]
        trials = [*self.trials[:_SHOWN]]
        if self.baseline is not None and self.baseline not in trials:
            trials.append(self.baseline)
        rows = [
            (
                f"{trial.number}{' (baseline)' if trial.role == 'baseline' else ''}",
                trial.state,
                *(at(trial.point, path) for path in paths),
                *(percent(trial.last.get(metric)) for metric in SHOWN),
            )
            for trial in trials
        ]
        metrics = [metric.removeprefix("val/") for metric in SHOWN]
        heads = ("trial", "state", *short(paths), *metrics)
        return escape.html_table(f"Study {self._headline()}", heads, rows)


def tune(
    space: Space | Path | str,
    *,
    runs: Path | str = "runs",
    data: Path | str = "data",
    listeners: Sequence[Listener] = (),
    **settings: Unpack[Settings],
) -> Study:
    """Search a space as `raylt tune` does, and then its `study.versus`; a study that is
    interrupted can be resumed.

    Args:
        space: What to search, or its file.
        runs: Folder of all studies.
        data: Folder of the datasets.
        listeners: Told of what happens to trials, such as a tracker of your own.
        settings: How and where, such as `concurrent=2` or `quiet=True`.

    Raises:
        raylt.InputError: the study exists already, or a setting or the space is not as it must be;
            in the words of the command line.
        raylt.schema.EnvironmentError: the machine, the dataset or the tracker is not.
    """
    for name in settings:
        if name not in Settings.__annotations__:
            raise InputError(
                f"No such setting: {name}{did_you_mean(name, Settings.__annotations__)}; there "
                f"are runs, data, {', '.join(Settings.__annotations__)}"
            )
    wanted = space if isinstance(space, Space) else load(space)
    chosen = merged({"runs": Path(runs), "data": Path(data), **settings})
    result = driver.run(plan.check(wanted, chosen), listeners=listeners)
    follow(result, chosen, listeners=listeners)
    return open_study(wanted.study.name, runs=chosen.runs, storage=chosen.storage)


def open_study(name: str, *, runs: Path | str = "runs", storage: str | None = None) -> Study:
    """Open a study to read.

    Args:
        name: The study.
        runs: Folder of all studies.
        storage: URL of the server that has it, where neither its folder nor OPTUNA_STORAGE tells.

    Raises:
        raylt.schema.InputError: there is no such study.
        raylt.schema.EnvironmentError: its database cannot be read.
    """
    return Study(studies.open_study(name, expanded(runs), storage))
