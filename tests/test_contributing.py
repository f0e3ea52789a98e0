"""CONTRIBUTING.md: whatever is added is one file, and a search runs with all of the examples."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from raylt import cli

ROOT = Path(__file__).parents[1]
EXAMPLE = re.compile(r"`([\w/]+\.\w+)`:\n```\w+\n(.*?)```", re.DOTALL)


@pytest.mark.ray
def test_the_examples_are_searched_together(tmp_path):
    shutil.copytree(ROOT / "raylt", tmp_path / "raylt")
    for path, text in EXAMPLE.findall((ROOT / "CONTRIBUTING.md").read_text("utf-8")):
        assert not (tmp_path / path).exists()
        (tmp_path / path).write_text(text, "utf-8")
    searched = subprocess.run(
        [sys.executable, "search.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        check=True,
    )
    # A script prints what it prints itself and nothing else.
    assert searched.stdout == b""
    # What the guide's listener wrote. Its scheduler stops the trial of its sampler, for nothing is
    # learned to 0.9 within two epochs, and lets the baseline run to its end.
    lines = [line.split() for line in (tmp_path / "notes.txt").read_text("utf-8").splitlines()]
    assert sorted(line[:2] for line in lines) == [["0", "complete"], ["1", "stopped"]]
    # Eight directions: chance is 0.125.
    assert max(float(accuracy) for *_, accuracy in lines) > 0.4


@pytest.mark.ray
@pytest.mark.slow
def test_the_same_files_work_beside_a_space_file_and_go_with_the_study(tmp_path):
    texts = dict(EXAMPLE.findall((ROOT / "CONTRIBUTING.md").read_text("utf-8")))
    (tmp_path / "mine").mkdir()
    for path in ("raylt/methods/prototypes.py", "raylt/datasets/stripes.py", "tiny.py"):
        (tmp_path / "mine" / Path(path).name).write_text(texts[path], "utf-8")
    (tmp_path / "mine" / "outside.yaml").write_text(texts["outside.yaml"], "utf-8")

    runs, space = ["--runs", str(tmp_path / "runs")], str(tmp_path / "mine" / "outside.yaml")
    command = [sys.executable, "-m", "raylt", "tune", "--space", space, *runs]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    # Without the folder that it was begun from, the study goes on with its copies.
    shutil.rmtree(tmp_path / "mine")
    kept = {path.name for path in (tmp_path / "runs" / "outside" / "plugins").glob("*.py")}
    assert kept == {"prototypes.py", "stripes.py", "tiny.py"}
    assert cli.run(["best", "outside", *runs]) == 0
    assert cli.run(["export", "outside", str(tmp_path / "exported"), *runs]) == 0
    assert (tmp_path / "exported" / "model.pt2").is_file()
