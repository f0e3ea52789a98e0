import importlib.util

import pytest

from raylt import space
from raylt.schema import EnvironmentError, InputError
from raylt.space.strategy import Sampler, demand_installed
from tests.study.drive import SPACE, toy


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("scheduler={name: none, factor: 2}", "factor"),
        ("scheduler={name: none, grace: 2}", "grace"),
        ("scheduler={name: none, metric: val/knn}", "metric"),
        ("scheduler={name: median, factor: 2}", "factor"),
        ("sampler={name: random, startup: 2}", "startup"),
        ("sampler={name: grid, startup: 2}", "startup"),
        ("sampler={name: grid, seed: 2}", "seed"),
    ],
)
def test_a_key_that_would_do_nothing_is_refused(tmp_path, section, key):
    name = section.partition("=")[0]
    with pytest.raises(
        InputError, match=rf"study\.{name}\.{key}: must be left out for the {name}"
    ):
        toy(tmp_path, f"study.{section}")


def test_a_key_that_would_do_nothing_is_refused_with_its_line(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(SPACE.replace("{name: asha", "{name: median"))
    with pytest.raises(InputError, match=r"space\.yaml:6: study\.scheduler\.factor: must be left"):
        space.load(path)


@pytest.mark.parametrize(
    ("name", "left", "dropped"),
    [
        ("scheduler.name=none", {"name": "none"}, 2),
        ("scheduler.name=median", {"name": "median", "grace": 1}, 1),
        ("sampler.name=random", {"name": "random", "seed": 7}, 1),
        ("scheduler.name=hyperband", {"name": "hyperband", "grace": 1, "factor": 3}, 0),
    ],
)
def test_another_name_on_the_command_line_drops_what_the_file_said_for_the_old_one(
    tmp_path, name, left, dropped
):
    made = toy(tmp_path, f"study.{name}")
    section = getattr(made.study, name.partition(".")[0])
    assert section.model_dump(include=section.model_fields_set) == left
    assert len(made.warnings) == dropped
    # What is kept with the study says the same again, without a warning.
    (tmp_path / "kept.yaml").write_text(made.text)
    again = space.load(tmp_path / "kept.yaml")
    assert (again.study, again.warnings) == (made.study, ())


def test_a_missing_package_is_named_before_anything_starts(monkeypatch):
    demand_installed(Sampler(name="cmaes"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    demand_installed(Sampler(name="tpe"))
    with pytest.raises(EnvironmentError, match="pip install cmaes"):
        demand_installed(Sampler(name="cmaes"))
