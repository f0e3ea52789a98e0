"""Studies in a notebook: search a space, open a study, look at it as a table.

import raylt

space = raylt.load_space("search_spaces/sdclr.yaml", ["study.trials=20"])
study = raylt.tune(space)
study.best.point
study.frame().sort_values("val/few")
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raylt.space import Space, load
from raylt.space.rival import rival
from raylt.study.record import studies
from raylt.study.record.listener import Listener
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.run import begin
from raylt.study.run.rival import follow
from raylt.study.run.session import Settings
from raylt.study.verdict import confirmation as confirmed

if TYPE_CHECKING:
    import pandas as pd


class Study:
    """A study on disk, to be looked at; another process may go on writing to it.

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
    def confirmation(self) -> dict[str, Any] | None:
        """What `raylt confirm` found last, as plain values; None before."""
        return confirmed.stored(self._record)

    def frame(self) -> pd.DataFrame:
        """One row for each trial, best first, by its number.

        Columns: `state`, `role`, the open leaves under their dotted paths (missing where a leaf is
        not active), the metrics of the last scored epoch, and `seconds`.
        """
        import pandas as pd

        paths = [leaf.path for leaf in self._record.space.leaves]
        rows = [
            {
                "trial": one.number,
                "state": one.state,
                "role": one.role,
                **{path: one.point.get(path) for path in paths},
                **one.last,
                "seconds": one.seconds,
            }
            for one in self.trials
        ]
        # Also of a study that has no trials yet.
        return pd.DataFrame(rows, columns=None if rows else ["trial"]).set_index("trial")

    def epochs(self) -> pd.DataFrame:
        """One row for each scored epoch of each trial, in the order of training."""
        import pandas as pd

        rows = [
            {"trial": one.number, **entry}
            for one in self._record.outcomes()
            for entry in self._record.epochs(one.number)
        ]
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        best = self.best
        told = f"best trial {best.number}" if best else "no trial finished"
        return f"<Study {self.name!r}: {len(self.trials)} of {self._record.wanted} trials, {told}>"


def tune(
    space: Space | Path | str,
    *,
    runs: Path | str = "runs",
    data: Path | str = "data",
    listeners: Sequence[Listener] = (),
    **settings: Any,
) -> Study:
    """Search a space to its end, as `raylt tune` does, and its `study.versus` after it; an
    interrupt leaves a study to go on with.

    Args:
        space: What to search, or the file that says it.
        runs: Folder of all studies.
        data: Folder of the datasets.
        listeners: Hear what happens to its trials.
        settings: More fields of `raylt.study.run.session.Settings`, as `concurrent` or `quiet`.

    Raises:
        raylt.schema.InputError: the study exists already, or the space is not as it must be.
        raylt.schema.EnvironmentError: the machine, the dataset or the tracker is not.
    """
    wanted = space if isinstance(space, Space) else load(space)
    chosen = Settings(runs=Path(runs), root=Path(data), listeners=listeners, **settings)
    if wanted.study.versus is not None:
        # It must be one that can be searched before the first search takes hours.
        rival(wanted)
    follow(begin.begin(wanted, chosen), chosen)
    return open_study(wanted.study.name, runs=runs, storage=chosen.storage)


def open_study(name: str, *, runs: Path | str = "runs", storage: str | None = None) -> Study:
    """A study to look at.

    Args:
        name: The study.
        runs: Folder of all studies.
        storage: URL of the server that has it, where neither its folder nor OPTUNA_STORAGE tells.

    Raises:
        raylt.schema.InputError: there is no such study.
        raylt.schema.EnvironmentError: its database cannot be read.
    """
    return Study(studies.open_study(name, Path(runs), storage))
