"""CONTRIBUTING.md: whatever is added is one file, and a search runs with all of the examples."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from raylt.study.record import studies

ROOT = Path(__file__).parents[1]
EXAMPLE = re.compile(r"`([\w/]+\.\w+)`:\n```\w+\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The package with the guide's files in it, and the study of the guide's search."""
    folder = tmp_path_factory.mktemp("guide")
    shutil.copytree(ROOT / "raylt", folder / "raylt")
    for path, text in EXAMPLE.findall((ROOT / "CONTRIBUTING.md").read_text("utf-8")):
        assert not (folder / path).exists()
        (folder / path).write_text(text, "utf-8")
    subprocess.run(
        [sys.executable, "search.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        check=True,
    )
    return folder


@pytest.mark.ray
def test_the_examples_are_searched_together(folder):
    study = studies.open_study("stripes", folder / "runs")
    trials = study.outcomes()
    assert [trial.state for trial in trials] == ["complete", "complete"]
    recipe = trials[0].recipe
    assert recipe["method"]["name"] == "prototypes"
    assert recipe["data"]["name"] == "stripes"
    assert recipe["encoder"] == "plain2"
    # Eight directions: chance is 0.125.
    assert max(trial.last["val/accuracy"] for trial in trials) > 0.4


@pytest.mark.ray
def test_the_listener_heard_the_end_of_each_trial(folder):
    lines = (folder / "notes.txt").read_text("utf-8").splitlines()
    assert sorted(line.split()[:2] for line in lines) == [["0", "complete"], ["1", "complete"]]
