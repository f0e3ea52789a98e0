"""A rehearsal for the GPU: steps on a pretended `cuda`, whose tensors have shapes but no numbers.

Fake tensors know their device, so that a mix of devices is an error, as is everything that needs
a number on the host or makes a shape of one. What only copies to the host is caught beside them.
Autograd has no engine for a device that is not there: backward passes run on `meta` tensors.
"""

import contextlib

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from raylt import encoders, optim
from raylt.data.augment import VIEWS
from raylt.methods import _base, tsc
from raylt.nn import probe
from raylt.sections import Augment
from raylt.trial.fit import descend
from tests.methods.made import CASES, COUNTS

GPU = torch.device("cuda")
IMAGES, SIZE = 8, 8
LOUD = Augment(
    crop=0.2, resample="bicubic", flip=0.5, jitter=1.0, grey=0.2, blur=0.5, rotate=10.0, shear=5.0
)


class ReadBack(Exception):
    """A number went from the device to the host."""


class NoReadBack(TorchDispatchMode):
    """Refuses operations that take tensors of the device and give some of the host."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        answer = func(*args, **(kwargs or {}))
        given = {leaf.device.type for leaf in tree_leaves((args, kwargs)) if _is_tensor(leaf)}
        made = {leaf.device.type for leaf in tree_leaves(answer) if _is_tensor(leaf)}
        if "cuda" in given and "cpu" in made:
            raise ReadBack(str(func))
        return answer


def _is_tensor(value):
    return isinstance(value, torch.Tensor)


@contextlib.contextmanager
def pretended():
    """Everything that is made in a `with` may lie on the GPU that is not there."""
    with FakeTensorMode(), NoReadBack():
        yield


def moved(module, device):
    """The module with parameters and buffers without numbers in place of its own."""
    for part in module.modules():
        for name, weight in part._parameters.items():
            if weight is not None:
                made = torch.empty_strided(
                    weight.size(), weight.stride(), dtype=weight.dtype, device=device
                )
                part._parameters[name] = nn.Parameter(made, requires_grad=weight.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = torch.empty_strided(
                    buffer.size(), buffer.stride(), dtype=buffer.dtype, device=device
                )
    return module


def built(name, changes):
    method_type = _base.named(name)
    config = method_type.Config(**changes)
    net = encoders.build("small", channels=3, size=SIZE, mean=(0.5,) * 3, std=(0.5,) * 3)
    return _base.build(config, net, COUNTS), method_type.views(config)


def batch(views, device):
    images = [torch.empty(IMAGES, 3, SIZE, SIZE, device=device) for _ in views]
    return images, torch.empty(IMAGES, dtype=torch.int64, device=device)


def an_optimizer(method):
    return optim.optimizer(
        method, name="sgd", lr=0.1, momentum=0.9, weight_decay=1e-4, decay_norms=True
    )


@pytest.fixture
def on_meta(monkeypatch):
    """`meta` in the place of the GPU; it has no autocast."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    return torch.device("meta")


class PretendedGenerator(torch.Generator):
    """Says that it lies on the device that is not there."""

    device = property(lambda self: torch.device("meta"))

    def get_offset(self):
        return 0


every_case = pytest.mark.parametrize(("name", "changes"), CASES, ids=str)


@pytest.fixture
def matchings(monkeypatch):
    """TSC's matching is the one thing that goes by way of the host: once an epoch, before its
    first step, when nothing is under way on the device. What it gets and gives lies there."""
    calls = []

    def matched(centroids, targets):
        calls.append((centroids.device.type, targets.device.type))
        return torch.empty(len(targets), dtype=torch.int64, device=targets.device)

    monkeypatch.setattr(tsc, "matched", matched)
    return calls


@every_case
def test_an_epoch_begins_and_a_step_goes_forward_without_the_host(name, changes, matchings):
    method, views = built(name, changes)
    with pretended():
        moved(method, GPU).train()
        for epoch in range(2):
            method.begin_epoch(epoch)
            begun = len(matchings)
            terms = method(*batch(views, GPU))
            assert len(matchings) == begun
        expected = 2 if name == "tsc" and method.config.warmup == 0 else 0
        assert matchings == [("cuda", "cuda")] * expected
        assert all(term.device.type == "cuda" and term.ndim == 0 for term in terms.values())
        method.eval()
        images = batch(views, GPU)[0][0]
        assert method.encode(images).device.type == "cuda"
        if (classify := method.classifier()) is not None:
            assert classify(images).shape == (IMAGES, len(COUNTS))


@every_case
def test_a_whole_step_needs_no_number(name, changes, on_meta):
    method, views = built(name, changes)
    moved(method, on_meta).train()
    terms = descend(method, *batch(views, on_meta), an_optimizer(method), contextlib.nullcontext)
    assert all(term.device == on_meta for term in terms.values())


@pytest.mark.parametrize("name", VIEWS)
def test_views_are_made_without_the_host(name, on_meta):
    images = torch.empty(IMAGES, 3, SIZE, SIZE, dtype=torch.uint8, device=on_meta)
    views = VIEWS[name](images, size=SIZE, params=LOUD, generator=PretendedGenerator())
    assert views.device == on_meta
    assert views.shape == images.shape


@pytest.mark.parametrize("kind", ["sgd", "sgd-few-shot", "adam"])
def test_a_probe_is_fitted_without_the_host(kind, on_meta):
    """L-BFGS is no such loop: its line search asks for the loss."""
    features, labels = torch.empty(20, 4, device=on_meta), torch.empty(20, device=on_meta).long()
    head = probe.linear(features, labels, classes=3, kind=kind, early=False, batch_size=8, seed=0)
    assert head(features).device == on_meta


def test_neighbours_are_found_without_the_host():
    with pretended():
        features, labels = torch.empty(20, 4, device=GPU), torch.empty(20, device=GPU).long()
        result = probe.neighbours(features, labels, features, classes=3, k=5)
    assert result.device.type == "cuda"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (lambda x: tsc.matched(x[:, None], x[:, None]), ReadBack),
        (lambda x: x.sum().item(), Exception),
        (lambda x: x.cpu(), ReadBack),
        (lambda x: x[x > 0], Exception),
        (lambda x: x + torch.ones(4), Exception),
    ],
)
def test_the_rehearsal_sees_every_kind_of_fault(fault, error):
    with pretended(), pytest.raises(error):
        fault(torch.empty(4, device=GPU))
