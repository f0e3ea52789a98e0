from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raylt.data.augment import CALM
from raylt.data.batches import Batches, plain, shares
from raylt.data.images import ArrayImages
from raylt.schema import InputError

CPU = torch.device("cpu")
PARAMS = CALM.model_copy(update={"crop": 0.3, "flip": 0.5, "jitter": 1.0, "grey": 0.2})


def numbered(n, size=8):
    """Images whose every pixel is their own number; the label is that number as well."""
    numbers = np.arange(n)
    pixels = np.broadcast_to(numbers[:, None, None, None], (n, 1, size, size)).astype(np.uint8)
    return ArrayImages(pixels, numbers)


def batches(n=50, batch_size=16, rank=0, world=1, **changed):
    values = {
        "views": ("none", "sim"),
        "size": 8,
        "params": PARAMS,
        "drop_last": False,
        "seed": 3,
        "device": CPU,
        "channels_last": True,
    } | changed
    return Batches(numbered(n), batch_size=batch_size, rank=rank, world=world, **values)


def labels(of, epoch):
    return [batch.labels.tolist() for batch in of.epoch(epoch)]


def test_views_and_labels_belong_together():
    of = batches()
    for batch in of.epoch(0):
        plain_view, similar = batch.views
        assert plain_view.shape == similar.shape == (len(batch.labels), 1, 8, 8)
        torch.testing.assert_close(plain_view[:, 0, 0, 0] * 255, batch.labels.float())
    assert sorted(chain(*labels(of, 0))) == list(range(50))


def test_an_epoch_is_a_function_of_its_number_and_the_seed():
    first, other = batches(), batches()
    list(first.epoch(0))  # what went before does not matter
    for mine, theirs in zip(first.epoch(4), other.epoch(4), strict=True):
        assert torch.equal(mine.labels, theirs.labels)
        assert torch.equal(mine.views[1], theirs.views[1])
    assert labels(first, 4) != labels(first, 5)
    assert labels(first, 4) != labels(batches(seed=4), 4)


def test_workers_share_each_batch_without_overlap():
    alone = labels(batches(batch_size=12), 2)
    ranks = [labels(batches(batch_size=12, rank=rank, world=3), 2) for rank in range(3)]
    shared = [list(chain(*step)) for step in zip(*ranks, strict=True)]
    assert shared == alone[:4]  # the rest of 2 images does not reach two for each of 3 workers
    views = [next(batches(rank=rank, world=2).epoch(0)).views[1] for rank in range(2)]
    assert not torch.equal(*views)


@given(st.integers(1, 300), st.integers(1, 20), st.integers(1, 4), st.booleans())
def test_steps_are_the_same_for_every_worker(n, share, world, drop_last):
    try:
        sizes = shares(n, share * world, world=world, drop_last=drop_last)
    except InputError:
        assert share < 2 or n < max(2, 1 if not drop_last else share) * world
        return
    assert min(sizes) >= 2
    assert sum(sizes) * world <= n
    rest = n - sum(sizes) * world
    assert rest < share * world if drop_last else rest < 2 * world


def test_the_rest_of_an_epoch_is_kept_unless_it_is_dropped():
    assert shares(50, 16, world=1, drop_last=False) == (16, 16, 16, 2)
    assert shares(49, 16, world=1, drop_last=False) == (16, 16, 16)
    assert shares(50, 16, world=1, drop_last=True) == (16, 16, 16)
    assert batches().steps == 4


@pytest.mark.parametrize(
    ("n", "batch_size", "world", "drop_last", "advice"),
    [
        (50, 15, 2, False, "try 14"),
        (50, 2, 2, False, "try 4"),
        (50, 64, 1, True, "try 50"),
        (3, 8, 2, False, "at least one step"),
    ],
)
def test_a_batch_that_cannot_be_is_refused_with_the_nearest(
    n, batch_size, world, drop_last, advice
):
    with pytest.raises(InputError, match=advice):
        shares(n, batch_size, world=world, drop_last=drop_last)


def test_memory_format_is_a_choice():
    for channels_last in (True, False):
        view = next(batches(channels_last=channels_last).epoch(0)).views[0]
        assert view.is_contiguous() != channels_last or view.shape[1] == 1


def test_plain_shows_the_images_asked_for_in_order():
    indices = np.array([7, 3, 3, 900, 41] * 250)
    parts = list(plain(numbered(1000), indices, size=8, device=CPU))
    assert len(parts) > 1
    shown = torch.cat(parts)[:, 0, 0, 0] * 255
    torch.testing.assert_close(shown, torch.from_numpy(indices % 256).float())
    assert list(plain(numbered(5), np.arange(0), size=8, device=CPU)) == []
