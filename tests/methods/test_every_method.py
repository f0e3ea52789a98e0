"""What every file of raylt/methods must fulfil; a new file is tested unasked."""

import copy
import inspect

import pytest
import torch
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch.testing import assert_close

from raylt import collectives, encoders, optim, plugins, recipe
from raylt.data import augment
from raylt.methods import _base
from raylt.schema import MethodConfig
from tests import distributed
from tests.methods.made import CASES, COUNTS, NAMES

LABELS = torch.tensor([0, 0, 0, 1, 0, 1, 2, 3])
# These can be shared out over three workers, too.
MORE_LABELS = torch.tensor([0, 0, 0, 1, 0, 1, 2, 3, 0, 2, 0, 1])

every_case = pytest.mark.parametrize(("name", "changes"), CASES, ids=str)
every_name = pytest.mark.parametrize("name", NAMES)


@every_name
def test_the_published_setting_is_stated_with_its_source(name):
    published = plugins.declared("methods", name, "PUBLISHED")
    assert published.source
    values = {
        "data": {"name": "digits"},
        "method": {"name": name},
        "encoder": "small",
        "optimizer": {"batch_size": 64},
        "epochs": 6,
    }
    recipe.parse(recipe.filled(values, {"optimizer.lr": 0.1, **published.values}))


def build(name, changes, seed=0):
    torch.manual_seed(seed)
    config = plugins.module("methods", name).Config(**changes)
    net = encoders.build("small", channels=1, size=8, mean=(0.5,), std=(0.5,))
    return _base.build(config, net, COUNTS), config


@every_case
def test_its_settings_tell_whether_the_probe_classifies(name, changes):
    method, config = build(name, changes)
    assert config.is_probed() == (method.classifier() is None and method.probe() is None)


def views(config, method, seed=1, images=8):
    generator = torch.Generator().manual_seed(seed)
    names = type(method).views(config)
    return [torch.rand(images, 1, 8, 8, generator=generator) for _ in names]


def steps(method, images, count):
    moved = optim.optimizer(
        method, name="sgd", lr=0.05, momentum=0.9, weight_decay=1e-4, decay_norms=True
    )
    for epoch in range(count):
        method.begin_epoch(epoch)
        moved.zero_grad()
        sum(method(images, LABELS).values()).backward()
        moved.step()
    return method


@every_name
def test_the_file_defines_one_method_and_its_config(name):
    method = _base.named(name)
    module = plugins.module("methods", name)
    assert method.Config is module.Config
    assert issubclass(module.Config, MethodConfig)
    assert module.Config().name == name
    assert inspect.getdoc(module)


@every_name
def test_the_config_can_be_read_without_the_rest_of_the_file(name):
    light, whole = plugins.config("methods", name), plugins.module("methods", name).Config
    assert light is not whole
    assert light().model_dump() == whole().model_dump()
    for field, info in whole.model_fields.items():
        assert light.model_fields[field].annotation == info.annotation
        assert repr(light.model_fields[field].metadata) == repr(info.metadata)


@every_name
def test_every_knob_is_documented(name):
    # Of two classes from one file, pydantic finds the docstrings of the first that is made.
    light, whole = plugins.config("methods", name), plugins.module("methods", name).Config
    for field, info in whole.model_fields.items():
        documented = info.description or light.model_fields[field].description
        assert documented, f"{name}.{field} has no docstring"


@every_name
def test_a_method_is_built_with_the_config_of_its_own_file(name):
    net = encoders.build("small", channels=1, size=8, mean=(0.5,), std=(0.5,))
    method = _base.build(plugins.config("methods", name)(), net, COUNTS)
    assert type(method.config) is type(method).Config


@every_case
def test_its_views_exist(name, changes):
    method, config = build(name, changes)
    assert set(type(method).views(config)) <= set(augment.VIEWS)


@every_case
def test_terms_are_finite_scalars_and_their_gradient_reaches_every_parameter(name, changes):
    method, config = build(name, changes)
    method.begin_epoch(0)
    terms = method(views(config, method), LABELS)
    assert terms
    assert all(term.shape == () and term.isfinite() for term in terms.values())
    sum(terms.values()).backward()
    for parameter_name, parameter in method.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name


@every_case
def test_a_few_steps_descend(name, changes):
    method, config = build(name, changes)
    images = views(config, method)
    method.begin_epoch(0)
    method(images, LABELS)
    # A queue begins with noise, which is easily told apart: compared is what follows these images.
    before = sum(method(images, LABELS).values()).item()
    steps(method, images, 15)
    assert sum(method(images, LABELS).values()).item() < before


@every_case
def test_the_same_seed_is_the_same_run(name, changes):
    method, config = build(name, changes)
    images = views(config, method)
    first = steps(method, images, 3).state_dict()
    second = steps(build(name, changes)[0], images, 3).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


