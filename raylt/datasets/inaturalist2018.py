"""iNaturalist 2018: 437,513 photographs of 8142 species, 1000 ... 2 each (Van Horn, 2018)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from raylt.data.images import Splits
from raylt.data.longtail import Listed
from raylt.datasets import _listed

CHANNELS = 3
SIZE = 224
CLASSES = 8142
BIBTEX = """
@inproceedings{vanhorn2018inaturalist,
  title={The {iNaturalist} Species Classification and Detection Dataset},
  author={Van Horn, Grant and Mac Aodha, Oisin and Song, Yang and Cui, Yin and Sun, Chen and
    Shepard, Alex and Adam, Hartwig and Perona, Pietro and Belongie, Serge},
  booktitle={IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year={2018}
}
"""


class Config(Listed):
    """iNaturalist's own files, long-tailed by nature, and the lists that the field shares."""

    name: Literal["inaturalist2018"] = "inaturalist2018"
    """The dataset."""
    images: str = "inaturalist2018"
    """Folder that holds `train_val2018`."""
    train_list: str = "iNaturalist18/iNaturalist18_train.txt"
    """The long-tailed training images."""
    test_list: str = "iNaturalist18/iNaturalist18_val.txt"
    """The sealed test images: 3 of each species. The field selects and tests on these same images;
    here validation images are held out of the training images."""


def load(config: Config, root: Path) -> Splits:
    """The parts of the dataset; see `raylt.datasets._listed.load`."""
    return _listed.load(
        config, root, classes=CLASSES, mean=(0.466, 0.471, 0.380), std=(0.195, 0.194, 0.192)
    )
