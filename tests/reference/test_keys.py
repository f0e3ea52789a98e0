from __future__ import annotations

import pytest

from raylt import plugins, settings
from raylt.recipe import Recipe
from raylt.reference import keys
from raylt.schema import InputError
from raylt.space import load
from raylt.space.file import bundled, document
from raylt.space.plan import Study


def test_every_key_has_a_meaning_a_type_and_a_source() -> None:
    entries = keys.entries()
    assert [e.key for e in entries if not e.meaning.endswith((".", ")"))] == []
    assert [e.key for e in entries if not e.type] == []
    assert [e.key for e in entries if not e.source.startswith("raylt/")] == []


def test_every_field_of_the_models_is_there() -> None:
    known = {entry.key for entry in keys.entries()}
    assert {f"study.{name}" for name in Study.model_fields} <= known
    assert set(Recipe.model_fields) <= known
    assert set(settings.Profile.model_fields) <= known
    for section, package in (("method", "methods"), ("data", "datasets")):
        for name in plugins.names(package):
            fields = plugins.config(package, name).model_fields
            assert {f"{section}.{field}" for field in fields} <= known


@pytest.mark.parametrize("name", bundled.files("search_spaces"))
def test_every_key_of_a_bundled_space_is_there(name: str) -> None:
    load(name)
    values = document.read(bundled.find(name, "search_spaces")).values
    known = {entry.key for entry in keys.entries()}
    written = {f"study.{key}" for key in values["study"]} | set(values["recipe"])
    written |= {f"method.{key}" for key in values["recipe"]["method"]}
    assert written <= known


def test_an_entry_says_what_the_model_says() -> None:
    entry = next(e for e in keys.find("method.prune") if e.owners == ("sdclr",))
    assert keys.values(entry) == "number, at least 0 and less than 1, default 0.9"
    assert entry.source == "raylt/methods/sdclr.py"
    (published,) = entry.published
    assert published[:2] == ("sdclr", "0.9")
    (workers,) = keys.find("trial.workers")
    assert (workers.file, workers.option) == (keys.PROFILE, "--workers N")


def test_equal_entries_of_several_methods_are_one() -> None:
    (law,) = keys.find("data.law")
    assert set(law.owners) >= {"cifar10", "cifar100", "digits"}
    (startup,) = keys.find("study.sampler.startup")
    assert startup.owners == ("cmaes", "gp", "nsga2", "tpe")


def test_a_section_brings_its_keys_and_the_last_part_is_enough() -> None:
    assert [e.key for e in keys.find("study.budget")] == [
        "study.budget",
        "study.budget.gpu_hours",
        "study.budget.cpu_hours",
        "study.budget.wall_clock",
    ]
    assert [e.key for e in keys.find("lr")] == ["optimizer.lr"]
    assert keys.find("recipe.optimizer.lr") == keys.find("optimizer.lr")


def test_a_key_with_a_short_form_names_it() -> None:
    (objective, *_) = keys.find("study.objective")
    assert objective.type == "name of a metric, mapping or list, each name of a metric or mapping"
    assert objective.default == "val/accuracy"


def test_the_nearest_key_or_word_is_named() -> None:
    with pytest.raises(InputError, match=r"did you mean 'method.temperature'"):
        keys.find("method.temprature")
    with pytest.raises(InputError, match=r"did you mean 'tune'"):
        keys.find("tun", ["tune"])


def test_the_text_keeps_to_its_width() -> None:
    text = keys.text(keys.find("method"), width=60)
    assert max(len(line) for line in text.splitlines()) <= 60
    assert "method.complement_weight" in text


def test_a_word_that_is_like_no_key_is_answered_with_some() -> None:
    with pytest.raises(InputError, match=r"such as val/few.*`raylt help` lists the verbs"):
        keys.find("qqqqqq")
