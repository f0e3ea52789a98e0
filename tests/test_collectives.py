import copy

import pytest
import timm
import torch
import torch.distributed as dist
from torch import nn
from torch.testing import assert_close

from raylt import collectives
from raylt.cluster import network
from tests import distributed


def test_in_one_process_everything_is_the_identity():
    tensor = torch.randn(3, 2, requires_grad=True)
    assert (collectives.world(), collectives.rank()) == (1, 0)
    assert collectives.gather(tensor) is tensor
    assert_close(collectives.mean(tensor), tensor.detach())
    net = nn.Sequential(nn.BatchNorm1d(2))
    collectives.synchronise_norms(net)
    assert type(net[0]) is nn.BatchNorm1d


def _gathered():
    own = torch.full((2, 3), float(collectives.rank()), dtype=torch.float64, requires_grad=True)
    everyone = collectives.gather(own)
    # The workers ask for different rows with different strength.
    weight = torch.arange(12.0, dtype=torch.float64).view(4, 3) * (collectives.rank() + 1)
    (everyone * weight).sum().backward()
    labels = collectives.gather(torch.tensor([collectives.rank()]))
    middle = collectives.mean(torch.tensor(float(collectives.rank())))
    return collectives.world(), collectives.rank(), everyone.detach(), own.grad, labels, middle


def test_gather_joins_the_rows_and_sums_what_is_asked_of_them():
    for rank, computed in enumerate(distributed.run(_gathered)):
        world, number, everyone, gradient, labels, middle = computed
        assert (world, number) == (2, rank)
        assert everyone[:, 0].tolist() == [0, 0, 1, 1]
        # 1 + 2 times the weight of the own rows.
        rows = torch.arange(12.0, dtype=torch.float64).view(4, 3)[2 * rank : 2 * rank + 2]
        assert_close(gradient, 3 * rows)
        assert labels.tolist() == [0, 1]
        assert middle == 0.5


def _network():
    torch.manual_seed(3)
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16, 5),
        nn.Sequential(nn.BatchNorm1d(5)),
    )
    nn.init.normal_(net[1].weight)
    return net.double()


def _trained(net, images, world, rank):
    """Gradients and buffers after a step on this worker's part of the images."""
    part = images.chunk(world)[rank].requires_grad_()
    net(part).tanh().square().mean().backward()
    gradients = {name: p.grad for name, p in net.named_parameters()}
    return part.grad, gradients, dict(net.named_buffers())


def _joint(images):
    net = _network()
    names = list(net.state_dict())
    parameters = list(net.parameters())
    collectives.synchronise_norms(net)
    assert list(net.state_dict()) == names
    assert all(a is b for a, b in zip(parameters, net.parameters(), strict=True))
    inputs, gradients, buffers = _trained(net, images, 2, collectives.rank())
    gradients = {name: collectives.mean(g) for name, g in gradients.items()}
    net.eval()
    return inputs, gradients, buffers, net(images).detach()


def test_joint_norms_are_those_of_one_process():
    images = torch.randn(
        8, 2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    images = 5 + 0.1 * images
    net = _network()
    inputs, gradients, buffers = _trained(net, images.clone(), 1, 0)
    for rank, computed in enumerate(distributed.run(_joint, images)):
        # Each worker's loss is the mean over half of the images.
        assert_close(computed[0] / 2, inputs.chunk(2)[rank], rtol=1e-9, atol=1e-12)
        for name, gradient in gradients.items():
            assert_close(computed[1][name], gradient, rtol=1e-9, atol=1e-12)
        for name, buffer in buffers.items():
            assert_close(computed[2][name], buffer, rtol=1e-12, atol=1e-12)
        assert_close(computed[3], copy.deepcopy(net).eval()(images).detach())


def _activated():
    net = timm.create_model("test_efficientnet", num_classes=0).double()
    net.load_state_dict(_efficientnet().state_dict())
    names = list(net.state_dict())
    collectives.synchronise_norms(net)
    assert list(net.state_dict()) == names
    features = net(_photographs().chunk(2)[collectives.rank()])
    return features.detach(), net.eval()(_photographs()).detach()


def _efficientnet():
    torch.manual_seed(0)
    return timm.create_model("test_efficientnet", num_classes=0).double()


def _photographs():
    generator = torch.Generator().manual_seed(1)
    return torch.rand(8, 3, 32, 32, dtype=torch.float64, generator=generator)


def test_the_activation_inside_a_norm_of_timm_stays():
    net = _efficientnet()
    expected, later = net(_photographs()).detach(), net.eval()(_photographs()).detach()
    for rank, (features, evaluated) in enumerate(distributed.run(_activated)):
        assert_close(features, expected.chunk(2)[rank], rtol=1e-9, atol=1e-11)
        assert_close(evaluated, later, rtol=1e-9, atol=1e-11)


def _half():
    net = nn.Sequential(nn.BatchNorm2d(3))
    collectives.synchronise_norms(net)
    images = torch.randn(4, 3, 5, 5).to(torch.bfloat16, memory_format=torch.channels_last)
    computed = net(images)
    return (
        computed.dtype,
        computed.is_contiguous(memory_format=torch.channels_last),
        computed.std().item(),
    )


def test_joint_norms_keep_dtype_and_layout():
    for dtype, channels_last, std in distributed.run(_half):
        assert dtype == torch.bfloat16
        assert channels_last
        assert 0.9 < std < 1.1


def _replicated():
    net = nn.Sequential(collectives.Replicated(nn.BatchNorm1d(2)), nn.BatchNorm1d(2))
    collectives.synchronise_norms(net)
    return type(net[0][0]).__name__, type(net[1]).__name__


def test_the_norms_of_a_replicated_part_are_left_alone():
    for inner, outer in distributed.run(_replicated):
        assert inner == "BatchNorm1d"
        assert outer != "BatchNorm1d"


@pytest.fixture
def alone_over_nccl(monkeypatch, tmp_path):
    """A group of one worker over NCCL that works as several would."""
    network.name_interface("127.0.0.1")
    where = f"file://{tmp_path / 'meeting'}"
    dist.init_process_group("nccl", init_method=where, rank=0, world_size=1)
    monkeypatch.setattr(collectives, "_together", lambda: True)
    yield
    dist.destroy_process_group()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="NCCL needs a CUDA device")
def test_nccl_gathers_and_averages_as_one_process_does(alone_over_nccl):
    own = torch.randn(4, 3, device="cuda", requires_grad=True)
    weight = torch.randn(4, 3, device="cuda")
    everyone = collectives.gather(own)
    (everyone * weight).sum().backward()
    assert_close(everyone.detach(), own.detach())
    assert_close(own.grad, weight)
    assert_close(collectives.mean(own), own.detach())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="NCCL needs a CUDA device")
def test_norms_on_a_gpu_become_torchs_own_and_compute_the_same(alone_over_nccl):
    images = torch.randn(8, 2, 4, 4, dtype=torch.float64)
    net = _network()
    inputs, gradients, buffers = _trained(net, images.clone(), 1, 0)
    joint = _network().cuda()
    names = list(joint.state_dict())
    collectives.synchronise_norms(joint)
    assert type(joint[1]) is type(joint[5][0]) is nn.SyncBatchNorm
    assert list(joint.state_dict()) == names
    computed = _trained(joint, images.cuda(), 1, 0)
    assert_close(computed[0].cpu(), inputs)
    for mine, theirs in ((computed[1], gradients), (computed[2], buffers)):
        for name, value in theirs.items():
            assert_close(mine[name].cpu(), value)
