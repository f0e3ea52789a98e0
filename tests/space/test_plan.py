"""The study part of a space file."""

import math

import pydantic
import pytest

from raylt.space.plan import LEVEL, Budget, Confirm, Constraint, Objective, Study, is_file


def test_one_objective_stands_without_a_list_and_without_a_mapping():
    written = ["val/few", ["val/few"], {"metric": "val/few"}, [{"metric": "val/few"}]]
    studies = [Study.model_validate({"name": "s", "objective": given}) for given in written]
    assert {study.objective for study in studies} == {(Objective(metric="val/few"),)}
    assert Study(name="s").objective[0].metric == "val/accuracy"


def test_a_metric_has_one_better_direction():
    assert Objective(metric="train/loss").better == "minimize"
    assert Objective(metric="val/few", direction="maximize").better == "maximize"
    with pytest.raises(pydantic.ValidationError, match="direction must be minimize for train/los"):
        Objective(metric="train/loss", direction="maximize")


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"objective": []}, "must name at least one metric"),
        ({"objective": ["val/few", "val/few"]}, "must name each metric once"),
        ({"objective": ["val/few", "val/many"]}, "scheduler.metric must be given, since there"),
        ({"objective": "test/few"}, "must not look at the test set"),
        ({"name": "ein Name"}, "for example 'ein-Name'"),
        ({"trials": 0}, "greater than or equal to 1"),
        ({"warm_start": ["s"]}, "warm_start must name other studies, but s is this one"),
        ({"warm_start": ["a", "a"]}, "must name each source once, but a is listed twice"),
        ({"warm_start": ["ein Name"]}, "for example 'ein-Name'"),
        ({"warm_start": "a"}, "valid tuple"),
        ({"warm_points": 3}, "warm_points must be left out without warm_start"),
        ({"warm_start": ["a"], "warm_points": 20}, "must be less than the 20 trials"),
    ],
)
def test_what_is_no_plan_is_refused(values, complaint):
    with pytest.raises(pydantic.ValidationError, match=complaint):
        Study.model_validate({"name": "s", **values})


def test_the_scheduler_watches_the_objective_unless_it_is_told():
    study = Study.model_validate({"name": "s", "objective": "val/few"})
    assert study.stops_early
    assert study.watched == "val/few"
    several = {"name": "s", "objective": ["val/few", "val/many"]}
    watched = Study.model_validate({**several, "scheduler": {"metric": "val/accuracy"}})
    assert watched.watched == "val/accuracy"
    quiet = Study.model_validate({**several, "scheduler": {"name": "none"}})
    assert not quiet.stops_early
    assert quiet.watched == "val/few"


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({}, "must have min or max, but has neither"),
        ({"min": "winner - 1"}, "only numbers and `baseline`, but got 'winner'"),
        ({"max": "baseline >"}, "an expression must read like"),
    ],
)
def test_a_constraint_bounds_by_numbers_and_the_baseline(values, complaint):
    with pytest.raises(pydantic.ValidationError, match=complaint):
        Constraint.model_validate({"metric": "val/many", **values})
    bounded = Constraint.model_validate(
        {"metric": "val/many", "min": 0.5, "max": "baseline + 0.1"}
    )
    assert (bounded.min, bounded.max) == ("0.5", "baseline + 0.1")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("90m", 5400), ("1.5h", 5400), ("2d", 172_800), (None, None)],
)
def test_a_time_is_a_number_with_its_unit(text, seconds):
    assert Budget(wall_clock=text).seconds == seconds


@pytest.mark.parametrize("text", ["90", "h", "1 h", "-1h", "1h30m", "1H"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(pydantic.ValidationError, match="must be a number with s, m, h or d"):
        Budget(wall_clock=text)


@pytest.mark.parametrize("top", [1, 2, 3, 5, 16])
def test_so_few_seeds_that_no_winner_could_be_shown_are_refused(top):
    needed = math.ceil(math.log2(top / LEVEL))
    assert Confirm(top=top, seeds=needed).seeds == needed
    assert 1 / 2**needed <= LEVEL / top < 1 / 2 ** (needed - 1)
    with pytest.raises(pydantic.ValidationError, match=f"seeds must be at least {needed}"):
        Confirm(top=top, seeds=needed - 1)


def test_a_known_setting_holds_plain_values():
    study = Study.model_validate(
        {"name": "s", "points": [{"a": 1, "b": "x", "c": True, "d": None}]}
    )
    assert study.points == ({"a": 1, "b": "x", "c": True, "d": None},)
    for value in ([1], {"low": 0}, math.inf):
        with pytest.raises(pydantic.ValidationError, match=r"must be (one number|finite)"):
            Study.model_validate({"name": "s", "points": [{"a": value}]})


@pytest.mark.parametrize(
    ("source", "file"),
    [("bcl-20", False), ("bcl.20", False), ("best.json", True), ("a/b", True), ("x.yaml", True)],
)
def test_a_source_is_a_study_or_by_its_name_a_file(source, file):
    assert is_file(source) == file
    assert Study(name="s", warm_start=[source]).warm_start == (source,)
