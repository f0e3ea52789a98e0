"""ProCo: contrast with the whole distribution of every class (Du et al., TPAMI 2024)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import Annotated, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from raylt.collectives import gather
from raylt.contrast import similarities, unit, widened
from raylt.methods._base import Classifier, Method
from raylt.methods.cross_entropy import logit_adjusted_cross_entropy
from raylt.nn import heads
from raylt.nn.encoder import Encoder
from raylt.nn.temperature import Temperature
from raylt.schema import Ablation, ContrastConfig, Published, Where

_TERMS = 8
"""Terms of Debye's expansion: 1e-11 off at 32 dimensions, less than float64 can tell at 128."""
_LONGEST = 1e5
"""Concentration of a class whose features are all the same, as in the program."""
_UNSEEN = 0.9
"""Length of the mean of a class before its first image, as in the program."""


class Config(ContrastConfig):
    """The hyperparameters of ProCo; the defaults are the program's for CIFAR-LT."""

    name: Literal["proco"] = "proco"
    """Probabilistic contrastive learning."""
    temperature: float = Field(0.1, gt=0)
    """Softmax temperature of the contrast, with a cosine schedule the highest; 0.1 for CIFAR, 0.07
    for ImageNet-LT."""
    contrastive_weight: float = Field(1.0, gt=0)
    """Weight of the contrast (alpha); 1 in the program."""
    tau: float = Field(1.0, ge=0)
    """Strength of the adjustment of both losses by the log class frequencies; 1 in the paper."""
    classifier: Literal["linear", "cosine"] = "linear"
    """A linear layer, or cosines with unit class vectors."""
    cosine_scale: Annotated[float, Where("method.classifier == 'cosine'")] = Field(30.0, gt=0)
    """Factor of the cosines; 30 in the program."""
    hidden_dim: int = Field(512, ge=1)
    """Width of the hidden layer of the contrast's head; 512 for CIFAR, 2048 for ImageNet-LT."""
    out_dim: int = Field(128, ge=32)
    """Numbers that describe a view in the contrast; 128 for CIFAR, 1024 for ImageNet-LT. With
    fewer than 32 the Bessel functions would be inexact."""
    classification_view: Literal["policy", "weak", "class"] = "policy"
    """Augmentation of the classified view: pad-crop and flip with AutoAugment and Cutout or
    without, or ImageNet-LT's crop with jitter and RandAugment."""

    def is_probed(self) -> bool:
        """Its own layer classifies."""
        return False


PUBLISHED = Published(
    source="Du et al., Probabilistic Contrastive Learning, TPAMI 2024, the program for CIFAR",
    values={
        "method.temperature": 0.1,
        "method.contrastive_weight": 1.0,
        "method.tau": 1.0,
        "optimizer.lr": 0.3,
        "optimizer.weight_decay": 0.0002,
    },
)

BIBTEX = """
@article{du2024probabilistic,
  title={Probabilistic Contrastive Learning for Long-Tailed Visual Recognition},
  author={Du, Chaoqun and Wang, Yulin and Song, Shiji and Huang, Gao},
  journal={IEEE Transactions on Pattern Analysis and Machine Intelligence},
  year={2024}
}
"""

ABLATIONS = (
    Ablation(
        name="no logit adjustment",
        sentence="neither loss is adjusted by the class sizes",
        values={"method.tau": 0.0},
    ),
    Ablation(
        name="cosine classifier",
        sentence="cosines with unit class vectors",
        values={"method.classifier": "cosine"},
    ),
    Ablation(
        name="linear classifier",
        sentence="a linear layer",
        values={"method.classifier": "linear"},
    ),
)


