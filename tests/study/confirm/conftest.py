import contextlib
import types

import pytest

from raylt.study.confirm import confirm, scoring
from raylt.study.record import studies
from raylt.study.run import session
from tests.study import drive
from tests.study.confirm.made import Now, options, score, settings


@pytest.fixture
def toy(study, tmp_path, monkeypatch, request):
    """A finished toy study: the baseline prunes 0.9, trial 1 prunes 0.5 and is truly better; a
    parameter names its objective."""
    drive.behave(tmp_path)
    good = "method.temperature: 0.3, method.prune: 0.5"
    bad = "method.temperature: 0.4, method.prune: 0.98"
    made = study(
        f"study.points=[{{{good}}}, {{{bad}}}]",
        "study.trials=3",
        "study.scheduler.name=none",
        f"study.objective={getattr(request, 'param', 'val/accuracy')}",
    )
    Now(settings(tmp_path)).trials(made)
    made.close()
    calls = []

    @contextlib.contextmanager
    def tracked(chosen, tracker, study, nodes, hold):
        calls.append(Now(chosen, tracker=tracker, stop_after=toy.stop_after))
        yield calls[-1]

    monkeypatch.setattr(session, "ray_session", lambda chosen: contextlib.nullcontext([]))
    monkeypatch.setattr(session, "tracked", tracked)
    monkeypatch.setattr(scoring, "score", score)
    toy = types.SimpleNamespace(
        stop_after=None,
        calls=calls,
        folder=tmp_path / "runs" / "toy",
        confirm=lambda **changes: confirm.confirm("toy", settings(tmp_path), options(**changes)),
        open=lambda: studies.open_study("toy", tmp_path / "runs"),
    )
    return toy
