"""KCL: an image is drawn to k others of its class, however large that is (Kang et al., ICLR 2021).

The authors' program (bingykang/BalFeat, ImageNet-LT) contrasts with a momentum encoder and a queue
of 65,536 keys, and so does the re-implementation in LTH14/targeted-supcon. On CIFAR-LT, where the
usual figures of KCL come from (Li et al., CVPR 2022), the keys are the batch of two views itself:
"SimCLR-based" in their supplement. Both forms are here; `queue: 0` is that of CIFAR.

With fewer than k others of a class, all of them are taken and the mean is over what there is, as
in both programs. The authors' program takes the k that a top-k of equal values returns; the draw
here is uniform, as in the paper and in targeted-supcon. On CIFAR k is not stated anywhere; 6 is
that of ImageNet-LT.

What classifies is a second stage on frozen features of the tail (`evaluation.labels: tail`): the
probe `ldam` on CIFAR-LT and `class-balanced` on ImageNet-LT (Li et al., the supplement); see
`raylt.nn.second_stage`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from raylt.collectives import gather, rank
from raylt.contrast import log_softmax, mean_over_positives, similarities, themselves, unit
from raylt.methods._base import Method
from raylt.nn.draw import Draw
from raylt.nn.encoder import Encoder
from raylt.nn.momentum import Follower, Queue
from raylt.nn.temperature import Temperature
from raylt.schema import Ablation, ContrastConfig, Published, Where


class Config(ContrastConfig):
    """The hyperparameters of KCL; the defaults are those for CIFAR-LT."""

    name: Literal["kcl"] = "kcl"
    """k-positive contrastive learning."""
    temperature: float = Field(0.07, gt=0)
    """Softmax temperature of the contrast; 0.07 in both programs."""
    positives: int = Field(6, ge=0)
    """Images of its class that an image is drawn to beside its own other view (k); 6 in both
    programs for ImageNet-LT."""
    queue: int = Field(0, ge=0)
    """Keys of earlier steps, made by an encoder that follows the trained one; 0 contrasts within
    the batch, as on CIFAR-LT, and the programs for ImageNet-LT keep 65,536."""
    momentum: Annotated[float, Where("method.queue > 0")] = Field(0.999, ge=0, lt=1)
    """Share of the following encoder that stays at each step; without effect if `queue` is 0."""
    out_dim: int = Field(128, ge=2)
    """Numbers that describe a view in the contrast; 128 in both programs."""


PUBLISHED = Published(
    source="KCL on CIFAR-LT by Li et al., Targeted Supervised Contrastive Learning, CVPR 2022, "
    "the supplement and the program; k of ImageNet-LT",
    values={
        "method.temperature": 0.07,
        "method.positives": 6,
        "method.queue": 0,
        "optimizer.lr": 0.5,
        "optimizer.weight_decay": 0.0001,
    },
)

BIBTEX = """
@inproceedings{kang2021exploring,
  title={Exploring Balanced Feature Spaces for Representation Learning},
  author={Kang, Bingyi and Li, Yu and Xie, Sa and Yuan, Zehuan and Feng, Jiashi},
  booktitle={International Conference on Learning Representations (ICLR)},
  year={2021}
}
"""

ABLATIONS = (
    Ablation(
        name="no positives of the class",
        sentence="an image is drawn to its own other view alone, as in SimCLR",
        values={"method.positives": 0},
    ),
    Ablation(
        name="no queue",
        sentence="the contrast is within the batch",
        values={"method.queue": 0},
    ),
)


class KCL(Method):
    """Contrast over classes with equally many positives for each; a classifier is fitted
    afterwards, on frozen features."""

    Config = Config

    def __init__(self, config: Config, encoder: Encoder, class_counts: Tensor) -> None:
        super().__init__(config, encoder, class_counts)
        self.config = config
        self.temperature = Temperature(config)
        self.head = projection(encoder.width, config.out_dim)
        self.draw = Draw()
        self.follower = self.queue = None
        if config.queue:
            self.follower = Follower(encoder, self.head, momentum=config.momentum)
            self.queue = Queue(config.queue, config.out_dim)

    @staticmethod
    def views(config: Config) -> tuple[str, ...]:
        """Two draws of SimCLR's view."""
        return "sim", "sim"

    def forward(self, views: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        """The contrast of all views, or of the first ones with the queue."""
        if self.follower is None or self.queue is None:
            return {"contrast": self._within_batch(views, labels)}
        anchors = unit(self.head(self.encoder(views[0])))
        self.follower.follow()
        twins = unit(self.follower(views[1]))
        keys, key_labels = self.queue.read()
        self.queue.push(twins, labels)
        same = labels[:, None] == key_labels
        chosen = self.draw(same, count=self.config.positives, start=rank() * len(labels))
        return {
            "contrast": queued_contrastive(
                anchors, twins, keys, chosen, temperature=self.temperature.value
            )
        }

    def _within_batch(self, views: Sequence[Tensor], labels: Tensor) -> Tensor:
        first, second = self.head(self.encoder(torch.cat(list(views)))).chunk(2)
        features = unit(torch.stack([first, second], 1))
        start = rank() * len(labels)
        same = others_of_the_class(labels, gather(labels), start=start)
        return among(
            features,
            gather(features),
            self.draw(same, count=self.config.positives, start=2 * start),
            start=start,
            temperature=self.temperature.value,
        )


def projection(width: int, out_dim: int) -> nn.Sequential:
    """The head of targeted-supcon: features (n, width) -> (n, out_dim), without norms."""
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(True), nn.Linear(width, out_dim))


