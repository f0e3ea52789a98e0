import contextlib
import types

import pytest

from raylt.study.ablate import ablate
from raylt.study.confirm import scoring
from raylt.study.record import studies
from raylt.study.run import session
from tests.study import drive
from tests.study.confirm.made import Now, settings

OPENER = "tests.study.fake_parts:open_test"


@pytest.fixture
def toy(study, tmp_path, monkeypatch):
    """A finished toy study whose winner, trial 1, differs in three leaves from the baseline: the
    pruning is worth 0.3, the temperature nothing, and the learning rate 0.1 beside the pruning."""
    drive.behave(tmp_path)
    made = study(
        "study.points=[{method.prune: 0.5, method.temperature: 0.3, optimizer.lr: 0.5}]",
        "optimizer.lr={low: 0.05, high: 1.0}",
        "study.baseline={source: a paper, values: {method.prune: 0.9, method.temperature: 0.2, "
        "optimizer.lr: 0.1}}",
        "study.trials=2",
        "study.scheduler.name=none",
    )
    work = "tests.study.fake_parts:work"
    Now(settings(tmp_path), work=work).trials(made)
    made.close()

    @contextlib.contextmanager
    def tracked(chosen, tracker, study, nodes, hold):
        toy.calls.append(Now(chosen, tracker=tracker, stop_after=toy.stop_after, work=work))
        yield toy.calls[-1]

    def score(now, record, runs, *, opener):
        heard = {
            run.number: scoring._score(
                dict(run.recipe),
                str(now.settings.data),
                str(record.trial_folder(run.number)),
                opener,
                None,
            )
            for run in runs
        }
        return {number: failure for number, failure in heard.items() if failure}

    monkeypatch.setattr(session, "ray_session", lambda chosen: contextlib.nullcontext([]))
    monkeypatch.setattr(session, "tracked", tracked)
    monkeypatch.setattr(scoring, "score", score)

    def ask(**changes):
        options = ablate.Options(opener=OPENER, **changes)
        return ablate.ablate("toy", settings(tmp_path), options)

    toy = types.SimpleNamespace(
        stop_after=None,
        calls=[],
        folder=tmp_path / "runs" / "toy",
        ablate=ask,
        open=lambda: studies.open_study("toy", tmp_path / "runs"),
    )
    return toy
