import json
import logging
import os
import pickle
import random

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import example, given, settings
from safetensors import safe_open
from torch import nn

from raylt.schema import InputError
from raylt.trial.checkpoints import checkpoint, checkpoint_file
from tests.trial.checkpoints.made import kept, save, trained


def test_what_is_saved_comes_back_to_the_last_bit(tmp_path):
    model, optimizer = trained(1)
    save(tmp_path, 3, seed=0)
    saved = checkpoint.latest(tmp_path, "abc")
    saved.restore(model, optimizer)
    expected, expected_optimizer = trained(0)
    for name, mine in model.state_dict().items():
        assert torch.equal(mine, expected.state_dict()[name])
    for mine, theirs in zip(
        optimizer.state_dict()["state"].values(),
        expected_optimizer.state_dict()["state"].values(),
        strict=True,
    ):
        assert torch.equal(mine["momentum_buffer"], theirs["momentum_buffer"])
    assert saved.epoch == 3
    assert [entry["epoch"] for entry in saved.history] == [1, 2, 3]


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
    saved = checkpoint.latest(tmp_path, "abc")
    assert saved.history == (entry(1),)
    assert all(torch.equal(saved.method[name], value) for name, value in before.items())
    assert not torch.equal(saved.method["0.weight"], model.state_dict()["0.weight"])


def test_nothing_has_a_name_before_it_is_kept(tmp_path, monkeypatch):
    model, optimizer = trained()
    fsync = os.fsync
    seen = []
    monkeypatch.setattr(
        checkpoint_file.os, "fsync", lambda file: seen.append(names_in(tmp_path)) or fsync(file)
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

    monkeypatch.setattr(checkpoint_file, "save_file", full)
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


@pytest.fixture
def warned(caplog):
    caplog.set_level(logging.WARNING, logger="raylt")
    return caplog


def test_a_cut_checkpoint_is_named_and_the_one_before_it_is_taken(tmp_path, warned):
    save(tmp_path, 1)
    newest = save(tmp_path, 2)
    whole = newest.read_bytes()
    for offset in sorted(random.Random(0).sample(range(len(whole)), 20)):
        newest.write_bytes(whole[:offset])
        with pytest.raises(checkpoint.Damaged, match="checkpoint-000002"):
            checkpoint.read(newest)
        warned.clear()
        assert checkpoint.latest(tmp_path, "abc").epoch == 1
        (line,) = warned.messages
        assert "checkpoint-000002" in line
        assert "the checkpoint before it is taken" in line


def test_one_flipped_bit_is_noticed_wherever_it_is(tmp_path):
    path = save(tmp_path, 1)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    rng = random.Random(0)
    # What the header says is a few hundred bytes of many: the rest are spaces.
    messages = [place for place in range(header) if whole[place] != ord(" ")]
    places = [*rng.sample(messages, 400), *rng.sample(range(8, header), 50)]
    for place in [*places, *rng.sample(range(header, len(whole)), 50)]:
        content = bytearray(whole)
        content[place] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        with pytest.raises(checkpoint.Damaged):
            checkpoint.read(path)


def rewritten(path, change):
    """Alter what a checkpoint says of itself, and sign it again."""
    with safe_open(path, framework="pt") as file:
        message = json.loads(file.metadata()["raylt"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    change(message)
    text = checkpoint_file.quoted(message)
    content = checkpoint_file.lay_down(tensors, path, room=len(text))
    checkpoint_file.fill_in(path, text, content)


HEADERS = [
    {"epoch": "3"},
    {"epoch": 0},
    {"epoch": None},
    {"epoch": 10**400},
    {"digest": 7},
    {"history": None},
    {"history": {}},
    {"history": [1]},
    {"history": [{"val/accuracy": "0.9"}]},
    {"history": [{"val/accuracy": [0.9]}]},
    {"format": "2"},
    {"format": None},
    {"format": 1},
]


@pytest.mark.parametrize("wrong", HEADERS, ids=lambda wrong: str(wrong)[:40])
def test_a_header_that_says_nonsense_is_damage(wrong, tmp_path, warned):
    save(tmp_path, 1)
    rewritten(save(tmp_path, 2), lambda message: message.update(wrong))
    assert checkpoint.latest(tmp_path, "abc").epoch == 1
    assert "checkpoint-000002" in warned.text


@pytest.mark.parametrize(
    "message", ["", "7", "[]", "null", "{", "[" * 100_000, '{"format": 1}', '{"sha256": "0"}']
)
@pytest.mark.parametrize("key", ["raylt", "other"])
def test_a_header_that_is_no_header_is_damage(message, key, tmp_path):
    path = tmp_path / "checkpoint-000001.safetensors"
    checkpoint_file.save_file({"method.a": torch.zeros(2)}, path, {key: message})
    with pytest.raises(checkpoint.Damaged):
        checkpoint.read(path)


def test_a_checkpoint_of_a_newer_version_asks_for_it(tmp_path):
    rewritten(save(tmp_path, 2), lambda message: message.update(format=3, epoch="three"))
    with pytest.raises(InputError, match="must be of format 2 or older, but is of format 3"):
        checkpoint.latest(tmp_path, "abc")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("nowhere", path)])
def test_what_is_not_a_file_is_passed_over(make, tmp_path, warned):
    save(tmp_path, 1)
    make(tmp_path / "checkpoint-000002.safetensors")
    make(tmp_path / checkpoint.BEST)
    assert checkpoint.latest(tmp_path, "abc").epoch == 1
    assert checkpoint.best(tmp_path, "abc") is None
    assert warned.text.count("not a file") == 2


def test_a_state_of_other_shapes_is_passed_over(tmp_path, warned):
    save(tmp_path, 1)
    wider = nn.Sequential(nn.Conv2d(1, 5, 3))
    optimizer = torch.optim.SGD(wider.parameters())
    kept(tmp_path, wider, optimizer, (), epoch=2, digest="abc", best=True)
    model, _ = trained()
    assert checkpoint.latest(tmp_path, "abc", method=model).epoch == 1
    assert checkpoint.best(tmp_path, "abc", method=model) is None
    assert "0.bias must be (4,), but is (5,)" in warned.text


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


def test_an_empty_or_missing_folder_holds_no_checkpoint(tmp_path, warned):
    assert checkpoint.latest(tmp_path, "abc") is None
    assert checkpoint.latest(tmp_path / "missing", "abc") is None
    assert not warned.messages


def test_a_failed_write_leaves_the_earlier_checkpoint_and_no_draft(tmp_path, monkeypatch):
    save(tmp_path, 1)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint_file, "save_file", full)
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
    saved = checkpoint.best(tmp_path, "abc")
    assert saved.epoch == 3
    expected = trained(3)[0].state_dict()
    assert all(torch.equal(saved.method[name], value) for name, value in expected.items())
    # A run that was killed after the link trains the epoch again.
    save(tmp_path, 7, seed=7, best=True)
    save(tmp_path, 7, seed=7, best=True)
    assert checkpoint.best(tmp_path, "abc").epoch == 7
    assert len(list(tmp_path.iterdir())) == 3


def test_a_best_of_another_recipe_or_a_damaged_one_is_not_taken(tmp_path, warned):
    save(tmp_path, 1, best=True)
    assert checkpoint.best(tmp_path, "other") is None
    path = tmp_path / checkpoint.BEST
    path.write_bytes(path.read_bytes()[:-9])
    assert checkpoint.best(tmp_path, "abc") is None
    assert "the best epoch is not scored" in warned.text
