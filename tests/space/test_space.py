from __future__ import annotations

import json
import math
import pickle
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raylt import recipe, space
from raylt.schema import InputError
from raylt.space import Space
from raylt.space.file import document
from tests.space.made import RECIPE, loaded, text

SPACES = Path(__file__).parents[2] / "search_spaces"


PRUNE = {"low": 0.1, "high": 0.95}


def test_open_leaves_are_described_as_they_stand(tmp_path: Path) -> None:
    search_space = loaded(
        tmp_path,
        {},
        {
            "method.temperature": {"low": 0.05, "high": 1, "log": True},
            "method.own_norms": {"choices": [True, False], "when": "method.temperature > 0.1"},
            "optimizer.batch_size": {"low": 16, "high": 64, "step": 16},
        },
    )
    temperature, norms, batch = search_space.leaves
    assert (temperature.path, temperature.low, temperature.high) == (
        "method.temperature",
        0.05,
        1.0,
    )
    assert (temperature.log, temperature.integer, temperature.when) == (True, False, None)
    assert norms.choices == (True, False)
    assert norms.when is not None
    assert norms.when.names == {"method.temperature"}
    assert (batch.integer, batch.step, batch.low, batch.high) == (True, 16, 16, 64)
    assert search_space.fixed["method"] == {"name": "sdclr"}
    assert search_space.known["optimizer.momentum"] == 0.9


def test_the_recipe_at_a_point_has_its_values(tmp_path: Path) -> None:
    search_space = loaded(tmp_path, {}, {"method.temperature": {"low": 0.05, "high": 1.0}})
    at = search_space.at({"method.temperature": 0.3})
    assert at.method.temperature == 0.3  # type: ignore[attr-defined]
    assert at.optimizer.lr == 0.1
    assert pickle.loads(pickle.dumps(at)) == at
    assert at.digest != search_space.at({"method.temperature": 0.4}).digest


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({}, "method.temperature: must be given, but is missing"),
        ({"method.temperature": 2.0}, "must be 0.05 to 1, but got 2.0"),
        ({"method.temperature": "x"}, "must be 0.05 to 1, but got 'x'"),
        ({"method.temperature": True}, "must be 0.05 to 1, but got true"),
        ({"method.temperature": math.nan}, "must be 0.05 to 1, but got nan"),
        ({"method.temperature": 0.3, "epochs": 3}, "epochs: must be an open leaf"),
        ({"method.temperature": 0.9}, "must satisfy study.require"),
    ],
)
def test_a_point_of_another_space_is_refused(
    point: dict[str, Any], message: str, tmp_path: Path
) -> None:
    study = {"require": ["method.temperature < 0.8"]}
    search_space = loaded(tmp_path, study, {"method.temperature": {"low": 0.05, "high": 1.0}})
    with pytest.raises(InputError, match=message):
        search_space.at(point)


def test_a_leaf_that_hangs_on_an_absent_one_is_absent(tmp_path: Path) -> None:
    search_space = loaded(
        tmp_path,
        {},
        {
            # The file's order does not matter: what others hang on is asked for first.
            "method.out_dim": {"choices": [64, 128], "when": "not method.own_norms"},
            "method.own_norms": {"choices": [True, False], "when": "method.prune > 0.5"},
            "method.prune": {"low": 0.0, "high": 0.9},
        },
    )
    assert [leaf.path for leaf in search_space.leaves] == [
        "method.prune",
        "method.own_norms",
        "method.out_dim",
    ]

    def active(point: dict[str, Any]) -> list[str]:
        return [leaf.path.removeprefix("method.") for leaf in search_space.active(point)]

    assert active({"method.prune": 0.1}) == ["prune"]
    assert active({"method.prune": 0.6}) == ["prune", "own_norms"]
    assert active({"method.prune": 0.6, "method.own_norms": True}) == ["prune", "own_norms"]
    assert active({"method.prune": 0.6, "method.own_norms": False}) == [
        "prune",
        "own_norms",
        "out_dim",
    ]
    with pytest.raises(InputError, match="must be left out where its `when` does not hold"):
        search_space.at({"method.prune": 0.1, "method.own_norms": True})
    # An absent leaf keeps the recipe's default.
    assert search_space.at({"method.prune": 0.1}).method.own_norms is True  # type: ignore[attr-defined]


