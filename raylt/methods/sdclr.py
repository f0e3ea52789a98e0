"""SDCLR: the network against its own pruned self (Jiang et al., ICML 2021)."""

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
from raylt.nn.masked import Competitor, magnitude_masks, random_masks
from raylt.nn.temperature import Temperature
from raylt.schema import Ablation, ContrastConfig, Published

__all__ = ["SDCLR", "Config", "nt_xent"]


class Config(ContrastConfig):
    """The hyperparameters of SDCLR."""

    name: Literal["sdclr"] = "sdclr"
    """SDCLR."""
    temperature: float = Field(0.2, gt=0)
    """Softmax temperature of the contrast; 0.2 in the CIFAR scripts, 0.3 for ImageNet-100."""
    prune: float = Field(0.9, ge=0, lt=1)
    """Share of the weights of the encoder's convolutions and linear layers that the competitor
    hides; 0.9 in the CIFAR scripts, 0.3 for ImageNet-100."""
    random_share: float = Field(0.0, ge=0, le=1)
    """Share of `prune` that is hidden by chance and not by magnitude; 0 is the method."""
    refresh: int = Field(1, ge=1)
    """Epochs for which a mask is kept; 1 is the method."""
    own_norms: bool = True
    """Whether the competitor has norms of its own; true is the method."""
    head_depth: Literal[2, 3] = 2
    """Linear layers of the projection head; the released program has 3 with own norms and 2
    without and for SimCLR, so equal depths make the fair comparison."""
    out_dim: int = Field(128, ge=2)
    """Numbers that describe a view in the contrast; 128 in the paper."""


PUBLISHED = Published(
    source="Jiang et al., Self-Damaging Contrastive Learning, ICML 2021, the CIFAR scripts",
    values={
        "method.prune": 0.9,
        "method.temperature": 0.2,
        "optimizer.lr": 0.5,
        "optimizer.weight_decay": 0.0001,
    },
)

BIBTEX = """
@inproceedings{jiang2021self,
  title={Self-Damaging Contrastive Learning},
  author={Jiang, Ziyu and Chen, Tianlong and Mortazavi, Bobak and Wang, Zhangyang},
  booktitle={International Conference on Machine Learning (ICML)},
  year={2021}
}
"""

ABLATIONS = (
    Ablation(
        name="no pruning",
        sentence="the competitor hides nothing, which is SimCLR with norms of its own",
        values={"method.prune": 0.0},
    ),
    Ablation(
        name="random masks",
        sentence="weights are hidden by chance and not by magnitude",
        values={"method.random_share": 1.0},
    ),
    Ablation(
        name="shared norms",
        sentence="the competitor has the norms of the network",
        values={"method.own_norms": False},
    ),
)


class SDCLR(Method):
    """View 1 goes through the network, view 2 through its competitor; labels are not looked at.

    The published step computes the gradient in two passes with one branch held fixed in each; its
    sum is the gradient of one joint pass, which this is.
    """

    Config = Config
    seed: Tensor

    def __init__(self, config: Config, encoder: Encoder, class_counts: Tensor) -> None:
        super().__init__(config, encoder, class_counts)
        self.config = config
        self.temperature = Temperature(config)
        self.head = projection(encoder.width, depth=config.head_depth, out_dim=config.out_dim)
        self.competitor = Competitor(encoder, self.head, own_norms=config.own_norms)
        # Drawn like the initial weights, so that all workers and a resumed run hold the same.
        self.register_buffer("seed", torch.randint(2**62, ()))
        # On the host, too: no epoch waits for the device to read it there.
        self._read_seed()
        self.register_load_state_dict_post_hook(SDCLR._read_seed)

    def _read_seed(self, _: object = None) -> None:
        self._seed = int(self.seed)

    @staticmethod
    def views(config: Config) -> tuple[str, ...]:
        """Two draws of SimCLR's view."""
        return "sim", "sim"

    def begin_epoch(self, epoch: int) -> None:
        """Choose the hidden weights anew; those that grew since come back."""
        super().begin_epoch(epoch)
        if epoch % self.config.refresh:
            return
        weights, prune = self.competitor.weights(), self.config.prune
        if self.config.random_share == 0:
            self.competitor.hide(magnitude_masks(weights, prune))
            return
        self.competitor.hide(
            random_masks(
                weights,
                magnitude=prune * (1 - self.config.random_share),
                random=prune * self.config.random_share,
                generator=torch.Generator().manual_seed(self._seed + epoch),
            )
        )

    def forward(self, views: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        """NT-Xent over the 2n rows of both branches."""
        first, second = self.head(self.encoder(views[0])), self.competitor(views[1])
        return {"contrast": nt_xent(first, second, temperature=self.temperature.value)}
