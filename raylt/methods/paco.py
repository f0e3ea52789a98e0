"""PaCo: supervised contrast with a learned centre for each class (Cui et al., ICCV 2021).

As in the released program (dvlab-research/Parametric-Contrastive-Learning, CIFAR-100-LT), keys are
the queries of the batch themselves, what a momentum encoder makes of the other views, and a queue
of 1024 of its keys; the centres are a linear layer on the encoder's features, whose logits are
adjusted by the log class frequencies, and which classifies without the adjustment. Apart from it:

- The program's queue begins with vectors of no unit length and classes at random; here they have
  length 1 and no class. On CIFAR-100-LT it is full after 8 steps.
- Its workers contrast with the queries and keys of their own share of a batch; here they see those
  of all, so that any number of workers computes the same.
- It keeps a momentum copy of the linear layer that nothing uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from raylt.collectives import gather, rank
from raylt.contrast import similarities, themselves, unit, widened
from raylt.methods._base import Classifier, Method
from raylt.nn import heads
from raylt.nn.encoder import Encoder
from raylt.nn.momentum import Follower, Queue
from raylt.nn.temperature import Temperature
from raylt.schema import Ablation, ContrastConfig, Published


class Config(ContrastConfig):
    """The hyperparameters of PaCo; the defaults are the program's for CIFAR-100-LT."""

    name: Literal["paco"] = "paco"
    """Parametric contrastive learning."""
    temperature: float = Field(0.05, gt=0)
    """Softmax temperature of the contrast, not of the centres; 0.05 for CIFAR-100-LT, 0.2 for
    ImageNet-LT."""
    alpha: float = Field(0.01, ge=0)
    """Weight of each key of an image's class among its positives; 0.01 for CIFAR-100-LT, 0.05 for
    ImageNet-LT."""
    beta: float = Field(1.0, gt=0)
    """Weight of the centre of an image's class among its positives; 1 in the program."""
    gamma: float = Field(1.0, ge=0)
    """How often a key counts in the denominator, where a centre counts once; 1 in the program."""
    queue: int = Field(1024, ge=1)
    """Keys of earlier steps; 1024 for CIFAR-100-LT, 8192 for ImageNet-LT."""
    momentum: float = Field(0.999, ge=0, lt=1)
    """Share of the momentum encoder that stays at each step; 0.999 in the program."""
    out_dim: int = Field(32, ge=2)
    """Numbers that describe a view in the contrast; 32 for CIFAR-100-LT, 128 for ImageNet-LT."""
    query_view: Literal["policy", "weak", "class", "sim"] = "policy"
    """Augmentation of the view that is classified and trained on: pad-crop and flip with
    AutoAugment and Cutout or without, the crop with jitter and RandAugment, or SimCLR's; that of
    the keys is SimCLR's."""

    def is_probed(self) -> bool:
        """Its own layer classifies."""
        return False


PUBLISHED = Published(
    source="Cui et al., Parametric Contrastive Learning, ICCV 2021, the program for CIFAR-100-LT",
    values={
        "method.temperature": 0.05,
        "method.alpha": 0.01,
        "method.beta": 1.0,
        "method.gamma": 1.0,
        "method.queue": 1024,
        "optimizer.lr": 0.05,
        "optimizer.weight_decay": 0.0005,
    },
)

BIBTEX = """
@inproceedings{cui2021parametric,
  title={Parametric Contrastive Learning},
  author={Cui, Jiequan and Zhong, Zhisheng and Liu, Shu and Yu, Bei and Jia, Jiaya},
  booktitle={IEEE/CVF International Conference on Computer Vision (ICCV)},
  year={2021}
}
"""

ABLATIONS = (
    Ablation(
        name="no keys",
        sentence="the learned centres alone: neither attraction to keys nor repulsion",
        values={"method.alpha": 0.0, "method.gamma": 0.0},
    ),
)


