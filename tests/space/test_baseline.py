from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raylt import cli, space
from raylt.space import baseline
from raylt.space.leaf import Leaf
from tests.space.made import loaded

PRUNE = {"low": 0.1, "high": 0.99}
LR = {"low": 0.1, "high": 1.0, "log": True}
OWN = """
from raylt.schema import MethodConfig


class Own(MethodConfig):
    prune: float = 0.7


class Mine:
    Config = Own
"""


def test_a_space_without_a_baseline_has_its_methods_published_values(tmp_path: Path) -> None:
    search_space = loaded(tmp_path, {}, {"method.prune": PRUNE, "optimizer.lr": LR})
    assert search_space.baseline_point == {"method.prune": 0.9, "optimizer.lr": 0.5}
    assert search_space.study.baseline is not None
    assert search_space.study.baseline.source == (
        "the published values of sdclr: Jiang et al., Self-Damaging Contrastive Learning, ICML "
        "2021, the CIFAR scripts"
    )
    # It is kept with the study.
    (tmp_path / "again.yaml").write_text(search_space.text, "utf-8")
    for again in (space.load(tmp_path / "again.yaml"), space.stored(tmp_path / "again.yaml")):
        assert again.baseline_point == search_space.baseline_point
        assert again.digest == search_space.digest


def test_what_the_space_has_not_is_told(tmp_path: Path) -> None:
    leaves = {
        "method.prune": {"low": 0.1, "high": 0.5},
        "optimizer.batch_size": {"choices": [32, 64]},
    }
    search_space = loaded(tmp_path, {}, leaves)
    assert search_space.baseline_point == {"method.prune": 0.5, "optimizer.batch_size": 32}
    assert search_space.study.baseline is not None
    assert search_space.study.baseline.source.endswith(
        "; nearest in this space method.prune 0.5 for 0.9, optimizer.lr 0.1 for 0.5; none is "
        "published for optimizer.batch_size 32"
    )


def test_a_point_that_require_refuses_gives_way_where_it_must(tmp_path: Path) -> None:
    study = {"require": ["method.prune < 0.6"]}
    search_space = loaded(tmp_path, study, {"method.prune": PRUNE, "optimizer.lr": LR})
    assert search_space.baseline_point is not None
    assert search_space.baseline_point["optimizer.lr"] == 0.5
    assert search_space.refusal(search_space.baseline_point) is None


def test_a_study_that_began_without_a_baseline_gets_none_unless_asked(tmp_path: Path) -> None:
    search_space = loaded(tmp_path, {}, {"method.prune": PRUNE})
    old = tmp_path / "old.yaml"
    before, _, rest = search_space.text.partition("  baseline:")
    old.write_text(before + "recipe" + rest.partition("\nrecipe")[2], "utf-8")
    assert space.stored(old).study.baseline is None
    assert space.stored(old, ["study.baseline=published"]).baseline_point == {"method.prune": 0.9}


def test_a_constraint_may_speak_of_the_published_setting(tmp_path: Path) -> None:
    constraint = {"metric": "val/many", "min": "baseline - 0.01"}
    assert loaded(tmp_path, {"constraints": [constraint]}, {"method.prune": PRUNE}).baseline_point


def test_the_rival_has_the_published_values_of_its_own_method(tmp_path: Path) -> None:
    from raylt.space.rival import rival

    leaves = {"method.temperature": {"low": 0.05, "high": 0.15}, "optimizer.lr": LR}
    other = rival(loaded(tmp_path, {"versus": "bcl"}, leaves))
    assert other.baseline_point == {"method.temperature": 0.1, "optimizer.lr": 0.15}
    assert other.study.baseline is not None
    assert other.study.baseline.source.startswith("the published values of bcl: Zhu et al.")


def test_a_method_that_states_none_has_its_defaults(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN, "utf-8")
    search_space = loaded(tmp_path, {}, {"method.name": "own:Mine", "method.prune": PRUNE})
    assert search_space.baseline_point == {"method.prune": 0.7}
    assert search_space.study.baseline is not None
    assert search_space.study.baseline.source == (
        "the published values of own:Mine: its file states none, so the defaults"
    )


@pytest.mark.parametrize(
    ("leaf", "value", "nearest"),
    [
        (Leaf("a", 0.1, 0.9), 0.5, 0.5),
        (Leaf("a", 0.1, 0.9), 3, 0.9),
        (Leaf("a", 0.1, 0.9), "word", 0.1),
        (Leaf("a", 2, 9), 4.4, 4),
        (Leaf("a", 0.1, 0.9, step=0.2), 0.45, 0.5),
        (Leaf("a", choices=(1, 4, 16)), 6, 4),
        (Leaf("a", choices=("x", "y")), "y", "y"),
        (Leaf("a", choices=("x", "y")), "z", "x"),
        (Leaf("a", choices=(True, False)), 3, True),
    ],
)
def test_the_nearest_value_is_one_that_the_leaf_admits(
    leaf: Leaf, value: Any, nearest: Any
) -> None:
    assert baseline.nearest(leaf, value) == nearest
    assert leaf.admits(nearest)


def test_check_says_which_baseline_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", "sdclr"]) == 0
    assert "\nbaseline   Jiang et al., Self-Damaging" in capsys.readouterr().out
    assert cli.run(["check", "sdclr", "study.baseline=published"]) == 0
    assert "\nbaseline   the published values of sdclr: " in capsys.readouterr().out
