"""The public names: what they are and what they cost."""

import subprocess
import sys

import pytest

import raylt
from raylt.space import Space
from tests.study import drive


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
