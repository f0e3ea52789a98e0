from pathlib import Path

import pytest

from benchmarks import reproduce
from benchmarks.reproduce import Setting
from raylt.trial.cost.cost import Cost

DIGITS = Setting(
    space="bcl",
    overrides=(),
    values={"epochs": 4, "schedule.warmup": 1},
    seeds=2,
    published={"accuracy": 50.0, "few": 20.0, "absent": 1.0},
    source="nobody",
)


@pytest.mark.parametrize("one", reproduce.SETTINGS, ids=lambda one: one.space)
def test_a_setting_is_the_published_one(one):
    found = reproduce.setting(one, short=False)
    assert (found.epochs, found.evaluation.every, sum(found.data.train_counts() or ())) == (
        (200, 200, 10_847) if "bcl" in one.space else (2000, 2000, 9_754)
    )
    assert found.encoder == ("resnet32" if "bcl" in one.space else "resnet18")
    if "bcl" in one.space:
        assert (found.schedule.warmup, found.schedule.milestones) == (5, (160, 180))
    else:
        assert found.evaluation.probe == "reforward"


def test_fewer_epochs_keep_the_shape_of_the_schedule():
    whole = reproduce.setting(reproduce.SETTINGS[0], short=False)
    found = reproduce.shortened(whole, 20)
    assert (found.epochs, found.evaluation.every) == (20, 20)
    assert (found.schedule.warmup, found.schedule.milestones) == (0, (16, 18))
    assert found.optimizer == whole.optimizer
    assert reproduce.shortened(whole, 1).schedule.warmup == 0


def test_a_budget_gives_the_epochs_that_fit(monkeypatch):
    whole = reproduce.setting(DIGITS, short=False)
    costs = iter([2.0, 0.001, 1e9])

    def measured(recipe, *, root, device):
        return Cost(
            start=10.0,
            epoch=next(costs),
            score=4.0,
            save=2.0,
            disk=1,
            memory=1,
            gpu_memory=0,
            gpu_size=0,
            gpu_busy=0.0,
            device="cpu",
        )

    monkeypatch.setattr(reproduce, "measure", measured)
    epochs = [reproduce.fitting(whole, Path("unused"), 24.5).epochs for _ in range(3)]
    # 24.5 - 10 - 2 - 2 * 4 seconds are two epochs of two; at least one is trained.
    assert epochs == [2, 4, 1]


def test_every_seed_is_trained_and_tested_beside_the_paper(monkeypatch):
    monkeypatch.setattr(reproduce, "SETTINGS", (DIGITS,))
    lines = reproduce.sections(Path("unused"), 1e6, short=False)
    assert lines[0] == "### bcl: small, 4 of 4 epochs, seeds 0 ... 1"
    assert lines[2].startswith("351 training images, 104 ... 5 a class; ")
    rows = [line.split("|")[1:-1] for line in lines if line.startswith("| ")][1:]
    assert [row[0].strip() for row in rows] == ["accuracy", "few"]
    for row, published in zip(rows, (50.0, 20.0), strict=True):
        mean, spread = (float(number) for number in row[1].split("±"))
        assert 0 < mean < 100
        assert spread > 0
        assert float(row[2]) == published
        assert float(row[3]) == pytest.approx(mean - published, abs=0.11)