def test_conditions_see_closed_and_default_values_too(tmp_path: Path) -> None:
    study = {
        "require": [
            "optimizer.batch_size * optimizer.momentum > epochs",
            "method.prune < 0.5 or data.imbalance == 20",
        ]
    }
    search_space = loaded(tmp_path, study, {"method.prune": {"low": 0.1, "high": 0.9}})
    assert search_space.infeasible == 0.0


def test_the_refused_share_is_measured(tmp_path: Path) -> None:
    study = {"require": ["method.prune < 0.3"]}
    search_space = loaded(tmp_path, study, {"method.prune": {"low": 0.1, "high": 0.9}})
    # 0.75 exactly; a thousand draws have a standard error of 0.014.
    assert search_space.infeasible == pytest.approx(0.75, abs=0.06)
    assert all(search_space.allows(search_space.draw(random.Random(i))) for i in range(50))
    assert not all(search_space.allows(search_space.draw_any(random.Random(i))) for i in range(50))


def test_values_that_do_not_go_together_must_be_excluded(tmp_path: Path) -> None:
    leaves = {"schedule.warmup": {"low": 0, "high": 10}, "epochs": {"choices": [5, 20]}}
    study = {"scheduler": {"name": "none"}}
    with pytest.raises(InputError, match=r"schedule.warmup: must be less than epochs.*exclude it"):
        loaded(tmp_path, study, leaves)
    search_space = loaded(tmp_path, {**study, "require": ["schedule.warmup < epochs"]}, leaves)
    for i in range(200):
        search_space.at(search_space.draw(random.Random(i)))


def test_the_baseline_keeps_defaults_and_comes_first(tmp_path: Path) -> None:
    leaves = {
        "method.prune": PRUNE,
        "optimizer.lr": {"low": 0.1, "high": 1.0},
    }
    study = {
        "baseline": {"source": "a paper", "values": {"optimizer.lr": 0.5}},
        "points": [{"optimizer.lr": 0.2, "method.prune": 0.5}, {"optimizer.lr": 0.3}],
    }
    search_space = loaded(tmp_path, study, leaves)
    assert search_space.baseline_point == {"method.prune": 0.9, "optimizer.lr": 0.5}
    assert search_space.points == (
        {"method.prune": 0.5, "optimizer.lr": 0.2},
        {"method.prune": 0.9, "optimizer.lr": 0.3},
    )


def test_a_setting_leaves_out_what_is_absent_there(tmp_path: Path) -> None:
    leaves = {
        "method.prune": {"low": 0.0, "high": 0.95},
        "method.own_norms": {"choices": [True, False], "when": "method.prune > 0"},
    }
    baseline = {"source": "SimCLR", "values": {"method.prune": 0.0}}
    assert loaded(tmp_path, {"baseline": baseline}, leaves).baseline_point == {"method.prune": 0.0}
    baseline["values"] = {"method.prune": 0.0, "method.own_norms": True}
    with pytest.raises(InputError, match="must be left out where its `when` does not hold"):
        loaded(tmp_path, {"baseline": baseline}, leaves)


def test_a_closed_recipe_is_a_space_of_one_point(tmp_path: Path) -> None:
    search_space = loaded(tmp_path, {}, {})
    assert search_space.leaves == ()
    assert search_space.baseline_point is None
    assert search_space.draw(random.Random(0)) == {}
    assert search_space.at({}) == recipe.parse(RECIPE)


def test_the_command_line_overrules_the_file(tmp_path: Path) -> None:
    leaves = {
        "method.prune": PRUNE,
        "optimizer.lr": {"low": 0.1, "high": 1.0},
    }
    study = {
        "baseline": {"source": "a paper", "values": {"method.prune": 0.9, "optimizer.lr": 0.5}}
    }
    search_space = loaded(
        tmp_path,
        study,
        leaves,
        "method.prune=0.5",
        "study.trials=3",
        "optimizer.lr.high=0.7",
        "method.temperature={low: 0.1, high: 1.0}",
        "schedule.milestones=[2, 4]",
    )
    assert [leaf.path for leaf in search_space.leaves] == ["method.temperature", "optimizer.lr"]
    assert search_space.leaves[1].high == 0.7
    assert search_space.study.trials == 3
    assert search_space.at(search_space.draw(random.Random(0))).schedule.milestones == (2, 4)
    # The published value gives way, and that is said.
    assert search_space.baseline_point == {"method.temperature": 0.2, "optimizer.lr": 0.5}
    assert search_space.warnings == (
        "command line: method.prune: 0.5 overrules 0.9 of study.baseline.values",
    )
    (tmp_path / "again.yaml").write_text(search_space.text, "utf-8")
    again = space.load(tmp_path / "again.yaml")
    assert (again.digest, again.text, again.warnings) == (
        search_space.digest,
        search_space.text,
        (),
    )
    assert again.baseline_point == search_space.baseline_point


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("metod.prune", "method.prune"),
        ("prune", "method.prune"),
        ("cpu_hours", "study.budget.cpu_hours"),
        ("name", "study.name"),  # One of several.
        ("temprature", "method.temperature"),
        ("trils", "study.trials"),
        ("momentm", "optimizer.momentum"),
        ("stdy.trials", "study.trials"),
    ],
)
def test_the_key_that_was_meant_is_named(word: str, meant: str) -> None:
    with pytest.raises(InputError, match=rf"did you mean '{meant}'\?$"):
        space.load("sdclr", [f"{word}=1"])


