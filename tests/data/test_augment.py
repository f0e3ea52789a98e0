from dataclasses import replace

import pytest
import torch

from raylt.data import frames
from raylt.data.augment import CALM, VIEWS, Knobs

KNOBS = Knobs(
    crop=0.2, resample="bilinear", flip=0.5, jitter=1.0, grey=0.2, blur=0.5, rotate=10.0, shear=5.0
)
EVERY_VIEW = pytest.mark.parametrize("name", sorted(VIEWS))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=40, channels=3, size=20):
    return torch.randint(0, 256, (n, channels, size, size), generator=generator()).to(torch.uint8)


@EVERY_VIEW
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [12, 20, 32])
def test_a_view_has_the_size_asked_for_and_lies_between_0_and_1(name, channels, size):
    view = VIEWS[name](images(channels=channels), size=size, generator=generator(), knobs=KNOBS)
    assert view.shape == (40, channels, size, size)
    assert view.dtype == torch.float32
    assert view.is_contiguous(memory_format=torch.channels_last)
    assert 0 <= view.min() <= view.max() <= 1


@EVERY_VIEW
def test_the_same_generator_gives_the_same_view(name):
    one, other, third = (
        VIEWS[name](images(), size=20, generator=generator(seed), knobs=KNOBS)
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, other)
    assert torch.equal(one, third) == (name == "none")


@EVERY_VIEW
def test_each_image_has_a_draw_of_its_own(name):
    same = images(1).expand(200, 3, 20, 20)
    upright = replace(KNOBS, rotate=0.0, shear=0.0)
    views = VIEWS[name](same, size=20, generator=generator(), knobs=upright)
    different = len(torch.unique(views.flatten(1), dim=0))
    # A shift by up to two pixels has 25 places, each mirrored or not.
    least, most = {"none": (1, 1), "weak": (40, 50), "policy": (120, 200)}.get(name, (150, 200))
    assert least <= different <= most


@EVERY_VIEW
def test_images_do_not_touch_each_other(name):
    some = images()
    others = torch.cat((some[:20], 255 - some[20:]))
    one, other = (
        VIEWS[name](pixels, size=20, generator=generator(), knobs=KNOBS)
        for pixels in (some, others)
    )
    torch.testing.assert_close(one[:20], other[:20], atol=1e-5, rtol=0)
    assert not torch.equal(one[20:], other[20:])


def test_a_view_for_evaluation_is_the_image():
    pixels = images()
    view = VIEWS["none"](pixels, size=20, generator=generator(), knobs=KNOBS)
    torch.testing.assert_close(view * 255, pixels.float(), atol=1e-3, rtol=0)


def test_a_similar_view_without_disturbance_is_the_image():
    pixels = images()
    view = VIEWS["sim"](pixels, size=20, knobs=CALM, generator=generator())
    # A crop of all the area may still have another aspect ratio, which then does not fit: the
    # whole square image is what is left.
    torch.testing.assert_close(view * 255, pixels.float(), atol=1e-3, rtol=0)


def test_images_that_are_not_square_are_resized_whole():
    pixels = torch.full((2, 3, 10, 30), 77, dtype=torch.uint8)
    for view in VIEWS.values():
        knobs = replace(CALM, crop=0.5, flip=0.5)
        shown = view(pixels, size=16, knobs=knobs, generator=generator())
        assert shown.shape == (2, 3, 16, 16)


@pytest.mark.gpu
@EVERY_VIEW
def test_a_gpu_follows_the_same_law(name):
    device = torch.device("cuda")
    draw = torch.Generator(device).manual_seed(0)
    pixels = images(2000)
    there = VIEWS[name](pixels.to(device), size=20, generator=draw, knobs=KNOBS).cpu()
    here = VIEWS[name](pixels, size=20, generator=generator(), knobs=KNOBS)
    assert abs(there.mean() - here.mean()) < 0.01
    assert abs(there.std() - here.std()) < 0.01


def test_a_turn_is_torchvision_s_and_a_slant_keeps_rows_in_place():
    # A tilt of one image by a known draw, against torchvision's own rotation.
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as reference

    pixels = torch.rand(1, 1, 17, 17)
    draw = 2 * torch.rand(2, 1, generator=generator(4)) - 1
    turned = frames.tilt(1, rotate=40.0, shear=0.0, generator=generator(4))(pixels, slice(0, 1))
    expected = reference.rotate(
        pixels, float(draw[0]) * 40, interpolation=InterpolationMode.BILINEAR
    )
    torch.testing.assert_close(turned, expected, atol=1e-4, rtol=0)
    slanted = frames.tilt(1, rotate=0.0, shear=30.0, generator=generator(4))(pixels, slice(0, 1))
    torch.testing.assert_close(slanted[:, :, 8], pixels[:, :, 8], atol=1e-5, rtol=0)
    assert not torch.allclose(slanted[:, :, 0], pixels[:, :, 0])


def test_every_image_is_tilted_by_its_own_draw():
    same = torch.rand(1, 1, 16, 16).expand(50, 1, 16, 16)
    tilted = frames.tilt(50, rotate=30.0, shear=10.0, generator=generator())(same, slice(0, 50))
    assert len(torch.unique(tilted.flatten(1), dim=0)) == 50
