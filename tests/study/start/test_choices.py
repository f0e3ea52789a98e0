from __future__ import annotations

import pytest

from raylt import encoders
from raylt.schema import InputError
from raylt.study.start import choices


@pytest.mark.parametrize(
    ("smallest", "classes", "parts", "held"),
    [
        (3, 5, 2, 1),
        (2, 5, 1, 1),
        (11, 5, 2, 2),
        (100, 5, 2, 20),
        (5000, 2, 2, 500),
        (5000, 1000, 2, 20),
        (1, 5, 0, 0),
    ],
)
def test_the_smallest_class_decides_what_is_held_out(
    smallest: int, classes: int, parts: int, held: int
) -> None:
    assert choices.held_out(smallest, classes, parts=parts) == held


def test_a_class_that_is_too_small_is_refused() -> None:
    with pytest.raises(InputError, match=r"must have 3 images.*the smallest has 2"):
        choices.held_out(2, 5, parts=2)


def test_an_image_is_worth_its_share() -> None:
    assert choices.points(40) == 2.5


@pytest.mark.parametrize(
    ("shorter", "gpu", "size"),
    [
        ([8, 8, 8], False, 16),
        ([28, 28, 28], False, 32),
        ([400, 500, 600], False, 64),
        ([400, 500, 600], True, 224),
        ([60, 70, 500], True, 64),
        ([], True, 32),
    ],
)
def test_the_size_is_that_of_half_of_the_images(shorter: list[int], gpu: bool, size: int) -> None:
    assert choices.size(shorter, gpu=gpu) == size


@pytest.mark.parametrize("images", [50, 5000, 500_000])
@pytest.mark.parametrize("side", [16, 224])
@pytest.mark.parametrize("gpu", [False, True])
def test_the_encoder_is_one_that_there_is(images: int, side: int, gpu: bool) -> None:
    assert choices.encoder(images, side, gpu=gpu) in encoders.names()


@pytest.mark.parametrize(
    ("images", "side", "batch"), [(20, 32, 8), (200, 32, 32), (9000, 32, 256), (9000, 224, 128)]
)
def test_an_epoch_has_a_few_steps(images: int, side: int, batch: int) -> None:
    assert choices.batch_size(images, side) == batch


def fitted(**changes: float) -> tuple[int, int]:
    known = {"hours": 1.0, "concurrent": 2, "start": 5.0, "epoch": 1.0, "steps": 30}
    return choices.epochs(**{**known, **changes})  # type: ignore[arg-type]


def test_a_search_fits_its_hours() -> None:
    # Enough for 24 trials of 100 epochs, two at a time.
    assert fitted() == (24, 100)
    for hours in (0.1, 0.2, 0.4, 0.8):
        trials, epochs = fitted(hours=hours)
        assert -(-trials // 2) * (5.0 + epochs) <= 3600 * hours
        assert trials in (8, 12, 16, 24)
    # Fewer trials rather than trials that learn nothing.
    assert fitted(hours=0.2) == (12, 100)
    assert fitted(hours=0.1)[0] == 8


def test_there_are_never_too_few_epochs_for_a_schedule() -> None:
    assert fitted(hours=0.001) == (8, choices.FEWEST_EPOCHS)
