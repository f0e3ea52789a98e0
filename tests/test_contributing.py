"""The examples of CONTRIBUTING.md: one new file is a new method, one a new dataset."""

import importlib
import re
import sys
from pathlib import Path

import pytest

from raylt import datasets, methods, plugins, recipe
from raylt.trial import worker

GUIDE = Path(__file__).parents[1] / "CONTRIBUTING.md"
EXAMPLE = re.compile(r"`raylt/(methods|datasets)/(\w+)\.py`:\n```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def examples(tmp_path, monkeypatch):
    """The guide's files, put where a contributor would put them."""
    found = EXAMPLE.findall(GUIDE.read_text("utf-8"))
    assert [(folder, name) for folder, name, _ in found] == [
        ("methods", "prototypes"),
        ("datasets", "stripes"),
    ]
    for package in (methods, datasets):
        folder = tmp_path / package.__name__.rpartition(".")[2]
        folder.mkdir()
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    for folder, name, text in found:
        (tmp_path / folder / f"{name}.py").write_text(text, "utf-8")
    importlib.invalidate_caches()
    yield
    for folder, name, _ in found:
        sys.modules.pop(f"raylt.{folder}.{name}", None)
        sys.modules.pop(f"raylt.{folder}.{name}:Config", None)
    plugins.declared.cache_clear()
    recipe.model.cache_clear()


@pytest.mark.usefixtures("examples")
def test_the_guide_s_method_trains_on_the_guide_s_dataset(tmp_path):
    wanted = recipe.parse(
        {
            "data": {"name": "stripes", "imbalance": 20.0},
            "method": {"name": "prototypes"},
            "encoder": "small",
            "size": 12,
            "augment": {"flip": 0.0},
            "optimizer": {"lr": 0.1, "batch_size": 64},
            "evaluation": {"every": 6},
            "epochs": 6,
        }
    )
    reports = []
    worker.work(
        wanted, root=tmp_path, folder=tmp_path / "run", report=reports.append, device="cpu"
    )
    assert reports[-1]["epoch"] == 6
    # Eight directions: chance is 0.125.
    assert reports[-1]["val/accuracy"] > 0.4
