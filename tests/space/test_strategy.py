import importlib.util

import pytest

from raylt import space
from raylt.schema import EnvironmentError, InputError
from raylt.space import overview
from raylt.space.strategy import Sampler, require_installed
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
        ("scheduler.name=none", {"name": "none"}, 1),
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


@pytest.mark.parametrize(
    ("scheduler", "epochs", "grace"),
    [
        ("{name: asha}", "60", 20),
        ("{name: median}", "2", 1),
        ("{name: median}", "{choices: [30, 90, 60]}", 30),
        ("{name: asha, factor: 5}", "{low: 10, high: 100}", 33),
        # Its brackets begin to stop after 6, 18 and 54 epochs, and after 4, 8 and 16.
        ("{name: hyperband}", "162", 6),
        ("{name: hyperband, factor: 2}", "48", 4),
        ("{name: none}", "60", None),
        ("{name: asha, grace: 7}", "60", 7),
    ],
)
def test_a_grace_that_is_left_out_is_a_third_and_written_down(tmp_path, scheduler, epochs, grace):
    options = (f"study.scheduler={scheduler}", "study.sampler={name: random}", f"epochs={epochs}")
    if epochs.startswith("{"):
        values = "{method.temperature: 0.2, method.prune: 0.9, epochs: 30}"
        options = (*options, f"study.baseline.values={values}")
    made = toy(tmp_path, *options)
    assert made.study.scheduler.grace == grace
    (tmp_path / "kept.yaml").write_text(made.text)
    for again in (space.load(tmp_path / "kept.yaml"), space.stored(tmp_path / "kept.yaml")):
        assert (again.study, again.warnings) == (made.study, ())
    shown = overview.overview(made)["study"]["scheduler"]["grace"]
    assert shown == grace
    message = overview.text(made)
    assert (f"(grace {grace}" in message) == (grace is not None)
    assert ("factor" in message) == (made.study.scheduler.name in ("asha", "hyperband"))


def test_a_grace_beyond_the_longest_of_some_choices_is_refused(tmp_path):
    values = "{method.temperature: 0.2, method.prune: 0.9, epochs: 5}"
    options = ("epochs={choices: [5, 9, 7]}", f"study.baseline.values={values}")
    assert toy(tmp_path, *options, "study.scheduler.grace=9").longest == 9
    with pytest.raises(InputError, match=r"study\.scheduler\.grace: must be <= 9, the epochs"):
        toy(tmp_path, *options, "study.scheduler.grace=10")


def test_a_missing_package_is_named_before_anything_starts(monkeypatch):
    require_installed(Sampler(name="cmaes"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    require_installed(Sampler(name="tpe"))
    with pytest.raises(EnvironmentError, match="pip install cmaes"):
        require_installed(Sampler(name="cmaes"))
