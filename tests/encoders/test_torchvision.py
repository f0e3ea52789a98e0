import urllib.request

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torchvision import models

from raylt import encoders
from raylt.encoders import EncoderConfig
from raylt.schema import EnvironmentError, InputError

DATA = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.2, 0.2)}


@pytest.mark.parametrize(
    ("name", "size", "width"),
    [
        ("resnet18", 32, 512),
        ("squeezenet1_1", 32, 512),
        ("mobilenet_v3_small", 32, 1024),
        ("shufflenet_v2_x0_5", 32, 1024),
        ("densenet121", 32, 1024),
        ("convnext_tiny", 32, 768),
        ("regnet_y_400mf", 32, 440),
        ("googlenet", 64, 1024),
        ("vit_b_16", 32, 768),
        ("swin_t", 64, 768),
    ],
)
def test_the_classifier_is_off_and_the_width_is_found(name, size, width):
    net = encoders.build(f"torchvision/{name}", channels=3, size=size, **DATA)
    assert net.width == width
    images = torch.rand(2, 3, size, size)
    assert net(images).shape == (2, width)
    # Nothing draws at random, and everything that trains is used.
    torch.manual_seed(0)
    first = net(images)
    torch.manual_seed(1)
    assert_close(net(images), first, rtol=0, atol=0)
    first.square().sum().backward()
    assert [path for path, p in net.named_parameters() if p.grad is None] == []


def test_features_are_those_of_the_whole_network_before_its_last_layer():
    torch.manual_seed(0)
    net = encoders.build("torchvision/resnet18", channels=3, size=32, **DATA).eval()
    torch.manual_seed(0)
    whole = models.resnet18(weights=None).eval()
    images = torch.rand(2, 3, 32, 32)
    normal = (images - net.mean) / net.std
    assert_close(whole.fc(net(images)), whole(normal))
    assert net.mean.flatten().tolist() == pytest.approx([0.5, 0.4, 0.3])


def test_grey_images_become_three_channels():
    grey = {"mean": (0.5,), "std": (0.25,)}
    net = encoders.build("torchvision/resnet18", channels=1, size=16, **grey).eval()
    images = torch.rand(2, 1, 16, 16)
    assert net.mean.shape == (1, 3, 1, 1)
    assert_close(net(images), net(images.expand(-1, 3, -1, -1)))


def test_a_size_that_the_network_does_not_take_is_named():
    with pytest.raises(InputError, match=r"vgg11 must take images of 16x16 pixels.*change size"):
        encoders.build("torchvision/vgg11", channels=3, size=16, **DATA)
    pretrained = EncoderConfig(name="torchvision/vit_b_16", pretrained=True)
    with pytest.raises(InputError, match="size must be 224 for the weights of torchvision/vit_b"):
        encoders.build(pretrained, channels=3, size=32, **DATA)


def test_without_a_network_one_line_says_what_to_do(monkeypatch, tmp_path):
    def offline(*_, **__):
        raise OSError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    pretrained = EncoderConfig(name="torchvision/resnet18", pretrained=True)
    with pytest.raises(EnvironmentError, match=r"resnet18 must be .*downloaded.*not known.*file"):
        encoders.build(pretrained, channels=3, size=32, **DATA)


def test_published_weights_come_with_their_normalisation(monkeypatch, tmp_path):
    published = models.resnet18(weights=None)
    nn.init.constant_(published.conv1.weight, 0.25)
    monkeypatch.setattr(
        torch.hub, "load_state_dict_from_url", lambda *_, **__: published.state_dict()
    )
    monkeypatch.setattr(
        "torchvision.models._api.load_state_dict_from_url", lambda *_, **__: published.state_dict()
    )
    chosen = EncoderConfig(name="torchvision/resnet18", pretrained=True, freeze=True)
    net = encoders.build(chosen, channels=3, size=32, **DATA)
    assert (net.network.conv1.weight == 0.25).all()
    assert net.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert net.std.flatten().tolist() == pytest.approx([0.229, 0.224, 0.225])
    before = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    net.train()(torch.rand(4, 3, 32, 32))
    assert all(torch.equal(before[key], tensor) for key, tensor in net.state_dict().items())
    assert not any(parameter.requires_grad for parameter in net.parameters())
    own = EncoderConfig(
        name="torchvision/resnet18", pretrained=True, mean=(0.1, 0.1, 0.1), std=(1.0, 1.0, 1.0)
    )
    assert encoders.build(own, channels=3, size=32, **DATA).mean.unique() == torch.tensor(0.1)
