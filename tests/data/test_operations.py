import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torchvision.transforms import functional
from torchvision.transforms.functional import InterpolationMode

from raylt.data import operations
from raylt.data.operations import Operation

FILL = (124, 116, 104)


def photographs(n=24, size=32):
    """Smooth colour images of low and of full contrast, and one that is even."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(n, 3, 6, 6, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)
    smooth[::3] = 0.3 + 0.4 * smooth[::3]
    smooth[1] = 0.25
    return (smooth * 255).round()


def apply(pixels, kinds, values, *, cubic=False, fill=FILL):
    kernels = torch.full((len(pixels),), cubic)
    operations.apply(pixels, kinds, values, cubic=kernels, fill=fill)


def applied(kind, values, images=None, *, cubic=False):
    pixels = (photographs() if images is None else images).clone()
    kinds = torch.full((len(pixels),), int(kind))
    apply(pixels, kinds, torch.as_tensor(values).expand(len(pixels)), cubic=cubic)
    assert torch.equal(pixels, pixels.round())
    assert 0 <= pixels.min() <= pixels.max() <= 255
    return pixels


def pil(image):
    return Image.fromarray(image.permute(1, 2, 0).numpy().astype(np.uint8))


ON_BYTES = {
    Operation.AUTO_CONTRAST: (None, lambda image, _: ImageOps.autocontrast(image)),
    Operation.EQUALIZE: (None, lambda image, _: ImageOps.equalize(image)),
    Operation.INVERT: (None, lambda image, _: ImageOps.invert(image)),
    Operation.POSTERIZE: ((1, 3, 4, 8), lambda image, v: ImageOps.posterize(image, int(v))),
    Operation.SOLARIZE: ((0, 100, 243, 256), lambda image, v: ImageOps.solarize(image, int(v))),
    Operation.COLOUR: ((0.1, 1.0, 1.9), lambda image, v: ImageEnhance.Color(image).enhance(v)),
    Operation.CONTRAST: (
        (0.1, 1.0, 1.9),
        lambda image, v: ImageEnhance.Contrast(image).enhance(v),
    ),
    Operation.BRIGHTNESS: (
        (0.1, 1.0, 1.9),
        lambda image, v: ImageEnhance.Brightness(image).enhance(v),
    ),
    Operation.SHARPNESS: (
        (0.1, 1.0, 1.9),
        lambda image, v: ImageEnhance.Sharpness(image).enhance(v),
    ),
}


@pytest.mark.parametrize("kind", ON_BYTES)
def test_operations_on_bytes_are_pils(kind):
    values, theirs = ON_BYTES[kind]
    for value in values or (0.0,):
        ours = applied(kind, float(value))
        for image, mine in zip(photographs(), ours, strict=True):
            expected = functional.pil_to_tensor(theirs(pil(image), value))
            # A blend may cut off at the other side of a whole number.
            assert (mine - expected).abs().max() <= 1


ON_TENSORS = {
    Operation.AUTO_CONTRAST: (0, lambda image, _: functional.autocontrast(image)),
    Operation.EQUALIZE: (0, lambda image, _: functional.equalize(image)),
    Operation.INVERT: (0, lambda image, _: functional.invert(image)),
    Operation.POSTERIZE: (3, lambda image, v: functional.posterize(image, int(v))),
    Operation.SOLARIZE: (90, functional.solarize),
    Operation.COLOUR: (1.7, functional.adjust_saturation),
    Operation.CONTRAST: (0.4, functional.adjust_contrast),
    Operation.BRIGHTNESS: (1.6, functional.adjust_brightness),
    Operation.SHARPNESS: (1.9, functional.adjust_sharpness),
}


@pytest.mark.parametrize("kind", ON_TENSORS)
def test_operations_on_bytes_are_torchvisions(kind):
    value, theirs = ON_TENSORS[kind]
    ours = applied(kind, float(value))
    for image, mine in zip(photographs(), ours, strict=True):
        assert (mine - theirs(image.to(torch.uint8), value)).abs().max() <= 1


def affine(image, *, angle=0.0, translate=(0, 0), shear=(0.0, 0.0), centre=None):
    return functional.affine(
        image,
        angle,
        list(translate),
        1.0,
        list(shear),
        InterpolationMode.BILINEAR,
        list(FILL),
        centre,
    )


def slope(value):
    return math.degrees(math.atan(value))


MOVES = {
    Operation.ROTATE: (
        17.0,
        lambda image, v: functional.rotate(image, v, InterpolationMode.BILINEAR, fill=list(FILL)),
    ),
    Operation.SHEAR_X: (0.3, lambda i, v: affine(i, shear=(slope(v), 0), centre=[0, 0])),
    Operation.SHEAR_Y: (0.2, lambda i, v: affine(i, shear=(0, slope(v)), centre=[0, 0])),
    Operation.TRANSLATE_X: (5.0, lambda i, v: affine(i, translate=(int(v), 0))),
    Operation.TRANSLATE_Y: (9.0, lambda i, v: affine(i, translate=(0, int(v)))),
}


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("kind", MOVES)
def test_moves_are_torchvisions(kind, sign):
    value, theirs = MOVES[kind]
    ours = applied(kind, sign * value)
    moved = theirs(torch.full((3, 32, 32), 1000.0), sign * value)
    # On the very edge torchvision fades twice, once by sampling and once by its mask.
    beyond = (moved - torch.tensor(FILL).view(3, 1, 1)).abs() < 0.01
    clear = (moved > 999) | beyond.all(0)
    assert clear.float().mean() > 0.93
    for image, mine in zip(photographs(), ours, strict=True):
        expected = theirs(image.to(torch.uint8), sign * value)
        assert (mine - expected)[clear].abs().max() <= 1


CUBIC_MOVES = {
    Operation.ROTATE: (-17.0, lambda image, v, how: functional.rotate(image, v, how)),
    Operation.SHEAR_X: (
        0.3,
        lambda image, v, how: image.transform(
            image.size, Image.Transform.AFFINE, (1, v, 0, 0, 1, 0), Image.Resampling.BICUBIC
        ),
    ),
    Operation.SHEAR_Y: (
        -0.2,
        lambda image, v, how: image.transform(
            image.size, Image.Transform.AFFINE, (1, 0, 0, v, 1, 0), Image.Resampling.BICUBIC
        ),
    ),
    Operation.TRANSLATE_X: (
        4.6,
        lambda image, v, how: image.transform(
            image.size, Image.Transform.AFFINE, (1, 0, -v, 0, 1, 0), Image.Resampling.BICUBIC
        ),
    ),
}


@pytest.mark.parametrize("kind", CUBIC_MOVES)
def test_moves_with_the_cubic_kernel_are_pils(kind):
    value, theirs = CUBIC_MOVES[kind]
    ours = applied(kind, value, cubic=True)
    linear = applied(kind, value)
    whole = theirs(pil(torch.full((3, 32, 32), 255.0)), value, InterpolationMode.BICUBIC)
    # Beside the uncovered, PIL repeats the edge, and we fade to the fill.
    ground = (functional.pil_to_tensor(whole) < 255).any(0).float()
    ground = torch.nn.functional.pad(ground, (1, 1, 1, 1), value=1.0)
    near = torch.nn.functional.max_pool2d(ground[None], 5, stride=1, padding=1)[0]
    clear = near == 0
    assert clear.float().mean() > 0.5
    for image, mine in zip(photographs(), ours, strict=True):
        expected = functional.pil_to_tensor(theirs(pil(image), value, InterpolationMode.BICUBIC))
        assert (mine - expected)[:, clear].abs().max() <= 1
    assert (ours - linear)[..., clear].abs().max() > 1


def test_bytes_are_added_to_the_dark_only():
    pixels = torch.arange(256.0).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    expected = torch.where(pixels < 128, (pixels + 110).clamp(max=255), pixels)
    assert torch.equal(applied(Operation.SOLARIZE_ADD, 110.0, pixels), expected)


def test_each_image_gets_its_own_operation_and_strength():
    images = photographs()
    kinds = torch.arange(len(images)) % 16 - 1
    values = 1.0 + torch.arange(len(images)) / 10
    together = images.clone()
    kernels = torch.arange(len(images)) % 3 == 0
    operations.apply(together, kinds, values, cubic=kernels, fill=FILL)
    for k in range(len(images)):
        alone = images[k : k + 1].clone()
        part = slice(k, k + 1)
        operations.apply(alone, kinds[part], values[part], cubic=kernels[part], fill=FILL)
        torch.testing.assert_close(together[k : k + 1], alone, atol=1, rtol=0)
        assert kinds[k] != Operation.NONE or torch.equal(alone, images[k : k + 1])


def test_every_operation_has_its_code():
    kinds = torch.arange(15)
    # An image with colours, edges and less than the full contrast has something to change.
    pixels = photographs(4)[3:].repeat(15, 1, 1, 1)
    before = pixels.clone()
    apply(pixels, kinds, torch.full((15,), 1.5))
    assert (pixels != before).flatten(1).any(1).all()


def test_tiny_and_grey_images_are_images_too():
    for size in (1, 2, 3):
        pixels = torch.full((15, 1, size, size), 100.0)
        for cubic in (False, True):
            apply(pixels, torch.arange(15), torch.full((15,), 1.5), cubic=cubic, fill=(128,))
        assert bool(pixels.isfinite().all())
