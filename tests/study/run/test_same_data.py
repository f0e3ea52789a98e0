"""A study goes on with the images that it began with, and with no others."""

import shutil

import numpy as np
import pytest
from PIL import Image

from raylt import cli, datasets, recipe, space
from raylt.schema import InputError
from raylt.study.record import studies
from raylt.study.run import driver, same_data
from tests.study import made

SPACE = """
study: {name: own, trials: 2}
recipe:
  data: {name: folder, images: set, test: 1, validation: 1}
  method: {name: sdclr, temperature: {low: 0.1, high: 1.0}}
  encoder: small
  size: 8
  evaluation: {labels: tail, neighbours: 1}
  optimizer: {lr: 0.1, batch_size: 8}
  epochs: 2
"""


def images(folder, name, count):
    rng = np.random.default_rng(len(name))
    (folder / name).mkdir(parents=True)
    for number in range(count):
        Image.fromarray(rng.integers(0, 255, (9, 9, 3), np.uint8)).save(
            folder / name / f"{number}.png"
        )


@pytest.fixture
def own(tmp_path):
    """A study of images of the user's own that has begun, and their folder."""
    folder = tmp_path / "data" / "set"
    for name, count in (("cat", 6), ("dog", 5)):
        images(folder, name, count)
    (tmp_path / "own.yaml").write_text(SPACE)
    opened = space.load(tmp_path / "own.yaml")
    splits = datasets.load(recipe.dataset(opened.fixed), tmp_path / "data")
    facts = {"fingerprint": splits.fingerprint, "data": splits.facts, "floor": {}}
    folder_of_study = tmp_path / "runs" / "own"
    record = studies.create(folder_of_study, opened, sampler=None, queue=(), facts=facts)
    yield record, folder
    record.close()


def test_the_same_images_are_taken(own):
    record, folder = own
    same_data.require_here(record, folder.parent)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda folder: (folder / "cat" / "3.png").unlink(),
            "train has 6 images instead of 7, class 'cat' has 1 fewer",
        ),
        (lambda folder: images(folder, "emu", 4), "class 'emu' is new"),
        (lambda folder: shutil.move(folder / "cat", folder / "tiger"), "class 'cat' is gone"),
        (
            lambda folder: [
                Image.new("RGB", (9, 9)).save(path) for path in (folder / "dog").iterdir()
            ],
            "some are others, though each class has as many as before",
        ),
    ],
)
def test_changed_images_are_refused_in_one_line_that_says_what_changed(own, change, words):
    record, folder = own
    change(folder)
    with pytest.raises(InputError) as caught:
        same_data.require_here(record, folder.parent)
    text = str(caught.value)
    assert words in text
    assert f"fingerprint {record.facts['fingerprint']}, now " in text
    assert "put them back, or begin another study: `raylt tune --space " in text
    assert "--study own-2" in text
    assert "\n" not in text


def test_a_study_of_before_says_that_they_have_changed(tmp_path):
    record = made.study(tmp_path, trials=1, failed=(), tables=False, fingerprint="0" * 16)
    with pytest.raises(InputError, match="but they have changed"):
        same_data.require_here(record, tmp_path)


@pytest.mark.parametrize(
    "command",
    [
        "resume own",
        "train -s runs/own/space.yaml --study new --data-of own method.temperature=0.3",
    ],
)
def test_nothing_starts_with_changed_images(own, tmp_path, monkeypatch, capfd, command):
    record, folder = own
    record.close()
    (folder / "cat" / "3.png").unlink()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(driver, "_run", lambda *_, **__: pytest.fail("it started"))
    assert cli.run(command.split()) == 2
    assert "class 'cat' has 1 fewer" in capfd.readouterr().err
    assert not (tmp_path / "runs" / "new").exists()


def test_a_confirmation_does_not_start_with_changed_images(tmp_path, capfd):
    trials = {"trials": 2, "failed": (), "stopped": (), "tables": False}
    made.study(tmp_path, fingerprint="0" * 16, **trials).close()
    words = ["confirm", "made", "--top", "1", "--runs", str(tmp_path), "--data", str(tmp_path)]
    assert cli.run(words) == 2
    assert "must be those that it began with" in capfd.readouterr().err
