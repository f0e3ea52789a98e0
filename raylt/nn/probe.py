"""What frozen features are worth: a linear classifier and nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

# For its effect: torch's optimizers do not import the compiler when they are first made.
import raylt.optim  # noqa: F401  # pyright: ignore[reportUnusedImport]

Kind = Literal["lbfgs", "sgd", "sgd-few-shot", "adam"]
PEAK, _MOMENTUM = 30.0, 0.9
"""Learning rate and momentum of SDCLR's linear evaluation."""
_NOTHING = 1e-20
"""Probabilities below this one are taken for 0: no sum of a step in float32 would notice them."""
Head = Callable[[Tensor], Tensor]
"""Features (n, width) -> logits (n, classes)."""
Fit = Callable[[Tensor, Tensor], Head]
"""Frozen features (n, width) of images and their classes (n,) -> a classifier of features."""

# Similarities of this many images with all training images are in memory at a time.
_CHUNK = 1024


def linear(
    features: Float[Tensor, "image feature"],
    labels: Int[Tensor, " image"],
    *,
    classes: int,
    kind: Kind,
    early: bool,
    batch_size: int,
    seed: int,
) -> Head:
    """A linear classifier fitted on frozen features.

    Args:
        kind: "lbfgs" is multinomial logistic regression on standardised features, L2 1e-4 on the
            weights. "sgd" and "sgd-few-shot" are the schedules of SDCLR's program on cached
            features. "adam" is the cheap protocol of Zhou et al. (ICML 2022). Their numbers are
            not comparable with each other.
        early: Whether the learning rate of the "sgd" kinds falls one epoch early, as in SDCLR's
            program for CIFAR.
        batch_size: Images of a step of the "sgd" kinds: 128 in that program for CIFAR, 512 for
            ImageNet-100.
        seed: Decides the initial weights and the order of the images of all but "lbfgs".
    """
    features = features.detach().float()
    with torch.autocast(features.device.type, enabled=False), torch.enable_grad():
        match kind:
            case "lbfgs":
                return logistic(features, labels, classes=classes, decay=1e-4, tolerance=1e-5)
            case "sgd" | "sgd-few-shot":
                rates = sgd_rates(few=kind == "sgd-few-shot", early=early)
                return _sgd(features, labels, classes, rates, batch_size=batch_size, seed=seed)
            case "adam":
                return _adam(features, labels, classes, seed=seed)


@torch.no_grad()
def logistic(
    features: Float[Tensor, "image feature"],
    labels: Int[Tensor, " image"],
    *,
    classes: int,
    decay: float,
    tolerance: float,
) -> Head:
    """Multinomial logistic regression on standardised features, by L-BFGS.

    Args:
        decay: L2 penalty on the weights, beside the mean loss of an image; none on the biases.
        tolerance: Largest entry of the gradient at the end, unless 300 steps do not get there.
    """
    mean, std = features.mean(0), features.std(0, correction=0)
    # A constant feature carries nothing and must not divide by zero.
    std = torch.where(std > 1e-6, std, 1.0)
    inputs = (features - mean) / std
    weight, bias = features.new_zeros(classes, features.shape[1]), features.new_zeros(classes)
    truth = functional.one_hot(labels, classes).T.to(features.dtype)
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=300,
        tolerance_grad=tolerance,
        tolerance_change=1e-3 * tolerance,
        history_size=10,
        line_search_fn="strong_wolfe",
    )

    def objective() -> Tensor:
        # The gradient in closed form, and classes in rows: softmax over columns of a few numbers
        # each, as autograd would have it, takes longer than the products.
        log_prob = torch.addmm(bias[:, None], weight, inputs.T).log_softmax(0)
        loss = -(log_prob * truth).sum() / len(labels) + decay / 2 * weight.square().sum()
        surprise = (log_prob.exp_() - truth) / len(labels)
        weight.grad = torch.addmm(weight, surprise, inputs, beta=decay)
        bias.grad = surprise.sum(1)
        return loss

    optimizer.step(objective)
    # The same classifier for features as they come.
    slope = weight / std
    offset = bias - slope @ mean
    return affine(slope, offset)


@torch.no_grad()
def neighbours(
    train_features: Float[Tensor, "train feature"],
    train_labels: Int[Tensor, " train"],
    features: Float[Tensor, "image feature"],
    *,
    classes: int,
    k: int,
) -> Int[Tensor, " image"]:
    """The class of most of the k training images with the largest cosine; ties go to the closer.

    With fewer than k training images all of them vote.
    """
    k = min(k, len(train_features))
    known = functional.normalize(train_features.float(), dim=1)
    predicted = [torch.empty(0, dtype=torch.int64, device=features.device)]
    for chunk in features.float().split(_CHUNK):
        cosine, nearest = (functional.normalize(chunk, dim=1) @ known.T).topk(k, dim=1)
        # Each vote counts 1; the sum of the cosines, scaled below half a vote, breaks ties.
        votes = chunk.new_zeros(len(chunk), classes)
        votes.scatter_add_(1, train_labels[nearest], 1 + cosine / (2 * k + 1))
        predicted.append(votes.argmax(1))
    return torch.cat(predicted)


