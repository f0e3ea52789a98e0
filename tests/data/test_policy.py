import pytest
import torch
from scipy.stats import chisquare
from torchvision import transforms
from torchvision.transforms.functional import InterpolationMode

from raylt.data import operations, policy
from raylt.data.operations import Operation

NAMES = {
    "ShearX": Operation.SHEAR_X,
    "ShearY": Operation.SHEAR_Y,
    "TranslateX": Operation.TRANSLATE_X,
    "TranslateY": Operation.TRANSLATE_Y,
    "Rotate": Operation.ROTATE,
    "Brightness": Operation.BRIGHTNESS,
    "Color": Operation.COLOUR,
    "Contrast": Operation.CONTRAST,
    "Sharpness": Operation.SHARPNESS,
    "Posterize": Operation.POSTERIZE,
    "Solarize": Operation.SOLARIZE,
    "AutoContrast": Operation.AUTO_CONTRAST,
    "Equalize": Operation.EQUALIZE,
    "Invert": Operation.INVERT,
}
ENHANCED = (
    Operation.COLOUR,
    Operation.CONTRAST,
    Operation.BRIGHTNESS,
    Operation.SHARPNESS,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def performed(monkeypatch, augment, n=6000, size=32):
    """The operations, values and kernels that a policy asks for, (steps, n) each."""
    asked = []
    monkeypatch.setattr(
        operations,
        "apply",
        lambda pixels, kinds, values, cubic, fill: asked.append((kinds, values, cubic)),
    )
    augment(torch.zeros(n, 3, size, size), generator())
    return tuple(map(torch.stack, zip(*asked, strict=True)))


def their_policies():
    their = transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10)
    ranges = their._augmentation_space(10, (32, 32))
    for pair in their.policies:
        steps = []
        for name, chance, level in pair:
            kind = NAMES[name]
            magnitudes, signed = ranges[name]
            value = float(magnitudes[level]) if level is not None else None
            if kind in (Operation.TRANSLATE_X, Operation.TRANSLATE_Y):
                value = int(value)
            steps.append((kind, chance, value, signed))
        yield tuple(steps)


def test_the_learned_policy_is_torchvisions():
    for ours, theirs in zip(policy.SUB_POLICIES, their_policies(), strict=True):
        for (kind, chance, level), (their_kind, their_chance, value, signed) in zip(
            (ours[:3], ours[3:]), theirs, strict=True
        ):
            assert (kind, chance) == (their_kind, their_chance)
            if value is None:
                continue
            kinds = torch.full((2, 20), int(kind))
            values = policy._values(
                policy.LEARNED,
                kinds,
                torch.full((2, 20), float(level)),
                size=32,
                generator=generator(),
            )
            mine = (values - float(kind in ENHANCED)).abs()
            assert float(mine.max()) == pytest.approx(value, abs=1e-5)
            assert float(mine.min()) == pytest.approx(value, abs=1e-5)
            assert policy.LEARNED[kind].signed == signed


def test_each_pair_of_the_learned_policy_is_equally_likely(monkeypatch):
    kinds, _, cubic = performed(monkeypatch, policy.auto_augment, n=20_000)
    assert not cubic.any()
    expected = torch.zeros(2, 16, dtype=torch.float64)
    for pair in their_policies():
        for step, (kind, chance, _, _) in enumerate(pair):
            expected[step, kind + 1] += chance / 25
            expected[step, 0] += (1 - chance) / 25
    for step in range(2):
        seen = torch.bincount(kinds[step] + 1, minlength=16).double()
        likely = expected[step]
        assert seen[likely == 0].sum() == 0
        share = likely[likely > 0] / likely.sum()
        assert chisquare(seen[likely > 0].numpy(), (20_000 * share).numpy()).pvalue > 1e-3