class PaCo(Method):
    """One view is classified and contrasted with a momentum encoder's keys of the other."""

    Config = Config
    class_counts: Tensor

    def __init__(self, config: Config, encoder: Encoder, class_counts: Tensor) -> None:
        super().__init__(config, encoder, class_counts)
        self.config = config
        self.temperature = Temperature(config)
        self.register_buffer("class_counts", class_counts)
        self.classification_head = nn.Linear(encoder.width, len(class_counts))
        self.contrast_head: nn.Module = heads.perceptron(
            encoder.width, hidden_dim=encoder.width, out_dim=config.out_dim
        )
        self.follower = Follower(encoder, self.contrast_head, momentum=config.momentum)
        self.queue = Queue(config.queue, config.out_dim)

    @staticmethod
    def views(config: Config) -> tuple[str, ...]:
        """The queries', then the keys'."""
        return config.query_view, "sim"

    def forward(self, views: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        """The parametric contrast of the queries."""
        features = self.encoder(views[0])
        queries = unit(self.contrast_head(features))
        self.follower.follow()
        keys = unit(self.follower(views[1]))
        queued, queued_labels = self.queue.read()
        self.queue.push(keys, labels)
        everyone = gather(labels)
        return {
            "contrast": parametric_contrastive(
                queries,
                torch.cat([gather(queries), gather(keys), queued]),
                self.classification_head(features),
                labels,
                torch.cat([everyone, everyone, queued_labels]),
                self.class_counts,
                start=rank() * len(labels),
                temperature=self.temperature.value,
                alpha=self.config.alpha,
                beta=self.config.beta,
                gamma=self.config.gamma,
            )
        }

    def classifier(self) -> Classifier:
        """The logits as they are, without the adjustment."""
        return lambda images: self.classification_head(self.encode(images))


def parametric_contrastive(
    queries: Float[Tensor, "image dim"],
    keys: Float[Tensor, "key dim"],
    logits: Float[Tensor, "image class"],
    labels: Int[Tensor, " image"],
    key_labels: Int[Tensor, " key"],
    class_counts: Int[Tensor, " class"],
    *,
    start: int,
    temperature: float | Tensor,
    alpha: float,
    beta: float,
    gamma: float,
) -> Float[Tensor, ""]:
    """The mean over queries of -log-likelihood, averaged over keys and centre of the own class.

    Cui et al., ICCV 2021: a key of the class counts `alpha` in that average and the centre `beta`,
    which is 1 there: -sum_p w(p) log(exp(s_p) / Z) / sum_p w(p), where s is the similarity with a
    key or the adjusted logit of a centre, and Z the sum of exp(s) over all centres and, `gamma`
    times each, over all other keys.

    Args:
        queries: Unit length.
        keys: Unit length; the queries of all workers come first.
        logits: Scalar products of the queries' features with the class centres, not adjusted.
        labels: Classes of the queries.
        key_labels: Those of the keys, negative for a key of no class.
        class_counts: Training images of each class; a class without any counts as having one.
        start: Which key the first query is.
        temperature: Softmax temperature of the keys.
        alpha: Weight of a key of the class.
        beta: Weight of the centre.
        gamma: How often a key counts as a negative.
    """
    wide = widened(logits)
    frequencies = class_counts.clamp(min=1).to(wide.dtype)
    centres = wide + (frequencies / frequencies.sum()).log()
    similarity = similarities(queries, keys, temperature=temperature)
    itself = themselves(len(queries), keys, start=start)
    # A key that counts `gamma` times is a key whose logit is larger by the logarithm.
    counted = similarity + torch.full_like(similarity, gamma).masked_fill(itself, 0).log()
    evidence = torch.cat([centres, counted], 1).logsumexp(1, keepdim=True)
    log_prob = torch.cat([centres, similarity], 1) - evidence
    classes = torch.arange(len(class_counts), device=labels.device)
    weights = torch.cat(
        [
            beta * (labels[:, None] == classes).to(wide.dtype),
            alpha * ((labels[:, None] == key_labels) & ~itself).to(wide.dtype),
        ],
        1,
    )
    return -((weights * log_prob).sum(1) / weights.sum(1)).mean()
