import html
import json
import re
import shutil
import types

import pytest

import raylt
from raylt import space as spaces
from raylt.schema import InputError
from raylt.settings import Settings
from raylt.study import notebook
from raylt.study.record import studies
from raylt.study.run import driver
from raylt.study.search import sampler
from tests.study import drive, made


def test_a_study_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="begin one with `raylt tune --space sdclr`"):
        raylt.open_study("nothing", runs=tmp_path)


def test_a_study_without_trials_is_an_empty_table(tmp_path):
    drive.toy(tmp_path)
    # Studies of 0.1.0 could do without a baseline, which waits in a new study from its start.
    space = spaces.stored(tmp_path / "space.yaml", ["study.baseline=null"])
    studies.create(
        tmp_path / "runs" / "toy",
        space,
        sampler=sampler.sampler(space, begun=0),
        queue=(),
        facts={},
    ).close()
    study = raylt.open_study("toy", runs=tmp_path / "runs")
    assert (len(study.frame()), len(study.epochs()), study.best) == (0, 0, None)


def test_the_rival_is_searched_from_a_notebook_too(tmp_path, monkeypatch):
    searched = []

    def run(planned, **_):
        space, settings = planned.space, planned.settings
        searched.append(space.known["method.name"])
        name, versus = space.study.name, space.study.versus
        plan = (f"study.versus={versus or 'null'}",)
        made.study(settings.runs, *plan, name=name, trials=2).close()
        return types.SimpleNamespace(name=name, versus=versus, interrupted=versus is None)

    monkeypatch.setattr(driver, "run", run)
    plan = ("study.versus=simclr", "study.objective=val/accuracy")
    monkeypatch.setenv("HOME", str(tmp_path))
    raylt.tune(drive.toy(tmp_path, *plan), runs="~/runs", data="~/data")
    assert len(raylt.open_study("toy", runs="~/runs").trials) == 2
    assert searched == ["sdclr", "simclr"]
    with pytest.raises(InputError, match="must be another method"):
        raylt.tune(drive.toy(tmp_path, "study.versus=sdclr"), runs=tmp_path / "other")
    assert len(searched) == 2


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    runs = tmp_path_factory.mktemp("finished")
    made.study(runs, trials=14).close()
    return raylt.open_study("made", runs=runs)


def test_the_table_has_a_row_for_each_trial(finished):
    frame = finished.frame()
    assert list(frame.index) == [trial.number for trial in finished.trials]
    scored = frame["val/accuracy"].where(frame["state"] == "complete")
    assert scored[finished.best.number] == scored.max()
    assert list(frame.columns[:4]) == ["state", "role", "method.temperature", "method.prune"]
    assert not frame["method.prune"].isna().any()
    assert frame.loc[finished.baseline.number, "role"] == "baseline"
    assert len(finished.epochs()) == sum(trial.epoch for trial in finished.trials)
    assert finished.confirmation is None
    assert repr(finished).startswith("<Study 'made': 14 of 14 trials, best trial ")


def test_a_study_shows_its_best_trials_and_the_baseline_in_a_notebook(finished):
    page = finished._repr_html_()
    assert page.count("<tr>") == 1 + 10 + (finished.baseline not in finished.trials[:10])
    assert "0 (baseline)" in page
    assert repr(finished).strip("<>") in html.unescape(page)
    assert len(page) < 20_000
    assert "<script" not in page


def test_a_trial_shows_its_point_its_metrics_and_its_failure_as_text(finished):
    page = finished.best._repr_html_()
    assert "method.temperature" in page
    assert "val/few" in page
    failed = next(trial for trial in finished.trials if trial.failure)
    assert "&lt;no&gt; &amp; luck" in failed._repr_html_()


def test_a_space_shows_what_is_open(finished):
    page = finished._record.space._repr_html_()
    assert "method.random_share" in page
    assert "method.prune &gt; 0.5" in page


def test_a_confirmation_shows_its_verdicts(finished):
    verdict = {"word": "not shown", "mean": 0.01, "low": -0.01, "high": 0.03, "p_holm": 0.2}
    candidate = {"runs": {"trial": 3}, "promised": 0.05, "dropped": None}
    candidate |= {"kept": None, "paid": None}
    known = {"metric": "test/accuracy", "seeds": [1, 2]}
    known["candidates"] = [{"verdict": {**verdict, "seeds": 2}, **candidate}]
    folder = finished._record.folder / "confirm"
    folder.mkdir()
    (folder / "verdict.json").write_text(json.dumps(known))
    try:
        assert finished.confirmation == known
        page = html.unescape(finished.confirmation._repr_html_())
    finally:
        shutil.rmtree(folder)
    assert "test/accuracy against the baseline, 2 fresh seeds" in page
    for cell in ("not shown", "+1.0", "[-1.0, +3.0]", "+5.0"):
        assert f">{cell}<" in page


def test_the_charts_of_the_study_and_of_a_trial_are_at_hand(finished):
    assert finished.figures.parallel().data
    assert finished.figures_of(0).curves().data


def test_the_study_of_optuna_is_at_hand(finished):
    assert len(finished.optuna.trials) == 14
    assert finished.optuna.best_trial.number == finished.best.number


def test_the_settings_of_a_notebook_are_those_of_the_command_line(tmp_path):
    own = {"runs", "data", "command", "profile", "given"}
    assert set(notebook.Settings.__annotations__) == set(Settings.model_fields) - own


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"concurrent": 0}, "--concurrent: must be >= 1, but got 0"),
        ({"pack": "x"}, "--pack: must be auto or a whole number from 1, but got 'x'"),
        ({"workers": 2, "min_workers": 3}, "lower min_workers to 2"),
        ({"concurent": 2}, "No such setting: concurent; did you mean 'concurrent'"),
    ],
)
def test_a_wrong_setting_is_told_in_one_line_and_starts_nothing(wrong, words, tmp_path):
    space = drive.toy(tmp_path)
    with pytest.raises(raylt.InputError, match=re.escape(words)) as caught:
        raylt.tune(space, runs=tmp_path / "runs", **wrong)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "runs").exists()
