import pytest

from raylt.schema import EnvironmentError, InputError
from raylt.study.record import studies


def test_an_unknown_study_is_named_with_its_neighbours(study, tmp_path):
    study()
    with pytest.raises(InputError, match="did you mean 'toy'"):
        studies.open_study("toyy", tmp_path / "runs")


def test_a_damaged_database_is_named(study, tmp_path):
    made = study()
    made.close()
    (made.folder / "study.db").write_bytes(b"no database at all " * 100)
    with pytest.raises(EnvironmentError, match=r"study\.db"):
        studies.open_study("toy", tmp_path / "runs")


def test_a_study_whose_making_was_cut_short_is_made_anew(study, tmp_path, monkeypatch):
    monkeypatch.setattr("raylt.study.record.record.Record.enqueue", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        study()
    monkeypatch.undo()
    with pytest.raises(InputError, match="run its `raylt tune` again"):
        studies.open_study("toy", tmp_path / "runs")
