import pytest

from raylt.schema import InputError
from raylt.study.record import postgres, storage

SERVER = "postgresql://ann:secret@host/studies"


@pytest.fixture(autouse=True)
def _no_server(monkeypatch):
    monkeypatch.delenv(postgres.VARIABLE, raising=False)


def test_a_new_study_lies_where_the_user_says_and_else_in_its_folder(tmp_path, monkeypatch):
    assert storage.chosen(tmp_path, None) is None
    assert storage.chosen(tmp_path, SERVER) == SERVER
    monkeypatch.setenv(postgres.VARIABLE, SERVER)
    assert storage.chosen(tmp_path, None) == SERVER


def test_a_study_stays_where_it_is(tmp_path):
    (tmp_path / storage.POINTER).write_text(postgres.public(SERVER))
    assert storage.chosen(tmp_path, None) == postgres.public(SERVER)
    assert storage.chosen(tmp_path, SERVER) == SERVER
    with pytest.raises(InputError, match="--storage: must be") as caught:
        storage.chosen(tmp_path, "postgresql://ann:secret@other/studies")
    assert "secret" not in str(caught.value)
    (tmp_path / "study.db").touch()
    assert storage.chosen(tmp_path, SERVER) is None
    with pytest.raises(InputError, match="--storage: must be a PostgreSQL database"):
        storage.chosen(tmp_path, "foo")