def k_positive_contrastive(
    features: Float[Tensor, "image 2 dim"],
    chosen: Bool[Tensor, "anchor key"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """The mean over anchors of -log-likelihood, averaged over the other view and what is `chosen`.

    Kang et al., ICLR 2021, as Li et al., CVPR 2022, write it for a batch: of anchor v with its k
    chosen views and its other one, v+, it is
    -1 / (k + 1) sum_v+ log(exp(v . v+ / t) / sum_u exp(v . u / t)) over all u but v.

    Args:
        features: Views of unit length.
        chosen: Which views each view is drawn to beside its other one, (2n, 2n); views of one
            image lie beside each other.
        temperature: Softmax temperature.
    """
    return among(features, features, chosen, start=0, temperature=temperature)


def among(
    features: Float[Tensor, "image 2 dim"],
    all_features: Float[Tensor, "everyone 2 dim"],
    chosen: Bool[Tensor, "anchor key"],
    *,
    start: int,
    temperature: float | Tensor,
) -> Float[Tensor, ""]:
    """`k_positive_contrastive` of the worker's own rows among the rows of all workers."""
    anchors, keys = features.flatten(0, 1), all_features.flatten(0, 1)
    itself = themselves(len(anchors), keys, start=2 * start)
    log_prob = log_softmax(similarities(anchors, keys, temperature=temperature), ~itself)
    return -mean_over_positives(log_prob, twins(itself) | chosen)


def queued_contrastive(
    anchors: Float[Tensor, "image dim"],
    twins: Float[Tensor, "image dim"],
    keys: Float[Tensor, "place dim"],
    chosen: Bool[Tensor, "image place"],
    *,
    temperature: float | Tensor,
) -> Float[Tensor, ""]:
    """The mean over anchors of -log-likelihood, averaged over the own twin and what is `chosen`.

    The likelihood is among the twin and all keys of the queue (the programs for ImageNet-LT).

    Args:
        anchors: A view of each image, of unit length.
        twins: What the following encoder makes of its other view.
        keys: The queue.
        chosen: Which keys each anchor is drawn to beside its twin.
        temperature: Softmax temperature.
    """
    twin = (anchors * twins).sum(1, keepdim=True) / temperature
    similarity = torch.cat([twin, similarities(anchors, keys, temperature=temperature)], 1)
    positive = torch.cat([torch.ones_like(twin, dtype=torch.bool), chosen], 1)
    return -mean_over_positives(similarity.log_softmax(1), positive)


def others_of_the_class(
    labels: Int[Tensor, " image"], all_labels: Int[Tensor, " everyone"], *, start: int
) -> Bool[Tensor, "anchor key"]:
    """Which views are of another image of an anchor's class; two views of one image lie together.

    Args:
        labels: Classes of the worker's own images.
        all_labels: Those of all workers.
        start: Number of the worker's first image among all.
    """
    same = labels[:, None] == all_labels
    same &= ~themselves(len(labels), all_labels[:, None], start=start)
    return same.repeat_interleave(2, 0).repeat_interleave(2, 1)


def twins(itself: Bool[Tensor, "anchor key"]) -> Bool[Tensor, "anchor key"]:
    """Which key is the anchor's other view, from which one is the anchor itself."""
    return itself.unflatten(1, (-1, 2)).flip(2).flatten(1)
