import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import chisquare, ks_2samp
from torchvision import transforms
from torchvision.transforms import functional

from raylt.data import frames
from raylt.data.frames import Boxes


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def sides(n, height, width):
    return torch.full((n,), float(height)), torch.full((n,), float(width))


def photographs(n, height, width, channels=3):
    """Smooth random colour images, as photographs are."""
    coarse = torch.rand(n, channels, 9, 9, generator=generator())
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")
    return (smooth.clamp(0, 1) * 255).round().to(torch.uint8)


@pytest.mark.parametrize(
    ("height", "width", "crop"),
    [(32, 32, 0.1), (32, 32, 1.0), (20, 60, 0.08), (70, 11, 0.5), (8, 8, 0.4)],
)
def test_crops_follow_the_law_of_torchvision(height, width, crop):
    n = 4000
    ours = frames.cropped(*sides(n, height, width), crop=crop, flip=0.5, generator=generator())
    torch.manual_seed(0)
    image = torch.empty(3, height, width)
    theirs = np.array(
        [
            transforms.RandomResizedCrop.get_params(image, [crop, 1.0], [3 / 4, 4 / 3])
            for _ in range(n)
        ]
    ).T
    for mine, other in zip((ours.top, ours.left, ours.height, ours.width), theirs, strict=True):
        assert ks_2samp(mine.numpy(), other).pvalue > 1e-3
    areas = (ours.height * ours.width).numpy()
    assert ks_2samp(areas, theirs[2] * theirs[3]).pvalue > 1e-3
    assert abs(ours.mirrored.float().mean() - 0.5) < 0.04


def test_crops_of_many_sizes_in_one_draw_stay_inside_their_images():
    heights = torch.tensor([5.0, 400.0, 32.0, 1.0]).repeat(200)
    widths = torch.tensor([300.0, 7.0, 32.0, 1.0]).repeat(200)
    boxes = frames.cropped(heights, widths, crop=0.08, flip=0.0, generator=generator())
    assert bool(((boxes.top >= 0) & (boxes.top + boxes.height <= heights)).all())
    assert bool(((boxes.left >= 0) & (boxes.left + boxes.width <= widths)).all())
    assert bool(((boxes.height >= 1) & (boxes.width >= 1)).all())
    assert not bool(boxes.mirrored.any())


def test_shifts_are_uniform_over_the_padded_image():
    boxes = frames.shifted(*sides(9000, 32, 32), flip=0.3, generator=generator())
    assert boxes.padded
    for offset in (boxes.top, boxes.left):
        counts = torch.bincount((offset + 4).long(), minlength=9)
        assert len(counts) == 9
        assert chisquare(counts.numpy()).pvalue > 1e-3
    assert abs(boxes.mirrored.float().mean() - 0.3) < 0.02


@pytest.mark.parametrize("kernel", ["bicubic", "bilinear"])
@pytest.mark.parametrize("size", [16, 32, 48])
def test_resampling_agrees_with_pil_on_the_same_boxes(size, kernel):
    images = photographs(24, 32, 40)
    boxes = frames.cropped(*sides(24, 32, 40), crop=0.1, flip=0.5, generator=generator())
    ours = frames.resample(images, boxes, size, kernel=kernel) * 255
    for k, image in enumerate(images):
        pil = Image.fromarray(image.permute(1, 2, 0).numpy())
        box = [int(side[k]) for side in (boxes.top, boxes.left, boxes.height, boxes.width)]
        expected = functional.resized_crop(
            pil, *box, [size, size], transforms.InterpolationMode(kernel)
        )
        if boxes.mirrored[k]:
            expected = functional.hflip(expected)
        # PIL rounds to whole numbers after the columns and again after the rows.
        assert (ours[k] - functional.pil_to_tensor(expected)).abs().max() < 4


def test_a_shift_is_an_exact_move_with_black_beside_it():
    images = photographs(12, 32, 32)
    boxes = frames.shifted(*sides(12, 32, 32), flip=0.5, generator=generator())
    ours = frames.resample(images, boxes, 32, kernel="bicubic")
    padded = torch.nn.functional.pad(images, (4, 4, 4, 4))
    for k in range(12):
        top, left = int(boxes.top[k]) + 4, int(boxes.left[k]) + 4
        expected = padded[k, :, top : top + 32, left : left + 32]
        if boxes.mirrored[k]:
            expected = expected.flip(-1)
        torch.testing.assert_close(ours[k] * 255, expected.float(), atol=1e-3, rtol=0)


def test_a_shift_of_an_image_that_is_not_square_keeps_to_its_sides():
    images = photographs(200, 16, 40)
    boxes = frames.shifted(*sides(200, 16, 40), flip=0.0, generator=generator())
    assert (boxes.top.abs().max(), boxes.left.abs().max()) == (2, 5)
    assert bool(frames.resample(images, boxes, 24, kernel="bicubic").isfinite().all())


def test_the_whole_image_at_its_own_size_is_itself():
    images = photographs(3, 20, 20, channels=1)
    same = frames.resample(images, frames.whole(*sides(3, 20, 20)), 20, kernel="bicubic")
    torch.testing.assert_close(same * 255, images.float(), atol=1e-3, rtol=0)


def test_an_even_image_stays_even_whatever_the_box():
    images = torch.full((50, 3, 17, 23), 200, dtype=torch.uint8)
    boxes = frames.cropped(*sides(50, 17, 23), crop=0.05, flip=0.5, generator=generator())
    even = frames.resample(images, boxes, 31, kernel="bicubic")
    torch.testing.assert_close(even, torch.full_like(even, 200 / 255))


def test_a_box_of_one_pixel_shows_that_pixel():
    images = photographs(1, 9, 9)
    item = torch.ones(1)
    box = Boxes(4 * item, 2 * item, item, item, torch.zeros(1, dtype=torch.bool), False)
    view = frames.resample(images, box, 5, kernel="bicubic") * 255
    expected = images[:, :, 4:5, 2:3].expand(1, 3, 5, 5).float()
    torch.testing.assert_close(view, expected, atol=1e-3, rtol=0)
