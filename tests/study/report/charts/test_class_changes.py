"""What the best setting changed for each class, before a confirmation and after."""

import dataclasses

import numpy as np

from raylt.study.report.charts import class_changes
from raylt.study.verdict import class_changes as changes
from raylt.study.verdict import confirmation
from tests.study import made


def test_before_a_confirmation_it_is_a_hint_on_validation_images(record):
    chart = class_changes.chart(record)
    assert chart.key == "paid"
    best, baseline = record.best(), record.baseline()
    assert f"Trial {best.number} against the baseline, trial {baseline.number}: " in chart.caption
    assert "One seed each, on validation images" in chart.caption
    (panel,) = chart.body
    assert sum(len(bars.x) for bars in panel.marks) == 10
    assert not any(bars.intervals for bars in panel.marks)


def test_after_a_confirmation_it_is_of_the_test_images_with_whiskers(record, monkeypatch):
    labels = np.repeat([0, 1, 2], 40)
    before, after = np.zeros((2, 120), int), np.where(labels == 2, 2, 0)[None].repeat(2, 0)
    paid = changes.compare(before, after, labels, (500, 60, 5))
    entry = {"runs": {"trial": 7}, "paid": dataclasses.asdict(paid)}
    verdict = {"candidates": [{"runs": {"trial": 3}, "paid": None}, entry], "seeds": [1, 2]}
    monkeypatch.setattr(confirmation, "stored", lambda study: verdict)
    chart = class_changes.chart(record)
    assert chart.caption.startswith(
        "Trial 7 against the baseline on the test images, means over 2"
    )
    assert chart.caption.endswith(f"{paid.sentence}.")
    (panel,) = chart.body
    heights = {x: y for bars in panel.marks for x, y in zip(bars.x, bars.y, strict=True)}
    assert [heights[k] for k in range(3)] == [0.0, 0.0, 100.0]
    assert all(len(bars.intervals) == len(bars.x) for bars in panel.marks)


def test_what_cannot_be_drawn_says_why(tmp_path):
    bare = made.study(tmp_path, trials=3, failed=(), stopped=(), tables=False)
    chart = class_changes.chart(bare)
    assert chart.body is None
    assert "has left no table of its classes" in chart.caption


def test_one_run_has_nothing_to_compare(tmp_path):
    chart = class_changes.chart(made.one_run(tmp_path))
    assert "one run has nothing to compare" in str(chart)
