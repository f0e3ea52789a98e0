import math

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from raylt.nn import heads


@pytest.mark.parametrize("depth", [2, 3])
def test_the_projection_has_its_depth_and_one_bias(depth):
    head = heads.projection(16, depth=depth, out_dim=8)
    linear = [layer for layer in head if isinstance(layer, nn.Linear)]
    assert len(linear) == depth
    assert [layer.bias is not None for layer in linear] == [True] + [False] * (depth - 1)
    # A norm after the output too.
    assert isinstance(head[-1], nn.BatchNorm1d)
    out = head(torch.randn(32, 16))
    assert out.shape == (32, 8)
    assert_close(out.mean(0), torch.zeros(8), atol=1e-5, rtol=0)


def test_the_perceptron_has_one_hidden_layer():
    head = heads.perceptron(16, hidden_dim=32, out_dim=8)
    assert [type(layer) for layer in head] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]
    assert head(torch.randn(4, 16)).shape == (4, 8)


def test_cosine_logits_know_no_length():
    head = heads.classifier(16, 5, kind="cosine", scale=30.0, bias=True)
    features = torch.randn(7, 16)
    logits = head(features)
    assert_close(logits, head(3 * features))
    assert logits.abs().max() <= 30
    assert_close(logits[2, 3] / 30, functional.cosine_similarity(features[2], head.weight[3], 0))
    assert_close(head.weight.norm(dim=1), torch.ones(5))


def test_cosine_logits_are_exact_under_autocast():
    head = heads.classifier(16, 5, kind="cosine", scale=30.0, bias=True)
    features = torch.randn(7, 16).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        logits = head(features)
    assert_close(logits, head(features.float()), rtol=0, atol=0)


def test_both_classifiers_hold_one_vector_for_each_class():
    for kind in ("linear", "cosine"):
        head = heads.classifier(16, 5, kind=kind, scale=30.0, bias=True)
        assert head.weight.shape == (5, 16)
    assert heads.classifier(16, 5, kind="linear", scale=30.0, bias=False).bias is None


def test_class_vectors_begin_uniform_in_direction():
    torch.manual_seed(0)
    vectors = heads.CosineClassifier(3, 4000, scale=1.0).weight
    assert vectors.mean(0).norm() < 0.05
    assert math.isclose(vectors.square().mean().item(), 1 / 3, rel_tol=1e-3)
