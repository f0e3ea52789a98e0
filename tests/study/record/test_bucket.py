"""A study whose checkpoints are kept in a bucket, too."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from raylt.schema import EnvironmentError, InputError
from raylt.study.confirm.runs import open_runs
from raylt.study.record import bucket as remote
from raylt.study.record import studies
from raylt.study.record.record import CHECKPOINTS
from raylt.study.report import logs
from raylt.study.run.retention import Retention
from raylt.trial.checkpoints import bucket, checkpoint, checkpoint_names
from raylt.trial.checkpoints.upload import Sender
from tests.study import drive, made, s3
from tests.study.report.made import text_of
from tests.study.run.made import kill_all, train
from tests.study.search.made import searcher
from tests.trial.checkpoints.made import save

URI = f"s3://{s3.BUCKET}/search"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def kept(study):
    confirmed = study("study.trials=20", "study.confirm={top: 2}")
    confirmed.note(CHECKPOINTS, URI)
    return confirmed


def sent(record, number, epoch=1):
    """Lay a trial's checkpoint into its bucket, as another machine would."""
    other = record.folder.parent / "other" / str(number)
    other.mkdir(parents=True)
    (other / "output.txt").write_text("it printed this\n")
    save(other, epoch, best=True)
    Sender(other, record.bucket(number), {}).send()
    return other


def test_two_studies_of_one_name_do_not_meet(tmp_path):
    first, second = (made.study(tmp_path / name, trials=1) for name in "ab")
    assert first.bucket(3) is None
    for item in (first, second):
        item.note(CHECKPOINTS, f"{URI}?scheme=http")
    assert first.bucket(3) != second.bucket(3)
    assert first.bucket(3).startswith(f"{URI}/made-")
    assert first.bucket(3).endswith("/trials/3?scheme=http")


def test_a_study_keeps_the_bucket_that_it_has(kept):
    assert remote.chosen(kept, None) == remote.chosen(kept, URI) == URI
    with pytest.raises(InputError, match=f"must be {URI}"):
        remote.chosen(kept, "s3://another/one")


def test_a_study_may_get_a_bucket_later(study):
    assert remote.chosen(study(), None) is None
    assert remote.chosen(study(), URI) == URI


def test_who_reads_a_trial_gets_it_from_the_bucket(s3_port, kept):
    searcher(kept).suggest("base")
    other = sent(kept, 0)
    assert "it printed this" in text_of(logs.parts(kept, 0))
    assert not list(kept.trial_folder(0).glob(checkpoint_names.PATTERN))
    whole = remote.trial_folder(kept, 0, whole=True)
    assert checkpoint.latest(whole, "abc").epoch == 1
    assert (whole / checkpoint_names.BEST).read_bytes() == (
        other / checkpoint_names.BEST
    ).read_bytes()


