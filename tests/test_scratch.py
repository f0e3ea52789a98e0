import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from raylt import scratch
from raylt.schema import EnvironmentError

HOLD = """
import sys, time
from raylt import scratch
with scratch.folder("test") as folder:
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _temporary(tmp_path, monkeypatch):
    for name in (*scratch.VARIABLES, "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def test_a_folder_is_private_and_gone_afterwards(tmp_path):
    with scratch.folder("ray") as folder:
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "deeper").mkdir()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_too_long_or_not_writable_is_passed_over(tmp_path, monkeypatch):
    long = tmp_path / ("x" * 84)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "missing"))
    assert scratch.place("ray", longest=60) == Path("/tmp")
    assert scratch.place("job") == long


def test_where_no_place_is_left_each_is_named_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch, "candidates", lambda: [f"/{'x' * 84}", "/proc", "relative"])
    with pytest.raises(EnvironmentError) as caught:
        scratch.place("ray", longest=60)
    text = str(caught.value)
    assert "has 85 characters" in text
    assert "/proc cannot be written" in text
    assert "RAY_TMPDIR=/tmp" in text


def test_what_a_killed_process_has_left_is_swept_and_a_living_one_keeps_its_folder(tmp_path):
    def begin():
        process = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
        return process, Path(process.stdout.readline().strip())

    killed, left = begin()
    living, kept = begin()
    try:
        killed.kill()
        killed.communicate()
        assert left.is_dir()
        # Folders of the user's own, however old and whatever their names.
        foreign = [
            tmp_path / name for name in ("raylt-notes", "raylt-ray-mine", "raylt-ray-abcdefgh")
        ]
        for path in foreign:
            path.mkdir()
        for path in foreign:
            os.utime(path, (0, 0))
        with scratch.folder("test"):
            assert not left.exists()
            assert kept.is_dir()
            assert all(path.is_dir() for path in foreign)
    finally:
        living.kill()
        living.communicate()


def test_logs_are_kept_for_a_day(tmp_path):
    with scratch.folder("ray") as folder:
        (folder / "logs").mkdir()
        kept = scratch.keep(folder / "logs", folder)
    with scratch.folder("ray"):
        assert kept.is_dir()
        os.utime(kept, (0, 0))
    with scratch.folder("ray"):
        assert not kept.exists()


ENDED = """
import os
from raylt import scratch
with scratch.folder("test") as folder:
    (folder / "file").touch()
    scratch.remove()
    os._exit(0)
"""


def test_a_process_that_ends_in_the_midst_can_remove_its_folders_before(tmp_path):
    subprocess.run([sys.executable, "-c", ENDED], check=True)
    assert list(tmp_path.iterdir()) == []


def test_a_draft_takes_the_place_of_its_file_when_it_is_whole(tmp_path):
    path = tmp_path / "a.json"
    with scratch.draft(path) as draft:
        draft.write_text("first")
        assert not path.exists()
    with contextlib.suppress(KeyError), scratch.draft(path) as draft:
        draft.write_text("half")
        raise KeyError
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]
