"""Decoupled training: features by cross-entropy, then a classifier that is balanced (Kang et al.,
ICLR 2020).

The second stage sees the images as they are, once through the frozen encoder; the program's
re-training (facebookresearch/classifier-balancing) disturbs them anew in every epoch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from raylt.contrast import unit, widened
from raylt.methods._base import Classifier, Method
from raylt.nn import second_stage
from raylt.nn.encoder import Encoder
from raylt.nn.probe import Fit, Head
from raylt.schema import Ablation, MethodConfig, Published, Where

_RETRAINED = Where("method.classifier in ('crt', 'lws')")


class Config(MethodConfig):
    """The hyperparameters of decoupled training; the defaults are those for ImageNet-LT."""

    name: Literal["decoupled"] = "decoupled"
    """Decoupled training."""
    classifier: Literal["crt", "lws", "tau", "ncm", "linear"] = "crt"
    """What classifies the features: a linear layer that is trained anew on class-balanced draws,
    the layer they were trained with after a factor for each class is learned on such draws, or
    after its class vectors are divided by the `tau`-th power of their lengths, the nearest class
    mean, or the layer as it is."""
    tau: Annotated[float, Where("method.classifier == 'tau'")] = Field(1.0, ge=0, le=2)
    """Strength of the normalisation, for `tau`: at 0 the lengths stay, at 1 all are equal. The
    program tries 0 to 2 in steps of 0.1."""
    crt_epochs: Annotated[int, _RETRAINED] = Field(10, ge=1)
    """Epochs of the second stage, for `crt` and `lws`; in the program 10 and 5. One is as long as
    if each class had as many images as the largest."""
    crt_lr: Annotated[float, _RETRAINED] = Field(0.2, gt=0)
    """Learning rate at the beginning of the second stage, for `crt` and `lws`; 0.2 in the program,
    falling in a cosine."""
    view: Literal["weak", "policy", "crop", "class"] = "weak"
    """Augmentation of the first stage: pad-crop and flip, those with AutoAugment and Cutout, a
    random resized crop and flip, or that with jitter and RandAugment. The program has `crop` with
    a jitter of every image."""

    def is_probed(self) -> bool:
        """What `classifier` names does it."""
        return False


PUBLISHED = Published(
    source="Kang et al., Decoupling Representation and Classifier, ICLR 2020, the program for "
    "ImageNet-LT",
    values={
        "method.classifier": "crt",
        "method.crt_epochs": 10,
        "method.crt_lr": 0.2,
        "optimizer.lr": 0.2,
        "optimizer.weight_decay": 0.0005,
    },
)

BIBTEX = """
@inproceedings{kang2020decoupling,
  title={Decoupling Representation and Classifier for Long-Tailed Recognition},
  author={Kang, Bingyi and Xie, Saining and Rohrbach, Marcus and Yan, Zhicheng and Gordo, Albert
    and Feng, Jiashi and Kalantidis, Yannis},
  booktitle={International Conference on Learning Representations (ICLR)},
  year={2020}
}
"""

ABLATIONS = (
    Ablation(
        name="no second stage",
        sentence="the classifier that the features were trained with, as it is",
        values={"method.classifier": "linear"},
    ),
    Ablation(
        name="learned factors",
        sentence="that classifier with a learned factor for each class (LWS)",
        values={"method.classifier": "lws"},
    ),
    Ablation(
        name="tau-normalisation",
        sentence="that classifier with the lengths of its class vectors evened out",
        values={"method.classifier": "tau"},
    ),
    Ablation(
        name="nearest class mean",
        sentence="no classifier is trained",
        values={"method.classifier": "ncm"},
    ),
)


class Decoupled(Method):
    """An encoder and a linear layer, trained on one view; the classifier is made afterwards."""

    Config = Config
    seed: Tensor

    def __init__(self, config: Config, encoder: Encoder, class_counts: Tensor) -> None:
        super().__init__(config, encoder, class_counts)
        self.config = config
        self.head = nn.Linear(encoder.width, len(class_counts))
        self.register_buffer("seed", torch.randint(2**62, ()))

    @staticmethod
    def views(config: Config) -> tuple[str, ...]:
        """The one that `view` names."""
        return (config.view,)

    def forward(self, views: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        """The cross-entropy, in which each image counts the same."""
        logits = self.head(self.encoder(views[0]))
        return {"classification": functional.cross_entropy(widened(logits), labels)}

    def classifier(self) -> Classifier | None:
        """The trained layer, normalised or as it is; None where one is fitted afterwards."""
        match self.config.classifier:
            case "linear":
                return lambda images: self.head(self.encode(images))
            case "tau":
                weight = normalised(self.head.weight.detach(), tau=self.config.tau)
                return lambda images: functional.linear(self.encode(images), weight)
            case "crt" | "lws" | "ncm":
                return None

    def probe(self) -> Fit | None:
        """How the classifier is made from the training images' features, if it is."""
        epochs, lr = self.config.crt_epochs, self.config.crt_lr
        rates = [lr * (1 + math.cos(math.pi * epoch / epochs)) / 2 for epoch in range(epochs)]
        common = {"rates": rates, "batch_size": 512, "decay": 5e-4, "seed": int(self.seed)}
        classes = self.head.out_features
        match self.config.classifier:
            case "crt":
                return partial(second_stage.retrained, classes=classes, draws=None, **common)
            case "lws":
                return partial(second_stage.rescaled, layer=self.head, **common)
            case "ncm":
                return partial(nearest_mean, classes=classes)
            case "linear" | "tau":
                return None


def normalised(
    weight: Float[Tensor, "class feature"], *, tau: float
) -> Float[Tensor, "class feature"]:
    """Class vectors over the `tau`-th power of their lengths, w / |w|^tau; the program drops their
    biases."""
    return weight / weight.norm(dim=1, keepdim=True) ** tau


def nearest_mean(
    features: Float[Tensor, "image feature"], labels: Int[Tensor, " image"], *, classes: int
) -> Head:
    """Logits are minus the squared distances to the means of the classes.

    As in the program, features are taken from the mean of all images and brought to length 1
    before anything else; the means of the classes are not. A class without an image is never
    chosen.
    """
    centre = features.mean(0)
    members = functional.one_hot(labels, classes).T.to(features.dtype)
    counts = members.sum(1, keepdim=True)
    means = members @ unit(features - centre) / counts.clamp(min=1)

    def logits(rows: Tensor) -> Tensor:
        distances = (unit(rows - centre)[:, None] - means).square().sum(2)
        return -distances.masked_fill(counts[:, 0] == 0, torch.inf)

    return logits
