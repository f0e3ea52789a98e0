"""BCL: balanced contrastive learning for long-tailed recognition (Zhu et al., CVPR 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from raylt.collectives import Replicated, gather, rank
from raylt.contrast import similarities, themselves, unit
from raylt.methods._base import Classifier, Method
from raylt.methods.cross_entropy import logit_adjusted_cross_entropy
from raylt.nn import heads
from raylt.nn.encoder import Encoder
from raylt.nn.shares import in_shares
from raylt.nn.temperature import Temperature
from raylt.schema import Ablation, ContrastConfig, Published, Where

__all__ = ["BCL", "Config", "balanced_contrastive", "logit_adjusted_cross_entropy"]


class Config(ContrastConfig):
    """The hyperparameters of BCL; the defaults are the settings for CIFAR-LT."""

    name: Literal["bcl"] = "bcl"
    """Balanced contrastive learning."""
    temperature: float = Field(0.1, gt=0)
    """Softmax temperature of the contrast; 0.1 for CIFAR, 0.07 for ImageNet-LT."""
    complement_weight: float = Field(1.0, ge=0)
    """How many images a class's prototype counts as, on average over classes; 1 is the paper, 0
    leaves the prototypes out."""
    complement_power: float = Field(0.0, ge=-2, le=2)
    """Exponent by which the prototypes of rare classes count more; 0 is the paper, at 1 a class
    with a tenth of the images has ten times the weight."""
    absent: Literal["count", "scaled", "linear"] = "count"
    """Factor of the prototype's exponential for a class without an image in the batch: 1 as in
    the paper, the prototype's weight but at most 1, or the prototype's weight."""
    class_averaging: bool = True
    """Whether the exponentials of a class are averaged over its images, so that a large class
    repels no more than a small one; true is the paper, false is SupCon with prototypes."""
    contrastive_weight: float = Field(0.6, ge=0)
    """Weight of the contrast (mu); 0.6 for CIFAR, 0.35 in the program for ImageNet-LT."""
    classification_weight: float = Field(2.0, ge=0)
    """Weight of the classification (lambda); 2 for CIFAR, 1 in the program for ImageNet-LT."""
    tau: float = Field(1.0, ge=0)
    """Strength of the logit adjustment by the log class frequencies; 1 in the paper."""
    classifier: Literal["linear", "cosine"] = "linear"
    """A linear layer, or cosines with unit class vectors as in the program for ImageNet-LT."""
    cosine_scale: Annotated[float, Where("method.classifier == 'cosine'")] = Field(30.0, gt=0)
    """Factor of the cosines; 30 in the program."""
    hidden_dim: int = Field(512, ge=1)
    """Width of the hidden layer of both heads; 512 for CIFAR, 2048 for ImageNet-LT."""
    out_dim: int = Field(128, ge=2)
    """Numbers that describe a view in the contrast; 128 for CIFAR, 1024 for ImageNet-LT."""
    classification_view: Literal["policy", "weak", "class"] = "policy"
    """Augmentation of the classified view: pad-crop and flip with AutoAugment and Cutout or
    without, or the crop with jitter and RandAugment of the program for ImageNet-LT."""
    views: Literal["sim-sim", "sim-rand", "rand-rand"] = "sim-sim"
    """Augmentations of the two contrasted views: SimCLR's, or those with RandAugment; in
    sim-rand the first has it, as in the program."""
    share_bn_views: bool = True
    """Whether all three views pass the encoder and the head as one batch, as in the program, and
    so share the statistics of the batch norms; otherwise the classified view is apart."""
    norm_shares: int = Field(1, ge=1)
    """Parts into which that batch is cut by place, each with statistics of its own, as the program
    does on so many GPUs: `DataParallel` gives each the next part of the views, which lie one after
    another, and keeps the running statistics of the first alone. With 256 images on 4 GPUs a part
    has 3 * 256 / 4 = 192 rows: images 0 to 191 of the classified view; 64 of it with 128 of the
    next; 128 of that with 64 of the last; 192 of the last. So the network is evaluated with the
    statistics of the classified view."""

    def is_probed(self) -> bool:
        """Only where no classifier is trained."""
        return self.classification_weight == 0

    @model_validator(mode="after")
    def _shares_are_of_one_batch(self) -> Config:
        if self.norm_shares > 1 and not self.share_bn_views:
            raise ValueError(
                "norm_shares must be 1 where share_bn_views is false and the views are no one "
                f"batch, but got {self.norm_shares}; leave it out, or set share_bn_views: true"
            )
        return self

    @model_validator(mode="after")
    def _something_is_trained(self) -> Config:
        if self.contrastive_weight == 0 and self.classification_weight == 0:
            raise ValueError(
                "contrastive_weight and classification_weight must not both be 0; "
                "raise one of them"
            )
        return self


PUBLISHED = Published(
    source="Zhu et al., Balanced Contrastive Learning, CVPR 2022, on CIFAR-LT; lr of DBM's re-run",
    values={
        "method.temperature": 0.1,
        "method.complement_weight": 1.0,
        "method.complement_power": 0.0,
        "method.contrastive_weight": 0.6,
        "method.tau": 1.0,
        "optimizer.lr": 0.15,
        "optimizer.weight_decay": 0.0005,
    },
)

BIBTEX = """
@inproceedings{zhu2022balanced,
  title={Balanced Contrastive Learning for Long-Tailed Visual Recognition},
  author={Zhu, Jianggang and Wang, Zheng and Chen, Jingjing and Chen, Yi-Ping Phoebe and Jiang,
    Yu-Gang},
  booktitle={IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year={2022}
}
"""


ABLATIONS = (
    Ablation(
        name="no class averaging",
        sentence="a class repels by all of its images, as in SupCon",
        values={"method.class_averaging": False},
    ),
    Ablation(
        name="no class complement",
        sentence="no prototypes: a class without an image in the batch is missing",
        values={"method.complement_weight": 0.0},
    ),
    Ablation(
        name="no logit adjustment", sentence="plain cross-entropy", values={"method.tau": 0.0}
    ),
    Ablation(
        name="no contrast",
        sentence="the classification alone",
        values={"method.contrastive_weight": 0.0},
    ),
    Ablation(name="cosine", sentence="as on ImageNet-LT", values={"method.classifier": "cosine"}),
    Ablation(name="linear", sentence="as on CIFAR-LT", values={"method.classifier": "linear"}),
)

_CONTRAST_VIEWS = {
    "sim-sim": ("sim", "sim"),
    "sim-rand": ("rand", "sim"),
    "rand-rand": ("rand", "rand"),
}


class BCL(Method):
    """A classifier on one view, and a contrast of two others with prototypes of all classes.

    The prototypes are what a second head makes of the classifier's class vectors. A part whose
    weight is 0 is not built, so that every parameter that exists gets a gradient.
    """

    Config = Config
    class_counts: Tensor

    def __init__(self, config: Config, encoder: Encoder, class_counts: Tensor) -> None:
        super().__init__(config, encoder, class_counts)
        self.config = config
        self.temperature = Temperature(config)
        self.register_buffer("class_counts", class_counts)
        contrasts = config.contrastive_weight > 0
        complements = contrasts and config.complement_weight > 0
        classifies = config.classification_weight > 0

        def perceptron() -> nn.Sequential:
            return heads.perceptron(
                encoder.width, hidden_dim=config.hidden_dim, out_dim=config.out_dim
            )

        self.classification_head = (
            heads.classifier(
                encoder.width,
                len(class_counts),
                kind=config.classifier,
                scale=config.cosine_scale,
                bias=classifies,
            )
            if classifies or complements
            else None
        )
        self.contrast_head = perceptron() if contrasts else None
        self.prototype_head = Replicated(*perceptron()) if complements else None

    @staticmethod
    def views(config: Config) -> tuple[str, ...]:
        """The classified view, then the two contrasted ones."""
        return (config.classification_view, *_CONTRAST_VIEWS[config.views])

    def forward(self, views: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        """The weighted adjusted cross-entropy and the weighted balanced contrast."""
        classified, contrasted = self._features(views)
        terms: dict[str, Tensor] = {}
        if self.config.classification_weight > 0:
            assert self.classification_head is not None
            logits = self.classification_head(classified)
            cost = logit_adjusted_cross_entropy(
                logits, labels, self.class_counts, tau=self.config.tau
            )
            terms["classification"] = self.config.classification_weight * cost
        if self.contrast_head is not None:
            first, second = self._projected(self.contrast_head, classified, contrasted)
            features = unit(torch.stack([first, second], 1))
            terms["contrast"] = self.config.contrastive_weight * self._contrast(features, labels)
        return terms

    def classifier(self) -> Classifier | None:
        """The logits as they are, without the adjustment; None if they are not trained."""
        head = self.classification_head
        if head is None or self.config.classification_weight == 0:
            return None
        return lambda images: head(self.encode(images))

    def _features(self, views: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Features of the classified view (n, width) and of the two contrasted (2n, width)."""
        if self.config.share_bn_views:
            features = in_shares(self.encoder, torch.cat(list(views)), self.config.norm_shares)
            return features[: len(views[0])], features[len(views[0]) :]
        return self.encoder(views[0]), self.encoder(torch.cat(list(views[1:])))

    def _projected(
        self, head: nn.Module, classified: Tensor, contrasted: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Head outputs of the two contrasted views, (n, out_dim) each."""
        if self.config.share_bn_views:
            # The classified view only counts in the batch norm.
            joined = torch.cat([classified, contrasted])
            _, first, second = in_shares(head, joined, self.config.norm_shares).chunk(3)
        else:
            first, second = head(contrasted).chunk(2)
        return first, second

    def _contrast(self, features: Tensor, labels: Tensor) -> Tensor:
        if self.prototype_head is None:
            prototypes = features.new_zeros(len(self.class_counts), features.shape[2])
        else:
            assert self.classification_head is not None
            prototypes = unit(self.prototype_head(self.classification_head.weight))
        return balanced_contrastive(
            features,
            labels,
            prototypes,
            self.class_counts,
            temperature=self.temperature.value,
            complement_weight=self.config.complement_weight,
            complement_power=self.config.complement_power,
            absent=self.config.absent,
            averaged=self.config.class_averaging,
        )


def class_weights(
    class_counts: Int[Tensor, " class"], *, weight: float, power: float
) -> Float[Tensor, " class"]:
    """The number of images that each class's prototype counts as; its mean is `weight`.

    In proportion to the `power`-th power of the inverse class size; float64. The paper has a
    weight of 1 and a power of 0; the rest is a generalisation of raylt.
    """
    counts = class_counts.clamp(min=1).double()
    rarity = (counts.max() / counts) ** power
    return weight * rarity / rarity.mean()


def balanced_contrastive(
    features: Float[Tensor, "image view dim"],
    labels: Int[Tensor, " image"],
    prototypes: Float[Tensor, "class dim"],
    class_counts: Int[Tensor, " class"],
    *,
    temperature: float | Tensor,
    complement_weight: float,
    complement_power: float,
    absent: Literal["count", "scaled", "linear"],
    averaged: bool = True,
) -> Float[Tensor, ""]:
    """Supervised contrast in which each class weighs the same and none is missing.

    The loss of Zhu et al. (CVPR 2022), with their prototypes, which complement the classes, given
    a weight.

    Anchors are the n * views features. In the denominator the exponentials of each class are
    averaged over its features and its prototype; positives are the features of the anchor's class
    and its prototype. A prototype counts as `class_weights` images; 1 for each is the paper. An
    anchor without a positive is left out of the mean. Features and prototypes have unit length.

    Args:
        complement_weight: How many images a prototype counts as, on average.
        complement_power: Exponent by which those of rare classes count more.
        absent: What multiplies the exponential of the prototype of a class without an image in
            the batch: 1 ("count", the paper), its weight but at most 1 ("scaled"), its weight
            ("linear"). A prototype of weight 0 drops out under each.
        averaged: Whether the exponentials of a class are averaged; without, `absent` is idle.
    """
    weights = class_weights(class_counts, weight=complement_weight, power=complement_power)
    anchors = features.flatten(0, 1)
    keys = torch.cat([gather(features).flatten(0, 1), prototypes])
    similarity = similarities(anchors, keys, temperature=temperature)
    weights = weights.to(similarity.dtype)
    labels, all_labels = (x.repeat_interleave(features.shape[1]) for x in (labels, gather(labels)))
    classes = torch.arange(len(prototypes), device=labels.device)
    key_labels = torch.cat([all_labels, classes])

    # How many images a key counts as: 1, its class's weight, or 0 for the anchor itself.
    share = torch.cat([torch.ones_like(all_labels, dtype=weights.dtype), weights])
    share = share.masked_fill(themselves(len(anchors), keys, start=rank() * len(anchors)), 0)
    mass = (
        _mass(labels, all_labels, weights, absent)[:, key_labels]
        if averaged
        else torch.ones_like(share)
    )
    positive = share * (labels[:, None] == key_labels)
    positives = positive.sum(1)
    meant = positives > 0
    attraction = (similarity * positive).sum(1) / positives.where(meant, 1)

    # Averaging exponentials is subtracting the log of their number, which cannot overflow.
    # A mass of 0 belongs to nothing but shares of 0, so no infinity arises.
    log_share = (share / mass.clamp(min=torch.finfo(mass.dtype).tiny)).log()
    # An anchor that is not meant may have nothing to compare with; its gradient must stay finite.
    log_share = log_share.where(meant[:, None], 0)
    loss = (similarity + log_share).logsumexp(1) - attraction
    return loss.where(meant, 0).sum() / meant.sum().clamp(min=1)


def _mass(
    labels: Int[Tensor, " anchor"],
    all_labels: Int[Tensor, " key"],
    weights: Float[Tensor, " class"],
    absent: Literal["count", "scaled", "linear"],
) -> Float[Tensor, "anchor class"]:
    """Images and prototypes of each class that an anchor is compared with, by their counts.

    For a class without an image in the batch, what the prototype's weight must be divided by to
    give the factor that `absent` asks for.
    """
    # Not bincount, for which a GPU would have to tell the host the largest label.
    present = torch.zeros_like(weights).scatter_add_(
        0, all_labels, torch.ones_like(all_labels, dtype=weights.dtype)
    )
    alone = {
        "count": weights,
        "scaled": weights.clamp(min=1),
        "linear": torch.ones_like(weights),
    }[absent]
    classes = torch.arange(len(weights), device=labels.device)
    own = (labels[:, None] == classes).to(weights.dtype)
    # Whole numbers first: the other order would lose the digits of a small weight.
    return torch.where(present > 0, present - own + weights, alone)
