import json
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


@pytest.mark.parametrize("setting", reproduce.SETTINGS, ids=lambda setting: setting.space)
def test_a_setting_is_the_published_one(setting):
    recipe = reproduce.setting(setting, short=False)
    assert (recipe.epochs, recipe.evaluation.every, sum(recipe.data.train_counts() or ())) == (
        (200, 10, 10_847) if "bcl" in setting.space else (2000, 2000, 9_754)
    )
    assert recipe.encoder == ("resnet32" if "bcl" in setting.space else "resnet18")
    if "bcl" in setting.space:
        assert (recipe.schedule.warmup, recipe.schedule.milestones) == (5, (160, 180))
    else:
        assert recipe.evaluation.probe == "reforward"


def test_fewer_epochs_keep_the_shape_of_the_schedule():
    whole = reproduce.setting(reproduce.SETTINGS[0], short=False)
    recipe = reproduce.shortened(whole, 20)
    assert (recipe.epochs, recipe.evaluation.every) == (20, 1)
    assert (recipe.schedule.warmup, recipe.schedule.milestones) == (0, (16, 18))
    assert recipe.optimizer == whole.optimizer
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


def test_the_run_that_was_begun_by_hand_is_this_one():
    recipe = reproduce.setting(
        reproduce.SETTINGS[0], short=False, overrides=["precision=bfloat16"]
    )
    assert recipe.digest == "27df132728b48cb1"


def digits(folder, monkeypatch, **changes):
    monkeypatch.setattr(reproduce, "SETTINGS", (DIGITS,))
    return reproduce.sections(Path("unused"), None, short=False, folder=folder, **changes)


def test_every_seed_is_trained_and_tested_beside_the_paper(monkeypatch, tmp_path):
    lines = digits(tmp_path, monkeypatch)
    assert lines[0] == "### bcl: small, 4 of 4 epochs, seeds 0 ... 1"
    assert lines[2].startswith("351 training images, 104 ... 5 a class; ")
    rows = [line.split("|")[1:-1] for line in lines if line.startswith("| ")][1:3]
    assert [row[0].strip() for row in rows] == ["accuracy", "few"]
    for row, published in zip(rows, (50.0, 20.0), strict=True):
        mean, spread = (float(number) for number in row[1].split("±"))
        assert 0 < mean < 100
        assert spread > 0
        assert float(row[2]) == published
        assert float(row[3]) == pytest.approx(mean - published, abs=0.11)
    curve = lines[lines.index("| epoch | loss, seed 0 | loss, seed 1 |") + 2 :]
    assert [line.split("|")[1].strip() for line in curve] == ["1", "2", "3", "4"]


def test_a_killed_run_goes_on_and_opens_the_test_once(monkeypatch, tmp_path):
    whole = digits(tmp_path / "whole", monkeypatch, seeds=1)
    work, opened = reproduce.worker.work, []
    open_test = reproduce.test_score.open_test

    def killed(recipe, *, report, **more):
        def two_epochs(row):
            report(row)
            if row["epoch"] == 2:
                raise KeyboardInterrupt

        return work(recipe, report=two_epochs, **more)

    def counted(*words, **more):
        opened.append(more["folder"])
        return open_test(*words, **more)

    monkeypatch.setattr(reproduce.test_score, "open_test", counted)
    monkeypatch.setattr(reproduce.worker, "work", killed)
    with pytest.raises(KeyboardInterrupt):
        digits(tmp_path / "killed", monkeypatch, seeds=1)
    assert "epoch 2 of 4" in reproduce.status(tmp_path / "killed")[0]
    monkeypatch.setattr(reproduce.worker, "work", work)
    again = digits(tmp_path / "killed", monkeypatch, seeds=1)
    assert again[4:] == whole[4:]
    assert digits(tmp_path / "killed", monkeypatch, seeds=1)[4:] == whole[4:]
    assert len(opened) == 1
    folder = tmp_path / "killed" / "bcl-seed0"
    assert len(json.loads((folder / "openings.json").read_text())) == 1
    assert reproduce.status(tmp_path / "killed")[0].endswith("and tested")


def test_a_folder_is_trained_in_by_one_process(tmp_path):
    with (
        reproduce.alone(tmp_path),
        pytest.raises(SystemExit, match="is being trained in"),
        reproduce.alone(tmp_path),
    ):
        pass
