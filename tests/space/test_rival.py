import pytest

from raylt.schema import InputError
from raylt.space.rival import openness_of_both
from raylt.space.rival import rival as rival_of
from tests.study import drive


def rival(folder, *overrides, method="simclr"):
    return rival_of(drive.toy(folder, f"study.versus={method}", *overrides))


def test_the_rival_searches_alike_with_the_leaves_that_it_knows(tmp_path):
    first = drive.toy(tmp_path, "study.points=[{method.temperature: 0.3, method.prune: 0.4}]")
    other = rival(tmp_path, "study.points=[{method.temperature: 0.3, method.prune: 0.4}]")
    assert other.study.name == "toy-versus-simclr"
    assert [leaf.path for leaf in other.leaves] == ["method.temperature"]
    assert other.leaves[0] == first.leaves[0]
    assert (other.baseline_point, other.points) == (
        {"method.temperature": 0.2},
        ({"method.temperature": 0.3},),
    )
    for part in ("trials", "scheduler", "sampler", "budget", "objective", "confirm"):
        assert getattr(other.study, part) == getattr(first.study, part)
    assert {**other.fixed, "method": None} == {**first.fixed, "method": None}
    assert other.study.versus is None


def test_the_rival_begins_with_the_published_setting_of_its_own_method(tmp_path):
    other = rival(tmp_path, method="proco")
    assert other.study.baseline.source.startswith("the published values of proco: ")
    assert other.baseline_point["method.temperature"] == 0.1


def test_the_rival_begins_without_what_was_learned_of_the_other_method(tmp_path):
    known = ("study.warm_start=[earlier]", "study.warm_points=2")
    assert rival(tmp_path, *known).sources == ()
    assert rival(tmp_path, *known).study.warm_points is None
    lines = openness_of_both(drive.toy(tmp_path, "study.versus=simclr", *known))
    assert lines[-1].startswith("warning: the other method begins without a warm start")


@pytest.mark.parametrize(
    ("overrides", "method", "message"),
    [
        ((), "sdclr", "must be another method"),
        ((), "simclrr", "did you mean 'simclr'"),
        (("study.require=['method.prune > 0.2']",), "simclr", "simclr must fit the space"),
        (("method.temperature=0.2",), "simclr", "must leave something to search"),
    ],
)
def test_a_rival_that_makes_no_sense_is_refused(tmp_path, overrides, method, message):
    with pytest.raises(InputError, match=message):
        rival(tmp_path, *overrides, method=method)


def test_what_each_side_has_open_is_said_and_what_is_closed_of_its_own(tmp_path):
    lines = openness_of_both(drive.toy(tmp_path, "study.versus=bcl"))
    assert lines[1] == "sdclr has open: method.temperature, method.prune"
    assert lines[2] == "bcl has open: method.temperature"
    assert "method.complement_weight, method.complement_power" in lines[3]
    assert openness_of_both(drive.toy(tmp_path)) == []
