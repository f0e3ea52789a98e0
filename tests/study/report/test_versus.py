"""Two methods that were searched alike, by what they cost."""

import types

import pytest

from raylt.schema import InputError
from raylt.space.rival import rival as rival_of
from raylt.study.record.outcome import Outcome
from raylt.study.report import versus
from tests.study import drive


def rival(folder):
    return rival_of(drive.toy(folder, "study.versus=simclr"))


def ended(space, accuracies, fingerprint="f", few=()):
    """A study whose trials ended one after the other, ten seconds each; None failed."""
    outcomes = tuple(
        Outcome(
            number=n,
            state="complete" if accuracy else "failed",
            role="sampled",
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


def test_best_so_far_against_cost(tmp_path):
    first = ended(drive.toy(tmp_path), [0.5, 0.4, None, 0.8])
    other = ended(rival(tmp_path), [0.6, 0.7])
    result = versus.comparison(first, other)
    mine, theirs = result["studies"]
    assert [at["best"] for at in mine["curve"]] == [0.5, 0.5, 0.5, 0.8]
    assert [at["epochs"] for at in mine["curve"]] == [6, 12, 12, 18]
    assert [at["seconds"] for at in mine["curve"]] == [10, 20, 30, 40]
    assert (mine["best"], mine["method"]) == (0.8, "sdclr")
    assert (theirs["best"], theirs["best_at_cost"], theirs["trials"]) == (0.7, 0.7, 2)
    # By then the first study had not found its best.
    assert (result["cost"], mine["best_at_cost"]) == (20, 0.5)
    text = versus.text(result)
    assert "sdclr (toy): 80.0 in 4 trials, 50.0 within the 20 s that both had" in text


def test_one_trial_is_one(tmp_path):
    result = versus.comparison(ended(drive.toy(tmp_path), [0.5]), ended(rival(tmp_path), [0.6]))
    assert "50.0 in 1 trial, 50.0 within the 10 s" in versus.text(result)


def test_studies_without_an_end_or_of_other_images(tmp_path):
    space = drive.toy(tmp_path)
    result = versus.comparison(ended(space, []), ended(space, [0.5]))
    assert [study["best_at_cost"] for study in result["studies"]] == [None, None]
    assert "sdclr (toy): - in 0 trials" in versus.text(result)
    with pytest.raises(InputError, match="fingerprints differ"):
        versus.comparison(ended(space, [0.5]), ended(space, [0.5], "g"))


def test_the_best_so_far_keeps_the_constraints(tmp_path):
    bound = "study.constraints=[{metric: val/few, min: 0.7}]"
    space = drive.toy(tmp_path, bound)
    study = ended(space, [0.5, 0.9, 0.8], few=[0.8, 0.1, 0.9])
    assert [at["best"] for at in versus.comparison(study, study)["studies"][0]["curve"]] == [
        0.5,
        0.5,
        0.8,
    ]


def test_the_method_that_leads_is_named(tmp_path):
    first, other = ended(drive.toy(tmp_path), [0.5, 0.8]), ended(rival(tmp_path), [0.85])
    assert versus.leader(versus.comparison(first, other)) == (
        "simclr leads sdclr over equal trials: 85.0 against 80.0, +5.0 points in accuracy, "
        "one seed each."
    )
    level = ended(rival(tmp_path), [0.8])
    text = versus.text(versus.comparison(first, level))
    assert text.endswith("sdclr and simclr reach the same accuracy, 80.0; one seed.")
    assert versus.leader(versus.comparison(first, ended(rival(tmp_path), []))) == ""
