import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import ks_2samp

from raylt.data import frames, sources
from raylt.data.augment import CALM, VIEWS
from raylt.data.batches import Batches
from raylt.data.files import FileImages
from raylt.data.images import ArrayImages
from raylt.schema import EnvironmentError

QUIET = CALM.model_copy(update={"crop": 0.3, "flip": 0.5})
LOUD = QUIET.model_copy(update={"jitter": 1.0, "grey": 0.2, "blur": 0.5})


def even(tmp_path, n, workers):
    """Images of many sizes, each of one shade that is its own number."""
    rng = np.random.default_rng(0)
    for k in range(n):
        width, height = rng.integers(8, 40, 2)
        Image.new("RGB", (int(width), int(height)), (k, k, k)).save(tmp_path / f"{k}.png")
    names = np.array([f"{k}.png" for k in range(n)])
    return FileImages(tmp_path, names, np.arange(n), 16, workers)


def batches(images, views=("crop", "weak", "none", "sim"), **changed):
    values = {
        "views": views,
        "params": QUIET,
        "size": 16,
        "batch_size": 40,
        "drop_last": False,
        "seed": 3,
        "device": torch.device("cpu"),
        "rank": 0,
        "world": 1,
        "channels_last": True,
    } | changed
    return Batches(images, **values)


def epoch(of, number):
    return [(batch.views, batch.labels) for batch in of.epoch(number)]


def same(first, other):
    return all(
        torch.equal(labels, others) and all(map(torch.equal, views, those))
        for (views, labels), (those, others) in zip(first, other, strict=True)
    )


def test_views_of_files_belong_to_their_labels(tmp_path):
    seen = []
    for views, labels in epoch(batches(even(tmp_path, 100, 0)), 0):
        crop, weak, plain, similar = views
        for view in (crop, plain, similar):
            assert view.shape == (len(labels), 3, 16, 16)
            shade = labels[:, None, None, None].expand_as(view) / 255
            torch.testing.assert_close(view, shade, atol=1e-5, rtol=0)
        # A shift brings black in at the edges.
        torch.testing.assert_close(weak.amax((1, 2, 3)), labels / 255, atol=1e-5, rtol=0)
        seen += labels.tolist()
    assert sorted(seen) == list(range(100))


def test_processes_change_nothing_and_live_from_epoch_to_epoch(tmp_path):
    alone, shared = batches(even(tmp_path, 90, 0)), batches(even(tmp_path, 90, 2))
    state = torch.random.get_rng_state()
    first = epoch(shared, 0)
    workers = {process.pid for process in shared._source._loader._iterator._workers}
    assert same(first, epoch(alone, 0))
    assert same(epoch(shared, 1), epoch(alone, 1))
    assert not same(first, epoch(alone, 1))
    assert {process.pid for process in shared._source._loader._iterator._workers} == workers
    assert torch.equal(torch.random.get_rng_state(), state)
    next(shared.epoch(2))  # an epoch that is given up does not disturb the next
    assert same(epoch(shared, 0), first)


def test_a_damaged_file_is_named_without_a_wall_of_text(tmp_path):
    images = even(tmp_path, 60, 0)
    (tmp_path / "7.png").write_text("no image")
    with pytest.raises(EnvironmentError) as raised:
        epoch(batches(images), 0)
    assert str(raised.value).startswith("every image must be readable, but 1 cannot be read")
    assert str(raised.value).endswith(f"\n  {tmp_path / '7.png'}: it is empty or no image")


def photographs(n, size):
    coarse = torch.rand(n, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)
    return (smooth * 255).round().to(torch.uint8)


@pytest.mark.parametrize("kernel", ["bicubic", "bilinear"])
def test_a_process_crops_as_the_device_does(kernel):
    images = photographs(20, 48)
    generator = torch.Generator().manual_seed(0)
    sides = torch.full((20,), 48.0)
    boxes = frames.cropped(sides, sides, crop=0.2, flip=0.5, generator=generator)
    originals = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]
    cropped = sources._crop(originals, boxes, 24, kernel)
    theirs = torch.stack([torch.from_numpy(np.array(each)).permute(2, 0, 1) for each in cropped])
    ours = frames.resample(images, boxes, 24, kernel=kernel) * 255
    assert (ours - theirs).abs().max() < 4


def test_both_sources_follow_one_law(tmp_path):
    n = 400
    pixels = photographs(1, 32)
    Image.fromarray(pixels[0].permute(1, 2, 0).numpy()).save(tmp_path / "one.png")
    in_files = FileImages(tmp_path, np.array(["one.png"] * n), np.zeros(n, np.int64), 32, 0)
    in_memory = ArrayImages(pixels.expand(n, 3, 32, 32).numpy(), in_files.labels)
    loud = {"params": LOUD, "size": 24, "batch_size": 50}
    for view in ("crop", "sim", "rand", "class"):
        spread = []
        for images in (in_files, in_memory):
            views = torch.cat([v[0] for v, _ in epoch(batches(images, (view,), **loud), 0)])
            spread.append((views.mean((1, 2, 3)), views.std((1, 2, 3))))
        for first, other in zip(*spread, strict=True):
            assert ks_2samp(first.numpy(), other.numpy()).pvalue > 1e-3, view


def test_a_cropped_view_is_painted_without_being_resampled_again():
    images = photographs(6, 16)
    painted = VIEWS["sim"].painted(
        images, None, size=16, params=QUIET, generator=torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(painted, images / 255, atol=1e-5, rtol=0)
