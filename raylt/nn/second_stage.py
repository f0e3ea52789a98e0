"""Second stages of two-stage methods: classifiers that are trained for a tail, on frozen features.

Here the features are those of the images as they are, computed once; the programs disturb the
images anew in every epoch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from raylt.contrast import similarities, unit
from raylt.nn.probe import Descent, Head, affine, batches

_LARGEST_MARGIN, _SCALE, _OVERLAP = 0.5, 30.0, 0.9999
"""Margin of the smallest class, factor of the cosines, and beta of the class weights: the program
of LDAM for CIFAR."""


def class_balanced(
    features: Float[Tensor, "image feature"],
    labels: Int[Tensor, " image"],
    *,
    classes: int,
    seed: int,
) -> Head:
    """The second stage of KCL and TSC on ImageNet-LT (Li et al., CVPR 2022, supplement A).

    40 epochs of as many draws as there are images, in which the classes are equally frequent;
    batches of 2048, a learning rate of 10 that falls to a tenth after 20 and 30 epochs.
    """
    rates = [10.0] * 20 + [1.0] * 10 + [0.1] * 10
    return retrained(
        features,
        labels,
        classes=classes,
        rates=rates,
        draws=len(labels),
        batch_size=2048,
        decay=0.0,
        seed=seed,
    )


def retrained(
    features: Float[Tensor, "image feature"],
    labels: Int[Tensor, " image"],
    *,
    classes: int,
    rates: Sequence[float],
    draws: int | None,
    batch_size: int,
    decay: float,
    seed: int,
) -> Head:
    """A linear layer trained by SGD with momentum on draws that favour no class.

    Args:
        rates: Learning rate of each epoch.
        draws: Of an epoch at most; None for as many as if each class were as large as the largest.
        batch_size: Draws of a step.
        decay: L2 penalty.
        seed: Decides the initial weights and the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    fitted = Descent(features.shape[1], classes, generator, features.device, decay=decay)
    for rate, chosen in _steps(labels, rates, draws, batch_size, generator):
        fitted.step(features[chosen], labels[chosen], rate)
    return fitted.head()


@torch.enable_grad()
def rescaled(
    features: Float[Tensor, "image feature"],
    labels: Int[Tensor, " image"],
    *,
    layer: nn.Linear,
    rates: Sequence[float],
    batch_size: int,
    decay: float,
    seed: int,
) -> Head:
    """LWS: f_k (w_k . x + b_k), of which the f alone are learned, on draws that favour no class
    (Kang et al., ICLR 2020).

    Args:
        layer: Has the vectors w and the biases b; it stays as it is.
        rates: Learning rate of each epoch, which is as long as if each class were as large as the
            largest.
        batch_size: Draws of a step.
        decay: L2 penalty on f, which begins at 1.
        seed: Decides the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    logits = layer(features).detach()
    factors = torch.ones_like(logits[0]).requires_grad_()
    optimizer = torch.optim.SGD([factors], momentum=0.9, weight_decay=decay)
    for rate, chosen in _steps(labels, rates, None, batch_size, generator):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        functional.cross_entropy(factors * logits[chosen], labels[chosen]).backward()
        optimizer.step()
    learned = factors.detach()
    return affine(learned[:, None] * layer.weight.detach(), learned * layer.bias.detach())


def _steps(
    labels: Tensor,
    rates: Sequence[float],
    draws: int | None,
    batch_size: int,
    generator: torch.Generator,
) -> Iterator[tuple[float, Tensor]]:
    """The learning rate and the images of each step on draws that favour no class."""
    order, counts = labels.cpu().argsort(stable=True), labels.cpu().bincount()
    for rate in rates:
        drawn = order[balanced(counts, generator)[:draws]].to(labels.device)
        for chosen in drawn.split(batch_size):
            yield rate, chosen


def balanced(counts: Int[Tensor, " class"], generator: torch.Generator) -> Int[Tensor, " draw"]:
    """Images of an epoch in which every class that has any is drawn equally often, at random.

    Args:
        counts: Images of each class; they are numbered class after class.
        generator: A generator of the CPU.
    """
    present = counts.nonzero().flatten()
    size, starts = int(counts.max()), counts.cumsum(0) - counts
    classes = present.repeat_interleave(size)
    classes = classes[torch.randperm(len(classes), generator=generator)]
    places = torch.rand(len(classes), generator=generator, dtype=torch.float64) * counts[classes]
    return starts[classes] + places.long()


@torch.enable_grad()
def ldam(
    features: Float[Tensor, "image feature"],
    labels: Int[Tensor, " image"],
    *,
    classes: int,
    seed: int,
) -> Head:
    """The second stage of KCL and TSC on CIFAR-LT (Li et al., CVPR 2022, supplement A): LDAM with
    class weights.

    200 epochs in batches of 128; a learning rate of 0.1 that falls to a tenth after 140, 180 and
    190 of them. What the supplement leaves open is as in LDAM's program, without its decay.
    """
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.empty(classes, features.shape[1]).uniform_(-1, 1, generator=generator)
    vectors = unit(vectors).to(features.device).requires_grad_()
    optimizer = torch.optim.SGD([vectors], lr=0.1, momentum=0.9)
    directions, counts = unit(features.detach()), labels.bincount(minlength=classes)
    for epoch in range(200):
        optimizer.param_groups[0]["lr"] = 0.1 ** (1 + sum(epoch >= n for n in (140, 180, 190)))
        for chosen in batches(len(labels), 128, generator, features.device):
            cosines = similarities(directions[chosen], unit(vectors), temperature=1.0)
            optimizer.zero_grad()
            label_distribution_aware_margin(cosines, labels[chosen], counts).backward()
            optimizer.step()
    known = _SCALE * unit(vectors.detach())
    return lambda rows: similarities(unit(rows), known, temperature=1.0)


def label_distribution_aware_margin(
    cosines: Float[Tensor, "image class"],
    labels: Int[Tensor, " image"],
    class_counts: Int[Tensor, " class"],
) -> Float[Tensor, ""]:
    """LDAM with class weights: the mean cross-entropy of 30 times the cosines, of which that of
    the own class k is made smaller by a margin that grows as n_k ** -1/4 up to 0.5 (Cao et al.,
    NeurIPS 2019).

    An image of class k weighs (1 - 0.9999) / (1 - 0.9999 ** n_k), one over the effective number
    of the class (Cui et al., CVPR 2019).

    Args:
        cosines: Of images with the vectors of the classes.
        class_counts: Training images of each class; a class without any counts as having one.
    """
    counts = class_counts.clamp(min=1).to(cosines.dtype)
    margins = counts**-0.25
    margins = _LARGEST_MARGIN * margins / margins.max()
    # One over the effective number, but for a factor that the mean takes out again.
    weights = -1 / torch.expm1(counts * math.log(_OVERLAP))
    own = functional.one_hot(labels, len(counts))
    return functional.cross_entropy(_SCALE * (cosines - margins * own), labels, weights)
