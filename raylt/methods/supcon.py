"""SupCon: views of one class recognise each other (Khosla et al., NeurIPS 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from raylt.collectives import gather, rank
from raylt.contrast import log_softmax, mean_over_positives, similarities, themselves, unit
from raylt.methods._base import Method
from raylt.nn.encoder import Encoder
from raylt.nn.heads import projection
from raylt.nn.temperature import Temperature
from raylt.schema import ContrastConfig, Published


class Config(ContrastConfig):
    """The hyperparameters of SupCon."""

    name: Literal["supcon"] = "supcon"
    """Supervised contrastive learning."""
    temperature: float = Field(0.1, gt=0)
    """Softmax temperature of the contrast; 0.1 in the paper and in BCL."""
    head_depth: Literal[2, 3] = 2
    """Linear layers of the projection head."""
    out_dim: int = Field(128, ge=2)
    """Numbers that describe a view in the contrast; 128 in the paper."""


PUBLISHED = Published(
    source="Khosla et al., Supervised Contrastive Learning, NeurIPS 2020, the program for CIFAR",
    values={
        "method.temperature": 0.1,
        "optimizer.lr": 0.5,
        "optimizer.weight_decay": 0.0001,
    },
)

BIBTEX = """
@inproceedings{khosla2020supervised,
  title={Supervised Contrastive Learning},
  author={Khosla, Prannay and Teterwak, Piotr and Wang, Chen and Sarna, Aaron and Tian, Yonglong
    and Isola, Phillip and Maschinot, Aaron and Liu, Ce and Krishnan, Dilip},
  booktitle={Advances in Neural Information Processing Systems (NeurIPS)},
  year={2020}
}
"""


def supervised_contrastive(
    features: Float[Tensor, "image view dim"],
    labels: Int[Tensor, " image"],
    *,
    temperature: float | Tensor,
) -> Float[Tensor, ""]:
    """The mean over anchors of -log-likelihood, averaged over its positives outside the logarithm.

    Positives of a view are all other views of its class; rows of `features` have unit length
    (Khosla et al., NeurIPS 2020, equation 2).
    """
    anchors, keys = features.flatten(0, 1), gather(features).flatten(0, 1)
    labels, all_labels = (x.repeat_interleave(features.shape[1]) for x in (labels, gather(labels)))
    others = ~themselves(len(anchors), keys, start=rank() * len(anchors))
    same = labels[:, None] == all_labels
    log_prob = log_softmax(similarities(anchors, keys, temperature=temperature), others)
    return -mean_over_positives(log_prob, same & others)


class SupCon(Method):
    """Contrast over classes; a classifier is fitted afterwards, on frozen features."""

    Config = Config

    def __init__(self, config: Config, encoder: Encoder, class_counts: Tensor) -> None:
        super().__init__(config, encoder, class_counts)
        self.config = config
        self.temperature = Temperature(config)
        self.head = projection(encoder.width, depth=config.head_depth, out_dim=config.out_dim)

    @staticmethod
    def views(config: Config) -> tuple[str, ...]:
        """Two draws of SimCLR's view."""
        return "sim", "sim"

    def forward(self, views: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        """The supervised contrast of all views."""
        first, second = self.head(self.encoder(torch.cat(list(views)))).chunk(2)
        features = unit(torch.stack([first, second], 1))
        return {
            "contrast": supervised_contrastive(
                features, labels, temperature=self.temperature.value
            )
        }
