import importlib.util

import pytest

from benchmarks import augment


def test_a_rival_that_is_not_installed_is_said_to_be_left_out(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "--group bench" in augment.kornia(1)[0]


def test_a_rival_that_is_installed_is_measured(monkeypatch):
    pytest.importorskip("kornia")
    monkeypatch.setattr(augment, "IMAGES", 8)
    assert "times as many" in augment.kornia(1)[0]
