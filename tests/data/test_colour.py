import itertools

import pytest
import torch
from PIL import Image, ImageFilter
from scipy.stats import kstest
from torchvision.transforms import functional

from raylt.data import colour

OPERATIONS = (
    functional.adjust_brightness,
    functional.adjust_contrast,
    functional.adjust_saturation,
    functional.adjust_hue,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def photographs(n, channels=3, size=16):
    coarse = torch.rand(n, channels, 5, 5, generator=generator())
    return torch.nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)


def draws(n):
    factors = 0.5 + torch.rand(3, n, 1, 1, 1, generator=generator(1))
    return factors, torch.rand(n, 1, 1, 1, generator=generator(2)) - 0.5


def torchvision_chain(image, factors, turn, order):
    for operation in order:
        value = turn if operation == 3 else factors[operation]
        image = OPERATIONS[operation](image, float(value))
    return image


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 3, 0, 1)])
def test_jitter_in_one_order_is_torchvisions(order):
    views = photographs(16)
    factors, turn = draws(16)
    ours = colour.jitter_all(views, factors, turn, order)
    for k in range(16):
        theirs = torchvision_chain(views[k], factors[:, k], turn[k], order)
        torch.testing.assert_close(ours[k], theirs, atol=2e-4, rtol=0)


def test_jitter_in_each_images_own_order_is_torchvisions():
    views = photographs(24)
    factors, turn = draws(24)
    orders = list(itertools.permutations(range(4)))
    ours = colour.jitter_each(views, factors, turn, torch.tensor(orders))
    for k, order in enumerate(orders):
        theirs = torchvision_chain(views[k], factors[:, k], turn[k], order)
        torch.testing.assert_close(ours[k], theirs, atol=2e-4, rtol=0)


def test_both_forms_of_jitter_agree_on_grey_images():
    views = photographs(6, channels=1)
    factors, turn = draws(6)
    for order in ((0, 1, 2, 3), (3, 1, 2, 0)):
        item = colour.jitter_all(views, factors, turn, order)
        entry = colour.jitter_each(views, factors, turn, torch.tensor([order] * 6))
        torch.testing.assert_close(item, entry)


def test_pure_and_grey_colours_turn_without_a_division_by_nothing():
    corners = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3))).view(8, 3, 1, 1)
    third = torch.full((8, 1, 1, 1), 1 / 3)
    # A third of the circle makes red green, green blue and blue red; black, grey, white stay.
    torch.testing.assert_close(colour.turn_hue(corners, third), corners.roll(1, 1))
    flat = torch.full((8, 3, 2, 2), 0.4)
    torch.testing.assert_close(colour.turn_hue(flat, third), flat)


def test_jitter_draws_one_uniform_factor_for_each_image():
    n = 4000
    views = torch.full((n, 1, 2, 2), 0.5)
    paint = colour.jitter(n, reach=(0.4, 0.4, 0.4, 0.1), probability=0.8, generator=generator())
    # On an even grey image contrast does nothing, so only brightness shows.
    change = paint(views, slice(0, n)).amax((1, 2, 3)) / 0.5 - 1
    assert torch.equal(change, paint(views, slice(0, n)).amin((1, 2, 3)) / 0.5 - 1)
    changed = change[change.abs() > 1e-6]
    assert abs(len(changed) / n - 0.8) < 0.03
    assert kstest(changed.numpy(), "uniform", (-0.4, 0.8)).pvalue > 1e-3


def test_the_orders_of_jitter_are_shared_out_evenly():
    paint = colour.jitter(48, reach=(0.4, 0.4, 0.4, 0.1), probability=1.0, generator=generator())
    views = photographs(2)
    seen = {tuple(paint(views, slice(0, 2)).flatten().tolist()) for _ in range(24)}
    assert len(seen) == 24


def test_the_chosen_share_loses_its_colours():
    views = photographs(1).expand(2000, 3, 16, 16)
    grey = colour.lose_colour(2000, probability=0.2, generator=generator())(views, slice(None))
    lost = (grey[:, 0] == grey[:, 1]).all(-1).all(-1)
    assert abs(lost.float().mean() - 0.2) < 0.03
    expected = functional.rgb_to_grayscale(views[0])
    torch.testing.assert_close(grey[lost][0, :1], expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(grey[~lost][0], views[0])


@pytest.mark.parametrize("radius", [0.1, 0.5, 1.0, 1.7, 2.0])
def test_blur_is_pils(radius):
    views = photographs(1, size=32)
    matrix = colour.blur_matrix(torch.tensor([radius]), 32)[:, None]
    ours = (matrix @ views @ matrix.transpose(-1, -2))[0] * 255
    pixels = (views[0] * 255).round().to(torch.uint8)
    blurred = Image.fromarray(pixels.permute(1, 2, 0).numpy()).filter(
        ImageFilter.GaussianBlur(radius)
    )
    # PIL rounds to whole numbers after each of six passes.
    assert (ours - functional.pil_to_tensor(blurred)).abs().max() < 3.5


def test_the_radius_of_a_blur_is_uniform_where_there_is_one():
    """A point of light is spread to the variance of the kernel, the square of the radius."""
    n = 3000
    points = torch.zeros(n, 1, 33, 33)
    points[:, :, 16, 16] = 1
    spread = colour.blur(n, 33, probability=0.5, generator=generator())(points, slice(None))
    apart = (torch.arange(33.0) - 16).square()
    radius = (spread.sum((1, 2)) @ apart).clamp(min=0).sqrt()
    blurred = radius[radius > 0.05]
    assert abs(len(blurred) / n - 0.5) < 0.03
    assert kstest(blurred.numpy(), "uniform", (0.1, 1.9)).pvalue > 1e-3


def test_no_radius_is_no_blur():
    matrix = colour.blur_matrix(torch.zeros(2), 8)
    torch.testing.assert_close(matrix, torch.eye(8).expand(2, 8, 8))
    views = photographs(4)
    paint = colour.blur(4, 16, probability=0.0, generator=generator())
    torch.testing.assert_close(paint(views, slice(None)), views)
