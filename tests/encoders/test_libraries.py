import importlib.util
import subprocess
import sys

import pytest
import timm
from torchvision import models

from raylt.encoders import _libraries
from raylt.schema import EnvironmentError


def test_the_names_that_are_read_off_the_files_are_those_of_the_libraries():
    assert list(_libraries.names("torchvision")) == sorted(models.list_models(module=models))
    assert list(_libraries.names("timm")) == sorted(timm.list_models())


def test_no_library_is_imported_to_look_for_a_name():
    program = """
import sys
from raylt.encoders import _libraries
_libraries.known("timm/convnext_tiny.fb_in22k")
_libraries.known("torchvision/resnet50")
assert not {"torch", "timm", "torchvision"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm/convnext_tinny", "must be a model of timm, .*mean 'timm/convnext_tiny'"),
        ("torchvision/resnet5", "must be a model of torchvision, .*mean 'torchvision/resnet50'"),
        ("convnext_tiny", "must be one of small, resnet18, .*mean 'timm/convnext_tiny'"),
        ("resnet19", "must be one of small, resnet18, .*mean 'resnet18'"),
        ("tim/resnet18", "torchvision/NAME or timm/NAME, but got .*mean 'timm'"),
        ("torchvision/deeplabv3_resnet50", "must be a model of torchvision"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name, message):
    with pytest.raises(ValueError, match=message):
        _libraries.known(name)


def test_where_timm_is_missing_its_names_pass_and_one_line_says_how_to_install_it(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "timm" else find(name)
    )
    # Another machine may have it: a space is read everywhere.
    assert _libraries.known("timm/anything") == "timm/anything"
    with pytest.raises(EnvironmentError, match=r"needs the package timm, .*raylt\[timm\]"):
        _libraries.require_installed("timm/convnext_tiny")
    _libraries.require_installed("torchvision/resnet18")
    monkeypatch.undo()
    with pytest.raises(ValueError, match="must be a model of timm"):
        _libraries.known("timm/anything")
