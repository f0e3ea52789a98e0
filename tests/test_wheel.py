"""What a user has who installs the wheel alone: a search and `init` in an empty folder."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.study.start.made import folder

ROOT = Path(__file__).parents[1]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.ray,
    pytest.mark.skipif(shutil.which("uv") is None, reason="needs uv"),
]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel, which borrows all other packages from this one."""
    work = tmp_path_factory.mktemp("wheel")
    subprocess.run(["uv", "build", "-q", "--wheel", "-o", work, ROOT], check=True)
    (wheel,) = work.glob("raylt-*.whl")
    subprocess.run(["uv", "venv", "-q", "-p", sys.executable, work / "env"], check=True)
    python = work / "env" / "bin" / "python"
    subprocess.run(["uv", "pip", "install", "-q", "--no-deps", "-p", python, wheel], check=True)
    (site,) = (work / "env").glob("lib/python*/site-packages")
    # A path, whose own .pth files are not read: the checkout stays out of sight.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return python


def run(python: Path, here: Path, command: str) -> str:
    """The output of a command in a folder."""
    words = shlex.split(command)
    done = subprocess.run(
        [python, "-m", "raylt", *words[1:]],
        cwd=here,
        env={**os.environ, "PYTHONPATH": "", "PATH": f"{python.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_the_wheel_is_enough_for_a_search_and_for_images_of_ones_own(
    python: Path, tmp_path: Path
) -> None:
    here = tmp_path / "empty"
    here.mkdir()
    where = run_python(python, here, "import raylt; print(raylt.__file__)")
    assert where.startswith(str(python.parents[1]))
    assert "sdclr\n" in run(python, here, "raylt spaces")
    (metadata,) = Path(where.strip()).parents[1].glob("raylt-*.dist-info/METADATA")
    assert re.findall(r"\]\((?!https?:)", metadata.read_text("utf-8")) == []
    for schema in ("search_spaces/space.schema.json", "clusters/profile.schema.json"):
        assert (Path(where.strip()).parent / schema).is_file()
    small = (
        "epochs=2 evaluation.every=1 schedule.warmup=1 study.trials=2 study.scheduler.name=none"
    )
    command = f"raylt tune --space sdclr --cluster laptop --runs 'my runs' {small}"
    shown = run(python, here, command)
    # What it prints is pasted.
    (best,) = [line for line in shown.splitlines() if line.startswith("Next: raylt best")]
    assert "--runs 'my runs'" in best
    retrain = run(python, here, best.removeprefix("Next: ").partition("   ")[0])
    (again,) = [line for line in retrain.splitlines() if line.startswith("Train it again: ")]
    run(python, here, again.removeprefix("Train it again: "))
    folder(tmp_path / "photos", {"ant": 20, "bee": 8})
    run(python, here, "raylt init ../photos --hours 0.01")
    assert "photos.yaml is a valid space" in run(python, here, "raylt check photos.yaml")
    shown = run(python, here, "raylt tune photos.yaml study.trials=2 epochs=2 schedule.warmup=1")
    assert "One of the 2 validation images is worth 50 points" in shown


def run_python(python: Path, here: Path, code: str) -> str:
    done = subprocess.run([python, "-c", code], cwd=here, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
