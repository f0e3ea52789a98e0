"""How an ablation reads; tests/study/ablate makes one from runs."""

import dataclasses
import functools
import json

import pytest

from raylt.study.report import page
from raylt.study.report.charts import ablation as charts
from raylt.study.report.charts import html, of_study, png
from raylt.study.verdict import ablation, answer
from raylt.study.verdict.interplay import estimate
from tests.study import made
from tests.study.verdict.made import ablated


def test_the_sentence_says_what_carries_what_costs_and_what_interacts():
    assert ablated().sentence == (
        "Together the changes bring +11.1 points, which is shown. A carries the gain. B costs. "
        "What makes the trial worse: no contrast. What makes the trial better: cosine. "
        "Together the changes bring 2.8 points more than one by one [+2.0, +3.8]: b works better "
        "beside the others."
    )


def test_what_was_behind_and_left_the_race_is_not_called_noise():
    whole, *rest = ablated().effects
    changes = [e for e in rest if e.subject.way != "declared"]
    name = "b"
    unshown = functools.partial(dataclasses.replace, word="not shown")
    left = [
        dataclasses.replace(e, dropped=3, verdict=unshown(e.verdict))
        if e.subject.name == name
        else e
        for e in changes
    ]
    heard = ablation.sentence([whole, *left], {}, None)
    assert f"{name.upper()} was behind at first and left the race." in heard
    assert "noise" not in heard


def test_what_was_not_scored_is_not_judged_and_no_gain_is_carried_that_is_not_shown():
    whole, *rest = ablated().effects
    unscored = [
        dataclasses.replace(e, verdict=dataclasses.replace(e.verdict, word="not shown", mean=None))
        if e.subject.name == "b"
        else e
        for e in rest
    ]
    unshown = dataclasses.replace(whole.verdict, word="not shown")
    heard = ablation.sentence([dataclasses.replace(whole, verdict=unshown), *unscored], {}, None)
    assert "A brings a gain by itself." in heard
    assert "noise" not in heard


def test_changes_that_add_up_are_said_to(monkeypatch):
    effects = ablated().effects
    apart = estimate([0.01, -0.01, 0.005, -0.004])
    heard = ablation.sentence(effects, {}, apart)
    assert "Together the changes bring as much as one by one, but for +0.0 points [-" in heard
    assert heard.endswith("which is not shown.")
    assert "one by one" not in ablation.sentence(effects, {}, None)


def test_changes_that_stand_in_each_others_way_are_named():
    apart, pair = estimate([-0.03, -0.02, -0.04, -0.03] * 2), estimate([-0.02, -0.03] * 4)
    text = ablation.sentence(ablated().effects, {"a": pair, "b": estimate([0.01] * 8)}, apart)
    assert text.endswith("less than one by one [-3.5, -2.6]: a works less beside the others.")


def test_a_sum_over_few_seeds_is_told_and_shows_nothing():
    apart = estimate([0.03, 0.02, 0.04])
    text = ablation.sentence(ablated().effects, {"a": apart}, apart)
    assert text.endswith("but for +3.0 points [+2.0, +3.7] over 3 seeds, which is not shown.")


@pytest.mark.parametrize("stopped", ["", "budget spent: cpu_hours 2 of 2 h"])
def test_it_is_read_in_eighty_columns(stopped):
    text = ablation.text(ablated(stopped=stopped))
    assert max(map(len, text.splitlines())) <= 80
    assert ("Stopped: budget spent: cpu_hours 2 of 2 h" in text) == bool(stopped)
    basis = "The word is by p, of the gain or loss seen over seeds, after Holm's correction;"
    assert basis in " ".join(text.split())
    assert "b are one change, since one depends on the other" in text


def test_who_left_the_race_of_a_step_is_named_in_the_result_and_the_report(tmp_path):
    first, second, *rest = ablated().path
    raced = ablated(path=(first, dataclasses.replace(second, dropped={"b": 3}), *rest))
    sentence = "Step 1: b left the race after 3 seeds, behind the leader."
    assert sentence in ablation.text(raced).splitlines()
    study = made.study(tmp_path, trials=2, failed=())
    (study.folder / answer.FOLDER).mkdir()
    answer.store(study, raced)
    assert f"<p>{sentence}</p>" in page.page(study, of_study(study))
    kept = dataclasses.replace(first, **ablation.stored(study)["val/accuracy, trial 3"]["path"][1])
    assert kept.dropped == {"b": 3}


def test_it_is_kept_drawn_and_has_its_place_in_the_report(tmp_path):
    study = made.study(tmp_path, trials=2, failed=())
    assert charts.charts(study) == ()
    (study.folder / answer.FOLDER).mkdir()
    answer.store(study, ablated())
    stored = ablation.stored(study)["val/accuracy, trial 3"]
    assert stored["effects"][1]["subject"]["name"] == "a"
    effects, path = charts.charts(study)
    (panel,) = effects.body
    assert panel.y.ticks == ("all changes", "a", "b", "a", "b", "no contrast", "cosine")
    assert [mark.x for mark in panel.marks] == [(0,), (1, 2), (3, 4), (5, 6)]
    assert path.body[0].y.ticks == ("baseline", "a", "b")
    for chart in (effects, path):
        assert png.png(chart).startswith(b"\x89PNG")
        assert html.drawing(chart)["data"]
    rows = ablation.rows(stored)
    assert rows[1][:3] == ["a", "set back alone: what trial 3 loses", "+10.4"]
    assert rows[4][5] == "costs"
    assert ablation.left_on_path(stored) == []
    assert ablation.steps(stored)[:2] == [
        ["baseline", "80.0", "-", ""],
        ["a", "90.0", "+10.0", ""],
    ]


def test_one_on_test_images_and_one_of_before_are_kept_side_by_side(tmp_path):
    study = made.study(tmp_path, trials=2, failed=())
    (study.folder / answer.FOLDER).mkdir()
    # The file had one ablation, without a key for it.
    file = study.folder / answer.FOLDER / ablation.Ablation.file
    file.write_text(json.dumps(dataclasses.asdict(ablated(metric="test/accuracy"))))
    assert list(ablation.stored(study)) == ["test/accuracy, trial 3"]
    answer.store(study, ablated(path=()))
    assert list(ablation.stored(study)) == ["val/accuracy, trial 3", "test/accuracy, trial 3"]
    assert [chart.key for chart in charts.charts(study)] == [
        "ablation",
        "ablation_test",
        "path_test",
    ]
    answer.store(study, ablated(metric="test/accuracy", sentence="Anew."))
    assert [known["sentence"] for known in ablation.stored(study).values()] == [
        ablated().sentence,
        "Anew.",
    ]


def test_the_best_trial_comes_first_and_another_one_is_kept_beside_it(tmp_path):
    study = made.study(tmp_path, trials=4, failed=())
    (study.folder / answer.FOLDER).mkdir()
    best = study.best().number
    for trial in (best, best - 1):
        answer.store(study, ablated(trial=trial))
    assert [result["trial"] for result in ablation.stored(study).values()] == [best, best - 1]
    keys = [chart.key for chart in charts.charts(study)]
    assert keys == ["ablation", "path", f"ablation_{best - 1}", f"path_{best - 1}"]


def test_a_failed_seed_gives_four_and_an_interruption_130():
    failed = dataclasses.replace(ablated().baseline, failures={"1": "died"})
    assert ablated(baseline=failed).exit_code == 4
    assert "seed 1 failed: died" in ablation.text(ablated(baseline=failed))
    assert ablated(interrupted=True).exit_code == 130
