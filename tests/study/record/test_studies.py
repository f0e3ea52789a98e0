import contextlib
import shutil

import pytest

from raylt import cli
from raylt.schema import EnvironmentError, InputError
from raylt.study.record import postgres, storage, studies
from tests.study import made


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


def test_a_folder_that_was_renamed_names_its_study(tmp_path, capfd):
    record = made.study(tmp_path, trials=3, failed=(), stopped=(), tables=False)
    record.close()
    record.folder.rename(tmp_path / "moved")
    for verb in ("status", "status moved", "best moved", "compare moved", "logs moved 0"):
        assert cli.run([*verb.split(), "--runs", str(tmp_path)]) == 0
    seen = capfd.readouterr().out
    assert "--data-of moved" in seen
    assert "made" not in seen.replace("made &", "")
    with contextlib.closing(studies.open_study("moved", tmp_path)) as moved:
        # MLflow and a bucket have its runs under the first name.
        assert (moved.name, moved.first_name) == ("moved", "made")


def test_a_study_of_a_server_is_known_by_its_first_name(tmp_path, monkeypatch):
    made.study(tmp_path, trials=1, failed=(), stopped=(), tables=False).close()
    folder = (tmp_path / "made").rename(tmp_path / "moved")
    (folder / "study.db").unlink()
    shutil.rmtree(folder / "trials")
    (folder / storage.POINTER).write_text("postgresql://host/studies")
    monkeypatch.setattr(postgres, "fact", lambda *_: None)
    with pytest.raises(InputError, match=r"moved must be called made, .*host/studies knows"):
        studies.open_study("moved", tmp_path)


def test_a_name_that_is_taken_is_refused_with_one_that_is_free(tmp_path):
    made.study(tmp_path, trials=1, failed=(), stopped=(), tables=False).close()
    (tmp_path / "made-2").mkdir()
    with pytest.raises(InputError, match=r"`raylt resume made --runs .*, such as --study made-3$"):
        studies.require_new(tmp_path / "made", None, "made")
