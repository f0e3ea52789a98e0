import os
import pickle
import random
import warnings

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import example, given, settings

from raylt.schema import InputError
from raylt.trial.checkpoints import checkpoint
from tests.trial.checkpoints.made import save, trained


def test_what_is_saved_comes_back_to_the_last_bit(tmp_path):
    model, optimizer = trained(1)
    save(tmp_path, 3, seed=0)
    found = checkpoint.latest(tmp_path, "abc")
    found.restore(model, optimizer)
    expected, expected_optimizer = trained(0)
    for name, mine in model.state_dict().items():
        assert torch.equal(mine, expected.state_dict()[name])
    for mine, theirs in zip(
        optimizer.state_dict()["state"].values(),
        expected_optimizer.state_dict()["state"].values(),
        strict=True,
    ):
        assert torch.equal(mine["momentum_buffer"], theirs["momentum_buffer"])
    assert found.epoch == 3
    assert [entry["epoch"] for entry in found.history] == [1, 2, 3]


def writing(folder, model, optimizer, epoch=1):
    return checkpoint.writing(
        folder, epoch=epoch, digest="abc", method=model, optimizer=optimizer, history=()
    )


def entry(epoch):
    return {"epoch": float(epoch), "val/accuracy": 0.5}


def test_what_is_trained_meanwhile_is_not_in_the_checkpoint(tmp_path):
    model, optimizer = trained()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with writing(tmp_path, model, optimizer) as keep:
        with torch.no_grad():
            for value in model.state_dict().values():
                value.mul_(2)
        keep([entry(1)], best=True)
    found = checkpoint.latest(tmp_path, "abc")
    assert found.history == (entry(1),)
    assert all(torch.equal(found.method[name], value) for name, value in before.items())
    assert not torch.equal(found.method["0.weight"], model.state_dict()["0.weight"])


def test_nothing_has_a_name_before_it_is_kept(tmp_path, monkeypatch):
    model, optimizer = trained()
    fsync = os.fsync
    seen = []
    monkeypatch.setattr(
        checkpoint.os, "fsync", lambda file: seen.append(names_in(tmp_path)) or fsync(file)
    )
    with writing(tmp_path, model, optimizer) as keep:
        assert names_in(tmp_path) == []
        keep([entry(1)], best=True)
        # Once for the tensors, once for the scores: both are on the disk before there is a name.
        assert seen == [[], []]
        assert names_in(tmp_path) == ["best.safetensors", "checkpoint-000001.safetensors"]
    assert len(list(tmp_path.iterdir())) == 2


def names_in(folder):
    return sorted(path.name for path in folder.glob("*.safetensors"))


def test_an_epoch_that_cannot_be_scored_leaves_nothing(tmp_path):
    model, optimizer = trained()
    with pytest.raises(ZeroDivisionError), writing(tmp_path, model, optimizer):
        divide(0)
    assert list(tmp_path.iterdir()) == []


def divide(by):
    return 1 / by


def test_a_disk_that_takes_no_more_is_told_when_it_is_kept(tmp_path, monkeypatch):
    save(tmp_path, 1)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    model, optimizer = trained()
    with (
        pytest.raises(OSError, match="No space left"),
        writing(tmp_path, model, optimizer, epoch=2) as keep,
    ):
        keep([entry(1), entry(2)], best=False)
    assert names_in(tmp_path) == ["checkpoint-000001.safetensors"]


@example({"long" * 100: 0.1}, 60)  # more than the place that is left
@given(st.dictionaries(st.text(), st.floats(allow_nan=False), max_size=20), st.integers(0, 60))
@settings(max_examples=10)
def test_scores_of_any_length_come_back(tmp_path_factory, scores, times):
    folder = tmp_path_factory.mktemp("scores")
    history = [{f"{name}-{n}": value for name, value in scores.items()} for n in range(times)]
    with writing(folder, *trained()) as keep:
        keep(history, best=False)
    assert list(checkpoint.latest(folder, "abc").history) == history


def test_only_the_newest_two_are_kept_and_no_draft_stays(tmp_path):
    for epoch in range(1, 6):
        save(tmp_path, epoch)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint-000004.safetensors",
        "checkpoint-000005.safetensors",
    ]


def test_a_cut_checkpoint_is_named_and_the_one_before_it_is_taken(tmp_path):
    save(tmp_path, 1)
    newest = save(tmp_path, 2)
    whole = newest.read_bytes()
    for offset in sorted(random.Random(0).sample(range(len(whole)), 20)):
        newest.write_bytes(whole[:offset])
        with pytest.raises(checkpoint.Damaged, match="checkpoint-000002"):
            checkpoint.read(newest)
        with pytest.warns(UserWarning, match="checkpoint-000002"):
            assert checkpoint.latest(tmp_path, "abc").epoch == 1


def test_one_flipped_bit_is_noticed(tmp_path):
    path = save(tmp_path, 1)
    content = bytearray(path.read_bytes())
    content[-7] ^= 4
    path.write_bytes(content)
    with pytest.raises(checkpoint.Damaged, match="altered"):
        checkpoint.read(path)


class Evil:
    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return (open, (self.marker, "w"))


def test_a_pickle_in_the_place_of_a_checkpoint_is_never_run(tmp_path):
    marker = tmp_path / "marker"
    path = save(tmp_path / "run", 1)
    path.write_bytes(pickle.dumps(Evil(marker)))
    with pytest.raises(checkpoint.Damaged):
        checkpoint.read(path)
    torch.save({"method": Evil(marker)}, path)
    with pytest.raises(checkpoint.Damaged):
        checkpoint.read(path)
    assert not marker.exists()


def test_another_recipe_s_checkpoint_is_refused(tmp_path):
    save(tmp_path, 1, digest="abc")
    with pytest.raises(InputError, match="must hold recipe xyz, but holds recipe abc"):
        checkpoint.latest(tmp_path, "xyz")


def test_an_empty_or_missing_folder_holds_no_checkpoint(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert checkpoint.latest(tmp_path, "abc") is None
        assert checkpoint.latest(tmp_path / "missing", "abc") is None


def test_a_failed_write_leaves_the_earlier_checkpoint_and_no_draft(tmp_path, monkeypatch):
    save(tmp_path, 1)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, 2)
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint-000001.safetensors"]


@pytest.mark.parametrize("links", [True, False])
def test_the_best_stays_until_a_better_one_comes(links, tmp_path, monkeypatch):
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: os.stat("/nowhere"))
    assert checkpoint.best(tmp_path, "abc") is None
    for epoch in range(1, 8):
        save(tmp_path, epoch, seed=epoch, best=epoch in (1, 3))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best.safetensors",
        "checkpoint-000006.safetensors",
        "checkpoint-000007.safetensors",
    ]
    found = checkpoint.best(tmp_path, "abc")
    assert found.epoch == 3
    expected = trained(3)[0].state_dict()
    assert all(torch.equal(found.method[name], value) for name, value in expected.items())
    # A run that was killed after the link trains the epoch again.
    save(tmp_path, 7, seed=7, best=True)
    save(tmp_path, 7, seed=7, best=True)
    assert checkpoint.best(tmp_path, "abc").epoch == 7
    assert len(list(tmp_path.iterdir())) == 3


def test_a_best_of_another_recipe_or_a_damaged_one_is_not_taken(tmp_path):
    save(tmp_path, 1, best=True)
    assert checkpoint.best(tmp_path, "other") is None
    path = tmp_path / checkpoint.BEST
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.warns(UserWarning, match="the best epoch is not scored"):
        assert checkpoint.best(tmp_path, "abc") is None
