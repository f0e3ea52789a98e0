import types

import pytest

import raylt
from raylt import space as spaces
from raylt.schema import InputError
from raylt.study.record import studies
from raylt.study.run import driver
from raylt.study.search import sampler
from tests.study import drive, made


def test_a_study_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="begin one with `raylt tune`"):
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