def test_what_may_change_when_a_study_goes_on_is_not_in_the_digest(tmp_path: Path) -> None:
    leaves = {"method.prune": PRUNE}
    digest = loaded(tmp_path, {}, leaves).digest
    assert loaded(tmp_path, {"trials": 99, "sampler": {"seed": 3}}, leaves).digest == digest
    assert loaded(tmp_path, {}, leaves, "method.prune.low=0.2").digest != digest
    assert loaded(tmp_path, {"require": ["method.prune > 0.2"]}, leaves).digest != digest
    assert loaded(tmp_path, {"objective": "val/few"}, leaves).digest != digest


@pytest.mark.parametrize("path", sorted(SPACES.glob("*.yaml")), ids=lambda path: path.name)
def test_every_bundled_space_is_valid_and_has_its_baseline(path: Path) -> None:
    search_space = space.load(path)
    assert search_space.warnings == ()
    assert search_space.study.baseline is not None
    assert search_space.baseline_point is not None
    assert search_space.study.trials >= 12
    for i in range(20):
        search_space.at(search_space.draw(random.Random(i)))


def test_groups_that_have_no_class_cannot_be_an_objective(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"val/few.* < 20 .*104, 96, .*there are many, medium"):
        loaded(tmp_path, {"objective": "val/few"}, {"data.imbalance": 2.0})
    assert loaded(tmp_path, {"objective": "val/thirds/few"}, {"data.imbalance": 2.0})


def test_a_loss_may_be_watched_where_it_means_the_same(tmp_path: Path) -> None:
    study = {"scheduler": {"metric": "train/loss"}}
    assert loaded(tmp_path, study, {"optimizer.lr": {"low": 0.1, "high": 1.0}})
    for path, leaf in {
        "method.temperature": {"low": 0.1, "high": 1.0},
        "optimizer.batch_size": {"choices": [32, 64]},
    }.items():
        with pytest.raises(InputError, match="losses at different settings have different scales"):
            loaded(tmp_path, study, {path: leaf})


FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "method.temperature": st.floats(0.01, 2),
    "method.prune": st.floats(0, 0.99),
    "method.random_share": st.floats(0, 1),
    "method.refresh": st.integers(1, 9),
    "method.own_norms": st.booleans(),
    "method.head_depth": st.sampled_from([2, 3]),
    "method.out_dim": st.integers(2, 300),
    "optimizer.lr": st.floats(1e-5, 10),
    "optimizer.batch_size": st.integers(2, 512),
    "optimizer.name": st.sampled_from(["sgd", "lars"]),
    "optimizer.momentum": st.floats(0, 0.99),
    "augment.crop": st.floats(0.01, 1),
    "encoder": st.sampled_from(["small", "resnet18", "resnet32"]),
    "schedule.warmup": st.integers(0, 5),
}
NEEDED = {"optimizer.lr", "optimizer.batch_size", "encoder"}


@st.composite
def openings(draw: st.DrawFn, path: str) -> dict[str, Any]:
    ends = sorted({draw(FIELDS[path]), draw(FIELDS[path])}, key=str)
    number = all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends)
    if not number or len(ends) == 1 or path == "method.head_depth" or draw(st.booleans()):
        return {"choices": ends}
    low, high = sorted(ends)
    kind = draw(st.sampled_from(["plain", "log", "step"]))
    if kind == "log" and low > 0:
        return {"low": low, "high": high, "log": True}
    if kind == "step":
        parts = draw(st.integers(1, 5))
        whole = isinstance(low, int)
        return {"low": low, "high": high, "step": 1 if whole else (high - low) / parts}
    return {"low": low, "high": high}