class ProCo(Method):
    """A classifier on one view, and a contrast of two others with a distribution for each class.

    A class is a von Mises-Fisher distribution around the mean of its features in the last epoch
    and in this one so far. The means are buffers, not parameters: they get no gradient.
    """

    Config = Config
    class_counts: Tensor
    guess: Float[Tensor, "class dim"]
    """Mean of a class before its first image."""
    sums: Float[Tensor, "2 class dim"]
    """Sum of the features of each class, in the last epoch and in this one."""
    seen: Int[Tensor, "2 class"]
    """Their numbers."""

    def __init__(self, config: Config, encoder: Encoder, class_counts: Tensor) -> None:
        super().__init__(config, encoder, class_counts)
        self.config = config
        self.temperature = Temperature(config)
        classes = len(class_counts)
        self.classification_head = heads.classifier(
            encoder.width, classes, kind=config.classifier, scale=config.cosine_scale, bias=True
        )
        self.contrast_head: nn.Module = heads.perceptron(
            encoder.width, hidden_dim=config.hidden_dim, out_dim=config.out_dim
        )
        self.register_buffer("class_counts", class_counts)
        directions = functional.normalize(torch.randn(classes, config.out_dim), dim=1)
        self.register_buffer("guess", _UNSEEN * directions)
        self.register_buffer("sums", torch.zeros(2, classes, config.out_dim))
        self.register_buffer("seen", torch.zeros(2, classes, dtype=torch.int64))

    @staticmethod
    def views(config: Config) -> tuple[str, ...]:
        """The classified view, then the two contrasted ones."""
        return config.classification_view, "sim", "sim"

    def begin_epoch(self, epoch: int) -> None:
        """Set the temperature; forget the epoch before the last one."""
        super().begin_epoch(epoch)
        for kept in (self.sums, self.seen):
            kept[0] = kept[1]
            kept[1] = 0

    def forward(self, views: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        """The adjusted cross-entropy and the weighted contrast."""
        images = len(labels)
        # All three views pass the batch norms together, as in the program.
        features = self.encoder(torch.cat(list(views)))
        rows = unit(self.contrast_head(features)[images:])
        self._remember(rows.detach(), labels.repeat(2))
        contrast = probabilistic_contrastive(
            rows,
            labels.repeat(2),
            self._means(),
            self.class_counts,
            temperature=self.temperature.value,
            tau=self.config.tau,
        )
        cost = logit_adjusted_cross_entropy(
            self.classification_head(features[:images]),
            labels,
            self.class_counts,
            tau=self.config.tau,
        )
        return {
            "classification": cost,
            "contrast": self.config.contrastive_weight * contrast,
        }

    def classifier(self) -> Classifier:
        """The logits as they are, without the adjustment."""
        return lambda images: self.classification_head(self.encode(images))

    def _remember(self, rows: Float[Tensor, "row dim"], labels: Int[Tensor, " row"]) -> None:
        # Every worker adds what all of them see, and so holds the same means.
        rows, labels = gather(rows), gather(labels)
        self.sums[1].index_add_(0, labels, rows.to(self.sums.dtype))
        self.seen[1].index_add_(0, labels, torch.ones_like(labels))

    def _means(self) -> Float[Tensor, "class dim"]:
        seen = self.seen.sum(0)[:, None]
        # A new tensor: the buffers go on changing while the gradient is computed.
        return torch.where(seen > 0, self.sums.sum(0) / seen.clamp(min=1), self.guess)


def probabilistic_contrastive(
    features: Float[Tensor, "row dim"],
    labels: Int[Tensor, " row"],
    means: Float[Tensor, "class dim"],
    class_counts: Int[Tensor, " class"],
    *,
    temperature: float | Tensor,
    tau: float,
) -> Float[Tensor, ""]:
    """Supervised contrast with infinitely many keys of every class, in closed form.

    The keys of a class follow a von Mises-Fisher distribution with the direction and, by its
    length, the concentration of the class's mean feature (Banerjee et al., JMLR 2005). The
    expectation of exp(feature . key / temperature) over it stands in place of the sum over keys;
    classes are weighed by the `tau`-th power of their sizes (the paper's L_in, tau 1).

    Args:
        features: Unit length.
        means: Mean of the unit features of each class; shorter than 1.
    """
    logits = log_expectation(features, means, temperature=temperature)
    return logit_adjusted_cross_entropy(logits, labels, class_counts, tau=tau)


def log_expectation(
    features: Float[Tensor, "row dim"],
    means: Float[Tensor, "class dim"],
    *,
    temperature: float | Tensor,
) -> Float[Tensor, "row class"]:
    """Log of the mean of exp(feature . key / temperature) over the keys of each class.

    It is the log of C(k) / C(|k m + feature / temperature|), with C the normaliser of a von
    Mises-Fisher distribution of the direction m and the concentration k.
    """
    means = means.double()
    length = means.norm(dim=1)
    dim = means.shape[1]
    # The program leaves out the second term, which is the smaller by a factor of `dim`.
    concentration = (length * (dim - length**2) / (1 - length**2).clamp(min=1e-9)).clamp(
        max=_LONGEST
    )
    with torch.autocast(features.device.type, enabled=False):
        rows = features.double()
        along = similarities(rows, functional.normalize(means, dim=1), temperature=temperature)
        shift = rows.square().sum(1, keepdim=True) / temperature**2
        # |k m + z/t|^2 without a tensor of (row, class, dim).
        squared = (concentration**2 + 2 * concentration * along + shift).clamp(min=0)
        # The difference of two large numbers, which float32 would lose.
        logits = _log_mass(squared, dim) - _log_mass(concentration**2, dim)
    return logits.to(widened(features).dtype)


def _log_mass(squared: Float[Tensor, "*any"], dim: int) -> Float[Tensor, "*any"]:
    """Log of k^-v I_v(k) with v = dim/2 - 1, from the square of k; I is the Bessel function.

    Debye's uniform expansion for large orders (DLMF 10.41.3). In this form neither it nor its
    gradient has a singularity at 0.
    """
    order = dim / 2 - 1
    s = (1 + squared / order**2).sqrt()
    t = 1 / s
    series = torch.zeros_like(t)
    for factor in reversed(_debye_series(order)):
        series = series * t + factor
    leading = order * (s - torch.log1p(s) - math.log(order))
    return leading - (2 * math.pi * order * s).log() / 2 + series.log()


@cache
def _debye_series(order: float) -> tuple[float, ...]:
    """Coefficients of t^0, t^1, ... in the sum of U_k(t) / order^k (DLMF 10.41.9)."""
    u: dict[int, Fraction] = {0: Fraction(1)}
    total = [0.0] * (3 * _TERMS + 1)
    for k in range(_TERMS + 1):
        for power, factor in u.items():
            total[power] += float(factor) / order**k
        following: dict[int, Fraction] = {}
        for power, factor in u.items():
            lower = factor * power / 2 + factor / 8 / (power + 1)
            upper = -factor * power / 2 - 5 * factor / 8 / (power + 3)
            following[power + 1] = following.get(power + 1, Fraction(0)) + lower
            following[power + 3] = following.get(power + 3, Fraction(0)) + upper
        u = following
    return tuple(total)