@every_case
def test_a_state_dict_is_the_whole_state(name, changes):
    method, config = build(name, changes)
    images = views(config, method)
    steps(method, images, 2)
    fresh, _ = build(name, changes, seed=9)
    fresh.load_state_dict(copy.deepcopy(method.state_dict()))
    # Without begin_epoch, as a run goes on in the middle of an epoch.
    for expected, computed in zip(
        method(images, LABELS).values(), fresh(images, LABELS).values(), strict=True
    ):
        assert_close(computed, expected, rtol=0, atol=0)
    memory = [tensor.data_ptr() for tensor in method.state_dict().values()]
    assert len(set(memory)) == len(memory), "two names for one tensor cannot be stored safely"


@every_case
def test_a_copy_lives_by_itself(name, changes):
    method, config = build(name, changes)
    images = views(config, method)
    method.begin_epoch(0)
    expected = {key: term.item() for key, term in method(images, LABELS).items()}
    method, _ = build(name, changes)
    method.begin_epoch(0)
    copied = copy.deepcopy(method)
    with torch.no_grad():
        for parameter in method.parameters():
            parameter.zero_()
    assert {key: term.item() for key, term in copied(images, LABELS).items()} == expected


@every_case
def test_features_and_logits_have_their_shape(name, changes):
    method, config = build(name, changes)
    method.eval()
    images = views(config, method)[0]
    assert method.encode(images).shape == (len(images), method.encoder.width)
    classify = method.classifier()
    if classify is not None:
        assert classify(images).shape == (len(images), len(COUNTS))


@every_case
def test_under_autocast_the_terms_are_float32_and_about_the_same(name, changes):
    method, config = build(name, changes)
    method.begin_epoch(0)
    images = views(config, method)
    exact = copy.deepcopy(method)(images, LABELS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        coarse = method(images, LABELS)
    for key, term in coarse.items():
        assert term.dtype == torch.float32
        assert_close(term, exact[key], rtol=0.1, atol=0.1)


@every_case
def test_a_step_in_bfloat16_descends_where_one_in_float64_does(name, changes):
    labels = torch.randint(4, (64,), generator=torch.Generator().manual_seed(2))
    losses, gradients = zip(
        *(_step(name, changes, labels, dtype) for dtype in (torch.float64, torch.bfloat16)),
        strict=True,
    )
    assert losses[1] == pytest.approx(losses[0], rel=0.005)
    assert functional.cosine_similarity(*gradients, dim=0) > 0.98


def _step(name, changes, labels, dtype):
    """The loss and the whole gradient of one step, in float64."""
    method, config = build(name, changes)
    images = views(config, method, images=len(labels))
    if dtype == torch.float64:
        method, images = method.double(), [view.double() for view in images]
    method.begin_epoch(0)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        method(images, labels)
        # The second step, for a queue begins with noise, against which the loss is nearly 0.
        loss = sum(method(images, labels).values())
    loss.backward()
    slopes = [weight.grad.flatten().double() for weight in method.parameters()]
    return loss.item(), torch.cat(slopes)


def _trained(name, changes, labels):
    """Gradients, buffers and terms of one worker after a step on its part of the batch."""
    method, config = build(name, changes)
    method = method.double().to(memory_format=torch.channels_last)
    world, rank = collectives.world(), collectives.rank()
    whole = views(config, method, images=len(labels))
    images = [view.double().chunk(world)[rank] for view in whole]
    collectives.synchronise_norms(method)
    method.begin_epoch(0)
    # Finding unused parameters is off, so that one without a gradient would be an error.
    module = DistributedDataParallel(method, broadcast_buffers=False) if world > 1 else method
    losses = []
    for _ in range(2):
        method.zero_grad()
        terms = module(images, labels.chunk(world)[rank])
        sum(terms.values()).backward()
        losses.append({key: collectives.mean(term) for key, term in terms.items()})
    gradients = {key: parameter.grad for key, parameter in method.named_parameters()}
    return losses, gradients, dict(method.named_buffers())


@every_case
def test_two_workers_are_one(name, changes):
    _require_equal(name, changes, LABELS, workers=2)


@pytest.mark.slow
@every_name
def test_three_workers_are_one_too(name):
    """An elastic trial goes on with any number of them."""
    _require_equal(name, {}, MORE_LABELS, workers=3)


def _require_equal(name, changes, labels, *, workers):
    losses, gradients, buffers = _trained(name, changes, labels)
    for computed in distributed.run(_trained, name, changes, labels, workers=workers):
        for expected, step in zip(losses, computed[0], strict=True):
            for key, term in expected.items():
                assert_close(step[key], term.detach(), rtol=1e-10, atol=1e-12)
        assert computed[1].keys() == gradients.keys()
        for key, gradient in gradients.items():
            assert_close(
                computed[1][key], gradient, rtol=1e-8, atol=1e-11, msg=lambda m, k=key: f"{k}: {m}"
            )
        # Running statistics and masks too.
        for key, buffer in buffers.items():
            assert_close(
                computed[2][key], buffer, rtol=1e-9, atol=1e-12, msg=lambda m, k=key: f"{k}: {m}"
            )
