import json
import math

import pytest

from raylt.study.workers import trainable


def test_only_finite_metrics_pass():
    trainable.require_finite({"epoch": 1, "val/accuracy": 0.5})
    for broken in (math.nan, math.inf, -math.inf):
        with pytest.raises(ArithmeticError, match=r"val/few was .* in epoch 3"):
            trainable.require_finite({"epoch": 3, "val/accuracy": 0.5, "val/few": broken})


def test_a_root_cause_names_the_deepest_line_that_is_not_a_librarys():
    def own():
        json.loads("{")

    with pytest.raises(json.JSONDecodeError) as caught:
        own()
    line = trainable.one_line(caught.value)
    assert line.startswith("JSONDecodeError: Expecting property name")
    assert line.endswith("in own)")
    assert "test_trainable.py" in line
    assert "\n" not in line


def test_a_work_function_is_named_by_its_path():
    assert trainable.work("json:loads") is json.loads


def test_what_a_trial_prints_is_kept_in_its_folder(tmp_path, capsys):
    for word in ("one", "two"):
        with trainable.output(tmp_path / "output.txt"):
            print(word)
    assert (tmp_path / "output.txt").read_text() == "one\ntwo\n"
    assert capsys.readouterr().out == ""
