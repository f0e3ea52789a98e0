import copy
import socket

import pytest
import timm
import torch
from huggingface_hub import constants
from torch.testing import assert_close

from raylt import encoders
from raylt.encoders import EncoderConfig
from raylt.methods import _base
from raylt.schema import EnvironmentError, InputError
from raylt.trial.compiled import Compiled

DATA = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.2, 0.2)}
PHOTOGRAPHS = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
TINY = ("test_resnet", "test_convnext", "test_vit", "test_efficientnet")


@pytest.mark.parametrize("name", TINY)
def test_features_are_those_of_timm(name):
    torch.manual_seed(0)
    net = encoders.build(f"timm/{name}", channels=3, size=32, **DATA).eval()
    torch.manual_seed(0)
    sized = {"img_size": 32} if name == "test_vit" else {}
    expected = timm.create_model(name, num_classes=0, **sized).eval()
    images = torch.rand(2, 3, 32, 32)
    assert_close(net(images), expected((images - net.mean) / net.std))
    assert net.width == expected.num_features


def test_a_transformer_is_built_for_the_size_and_refuses_what_its_patches_do_not_fill():
    net = encoders.build("timm/test_vit", channels=3, size=48, **DATA)
    assert net(torch.rand(2, 3, 48, 48)).shape == (2, net.width)
    with pytest.raises(InputError, match=r"test_vit must take images of 40x40 pixels.*change"):
        encoders.build("timm/test_vit", channels=3, size=40, **DATA)


def test_a_model_without_published_weights_says_so():
    without = next(
        name for name in timm.list_models() if not timm.get_pretrained_cfg(name).has_weights
    )
    with pytest.raises(InputError, match="of which timm has no weights"):
        encoders.build(
            EncoderConfig(name=f"timm/{without}", pretrained=True), channels=3, size=32, **DATA
        )


def test_a_wrong_tag_is_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"tag of timm's weights; .*'test_vit.r160_in1k'"):
        encoders.build("timm/test_vit.r160_in1", channels=3, size=32, **DATA)


def test_without_a_network_it_does_not_wait(monkeypatch, tmp_path):
    def refused(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(socket, "create_connection", refused)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    pretrained = EncoderConfig(name="timm/test_vit", pretrained=True)
    with pytest.raises(EnvironmentError, match=r"timm/test_vit must be at hand or be downloaded"):
        encoders.build(pretrained, channels=3, size=32, **DATA)


@pytest.mark.parametrize("name", TINY)
def test_sdclr_trains_them_in_channels_last_as_it_does_without(name):
    losses = []
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        method = sdclr(name).double().to(memory_format=layout)
        method.begin_epoch(0)
        images = PHOTOGRAPHS.double().to(memory_format=layout)
        loss = sum(method([images, images.flip(3)], torch.zeros(4)).values())
        loss.backward()
        losses.append((loss, method.encoder.network.get_parameter(first(method)).grad))
    assert_close(losses[0], losses[1], rtol=1e-9, atol=1e-11)


def sdclr(name):
    kind = _base.named("sdclr")
    net = encoders.build(f"timm/{name}", channels=3, size=32, **DATA)
    return kind(kind.Config(prune=0.5), net, torch.tensor((3, 1)))


def first(method):
    return next(path for path, p in method.encoder.network.named_parameters() if p.ndim == 4)


@pytest.mark.slow
def test_a_transformers_step_is_compiled():
    # One of them: each takes minutes of a compiler, and convolutions are compiled elsewhere.
    torch.manual_seed(0)
    method = sdclr("test_vit")
    method.begin_epoch(0)
    images = PHOTOGRAPHS
    views, labels = [images, images.flip(3)], torch.zeros(4)
    expected = sum(copy.deepcopy(method)(views, labels).values())
    program = Compiled(method)
    result = sum(program(views, labels).values())
    assert program.failure == ""
    assert_close(result, expected, rtol=1e-3, atol=1e-4)
