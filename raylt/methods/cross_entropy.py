"""Cross-entropy with logits adjusted for the class sizes (Menon et al., ICLR 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from raylt.contrast import widened
from raylt.methods._base import Classifier, Method
from raylt.nn import heads
from raylt.nn.encoder import Encoder
from raylt.schema import Ablation, MethodConfig, Published, Where


class Config(MethodConfig):
    """The hyperparameters of logit-adjusted cross-entropy."""

    name: Literal["cross_entropy"] = "cross_entropy"
    """Logit-adjusted cross-entropy."""
    tau: float = Field(1.0, ge=0)
    """Strength of the adjustment by the log class frequencies; 1 in the paper, 0 is plain
    cross-entropy."""
    classifier: Literal["linear", "cosine"] = "linear"
    """A linear layer, or cosines with unit class vectors."""
    cosine_scale: Annotated[float, Where("method.classifier == 'cosine'")] = Field(30.0, gt=0)
    """Factor of the cosines; 30 in BCL's program."""
    view: Literal["weak", "policy", "class"] = "policy"
    """Augmentation: pad-crop and flip, those with AutoAugment and Cutout as in BCL on CIFAR-LT, or
    the crop with jitter and RandAugment as in BCL on ImageNet-LT."""

    def is_probed(self) -> bool:
        """Its own layer classifies."""
        return False


PUBLISHED = Published(
    source="Menon et al., Long-tail learning via logit adjustment, ICLR 2021, CIFAR-LT",
    values={
        "method.tau": 1.0,
        "optimizer.lr": 0.1,
    },
)

BIBTEX = """
@inproceedings{menon2021long,
  title={Long-tail Learning via Logit Adjustment},
  author={Menon, Aditya Krishna and Jayasumana, Sadeep and Rawat, Ankit Singh and Jain, Himanshu
    and Veit, Andreas and Kumar, Sanjiv},
  booktitle={International Conference on Learning Representations (ICLR)},
  year={2021}
}
"""

ABLATIONS = (
    Ablation(
        name="no logit adjustment",
        sentence="plain cross-entropy",
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


class CrossEntropy(Method):
    """An encoder and a classifier, trained on one view."""

    Config = Config
    class_counts: Tensor

    def __init__(self, config: Config, encoder: Encoder, class_counts: Tensor) -> None:
        super().__init__(config, encoder, class_counts)
        self.config = config
        self.register_buffer("class_counts", class_counts)
        self.head = heads.classifier(
            encoder.width,
            len(class_counts),
            kind=config.classifier,
            scale=config.cosine_scale,
            bias=True,
        )

    @staticmethod
    def views(config: Config) -> tuple[str, ...]:
        """The one that `view` names."""
        return (config.view,)

    def forward(self, views: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        """The adjusted cross-entropy."""
        logits = self.head(self.encoder(views[0]))
        return {
            "classification": logit_adjusted_cross_entropy(
                logits, labels, self.class_counts, tau=self.config.tau
            )
        }

    def classifier(self) -> Classifier:
        """The logits as they are, without the adjustment."""
        return lambda images: self.head(self.encode(images))


def logit_adjusted_cross_entropy(
    logits: Float[Tensor, "image class"],
    labels: Int[Tensor, " image"],
    class_counts: Int[Tensor, " class"],
    *,
    tau: float,
) -> Float[Tensor, ""]:
    """Cross-entropy of logits to which `tau` times the log frequency of each class is added.

    Menon et al., ICLR 2021, equation 10; at `tau` 1 it is the balanced softmax. A class without
    training images counts as if it had one.
    """
    wide = widened(logits)
    frequencies = class_counts.clamp(min=1).to(wide.dtype)
    prior = (frequencies / frequencies.sum()).log()
    return functional.cross_entropy(wide + tau * prior, labels)
