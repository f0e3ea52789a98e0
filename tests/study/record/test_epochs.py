import pytest
from optuna.storages import RDBStorage
from sqlalchemy import text

from raylt.schema import EnvironmentError
from raylt.study.record.epochs import InFiles, InTable


@pytest.fixture(params=["files", "table"])
def epochs(request, tmp_path):
    if request.param == "files":
        for number in (0, 1):
            (tmp_path / str(number)).mkdir()
        yield InFiles(lambda number: tmp_path / str(number))
        return
    engine = RDBStorage(f"sqlite:///{tmp_path / 'study.db'}").engine
    with engine.begin() as database:
        database.execute(
            text(
                "CREATE TABLE raylt_epochs (study_id INTEGER, trial INTEGER, epoch INTEGER, "
                "entry TEXT, PRIMARY KEY (study_id, trial, epoch))"
            )
        )
    yield InTable(engine, 1)
    engine.dispose()


def test_entries_are_read_by_their_epoch_and_the_first_of_two_counts(epochs):
    assert epochs.read(0) == {}
    for entry in ({"epoch": 1, "lr": 0.5}, {"epoch": 3, "lr": 0.1}, {"epoch": 3, "lr": 9.0}):
        epochs.append(0, entry)
    epochs.append(1, {"epoch": 1, "lr": 0.2})
    assert epochs.read(0) == {1: {"epoch": 1, "lr": 0.5}, 3: {"epoch": 3, "lr": 0.1}}
    assert epochs.read(1) == {1: {"epoch": 1, "lr": 0.2}}


def test_half_a_line_of_a_killed_driver_spoils_no_other(tmp_path):
    epochs = InFiles(lambda _: tmp_path)
    epochs.append(0, {"epoch": 1})
    with (tmp_path / "epochs.jsonl").open("a") as file:
        file.write('\n{"epoch": 2, "lr"')
    epochs.append(0, {"epoch": 3})
    assert list(epochs.read(0)) == [1, 3]


def test_what_a_power_cut_leaves_spoils_no_other(tmp_path):
    epochs = InFiles(lambda _: tmp_path)
    epochs.append(0, {"epoch": 1})
    with (tmp_path / "epochs.jsonl").open("ab") as file:
        file.write(b"\n" + bytes(100))
    epochs.append(0, {"epoch": 3})
    assert list(epochs.read(0)) == [1, 3]


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe\x00x",
        b"no scores",
        b"[1]",
        b"7",
        b"{}",
        b'{"epoch": "1"}',
        b'{"epoch": 1.5}',
        b'{"epoch": 1, "lr": "fast"}',
        b'{"epoch": 1, "lr": {}}',
        b'{"epoch": 1, "\xff": 1}',
        b"[" * 10_000,
    ],
    ids=lambda line: repr(line[:20]),
)
def test_what_nobody_of_us_wrote_is_named_with_its_line(line, tmp_path):
    epochs = InFiles(lambda _: tmp_path)
    epochs.append(0, {"epoch": 1})
    with (tmp_path / "epochs.jsonl").open("ab") as file:
        file.write(b"\n" + line)
    with pytest.raises(EnvironmentError, match=r"epochs\.jsonl:3: must be the scores of an epoch"):
        epochs.read(0)
