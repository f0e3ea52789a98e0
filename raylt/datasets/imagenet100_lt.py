"""ImageNet-100-LT: 12,205 photographs of 100 classes, 1280 ... 6 each (Jiang et al., 2021)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from raylt.data.images import Splits
from raylt.data.longtail import Listed
from raylt.datasets import _listed

CHANNELS = 3
SIZE = 224
CLASSES = 100
BIBTEX = """
@inproceedings{jiang2021self,
  title={Self-Damaging Contrastive Learning},
  author={Jiang, Ziyu and Chen, Tianlong and Mortazavi, Bobak and Wang, Zhangyang},
  booktitle={International Conference on Machine Learning (ICML)},
  year={2021}
}
"""


class Config(Listed):
    """ImageNet's own files, and the lists that SDCLR's authors published.

    SDCLR's full-shot probe trains on all images of these classes in ImageNet: a list of them as
    `balanced_list` repeats that, without the validation images.
    """

    name: Literal["imagenet100_lt"] = "imagenet100_lt"
    """The dataset."""
    images: str = "imagenet"
    """Folder that holds ImageNet's `train` and `val`."""
    train_list: str = "imagenet-100/imageNet_100_LT_train.txt"
    """The long-tailed training images."""
    test_list: str = "imagenet-100/ImageNet_100_test.txt"
    """The sealed test images: 5,000 of ImageNet's validation images."""
    validation_list: str | None = "imagenet-100/ImageNet_100_val.txt"
    """20 images of each class out of ImageNet's training images."""
    few_shot_list: str | None = "imagenet-100/imageNet_100_sub_balance_train_0.01.txt"
    """Labels of a few-shot probe: 12 images of each class."""


def load(config: Config, root: Path) -> Splits:
    """The parts of the dataset; see `raylt.datasets._listed.load`."""
    return _listed.load(config, root, classes=CLASSES)
