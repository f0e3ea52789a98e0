"""TSC: KCL in which each class has a place of its own, far from the others (Li et al., CVPR 2022).

The form here is that for CIFAR-LT, "SimCLR-based" in the supplement: the keys are the batch of two
views itself, without a queue. The loss is the supplement's. Apart from it:

- The released program for ImageNet-LT (LTH14/targeted-supcon) divides both parts of the loss by
  the number of positives, the target included; its unfinished one for CIFAR joins 25 copies of
  each target to the batch.
- It matches classes and targets anew in each step, on the host; here that happens at the beginning
  of each epoch, so that a step waits for nothing.
- Its learning rate begins anew after the warm-up; here there is one schedule.
- k is not stated for CIFAR; 6 is that of ImageNet-LT.

The second stage is that of KCL: the probe `ldam` on CIFAR-LT, `class-balanced` on ImageNet-LT.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from raylt.collectives import gather, rank
from raylt.contrast import mean_over_positives, similarities, themselves, unit
from raylt.methods._base import Method
from raylt.methods.kcl import others_of_the_class, projection, twins
from raylt.nn.draw import Draw
from raylt.nn.encoder import Encoder
from raylt.nn.temperature import Temperature
from raylt.schema import Ablation, ContrastConfig, Published


class Config(ContrastConfig):
    """The hyperparameters of TSC; the defaults are those for CIFAR-LT."""

    name: Literal["tsc"] = "tsc"
    """Targeted supervised contrastive learning."""
    temperature: float = Field(0.07, gt=0)
    """Softmax temperature of the contrast; 0.07 in the programs."""
    positives: int = Field(6, ge=0)
    """Images of its class that an image is drawn to beside its own other view (k); 6 in the
    program for ImageNet-LT."""
    target_weight: float = Field(0.2, ge=0)
    """Weight of the attraction to the targets (lambda); 0.2 in all experiments of the paper."""
    warmup: int = Field(0, ge=0)
    """Epochs without targets, as KCL; half of all epochs in the paper, 500 on CIFAR-LT."""
    out_dim: int = Field(128, ge=2)
    """Numbers that describe a view in the contrast; 128 in the paper."""


PUBLISHED = Published(
    source="Li et al., Targeted Supervised Contrastive Learning, CVPR 2022, the supplement and "
    "the program; k of ImageNet-LT",
    values={
        "method.temperature": 0.07,
        "method.positives": 6,
        "method.target_weight": 0.2,
        "optimizer.lr": 0.5,
        "optimizer.weight_decay": 0.0001,
    },
)

BIBTEX = """
@inproceedings{li2022targeted,
  title={Targeted Supervised Contrastive Learning for Long-Tailed Recognition},
  author={Li, Tianhong and Cao, Peng and Yuan, Yuan and Fan, Lijie and Yang, Yuzhe and Feris,
    Rogerio S. and Indyk, Piotr and Katabi, Dina},
  booktitle={IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year={2022}
}
"""

ABLATIONS = (
    Ablation(
        name="no attraction",
        sentence="nothing is drawn to the targets, which repel all the same",
        values={"method.target_weight": 0.0},
    ),
    Ablation(
        name="no positives of the class",
        sentence="an image is drawn to its own other view and the target alone",
        values={"method.positives": 0},
    ),
)

_ENERGY = 0.07
"""Temperature of the targets' energy in the program."""
_KEPT = 0.9
"""Share of a class's centroid that stays when a batch brings images of it, as in the program."""


class TSC(Method):
    """Contrast over classes whose centres are given; a classifier is fitted afterwards, on frozen
    features."""

    Config = Config
    targets: Float[Tensor, "class dim"]
    """Row k is the target of class k; matching exchanges rows."""
    centroids: Float[Tensor, "class dim"]
    """Moving mean direction of each class's features."""
    targeted: Bool[Tensor, ""]
    """Whether the warm-up is over."""

    def __init__(self, config: Config, encoder: Encoder, class_counts: Tensor) -> None:
        super().__init__(config, encoder, class_counts)
        self.config = config
        self.temperature = Temperature(config)
        self.head = projection(encoder.width, config.out_dim)
        self.draw = Draw()
        classes = len(class_counts)
        self.register_buffer("targets", spread(classes, config.out_dim))
        self.register_buffer("centroids", unit(torch.randn(classes, config.out_dim)))
        self.register_buffer("targeted", torch.tensor(config.warmup == 0))

    @staticmethod
    def views(config: Config) -> tuple[str, ...]:
        """Two draws of SimCLR's view."""
        return "sim", "sim"

    @torch.no_grad()
    def begin_epoch(self, epoch: int) -> None:
        """Set the epoch's temperature; after the warm-up, match classes and targets anew."""
        super().begin_epoch(epoch)
        self.targeted.fill_(epoch >= self.config.warmup)
        if epoch >= self.config.warmup:
            self.targets.copy_(self.targets[matched(self.centroids, self.targets)])

    def forward(self, views: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        """The contrast of all views, and their attraction to the targets."""
        first, second = self.head(self.encoder(torch.cat(list(views)))).chunk(2)
        features, start = unit(torch.stack([first, second], 1)), rank() * len(labels)
        all_features, all_labels = gather(features), gather(labels)
        self._follow(all_features.detach(), all_labels)
        same = others_of_the_class(labels, all_labels, start=start)
        contrast, attraction = among(
            features,
            all_features,
            self.draw(same, count=self.config.positives, start=2 * start),
            self.targets.clone(),
            labels,
            self.targeted,
            start=start,
            temperature=self.temperature.value,
        )
        return {"contrast": contrast, "target": self.config.target_weight * attraction}

    @torch.no_grad()
    def _follow(self, features: Tensor, labels: Tensor) -> None:
        """Move the centroids of the classes that the batch has towards its own."""
        classes = torch.arange(len(self.centroids), device=labels.device)
        members = (labels == classes[:, None]).to(features.dtype)
        with torch.autocast(labels.device.type, enabled=False):
            batch = unit(members @ features.sum(1)).to(self.centroids.dtype)
        moved = unit(_KEPT * self.centroids + (1 - _KEPT) * batch)
        self.centroids.copy_(torch.where(members.any(1, keepdim=True), moved, self.centroids))


def targeted_contrastive(
    features: Float[Tensor, "image 2 dim"],
    chosen: Bool[Tensor, "anchor key"],
    targets: Float[Tensor, "class dim"],
    labels: Int[Tensor, " image"],
    *,
    temperature: float,
    target_weight: float,
) -> Float[Tensor, ""]:
    """KCL with the targets of all classes among what a view is told apart from, and attraction to
    that of its own.

    The loss of the supplement of Li et al., CVPR 2022: of anchor v, its positives v+ and target c
    -1 / (k + 1) sum_v+ log(exp(v . v+ / t) / Z) - lambda log(exp(v . c / t) / Z), where Z is the
    sum of exp(v . u / t) over all other views and all targets u.

    Args:
        features: Views of unit length.
        chosen: Which views each view is drawn to beside its other one, (2n, 2n); views of one
            image lie beside each other.
        targets: One of unit length for each class.
        labels: Class of each image.
        temperature: Softmax temperature.
        target_weight: Weight of the attraction (lambda).
    """
    contrast, attraction = among(
        features,
        features,
        chosen,
        targets,
        labels,
        torch.ones((), dtype=torch.bool, device=labels.device),
        start=0,
        temperature=temperature,
    )
    return contrast + target_weight * attraction


def among(
    features: Float[Tensor, "image 2 dim"],
    all_features: Float[Tensor, "everyone 2 dim"],
    chosen: Bool[Tensor, "anchor key"],
    targets: Float[Tensor, "class dim"],
    labels: Int[Tensor, " image"],
    targeted: Bool[Tensor, ""],
    *,
    start: int,
    temperature: float | Tensor,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Contrast and attraction of the worker's own rows; KCL's and 0 where not `targeted`."""
    anchors, keys = features.flatten(0, 1), all_features.flatten(0, 1)
    itself = themselves(len(anchors), keys, start=2 * start)
    to_keys = similarities(anchors, keys, temperature=temperature)
    to_targets = similarities(anchors, targets.to(anchors.dtype), temperature=temperature)
    compared = torch.cat(
        [
            to_keys.masked_fill(itself, -torch.inf),
            torch.where(targeted, to_targets, -torch.inf),
        ],
        1,
    )
    evidence = compared.logsumexp(1, keepdim=True)
    contrast = -mean_over_positives(to_keys - evidence, twins(itself) | chosen)
    own = to_targets.gather(1, labels.repeat_interleave(2)[:, None])
    return contrast, torch.where(targeted, (evidence - own).mean(), 0)


def matched(
    centroids: Float[Tensor, "class dim"], targets: Float[Tensor, "class dim"]
) -> Int[Tensor, " class"]:
    """The target of each class: the assignment that moves the centroids least, by cosines.

    It reads from the device: the assignment is found on the host.
    """
    from scipy.optimize import linear_sum_assignment

    _, columns = linear_sum_assignment((centroids @ targets.T).cpu().numpy(), maximize=True)
    return torch.from_numpy(columns).to(targets.device)


def energy(points: Float[Tensor, "class dim"]) -> Float[Tensor, ""]:
    """How close points of unit length are: log of the mean of exp(t_i . t_j / 0.07) over pairs.

    The program's is the mean over i of log sum_j exp(t_i . t_j / 0.07), in which a point itself
    counts a million times as much as one at a right angle. Up to terms of the second order in the
    others that grows with this one, whose slope does not vanish.
    """
    pairs = similarities(points, points, temperature=_ENERGY).fill_diagonal_(-torch.inf)
    return pairs.flatten().logsumexp(0) - math.log(len(points) * (len(points) - 1))


def spread(classes: int, dim: int) -> Float[Tensor, "class dim"]:
    """Points of least energy on the sphere, turned at random by torch's generator.

    Up to `dim` points are the corners of a regular simplex; more are moved downhill, which takes
    a minute for a thousand.
    """
    if classes <= dim:
        # As many dimensions as corners, of which one stays unused.
        corners = torch.eye(classes, dtype=torch.float64) - 1 / classes
        turn, _ = torch.linalg.qr(torch.randn(dim, classes, dtype=torch.float64))
        return functional.normalize(corners @ turn.T, dim=1).float()
    with torch.enable_grad():
        points = torch.randn(classes, dim, dtype=torch.float64).requires_grad_()
        optimizer = torch.optim.LBFGS([points], max_iter=500, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            value = energy(functional.normalize(points, dim=1))
            value.backward()
            return value

        optimizer.step(closure)  # pyright: ignore[reportArgumentType]
    return functional.normalize(points.detach(), dim=1).float()
