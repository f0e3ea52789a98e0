"""A confirmation of the toy study without Ray and MLflow."""

import json
import pkgutil
from pathlib import Path
from types import SimpleNamespace

from raylt import recipe
from raylt.study.confirm import scoring
from raylt.study.confirm.candidates import Options
from raylt.study.search.searcher import TruthfulSearcher
from tests.study import drive

OPENER = "tests.study.fake_seeds:open_test"


def options(**changes):
    plain = {"top": 1, "seeds": 5, "race": True, "retry_failed": False, "opener": OPENER}
    return Options(**{**plain, **changes})


def settings(folder, **changes):
    return drive.settings(folder, work="tests.study.fake_seeds:work", **changes)


class Now:
    """Trains and scores in this process, in place of Ray and MLflow."""

    def __init__(
        self, settings, *, tracker=None, stop_after=None, work="tests.study.fake_seeds:work"
    ):
        self.settings = settings
        self._work = pkgutil.resolve_name(work)
        self.tracker = tracker
        self.interrupted = False
        self.notices = ()
        self.allocation = SimpleNamespace(shape=SimpleNamespace(gpus=0.0))
        self.trained = []
        self._stop_after = stop_after

    def trials(self, record, *, shown=0, name="", only=()):
        assert shown == 0 or shown >= sum(run.digest in only for run in record.outcomes())
        searcher = TruthfulSearcher(record, [], lambda trial_id: "died")
        while isinstance(config := searcher.suggest("t"), dict):
            searcher.started("t")
            if len(self.trained) == self._stop_after:
                self.interrupted = True
                searcher.interrupt()
                return ""
            self.trained.append(config["number"])
            reports = []
            try:
                self._work(
                    recipe.parse(json.loads(config["recipe"])),
                    root=self.settings.data,
                    folder=Path(config["folder"]),
                    report=reports.append,
                    device=None,
                )
            except ValueError as error:
                reports.append({"failure": str(error)})
            searcher.on_trial_complete("t", reports[-1])
        return searcher.stopped


def score(now, record, runs, *, opener):
    """Score in this process, in place of Ray: number -> why a run has no score."""
    failures = {
        run.number: scoring._score(
            dict(run.recipe),
            str(now.settings.data),
            str(record.trial_folder(run.number)),
            opener,
            None,
        )
        for run in runs
    }
    return {number: failure for number, failure in failures.items() if failure}


def starts(folder):
    return len(list(folder.glob("confirm/trials/*/starts.txt"))), sum(
        len(path.read_text().splitlines()) for path in folder.glob("confirm/trials/*/starts.txt")
    )
