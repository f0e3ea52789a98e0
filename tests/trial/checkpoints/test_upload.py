"""A trial's folder is sent to its bucket, against a server of S3 on loopback."""

import time

import pytest

from raylt.trial.checkpoints import bucket, checkpoint, checkpoint_names
from raylt.trial.checkpoints.upload import BucketUnavailable, Sender, sending
from tests.study import s3
from tests.trial.checkpoints.made import save

URI = f"s3://{s3.BUCKET}/upload"


@pytest.fixture
def uri(s3_port, request):
    return bucket.join(URI, abs(hash(request.node.name)))


def divide(_):
    return 1 / 0


def held(uri):
    return sorted(bucket.files(uri))


def test_another_machine_goes_on_from_what_was_sent(uri, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    with sending(here, uri):
        for epoch in (1, 2, 3):
            save(here, epoch, seed=epoch, best=epoch == 2)
        (here / "classes.json").write_text("{}")
    with sending(there, uri):
        mine, theirs = (checkpoint.latest(at, "abc") for at in (here, there))
    assert (theirs.epoch, theirs.history) == (3, mine.history)
    assert checkpoint.best(there, "abc").epoch == 2
    assert (there / "classes.json").read_text() == "{}"


def test_the_bucket_keeps_the_best_and_the_newest_two(uri, tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    sender = Sender(here, uri, {})
    for epoch in range(1, 6):
        save(here, epoch, best=epoch == 1)
        (here / f"{checkpoint_names.BEST}.1.draft").write_text("half")
        sender.send()
    assert held(uri) == ["best.safetensors", *map(checkpoint_names.checkpoint, (4, 5))]


def test_what_is_overtaken_is_never_sent(uri, tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    for epoch in (1, 2):
        save(here, epoch)
    Sender(here, uri, {}).send()
    assert held(uri) == [checkpoint_names.checkpoint(2)]


def test_one_file_of_two_names_travels_once(uri, tmp_path, monkeypatch):
    here, sent = tmp_path / "here", []
    here.mkdir()
    send = bucket.send
    monkeypatch.setattr(bucket, "send", lambda file, to: sent.append(to) or send(file, to))
    sender = Sender(here, uri, {})
    save(here, 1, best=True)
    sender.send()
    sender.send()
    assert sent == [bucket.join(uri, checkpoint_names.BEST)]
    assert held(uri) == [checkpoint_names.BEST, checkpoint_names.checkpoint(1)]
    bucket.bring(uri, tmp_path / "there", whole=True)
    first, second = (tmp_path / "there" / name for name in held(uri))
    assert first.read_bytes() == second.read_bytes() == (here / checkpoint_names.BEST).read_bytes()


def test_a_late_sender_removes_nothing_newer(uri, tmp_path):
    late, other = tmp_path / "late", tmp_path / "other"
    late.mkdir()
    cut_off = Sender(late, uri, {})
    save(late, 3)
    cut_off.send()
    there = bucket.bring(uri, other, whole=True)
    assert there == {checkpoint_names.checkpoint(3): True}
    goes_on = Sender(other, uri, there)
    for epoch in (4, 5, 6):
        save(other, epoch)
        goes_on.send()
    save(late, 4)
    cut_off.send()
    assert bucket.newest(held(uri)) == 6
    assert {checkpoint_names.checkpoint(5), checkpoint_names.checkpoint(6)} <= set(held(uri))


def test_what_is_newer_here_is_not_undone(uri, tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    sender = Sender(here, uri, {})
    (here / "classes.json").write_text("old")
    save(here, 1, best=True)
    sender.send()
    (here / "classes.json").write_text("new")
    save(here, 2, best=True)
    assert bucket.bring(uri, here, whole=True)[checkpoint_names.BEST] is False
    assert checkpoint.best(here, "abc").epoch == 2
    assert (here / "classes.json").read_text() == "new"


def test_who_only_reads_gets_the_small_files_anew_and_no_checkpoint(uri, tmp_path):
    here, reader = tmp_path / "here", tmp_path / "reader"
    here.mkdir()
    sender = Sender(here, uri, {})
    for epoch in (1, 2):
        (here / "output.txt").write_text("line\n" * epoch)
        save(here, epoch)
        sender.send()
        bucket.bring(uri, reader, whole=False)
        assert (reader / "output.txt").read_text() == "line\n" * epoch
    assert [path.name for path in reader.iterdir()] == ["output.txt"]


def test_a_server_that_fails_for_a_while_costs_a_warning_and_nothing_else(
    uri, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("raylt.trial.checkpoints.upload._PAUSE", 0.1)
    here, send = tmp_path / "here", bucket.send
    failures = iter([OSError("AWS Error SLOW_DOWN during PutObject operation: slow down"), None])

    def fail_once(file, to):
        if error := next(failures, None):
            raise error
        send(file, to)

    monkeypatch.setattr(bucket, "send", fail_once)
    with sending(here, uri):
        save(here, 1)
        end = time.monotonic() + 20
        while not held(uri):
            assert time.monotonic() < end
            time.sleep(0.1)
    assert held(uri) == [checkpoint_names.checkpoint(1)]
    assert "SLOW_DOWN: slow down" in capsys.readouterr().out


def test_a_trial_whose_checkpoints_can_never_be_kept_says_so(uri, tmp_path, monkeypatch):
    monkeypatch.setattr("raylt.trial.checkpoints.upload._PAUSE", 0.01)

    def refuse(file, to):
        raise OSError("AWS Error ACCESS_DENIED during PutObject operation: Access Denied")

    monkeypatch.setattr(bucket, "send", refuse)
    with (
        pytest.raises(BucketUnavailable, match="ACCESS_DENIED: Access Denied"),
        sending(tmp_path, uri),
    ):
        save(tmp_path, 1)


def test_an_error_of_the_trial_is_not_hidden_by_one_of_the_bucket(uri, tmp_path, monkeypatch):
    def refuse(file, to):
        raise OSError("no")

    monkeypatch.setattr(bucket, "send", refuse)
    with pytest.raises(ZeroDivisionError), sending(tmp_path, uri):
        divide(save(tmp_path, 1))


def test_without_a_bucket_nothing_happens(tmp_path):
    with sending(tmp_path / "none", None):
        pass
    assert not (tmp_path / "none").exists()