def test_random_operations_follow_bcls_law(monkeypatch):
    kinds, values, cubic = performed(monkeypatch, policy.rand_augment, n=20_000)
    assert abs(cubic.float().mean() - 0.5) < 0.02
    seen = torch.bincount(kinds.flatten() + 1, minlength=16).double()
    share = torch.tensor([0.5] + [0.5 / 15] * 15, dtype=torch.float64)
    assert chisquare(seen.numpy(), (40_000 * share).numpy()).pvalue > 1e-3

    def drawn(kind):
        return values[kinds == kind]

    # A level of N(10, 1/2) up to 10 is exactly 10 in half of the cases.
    for kind in ENHANCED:
        assert abs((drawn(kind) > 1.8999).float().mean() - 0.5) < 0.06
        assert drawn(kind).min() > 0.1 + 0.18 * 7.5
    turned = drawn(Operation.ROTATE)
    assert turned.abs().max() == 30
    assert abs((turned > 0).float().mean() - 0.5) < 0.06
    assert set(drawn(Operation.POSTERIZE).tolist()) == {3.0, 4.0}
    assert drawn(Operation.SOLARIZE).max() == 256
    assert drawn(Operation.SOLARIZE_ADD).max() == 110
    assert drawn(Operation.SHEAR_X).abs().max() == pytest.approx(0.3)
    assert drawn(Operation.TRANSLATE_Y).abs().max() == pytest.approx(0.45 * 32)


@pytest.mark.parametrize("size", [32, 20])
def test_cutout_is_a_square_of_half_the_side_cut_at_the_edge(size):
    n, half = 3000, size // 4
    views = policy.cutout(torch.ones(n, 3, size, size), generator())
    hidden = views[:, 0] == 0
    assert torch.equal(views[:, 0], views[:, 2])
    centres = torch.arange(size)
    widths = torch.minimum(centres + half, torch.tensor(size)) - (centres - half).clamp(min=0)
    expected = widths.float().mean() ** 2
    assert abs(hidden.sum((1, 2)).float().mean() / expected - 1) < 0.03
    assert hidden.sum((1, 2)).max() == (2 * half) ** 2
    rows, columns = hidden.any(2).sum(1), hidden.any(1).sum(1)
    assert torch.equal(hidden.sum((1, 2)), rows * columns)


class OnDevice(torch.Generator):
    """What can be asked of a device's generator without waiting for the device."""

    device = torch.device("cuda")

    def __new__(cls, seed, offset):
        made = super().__new__(cls)
        made.initial_seed, made.get_offset = lambda: seed, lambda: offset
        return made


def test_draws_for_a_device_are_made_here_and_never_twice_the_same():
    streams = [(0, 0), (0, 4), (1, 0), (2**64 - 1, 4)]
    draws = [torch.rand(8, generator=policy._host(OnDevice(*item))) for item in streams]
    assert len(torch.unique(torch.stack(draws), dim=0)) == len(streams)
    again = torch.rand(8, generator=policy._host(OnDevice(0, 4)))
    assert torch.equal(again, draws[1])


def test_learned_views_resemble_torchvisions_in_law():
    coarse = torch.rand(1, 3, 6, 6, generator=generator())
    image = torch.nn.functional.interpolate(coarse, size=32, mode="bicubic").clamp(0, 1)
    n = 3000
    ours = policy.auto_augment(image.repeat(n, 1, 1, 1), generator()).mean((1, 2, 3))
    torch.manual_seed(0)
    their = transforms.AutoAugment(
        transforms.AutoAugmentPolicy.CIFAR10, InterpolationMode.BILINEAR, [128, 128, 128]
    )
    pixels = (image[0] * 255).round().to(torch.uint8)
    theirs = torch.stack([their(pixels).float().mean() / 255 for _ in range(n)])
    # Three standard errors of the difference of two means.
    assert abs(ours.mean() - theirs.mean()) < 3 * error_of_difference(ours, theirs)
    assert abs(ours.std() / theirs.std() - 1) < 0.15


def error_of_difference(first, other):
    return float((first.var() / len(first) + other.var() / len(other)).sqrt())
