"""CIFAR-100 made long-tailed: 100 classes of photographs of 32x32 pixels (Krizhevsky, 2009)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from raylt.data.archive import Archive
from raylt.data.images import Splits
from raylt.data.longtail import LongTailed
from raylt.datasets import _cifar

CHANNELS = 3
SIZE = 32
CLASSES = 100
BIBTEX = """
@techreport{krizhevsky2009learning,
  title={Learning Multiple Layers of Features from Tiny Images},
  author={Krizhevsky, Alex},
  institution={University of Toronto},
  year={2009}
}
"""
_WORDS = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile
cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp
lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom
oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake
spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor
train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""
NAMES = tuple(_WORDS.split())
"""The classes, as the published file `meta` names them."""


class Config(LongTailed):
    """CIFAR-100 and its tail: 450 ... 4 images, 9,754 in all, with a tenth for validation."""

    name: Literal["cifar100"] = "cifar100"
    """The dataset."""
    validation: int = Field(50, ge=0, le=490)
    """Images of each class that are held out for validation before the tail is cut; 0 gives the
    published CIFAR-100-LT of 500 ... 5 images, 10,847 in all."""
    few_shot: int | None = Field(4, ge=1)
    """Images of each class whose labels a few-shot probe may see, of the training images as far as
    they reach; 4 in SDCLR's lists."""
    normalise: Literal["cifar", "imagenet"] = "cifar"
    """Whose channel statistics the encoder normalises with; SDCLR's program uses ImageNet's."""

    pool: ClassVar = (CLASSES, 500)


# As torchvision has it, but for the SHA-256; importing that takes two seconds.
ARCHIVE = Archive(
    dataset="cifar100",
    url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    sha256="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    folder="cifar-100-python",
    files={
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    },
)


def load(config: Config, root: Path) -> Splits:
    """The parts of the dataset; see `raylt.datasets._cifar.load`."""
    return _cifar.load(
        ARCHIVE,
        config,
        root,
        names=NAMES,
        sealed="test",
        labels="fine_labels",
        normalise=config.normalise,
    )
