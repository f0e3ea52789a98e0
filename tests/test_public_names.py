"""The public names: what they are, what they cost, and what a notebook does with them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import raylt
from raylt.space import Space
from tests.study import drive

REPOSITORY = Path(__file__).parents[1]


def test_the_public_names():
    names = ["InputError", "Study", "__version__", "load_space", "open_study", "tune"]
    assert raylt.__all__ == names
    assert dir(raylt) == sorted(raylt.__all__)
    for name in raylt.__all__:
        assert getattr(raylt, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        raylt.nothing  # noqa: B018


def test_importing_raylt_and_loading_a_space_import_nothing_heavy():
    program = (
        "import sys, raylt; raylt.load_space;"
        "print([m for m in ('torch', 'ray', 'optuna', 'mlflow', 'pandas') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert printed.stdout.strip() == "[]", printed.stderr


def test_a_space_is_loaded_with_overrides(tmp_path):
    drive.toy(tmp_path)
    space = raylt.load_space(tmp_path / "space.yaml", ["study.trials=2"])
    assert isinstance(space, Space)
    assert space.study.trials == 2


SCRIPT = """
import sys
from pathlib import Path

import raylt

folder = Path(sys.argv[1])
space = raylt.load_space(folder / "space.yaml", ["study.trials=3", "study.scheduler={name: none}"])
study = raylt.tune(
    space, runs=folder / "runs", data=folder / "data", work="tests.study.fake:work", cpus=2,
    quiet=True,
)
frame = study.frame()
assert list(frame.index) == [one.number for one in study.trials]
assert frame.loc[study.best.number, "val/accuracy"] == frame["val/accuracy"].max()
assert list(frame.columns[:4]) == ["state", "role", "method.temperature", "method.prune"]
assert not frame["method.prune"].isna().any()
assert frame.loc[study.baseline.number, "role"] == "baseline"
assert len(study.epochs()) == 18
assert study.confirmation is None
print(repr(study))
"""


@pytest.mark.ray
def test_a_plain_script_searches_and_looks_at_the_table(tmp_path):
    drive.toy(tmp_path)
    drive.behave(tmp_path)
    script = tmp_path / "search.py"
    script.write_text(SCRIPT)
    printed = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
    )
    assert printed.returncode == 0, printed.stderr
    # Nothing else is printed, and the study is there for everybody.
    study = raylt.open_study("toy", runs=tmp_path / "runs")
    assert printed.stdout == f"{study!r}\n"
    assert repr(study).startswith("<Study 'toy': 3 of 3 trials, best trial ")
