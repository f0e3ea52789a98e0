"""A whole run on the bundled digits: the same numbers alone, after others, resumed, and in two."""

from pathlib import Path

import pytest
import torch

from raylt.trial import worker
from raylt.trial.checkpoints import checkpoint
from raylt.trial.evaluation import classes
from raylt.trial.evaluation.test_score import open_test
from tests.trial.made import Killed, killed_after, run, small, weights


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The reports of a run that nothing happened to, and its folder, which nobody may change."""
    folder = tmp_path_factory.mktemp("whole")
    return run(small(), folder), folder


@pytest.mark.parametrize("method", ["sdclr", "bcl", "decoupled", "kcl", "paco", "proco", "tsc"])
def test_a_killed_and_resumed_run_equals_one_never_killed(method, tmp_path):
    wanted = small(method)
    whole = run(wanted, tmp_path / "whole")
    with pytest.raises(Killed):
        run(wanted, tmp_path / "parts", killed_after(2))
    resumed = run(wanted, tmp_path / "parts")
    assert resumed == whole
    assert [entry["epoch"] for entry in resumed] == [1, 2, 3]
    for mine, theirs in zip(
        weights(tmp_path / "parts", wanted), weights(tmp_path / "whole", wanted), strict=True
    ):
        assert str(mine) == str(theirs)
    for name, tensor in weights(tmp_path / "whole", wanted)[1].items():
        assert torch.equal(weights(tmp_path / "parts", wanted)[1][name], tensor), name


def test_an_epoch_is_reported_once_its_checkpoint_is_whole(tmp_path):
    wanted, kept = small(), []

    def report(metrics):
        saved = checkpoint.latest(tmp_path, wanted.digest)
        kept.append((metrics["epoch"], saved.epoch, saved.history[-1] == metrics))

    worker.work(wanted, root=Path("unused"), folder=tmp_path, report=report, device="cpu")
    assert kept == [(epoch, epoch, True) for epoch in (1, 2, 3)]


def test_a_run_that_is_killed_while_it_scores_trains_that_epoch_again(
    tmp_path, monkeypatch, whole
):
    wanted = small()
    score, scored = worker.score, []

    def die(*words, **named):
        scored.append(1)
        if len(scored) == 2:
            raise Killed
        return score(*words, **named)

    monkeypatch.setattr(worker, "score", die)
    with pytest.raises(Killed):
        run(wanted, tmp_path / "parts")
    assert weights(tmp_path / "parts", wanted)[0] == 1
    assert run(wanted, tmp_path / "parts") == whole[0]
    # One of three epochs was scored twice, as it was trained.
    assert len(scored) == 4


def test_a_run_that_leaves_its_places_goes_on_as_if_it_had_not(tmp_path):
    wanted = small(epochs=4, evaluation={"labels": "tail", "every": 2})
    whole = run(wanted, tmp_path / "whole")
    asked = []

    def leave():
        asked.append(1)
        return True

    kept = []
    for _ in range(3):
        score = worker.work(
            wanted,
            root=Path("unused"),
            folder=tmp_path / "parts",
            report=lambda _: None,
            device="cpu",
            leave=leave,
        )
        assert score is None
        kept.append(checkpoint.latest(tmp_path / "parts", wanted.digest).epoch)
    # The first and the third epoch are not scored, and yet nothing of them is lost.
    assert kept == [1, 2, 3]
    assert run(wanted, tmp_path / "parts") == whole
    # A run in its last epoch stays to its end.
    assert len(asked) == 3
    mine, theirs = weights(tmp_path / "parts", wanted), weights(tmp_path / "whole", wanted)
    assert all(torch.equal(mine[1][name], tensor) for name, tensor in theirs[1].items())


def test_epochs_that_are_not_scored_leave_a_checkpoint_from_time_to_time(tmp_path, monkeypatch):
    wanted = small(epochs=3, evaluation={"labels": "tail", "every": 3})
    monkeypatch.setattr(worker, "SPACING", -1.0)
    saved = []
    writing = checkpoint.writing
    monkeypatch.setattr(
        checkpoint,
        "writing",
        lambda *a, epoch, **k: saved.append(epoch) or writing(*a, epoch=epoch, **k),
    )
    reports = run(wanted, tmp_path)
    assert saved == [1, 2, 3]
    assert [entry["epoch"] for entry in reports] == [3]


def test_nothing_leaks_from_one_run_into_the_next(tmp_path, whole):
    run(small("bcl", seed=5), tmp_path / "other")
    torch.manual_seed(99)
    assert run(small(), tmp_path / "after") == whole[0]


def test_a_finished_run_reports_again_and_trains_no_more(whole):
    first, folder = whole
    before = sorted((p.name, p.stat().st_mtime_ns) for p in folder.iterdir())
    assert run(small(), folder) == first
    assert sorted((p.name, p.stat().st_mtime_ns) for p in folder.iterdir()) == before


def test_only_some_epochs_are_scored_and_the_last_one_always(tmp_path):
    reports = run(small(evaluation={"labels": "tail", "every": 2}), tmp_path)
    assert [entry["epoch"] for entry in reports] == [2, 3]


def test_a_run_leaves_its_classes_behind(whole):
    reports, folder = whole
    result = classes.read(folder)
    assert result.train_counts == small().data.train_counts()
    assert result.last.epoch == 3
    assert result.last.accuracy == pytest.approx(reports[-1]["val/accuracy"])
    assert result.best.accuracy == pytest.approx(max(r["val/accuracy"] for r in reports))


def test_a_score_has_the_groups_that_have_classes(tmp_path):
    (entry,) = run(small(epochs=1), tmp_path)
    expected = {"accuracy", "many", "medium", "few", "knn", "worst", "harmonic", "std"}
    assert {f"val/{name}" for name in expected} <= set(entry)
    balanced = small(epochs=1, data={"name": "digits", "imbalance": 1.0})
    (entry,) = run(balanced, tmp_path / "balanced")
    assert not {"val/few", "val/medium"} & set(entry)


def test_the_epoch_that_validation_would_choose_stands_beside_the_last_one(tmp_path):
    reports = run(small(epochs=6, optimizer={"lr": 2.0, "batch_size": 64}), tmp_path)
    seen = []
    for report in reports:
        seen.append(report)
        chosen = max(seen, key=lambda entry: entry["val/accuracy"])
        for name in ("accuracy", "many", "medium", "few"):
            assert report.get(f"val/best/{name}") == chosen.get(f"val/{name}")
    assert [entry["val/best/accuracy"] for entry in reports] == sorted(
        entry["val/best/accuracy"] for entry in reports
    )


@pytest.mark.parametrize("probe", ["lbfgs", pytest.param("reforward", marks=pytest.mark.slow)])
def test_the_whole_tail_is_trained_on_where_nothing_is_held_out(probe, tmp_path):
    wanted = small(
        data={"name": "digits", "validation": 0},
        evaluation={"labels": "tail", "probe": probe}
        | ({"selection": "last"} if probe == "reforward" else {}),
    )
    reports = run(wanted, tmp_path)
    assert [item["epoch"] for item in reports] == [1, 2, 3]
    assert not any(name.startswith("val/") for name in reports[-1])
    assert reports[-1]["train/loss"] > 0
    assert sum(classes.read(tmp_path).train_counts) > 351
    opened = open_test(wanted, root=tmp_path, folder=tmp_path, device="cpu")
    assert len(opened.predictions) == 400
    assert opened.metrics["test/accuracy"] > 0.1
    assert not any(name.startswith("test/best") for name in opened.metrics)


def test_the_digest_names_the_recipe():
    assert small().digest == small().digest
    assert small().digest != small(seed=1).digest
