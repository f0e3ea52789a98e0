"""The rival of a study: the same search for another method, and the two by what they cost."""

import types

import pytest

from raylt.schema import InputError
from raylt.space.rival import rival as rival_of
from raylt.study.record import studies
from raylt.study.record.outcome import Outcome
from raylt.study.report import versus
from raylt.study.report.charts import html, png
from raylt.study.report.charts.versus import charts
from raylt.study.run import driver, plan
from raylt.study.run.result import Result
from raylt.study.run.rival import follow
from raylt.study.search import sampler
from tests.study import drive, made


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


@pytest.mark.parametrize(
    ("overrides", "method", "told"),
    [
        ((), "sdclr", "must be another method"),
        ((), "simclrr", "did you mean 'simclr'"),
        (("study.require=['method.prune > 0.2']",), "simclr", "simclr must fit the space"),
        (("method.temperature=0.2",), "simclr", "must leave something to search"),
    ],
)
def test_a_rival_that_makes_no_sense_is_refused(tmp_path, overrides, method, told):
    with pytest.raises(InputError, match=told):
        rival(tmp_path, *overrides, method=method)


def ended(space, accuracies, fingerprint="f", few=()):
    """A study whose trials ended one after the other, ten seconds each; None failed."""
    outcomes = tuple(
        Outcome(
            number=n,
            state="complete" if accuracy else "failed",
            role="draw",
            last={"epoch": 6, "val/accuracy": accuracy, **({"val/few": few[n]} if few else {})}
            if accuracy
            else {},
            seconds=10.0,
            ended=100.0 + n,
        )
        for n, accuracy in enumerate(accuracies)
    )
    return types.SimpleNamespace(
        name=space.study.name,
        space=space,
        objectives=space.study.objective,
        facts={"fingerprint": fingerprint},
        outcomes=lambda: outcomes[::-1],
    )


def create(folder, space):
    return studies.create(
        folder / "runs" / space.study.name,
        space,
        sampler=sampler.sampler(space, begun=0),
        queue=(),
        facts={"floor": {}, "fingerprint": "f"},
    )


def test_best_so_far_against_cost(tmp_path):
    first = ended(drive.toy(tmp_path), [0.5, 0.4, None, 0.8])
    other = ended(rival(tmp_path), [0.6, 0.7])
    found = versus.comparison(first, other)
    mine, theirs = found["studies"]
    assert [at["best"] for at in mine["curve"]] == [0.5, 0.5, 0.5, 0.8]
    assert [at["epochs"] for at in mine["curve"]] == [6, 12, 12, 18]
    assert [at["seconds"] for at in mine["curve"]] == [10, 20, 30, 40]
    assert (mine["best"], mine["method"]) == (0.8, "sdclr")
    assert (theirs["best"], theirs["best_at_cost"], theirs["trials"]) == (0.7, 0.7, 2)
    # By then the first study had not found its best.
    assert (found["cost"], mine["best_at_cost"]) == (20, 0.5)
    assert "simclr (toy-versus-simclr): 70.0 after 2 trials, 70.0 after 20 s" in versus.text(found)


def test_studies_without_an_end_or_of_other_images(tmp_path):
    space = drive.toy(tmp_path)
    found = versus.comparison(ended(space, []), ended(space, [0.5]))
    assert [each["best_at_cost"] for each in found["studies"]] == [None, None]
    assert "sdclr (toy): - after 0 trials" in versus.text(found)
    with pytest.raises(InputError, match="fingerprints differ"):
        versus.comparison(ended(space, [0.5]), ended(space, [0.5], "g"))


def test_both_methods_are_in_one_picture_of_either(tmp_path):
    first = made.study(tmp_path, "study.versus=simclr", name="a", trials=8)
    assert charts(first) == ()
    text = rival_of(first.space).text
    other = made.study(tmp_path, name="a-versus-simclr", trials=5, text=text)
    (chart,) = charts(first)
    assert charts(other) == (chart,)
    lines = {mark.name: mark for mark in chart.body[0].marks if hasattr(mark, "dash")}
    whole = [sum(one.seconds for one in each.outcomes()) / 60 for each in (first, other)]
    assert lines["what both have cost"].x == pytest.approx((min(whole), min(whole)))
    for each, line in zip((first, other), list(lines.values())[:2], strict=True):
        assert line.x[-1] == pytest.approx(sum(one.seconds for one in each.outcomes()) / 60)
        assert line.y[-1] == pytest.approx(100 * each.best().last["val/accuracy"])
        assert list(line.y) == sorted(line.y)
    assert png.png(chart).startswith(b"\x89PNG")
    assert html.drawing(chart)["data"]


def test_a_name_alone_makes_no_rival(tmp_path):
    made.study(tmp_path, name="a", trials=1, failed=()).close()
    alone = made.study(tmp_path, name="a-versus-simclr", trials=1, failed=())
    assert charts(alone) == ()


def test_the_best_so_far_keeps_the_constraints(tmp_path):
    bound = "study.constraints=[{metric: val/few, min: 0.7}]"
    space = drive.toy(tmp_path, bound)
    study = ended(space, [0.5, 0.9, 0.8], few=[0.8, 0.1, 0.9])
    assert [at["best"] for at in versus.comparison(study, study)["studies"][0]["curve"]] == [
        0.5,
        0.5,
        0.8,
    ]


def test_the_rival_follows_a_study_and_goes_on_if_it_had_begun(tmp_path, monkeypatch):
    space = drive.toy(tmp_path, "study.versus=simclr")
    create(tmp_path, space).close()
    result = type("Result", (), {"name": "toy", "versus": "simclr", "interrupted": False})()
    settings = drive.settings(tmp_path)
    calls = []

    def ended(call):
        calls.append(call)
        known = dict.fromkeys(Result.__dataclass_fields__)
        return Result(**{**known, "interrupted": False, "notices": ("one",)})

    monkeypatch.setattr(plan, "check", lambda space, s: space.study.name)
    monkeypatch.setattr(driver, "run", lambda name, **_: ended(name))
    monkeypatch.setattr(driver, "resume", lambda name, s, **_: ended("resume"))
    # The first study gets the picture of both, too.
    monkeypatch.setattr(driver, "send", lambda name, s: (f"{name} not sent",))
    assert follow(result, settings).notices == ("one", "toy not sent")
    create(tmp_path, rival_of(space)).close()
    follow(result, settings)
    assert calls == ["toy-versus-simclr", "resume"]
    result.interrupted = True
    assert follow(result, settings) is None
