"""CONTRIBUTING.md: whatever is added is one file, and a search runs with all of the examples."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLE = re.compile(r"`([\w/]+\.\w+)`:\n```\w+\n(.*?)```", re.DOTALL)


@pytest.mark.ray
def test_the_examples_are_searched_together(tmp_path):
    shutil.copytree(ROOT / "raylt", tmp_path / "raylt")
    for path, text in EXAMPLE.findall((ROOT / "CONTRIBUTING.md").read_text("utf-8")):
        assert not (tmp_path / path).exists()
        (tmp_path / path).write_text(text, "utf-8")
    subprocess.run(
        [sys.executable, "search.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=True,
    )
    # What the guide's listener wrote. Its scheduler stops the trial of its sampler, for nothing is
    # learned to 0.9 within two epochs, and lets the baseline run to its end.
    lines = [line.split() for line in (tmp_path / "notes.txt").read_text("utf-8").splitlines()]
    assert sorted(line[:2] for line in lines) == [["0", "complete"], ["1", "stopped"]]
    # Eight directions: chance is 0.125.
    assert max(float(accuracy) for *_, accuracy in lines) > 0.4
