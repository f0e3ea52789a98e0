"""SimCLR: two views of an image recognise each other (Chen et al., ICML 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from raylt.contrast import nt_xent
from raylt.methods._base import Method
from raylt.nn.encoder import Encoder
from raylt.nn.heads import projection
from raylt.nn.temperature import Temperature
from raylt.schema import ContrastConfig, Published


class Config(ContrastConfig):
    """The hyperparameters of SimCLR."""

    name: Literal["simclr"] = "simclr"
    """SimCLR."""
    temperature: float = Field(0.2, gt=0)
    """Softmax temperature of the contrast; 0.2 in SDCLR's CIFAR and ImageNet-100 scripts."""
    head_depth: Literal[2, 3] = 2
    """Linear layers of the projection head; the released program has 2 here and 3 for SDCLR."""
    out_dim: int = Field(128, ge=2)
    """Numbers that describe a view in the contrast; 128 in the paper."""


PUBLISHED = Published(
    source="SimCLR in the CIFAR scripts of Jiang et al., ICML 2021",
    values={
        "method.temperature": 0.2,
        "optimizer.lr": 0.5,
        "optimizer.weight_decay": 0.0001,
    },
)

BIBTEX = """
@inproceedings{chen2020simple,
  title={A Simple Framework for Contrastive Learning of Visual Representations},
  author={Chen, Ting and Kornblith, Simon and Norouzi, Mohammad and Hinton, Geoffrey},
  booktitle={International Conference on Machine Learning (ICML)},
  year={2020}
}
"""


class SimCLR(Method):
    """Both views go through one encoder and head in one batch; labels are not looked at."""

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
        """NT-Xent over the 2n rows."""
        first, second = self.head(self.encoder(torch.cat(list(views)))).chunk(2)
        return {"contrast": nt_xent(first, second, temperature=self.temperature.value)}
