import pytest
import torch
from torch import nn
from torch.testing import assert_close

from raylt import encoders

GREY = {"channels": 1, "mean": (0.5,), "std": (0.25,)}
COLOUR = {"channels": 3, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def convolutions(net):
    return [module for module in net.modules() if isinstance(module, nn.Conv2d)]


@pytest.mark.parametrize(
    ("name", "width", "weights"),
    [
        ("small", 256, None),
        ("resnet18", 512, 11_159_232),
        ("resnet32", 64, 461_232),
    ],
)
@pytest.mark.parametrize("size", [8, 16, 32])
def test_small_pictures_become_features(name, width, weights, size):
    net = encoders.build(name, size=size, **COLOUR)
    assert net.width == width
    assert net(torch.rand(2, 3, size, size)).shape == (2, width)
    # Sizes of the prunable sets of SDCLR, METHODS A2.
    if weights:
        assert sum(conv.weight.numel() for conv in convolutions(net)) == weights


@pytest.mark.parametrize(("name", "std"), [("resnet32", 0.118), ("resnet32_fan_in", 0.272)])
def test_the_first_weights_of_resnet32_are_of_the_fan_that_its_name_says(name, std):
    torch.manual_seed(0)
    net = encoders.build(name, size=32, **COLOUR)
    first, *others = convolutions(net)
    assert first.weight.std().item() == pytest.approx(std, rel=0.1)
    assert sum(conv.weight.numel() for conv in (first, *others)) == 461_232
    # The law is told from its double by a layer with more channels out than in, 16 to 32.
    (wider,) = (conv for conv in others if conv.in_channels == 16 and conv.out_channels == 32)
    fan = 9 * (16 if name == "resnet32_fan_in" else 32)
    assert wider.weight.std().item() == pytest.approx((2 / fan) ** 0.5, rel=0.05)


@pytest.mark.parametrize("name", ["resnet50", "resnext50"])
def test_torchvisions_networks_take_both_stems(name):
    for size, kernel in ((224, 7), (32, 3)):
        net = encoders.build(name, size=size, **COLOUR)
        assert net.width == 2048
        assert net.network.conv1.kernel_size == (kernel, kernel)
    assert net(torch.rand(2, 3, 32, 32)).shape == (2, 2048)
    if name == "resnet50":
        net = encoders.build(name, size=224, **COLOUR)
        assert sum(conv.weight.numel() for conv in convolutions(net)) == 23_454_912


def test_an_odd_size_and_grey_pictures_pass():
    for name in ("small", "resnet18", "resnet32"):
        assert encoders.build(name, size=27, **GREY)(torch.rand(2, 1, 27, 27)).isfinite().all()


def test_convolutions_are_drawn_over_their_fan_out_and_norms_begin_as_the_identity():
    torch.manual_seed(0)
    net = encoders.build("resnet18", size=32, **COLOUR)
    for conv in convolutions(net)[1:]:
        fan_out = conv.out_channels * conv.kernel_size[0] * conv.kernel_size[1]
        assert conv.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all((norm.weight == 1).all() and (norm.bias == 0).all() for norm in norms)


def test_the_same_seed_gives_the_same_weights():
    def drawn():
        torch.manual_seed(5)
        return encoders.build("small", size=8, **GREY).state_dict()

    assert all((a == b).all() for a, b in zip(drawn().values(), drawn().values(), strict=True))


def test_channels_last_gives_the_same_features():
    net = encoders.build("resnet32", size=16, **COLOUR).eval()
    pixels = torch.rand(2, 3, 16, 16)
    expected = net(pixels)
    net = net.to(memory_format=torch.channels_last)
    result = net(pixels.to(memory_format=torch.channels_last))
    assert_close(result, expected, rtol=1e-4, atol=1e-5)