def sgd_rates(*, few: bool, early: bool) -> tuple[float, ...]:
    """Learning rate of each epoch of SDCLR's linear evaluation.

    Args:
        few: Whether the labels are few: 100 epochs instead of 30.
        early: Whether the rate falls one epoch early, as the program for CIFAR steps its schedule
            before the first epoch.
    """
    epochs, falls = (100, (40, 60)) if few else (30, (10, 20))
    return tuple(
        PEAK * 0.1 ** sum(epoch >= fall - early for fall in falls) for epoch in range(epochs)
    )


def _sgd(
    features: Tensor,
    labels: Tensor,
    classes: int,
    rates: Sequence[float],
    *,
    batch_size: int,
    seed: int,
) -> Head:
    generator = torch.Generator().manual_seed(seed)
    fitted = Descent(features.shape[1], classes, generator, features.device, decay=0.0)
    for rate in rates:
        for chosen in batches(len(labels), batch_size, generator, features.device):
            fitted.step(features[chosen], labels[chosen], rate)
    return fitted.head()


class Descent:
    """A linear layer that SGD with momentum trains on features.

    Args:
        generator: Draws the initial weights; a generator of the CPU.
        decay: L2 penalty; SDCLR's linear evaluation has none.
    """

    def __init__(
        self,
        width: int,
        classes: int,
        generator: torch.Generator,
        device: torch.device,
        *,
        decay: float,
    ) -> None:
        self._decay = decay
        layer = _layer(width, classes, generator, device)
        self._weight, self._bias = layer.weight.detach(), layer.bias.detach()
        self._velocities = torch.zeros_like(self._weight), torch.zeros_like(self._bias)

    @torch.no_grad()
    def step(
        self, features: Float[Tensor, "image feature"], labels: Int[Tensor, " image"], rate: float
    ) -> None:
        """One step on a batch of features, at a learning rate."""
        # The gradient of the mean cross-entropy in closed form: autograd and an optimizer would
        # take nearly twice as long for a layer as small as this.
        surprise = torch.addmm(self._bias, features, self._weight.T).softmax(1)
        # Products with numbers below the smallest normal one would make it three times as slow.
        surprise.masked_fill_(surprise < _NOTHING, 0)
        surprise.scatter_add_(1, labels[:, None], surprise.new_full((len(labels), 1), -1.0))
        surprise /= len(labels)
        slopes = surprise.T @ features, surprise.sum(0)
        for parameter, velocity, slope in zip(
            (self._weight, self._bias), self._velocities, slopes, strict=True
        ):
            velocity.mul_(_MOMENTUM).add_(slope)
            if self._decay:
                velocity.add_(parameter, alpha=self._decay)
            parameter.sub_(velocity, alpha=rate)

    def head(self) -> Head:
        """The layer as it is now; later steps do not change it."""
        return affine(self._weight.clone(), self._bias.clone())


def _adam(features: Tensor, labels: Tensor, classes: int, *, seed: int) -> Head:
    generator = torch.Generator().manual_seed(seed)
    layer = _layer(features.shape[1], classes, generator, features.device)
    epochs, peak, floor = 500, 1e-2, 1e-6
    optimizer = torch.optim.Adam(layer.parameters(), lr=peak, weight_decay=5e-6)
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = peak * (floor / peak) ** (epoch / epochs)
        for chosen in batches(len(labels), 1000, generator, features.device):
            optimizer.zero_grad()
            functional.cross_entropy(layer(features[chosen]), labels[chosen]).backward()
            optimizer.step()
    return affine(layer.weight.detach(), layer.bias.detach())


def _layer(
    width: int, classes: int, generator: torch.Generator, device: torch.device
) -> nn.Linear:
    layer = nn.Linear(width, classes, device="meta").to_empty(device="cpu")
    nn.init.normal_(layer.weight, std=0.01, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer.to(device)


def batches(
    images: int, size: int, generator: torch.Generator, device: torch.device
) -> Iterator[Int[Tensor, " chosen"]]:
    """The numbers of all images once, in a random order, so many at a time."""
    yield from torch.randperm(images, generator=generator).to(device).split(size)


def affine(weight: Float[Tensor, "class feature"], bias: Float[Tensor, " class"]) -> Head:
    """Logits of features by a vector and a number for each class."""

    def logits(rows: Tensor) -> Tensor:
        with torch.autocast(rows.device.type, enabled=False):
            return functional.linear(rows.float(), weight, bias)

    return logits
