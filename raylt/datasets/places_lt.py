"""Places-LT: 62,500 scenes of 365 classes, 4980 ... 5 each (Liu et al., 2019)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from raylt.data.images import Splits
from raylt.data.longtail import Listed
from raylt.datasets import _listed

CHANNELS = 3
SIZE = 224
CLASSES = 365
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
    """Places365's own files at 256 pixels, and the lists that the field shares."""

    name: Literal["places_lt"] = "places_lt"
    """The dataset."""
    images: str = "places"
    """Folder that the paths in the lists start from."""
    train_list: str = "Places_LT/Places_LT_train.txt"
    """The long-tailed training images."""
    test_list: str = "Places_LT/Places_LT_test.txt"
    """The sealed test images: 100 images of each class."""
    validation_list: str | None = "Places_LT/Places_LT_val.txt"
    """20 images of each class."""


def load(config: Config, root: Path) -> Splits:
    """The parts of the dataset; see `raylt.datasets._listed.load`."""
    return _listed.load(config, root, classes=CLASSES)
