from __future__ import annotations

import pytest

from raylt import encoders
from raylt.study.start import choices


@pytest.mark.parametrize(
    ("smallest", "classes", "parts", "held_out"),
    [
        (3, 5, 2, 1),
        (2, 5, 1, 1),
        (8, 5, 2, 1),
        (9, 5, 2, 2),
        (5, 5, 1, 2),
        (11, 5, 2, 2),
        (100, 5, 2, 20),
        (5000, 2, 2, 500),
        (5000, 1000, 2, 20),
        (1, 5, 0, 0),
    ],
)
def test_the_smallest_class_decides_what_is_held_out(
    smallest: int, classes: int, parts: int, held_out: int
) -> None:
    assert choices.held_out(smallest, classes, parts=parts) == held_out


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
    known |= {"images": 1000, "validation": 100, **changes}
    return choices.epochs(**known)  # type: ignore[arg-type]


def test_a_search_fits_its_hours() -> None:
    # Enough for 24 trials of 100 epochs, two at a time.
    assert fitted() == (24, 100)
    for hours in (0.15, 0.2, 0.4, 0.8):
        trials, epochs = fitted(hours=hours)
        # With Ray's start and with trials that are slower beside each other.
        whole = choices.whole(-(-trials // 2) * (5.0 + epochs))
        assert whole <= 3600 * hours
        assert choices.budget(hours) < 3600 * hours
        assert trials in (8, 12, 16, 24)
    # Fewer trials rather than trials that learn nothing.
    assert fitted(hours=0.27) == (12, 100)
    assert fitted(hours=0.1)[0] == 8


def test_there_are_never_too_few_epochs_for_a_schedule() -> None:
    assert fitted(hours=0.001) == (8, choices.FEWEST_EPOCHS)
    assert choices.budget(0.001) > 0


def test_a_few_images_are_searched_with_a_few_trials_of_a_few_epochs() -> None:
    assert fitted(images=11, validation=3, steps=2) == (8, 30)
    assert fitted(images=120, validation=20, steps=4) == (16, 120)
    assert fitted(images=900, validation=60, steps=4, epoch=0.1) == (24, 200)


def test_more_hours_are_used_for_longer_trials() -> None:
    few = {"images": 58, "validation": 6, "steps": 8}
    assert [fitted(**few, hours=hours) for hours in (0.05, 1, 3, 30)] == [
        (8, 22),
        (8, 58),
        (8, 174),
        (8, 400),
    ]
