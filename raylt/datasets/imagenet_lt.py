"""ImageNet-LT: 115,846 photographs of 1000 classes, 1280 ... 5 each (Liu et al., 2019)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from raylt.data.images import Splits
from raylt.data.longtail import Listed
from raylt.datasets import _listed

CHANNELS = 3
SIZE = 224
CLASSES = 1000
BIBTEX = """
@inproceedings{liu2019large,
  title={Large-Scale Long-Tailed Recognition in an Open World},
  author={Liu, Ziwei and Miao, Zhongqi and Zhan, Xiaohang and Wang, Jiayun and Gong, Boqing and Yu,
    Stella X.},
  booktitle={IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year={2019}
}
"""


class Config(Listed):
    """ImageNet's own files, and the lists that the field shares."""

    name: Literal["imagenet_lt"] = "imagenet_lt"
    """The dataset."""
    images: str = "imagenet"
    """Folder that holds ImageNet's `train` and `val`."""
    train_list: str = "ImageNet_LT/ImageNet_LT_train.txt"
    """The long-tailed training images."""
    test_list: str = "ImageNet_LT/ImageNet_LT_test.txt"
    """The sealed test images: ImageNet's 50,000 validation images."""
    validation_list: str | None = "ImageNet_LT/ImageNet_LT_val.txt"
    """20 images of each class out of ImageNet's training images."""


def load(config: Config, root: Path) -> Splits:
    """The parts of the dataset; see `raylt.datasets._listed.load`."""
    return _listed.load(config, root, classes=CLASSES)
