"""How an ablation reads; tests/study/ablate makes one from runs."""

import dataclasses

import pytest

from raylt.study.report.charts import ablation as charts
from raylt.study.report.charts import html, png
from raylt.study.verdict import ablation, answer, significance
from raylt.study.verdict.ablation import Ablation, Effect, Step, Subject
from raylt.study.verdict.answer import SeedResults
from raylt.study.verdict.interplay import estimate, interplay
from tests.study import made

LEADS = {
    ("whole", "all changes"): [0.10, 0.11, 0.12, 0.10, 0.13, 0.12, 0.10, 0.11],
    ("out", "a"): [0.10, 0.09, 0.11, 0.10, 0.12, 0.11, 0.10, 0.10],
    ("out", "b"): [0.01, -0.01, 0.0, 0.01, -0.02, 0.01, -0.01, 0.0],
    ("in", "a"): [0.10, 0.12, 0.11, 0.09, 0.13, 0.12, 0.11, 0.11],
    ("in", "b"): [-0.03, -0.02, -0.04, -0.03, -0.02, -0.03, -0.03, -0.02],
    ("declared", "no contrast"): [0.05, 0.04, 0.06, 0.05, 0.05, 0.04, 0.06, 0.05],
    ("declared", "cosine"): [-0.05, -0.04, -0.06, -0.05, -0.05, -0.04, -0.06, -0.05],
}


def ablated(**changes):
    """An ablation of made-up leads."""
    verdicts = significance.judge(
        list(LEADS.values()), out_of_race=[False] * len(LEADS), level=0.05
    )
    results = SeedResults(
        trial=3,
        role="ablation",
        point={},
        test={},
        validation={"1": {"val/accuracy": 0.8}},
        failures={},
    )
    effects = tuple(
        Effect(
            subject=Subject(name=name, way=way, words=""),
            runs=results,
            verdict=verdict,
            dropped=None,
        )
        for (way, name), verdict in zip(LEADS, verdicts, strict=True)
    )
    leads = {key: dict(enumerate(row)) for key, row in LEADS.items()}
    both = {name: interplay(leads["out", name], [leads["in", name]]) for name in ("a", "b")}
    apart = interplay(leads["whole", "all changes"], [leads["in", "a"], leads["in", "b"]])
    plain = {
        "study": "made",
        "metric": "val/accuracy",
        "level": 0.05,
        "seeds": tuple(range(1, 9)),
        "openings": 0,
        "test_openings": "test set never opened",
        "tracking_uri": "",
        "notices": (),
        "interrupted": False,
        "trial": 3,
        "together": {"b": "one depends on the other"},
        "changes": {"a": "a 1 -> 2", "b": "b x -> y"},
        "baseline": results,
        "winner": results,
        "effects": effects,
        "interplay": both,
        "one_by_one": apart,
        "set_back": apart,
        "path": (Step(name="a", score=0.9, gain=estimate([0.1]), tried={}, dropped={}),),
        "sentence": ablation.sentence(effects, both, apart),
    }
    return Ablation(**{**plain, **changes})


def test_the_sentence_says_what_carries_what_costs_and_what_interacts():
    assert ablated().sentence == (
        "Together the changes bring +11.1 points, which is shown. A carries the gain. B costs. "
        "No contrast makes the winner worse. Cosine makes the winner better. Together they bring "
        "+2.8 points [+2.0, +3.8] more than one by one: b works better beside the others."
    )


def test_changes_that_add_up_are_said_to(monkeypatch):
    effects = ablated().effects
    apart = estimate([0.01, -0.01, 0.005, -0.004])
    heard = ablation.sentence(effects, {}, apart)
    assert "Together they bring as much as one by one, but for +0.0 points [-" in heard
    assert heard.endswith("which is noise.")
    assert "one by one" not in ablation.sentence(effects, {}, None)


def test_a_name_is_kept_as_it_is_written():
    assert "carries the gain" in ablated().sentence


@pytest.mark.parametrize("stopped", ["", "budget spent: cpu_hours 2 of 2 h"])
def test_it_is_read_in_eighty_columns(stopped):
    text = ablation.text(ablated(stopped=stopped))
    assert max(map(len, text.splitlines())) <= 80
    assert ("go on with a larger budget" in text) == bool(stopped)
    assert "b are one change, since one depends on the other" in text


def test_it_is_kept_drawn_and_has_its_place_in_the_report(tmp_path):
    study = made.study(tmp_path, trials=2, failed=())
    assert charts.charts(study) == ()
    (study.folder / answer.FOLDER).mkdir()
    ablation.store(study, ablated())
    stored = ablation.stored(study)
    assert stored["effects"][1]["subject"]["name"] == "a"
    (chart,) = charts.charts(study)
    assert len(chart.body) == 4
    assert png.png(chart).startswith(b"\x89PNG")
    assert html.drawing(chart)["data"]
    rows = ablation.rows(stored)
    assert rows[1][:3] == ["a", "set back alone", "+10.4"]
    assert rows[4][5] == "costs"


def test_a_failed_seed_gives_four_and_an_interruption_130():
    failed = dataclasses.replace(ablated().baseline, failures={"1": "died"})
    assert ablated(baseline=failed).exit_code == 4
    assert "seed 1 failed: died" in ablation.text(ablated(baseline=failed))
    assert ablated(interrupted=True).exit_code == 130
