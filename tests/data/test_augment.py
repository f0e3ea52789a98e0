from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from scipy.stats import ks_2samp
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from raylt.data import frames
from raylt.data.augment import CALM, VIEWS
from raylt.sections import Augment

PARAMS = Augment(
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
    view = VIEWS[name](images(channels=channels), size=size, generator=generator(), params=PARAMS)
    assert view.shape == (40, channels, size, size)
    assert view.dtype == torch.float32
    assert view.is_contiguous(memory_format=torch.channels_last)
    assert 0 <= view.min() <= view.max() <= 1


@EVERY_VIEW
def test_the_same_generator_gives_the_same_view(name):
    first, other, third = (
        VIEWS[name](images(), size=20, generator=generator(seed), params=PARAMS)
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, other)
    assert torch.equal(first, third) == (name == "none")


@EVERY_VIEW
def test_each_image_has_a_draw_of_its_own(name):
    same = images(1).expand(200, 3, 20, 20)
    upright = PARAMS.model_copy(update={"rotate": 0.0, "shear": 0.0})
    views = VIEWS[name](same, size=20, generator=generator(), params=upright)
    different = len(torch.unique(views.flatten(1), dim=0))
    # A shift by up to two pixels has 25 places, each mirrored or not.
    least, most = {"none": (1, 1), "weak": (40, 50), "policy": (120, 200)}.get(name, (150, 200))
    assert least <= different <= most


@EVERY_VIEW
def test_images_do_not_touch_each_other(name):
    some = images()
    others = torch.cat((some[:20], 255 - some[20:]))
    first, other = (
        VIEWS[name](pixels, size=20, generator=generator(), params=PARAMS)
        for pixels in (some, others)
    )
    torch.testing.assert_close(first[:20], other[:20], atol=1e-5, rtol=0)
    assert not torch.equal(first[20:], other[20:])


def test_a_view_for_evaluation_is_the_image():
    pixels = images()
    view = VIEWS["none"](pixels, size=20, generator=generator(), params=PARAMS)
    torch.testing.assert_close(view * 255, pixels.float(), atol=1e-3, rtol=0)


def test_a_similar_view_without_disturbance_is_the_image():
    pixels = images()
    view = VIEWS["sim"](pixels, size=20, params=CALM, generator=generator())
    # A crop of all the area may still have another aspect ratio, which then does not fit: the
    # whole square image is what is left.
    torch.testing.assert_close(view * 255, pixels.float(), atol=1e-3, rtol=0)


def test_images_that_are_not_square_are_resized_whole():
    pixels = torch.full((2, 3, 10, 30), 77, dtype=torch.uint8)
    for view in VIEWS.values():
        params = CALM.model_copy(update={"crop": 0.5, "flip": 0.5})
        shown = view(pixels, size=16, params=params, generator=generator())
        assert shown.shape == (2, 3, 16, 16)


@pytest.mark.gpu
@EVERY_VIEW
def test_a_gpu_follows_the_same_law(name):
    device = torch.device("cuda")
    draw = torch.Generator(device).manual_seed(0)
    pixels = images(2000)
    there = VIEWS[name](pixels.to(device), size=20, generator=draw, params=PARAMS).cpu()
    here = VIEWS[name](pixels, size=20, generator=generator(), params=PARAMS)
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


class Blur:
    """The blur of the published programs, whose radius PIL's filter takes."""

    def __call__(self, image):
        radius = 0.1 + 1.9 * torch.rand(()).item()
        return image.filter(ImageFilter.GaussianBlur(radius))


def crop(least, kernel):
    return (
        transforms.RandomResizedCrop(32, (least, 1.0), interpolation=kernel),
        transforms.RandomHorizontalFlip(),
    )


def painted(hue, probability):
    return transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, hue)], probability)


GREY = transforms.RandomGrayscale(0.2)
PUBLISHED = {
    # The published pipelines in torchvision's own words, and the params that mean the same.
    "SDCLR on CIFAR": (
        "sim",
        {"crop": 0.1, "resample": "bicubic", "blur": 0.0},
        (*crop(0.1, InterpolationMode.BICUBIC), painted(0.1, 0.8), GREY),
    ),
    "SDCLR on ImageNet-100": (
        "sim",
        {"crop": 0.08, "resample": "bicubic", "blur": 0.5},
        (
            *crop(0.08, InterpolationMode.BICUBIC),
            painted(0.1, 0.8),
            GREY,
            transforms.RandomApply([Blur()], 0.5),
        ),
    ),
    "BCL's classifier on ImageNet-LT, before RandAugment": (
        "class",
        {"crop": 0.08, "resample": "bilinear", "blur": 0.0},
        (*crop(0.08, InterpolationMode.BILINEAR), painted(0.0, 1.0)),
    ),
    "a linear probe on ImageNet": (
        "crop",
        {"crop": 0.08, "resample": "bilinear", "blur": 0.0},
        crop(0.08, InterpolationMode.BILINEAR),
    ),
}


def statistics(views):
    """How bright, contrasted, coloured and sharp each view is, and of which hue."""
    spread = views.amax(1) - views.amin(1)
    return {
        "brightness": views.mean((1, 2, 3)),
        "contrast": views.mean(1).std((1, 2)),
        "colour": spread.mean((1, 2)),
        "warmth": (views[:, 0] - views[:, 2]).mean((1, 2)),
        "greenness": (2 * views[:, 1] - views[:, 0] - views[:, 2]).mean((1, 2)),
        "sharpness": (views[..., 1:] - views[..., :-1]).abs().mean((1, 2, 3)),
    }


@pytest.mark.parametrize("pipeline", PUBLISHED)
def test_a_view_has_the_colours_of_torchvisions_pipeline_in_law(pipeline):
    name, params, steps = PUBLISHED[pipeline]
    n = 1200
    coarse = torch.rand(1, 3, 24, 24, generator=generator(3))
    fine = torch.nn.functional.interpolate(coarse, size=(40, 48), mode="bicubic").clamp(0, 1)
    # Of one hue above all, so that a turn of it shows.
    tinted = fine * torch.tensor([1.0, 0.6, 0.4]).view(3, 1, 1)
    image = (tinted * 255).round().to(torch.uint8)
    view = replace(VIEWS[name], finishes=())
    ours = view(
        image.expand(n, 3, 40, 48),
        size=32,
        generator=generator(),
        params=CALM.model_copy(update={"flip": 0.5, "jitter": 1.0, "grey": 0.2, **params}),
    )
    torch.manual_seed(0)
    their = transforms.Compose([*steps, transforms.ToTensor()])
    photograph = Image.fromarray(image[0].permute(1, 2, 0).numpy().astype(np.uint8))
    theirs = torch.stack([their(photograph) for _ in range(n)])
    others = statistics(theirs)
    for what, mine in statistics(ours).items():
        assert ks_2samp(mine.numpy(), others[what].numpy()).pvalue > 1e-3, what


def test_cutout_comes_after_the_learned_policy():
    """Whatever the policy did to a bright image, a square of it is black at the end."""
    bright = torch.full((600, 3, 32, 32), 200, dtype=torch.uint8)
    params = CALM.model_copy(update={"flip": 0.5})
    views = VIEWS["policy"](bright, size=32, generator=generator(), params=params)
    black = (views == 0).all(1).sum((1, 2))
    # An eighth of the side is cut off at most at the corners: a quarter of the square stays.
    assert black.min() >= 64