def condition(path: str, leaf: Mapping[str, Any]) -> str:
    """A condition that holds for some values of a leaf and not for others."""
    if "choices" in leaf:
        return f"{path} == {json.dumps(leaf['choices'][0])}"
    return f"{path} <= {(leaf['low'] + leaf['high']) / 2!r}"


@st.composite
def spaces(draw: st.DrawFn) -> str:
    paths = draw(st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=7, unique=True))
    leaves = {path: draw(openings(path)) for path in paths}
    for i, path in enumerate(paths):
        if i and path not in NEEDED and draw(st.booleans()):
            other = draw(st.sampled_from(paths[:i]))
            leaves[path]["when"] = condition(other, leaves[other])
    asked = draw(st.lists(st.sampled_from(paths), max_size=2, unique=True))
    study = {"require": [condition(path, leaves[path]) for path in asked]}
    return text(study, {path: leaves[path] for path in draw(st.permutations(paths))})


@settings(max_examples=60)
@given(spaces(), st.integers())
def test_every_drawn_point_is_a_valid_recipe_without_absent_leaves(result: str, seed: int) -> None:
    opened = _load(result)
    # What the record keeps is enough to stand at the same points again.
    again = _load(opened.text)
    assert (again.digest, again.leaves) == (opened.digest, opened.leaves)
    rng = random.Random(seed)
    for _ in range(10):
        point = opened.draw(rng)
        at = recipe.flat(opened.at(point).model_dump())
        paths = {leaf.path for leaf in opened.leaves}
        assert set(point) == {leaf.path for leaf in opened.active(point)}
        for leaf in opened.leaves:
            mentioned = leaf.when.names & paths if leaf.when else set()
            holds = leaf.when is None or (mentioned <= set(point) and leaf.when.truth(at))
            assert (leaf.path in point) == holds
        for path in paths:
            assert at[path] == point.get(path, opened.known.get(path))
        assert all(expression.truth(at) for expression in opened.require)
        assert again.at(json.loads(json.dumps(point))) == opened.at(point)


def _load(content: str) -> Space:
    return space.of(document.parse(content, "space.yaml"))


@pytest.mark.parametrize(
    ("path", "opened", "kind"),
    [
        ("augment.jitter", {"low": 0, "high": 1}, float),
        ("method.temperature", {"low": 1, "high": 4, "log": True}, float),
        ("method.prune", {"low": 0, "high": 0.5}, float),
        ("optimizer.lr", {"low": 1, "high": 3, "step": 0.5}, float),
        ("epochs", {"low": 2, "high": 9}, int),
    ],
)
def test_the_type_of_the_field_decides_whether_a_range_draws_whole_numbers(
    path: str, opened: dict[str, Any], kind: type, tmp_path: Path
) -> None:
    search_space = loaded(tmp_path, {}, {path: opened})
    rng = random.Random(0)
    values = [search_space.draw(rng)[path] for _ in range(50)]
    assert {type(value) for value in values} == {kind}
    assert any(value % 1 for value in values) is (kind is float)  # type: ignore[operator]
    # The text of the space and what it means are kept with the study.
    (tmp_path / "kept.yaml").write_text(search_space.text, "utf-8")
    kept = space.stored(tmp_path / "kept.yaml")
    assert (kept.digest, kept.leaves) == (search_space.digest, search_space.leaves)


def test_a_study_of_the_first_version_keeps_its_whole_numbers(tmp_path: Path) -> None:
    changes = {"augment.jitter": {"low": 0, "high": 1}}
    search_space = loaded(tmp_path, {}, changes)
    old = space.stored(tmp_path / "space.yaml", whole_ends=True)
    assert old.digest == search_space.digest
    assert {old.draw(random.Random(seed))["augment.jitter"] for seed in range(20)} == {0, 1}


def test_a_scheduler_that_waits_longer_than_a_trial_is_told_how_to_be_without() -> None:
    with pytest.raises(InputError, match=r"<= 4, .* but got 20; .* by (\S+) on the") as caught:
        space.load("sdclr", ["epochs=4"])
    assert "study.scheduler.name=none" in str(caught.value)
    assert space.load("sdclr", ["epochs=4", "study.scheduler.name=none"]).longest == 4