def test_a_bucket_that_is_gone_is_one_line_for_who_reads(s3_port, kept, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(EnvironmentError, match="cannot read the checkpoint bucket") as caught:
        remote.trial_folder(kept, 0, whole=True)
    assert "\n" not in str(caught.value)
    assert s3.SECRET not in str(caught.value)


def test_an_ended_trial_is_brought_and_the_weak_ones_checkpoints_go(s3_port, kept):
    with Retention(kept) as retention:
        search = searcher(kept, remote.Fetching(kept), retention)
        for number, accuracy in enumerate([0.1, 0.3, 0.5, 0.2, 0.4]):
            sent(kept, number)
            train(kept, search, f"t{number}", accuracy)
            assert (kept.trial_folder(number) / "output.txt").read_text() == "it printed this\n"
        # A trial that was stopped may send one checkpoint more before it notices.
        save(late := kept.folder.parent / "other" / "3", 2)
        Sender(late, kept.bucket(3), {}).send()
    there = {number: bucket.files(kept.bucket(number)) for number in range(5)}
    assert [n for n, computed in there.items() if checkpoint_names.BEST in computed] == [0, 2, 4]
    assert there[3] == ("output.txt",)


def test_a_bucket_that_fails_does_not_end_a_search(s3_port, kept, monkeypatch, caplog):
    def refuse(*_, **__):
        raise OSError("AWS Error SLOW_DOWN during ListObjectsV2 operation: slow down")

    monkeypatch.setattr(bucket, "bring", refuse)
    monkeypatch.setattr(bucket, "retire", refuse)
    with Retention(kept) as retention:
        search = searcher(kept, remote.Fetching(kept), retention)
        for number in range(4):
            train(kept, search, f"t{number}", 0.1 * number)
    assert [trial.state for trial in kept.outcomes()] == ["complete"] * 4
    assert "SLOW_DOWN" in caplog.text


@pytest.mark.parametrize("uri", ["s3://not-there/x", f"{URI}?endpoint_override=127.0.0.1:9"])
def test_a_search_without_its_bucket_does_not_begin_and_leaves_nothing(s3_port, tmp_path, uri):
    began = time.monotonic()
    with pytest.raises(EnvironmentError, match="cannot write to the checkpoint bucket"):
        drive.search(
            drive.toy(tmp_path),
            drive.settings(tmp_path, checkpoints=uri, tracking_optional=True),
        )
    assert time.monotonic() - began < 30
    assert not (tmp_path / "runs" / "toy").exists()


def test_a_search_with_no_credentials_at_all_is_one_line_and_starts_nothing(tmp_path):
    environment = {name: v for name, v in os.environ.items() if not name.startswith("AWS_")}
    # Neither variables nor a profile nor a machine's role.
    environment |= {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    words = [
        "tune",
        "--space",
        "search_spaces/sdclr.yaml",
        "--runs",
        str(tmp_path / "runs"),
        "--checkpoints",
        "s3://my-bucket/raylt",
    ]
    with s3.refusing() as port:
        environment["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
        done = subprocess.run(
            [sys.executable, "-m", "raylt", *words],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert done.returncode == 3
    announced, line = done.stderr.strip().splitlines()
    assert announced == "sdclr-digits: 16 trials, sdclr on digits"
    assert "cannot write to the checkpoint bucket s3://my-bucket/raylt: ACCESS_DENIED" in line
    assert "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY" in line
    assert done.stdout == ""
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


_DRIVE = """
import sys
from pathlib import Path
from raylt.study.record import studies
from raylt.study.run import driver
from tests.study import drive

folder = Path(sys.argv[2])
wanted = drive.settings(folder, work="tests.study.traced:work", checkpoints=sys.argv[3] or None)
if sys.argv[1] == "search":
    space = drive.toy(folder, "study.trials=3", "epochs=5", "study.scheduler.name=none", "size=8")
    found = drive.search(space, wanted)
else:
    found = driver.resume("toy", wanted, retry_failed=False)
sys.exit(found.exit_code)
"""


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_search_goes_on_from_its_bucket_alone(s3_port, tmp_path):
    words = [sys.executable, "-c", _DRIVE]
    trials = tmp_path / "runs" / "toy" / "trials"
    with subprocess.Popen([*words, "search", str(tmp_path), URI], cwd=ROOT) as process:
        end = time.monotonic() + 200
        while not all(_epochs(trials / number) >= 2 for number in "01"):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        kill_all(process.pid)
    known = {path.name: _epochs(path) for path in trials.iterdir()}
    assert max(known.values()) < 5
    # What was here is gone, as with the machine's disk.
    for path in trials.iterdir():
        for left in [*path.glob(checkpoint_names.PATTERN), *path.glob("classes.json")]:
            left.unlink()
    # The study knows its bucket.
    subprocess.run([*words, "resume", str(tmp_path), ""], cwd=ROOT, check=True, timeout=300)

    record = studies.open_study("toy", tmp_path / "runs")
    assert [trial.state for trial in record.outcomes()] == ["complete"] * 3
    for trial in record.outcomes():
        epochs = [int(entry["epoch"]) for entry in record.epochs(trial.number)]
        assert epochs == [1, 2, 3, 4, 5]
    for number, epochs in known.items():
        starts = [int(line) for line in (trials / number / "starts.txt").read_text().split()]
        assert len(starts) == 2, (number, starts)
        assert epochs - 1 <= starts[1] <= epochs + 1, (number, epochs, starts)
    # Checkpoints of this search can be had on a machine that has nothing else of it.
    elsewhere = tmp_path / "elsewhere"
    best = record.best().number
    bucket.bring(record.bucket(best), elsewhere, whole=True)
    digest = record.outcome(best).digest
    assert checkpoint.latest(elsewhere, digest).epoch == 5
    assert (elsewhere / "classes.json").is_file()
    # A confirmation of the study has the same bucket, and a place of its own in it.
    runs = open_runs(record)
    runs.record.note(CHECKPOINTS, remote.chosen(record, None))
    assert runs.record.bucket(0) != record.bucket(0)
    for trial in (runs.record, record):
        trial.close()
    shutil.rmtree(tmp_path / "data")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"mlflow.db", "study.db"} <= {path.name for path in files}
    assert not [path for path in files if s3.SECRET.encode() in path.read_bytes()]


def _epochs(folder):
    path = folder / "epochs.jsonl"
    return len(path.read_text().strip().splitlines()) if path.exists() else 0
