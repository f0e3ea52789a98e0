"""What `raylt check` says of a space."""

import json

from raylt.space import overview
from tests.space.made import loaded

OPEN = {
    "method.prune": {"low": 0.5, "high": 0.9},
    "method.random_share": {"low": 0.0, "high": 1.0, "when": "method.prune > 0.7"},
    "method.head_depth": {"choices": [2, 3]},
}


def test_the_values_are_plain_and_complete(tmp_path):
    space = loaded(tmp_path, {"trials": 7}, OPEN)
    values = overview.overview(space)
    assert json.loads(json.dumps(values)) == values
    assert values["study"]["trials"] == 7
    assert (values["method"], values["dataset"], values["epochs"]) == ("sdclr", "digits", 6)
    assert sum(values["train_counts"]) == 351
    assert values["groups"]["thirds"] == {"many": 4, "medium": 3, "few": 3}
    prune, share, depth = values["leaves"]
    assert (prune["low"], prune["high"], prune["choices"]) == (0.5, 0.9, None)
    assert share["when"] == "method.prune > 0.7"
    assert depth["choices"] == [2, 3]
    assert len(values["samples"]) == 3
    assert all(0.5 <= sample["method.prune"] <= 0.9 for sample in values["samples"])


def test_the_samples_are_those_of_the_studys_seed(tmp_path):
    first, again, other = (
        overview.overview(loaded(tmp_path, {"sampler": {"name": "random", "seed": seed}}, OPEN))
        for seed in (1, 1, 2)
    )
    assert first["samples"] == again["samples"] != other["samples"]


def test_people_read_the_plan_and_the_leaves(tmp_path):
    text = overview.text(
        loaded(tmp_path, {"constraints": [{"metric": "val/few", "min": 0.2}]}, OPEN)
    )
    lines = text.splitlines()
    assert lines[0].endswith("space.yaml is a valid space.")
    assert "objective  maximize val/accuracy; val/few at least 0.2" in lines
    assert "method     sdclr, encoder small, 6 epochs" in lines
    (plan,) = (line for line in lines if line.startswith("study "))
    assert "20 trials by tpe (seed 0), stopped early by asha on val/accuracy (grace 2" in plan
    (row,) = (
        line
        for line in lines
        if line.startswith("method.random_share") and "only" not in line and "0 to 1" in line
    )
    assert row.split()[-3:] == ["method.prune", ">", "0.7"]
    samples = [line for line in lines if line.startswith("sample ")]
    assert len(samples) == 1


def test_nothing_open_is_one_run(tmp_path):
    text = overview.text(loaded(tmp_path, {}, {}))
    assert "study      a: 1 run" in text
    assert "Nothing is left open: one training run." in text
    assert "sample" not in text


def test_what_require_refuses_is_measured(tmp_path):
    space = loaded(
        tmp_path, {"require": ["method.prune > 0.7"]}, {"method.prune": OPEN["method.prune"]}
    )
    assert "require refuses " in overview.text(space)
    assert 0.3 < overview.overview(space)["infeasible"] < 0.7


def test_counts_that_the_files_tell_are_said_to_be_unknown(tmp_path):
    space = loaded(tmp_path, {}, {"data.indices": "mine.npy"})
    assert overview.overview(space)["train_counts"] is None
    assert "whose classes `raylt data show` counts" in overview.text(space)
