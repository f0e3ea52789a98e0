"""A small archive, and a toy dataset that is cut into its parts."""

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np

from raylt.data import longtail
from raylt.data.archive import Archive
from raylt.data.images import ArrayImages
from raylt.data.longtail import (
    LongTailed,
)

FILES = {"train": b"seven bytes " * 1000, "test": b"others"}


def packed(files=None, *, extra=()):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for member, content in extra:
            tar.addfile(member, io.BytesIO(content))
        for name, content in (FILES if files is None else files).items():
            member = tarfile.TarInfo(f"toy-set/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def described(content, url="http://127.0.0.1:9/toy.tar.gz"):
    return Archive(
        "toy",
        url,
        hashlib.sha256(content).hexdigest(),
        "toy-set",
        {name: hashlib.md5(data).hexdigest() for name, data in FILES.items()},
    )


class Toy(LongTailed):
    name: str = "toy"
    validation: int = 0


class Cut(Toy):
    counts: tuple[int, ...]

    def train_counts(self):
        return self.counts if self.sizes_are_known() else None


def parts(validation, counts=(50, 20, 5), pool=240, **values):
    """A cut of a pool of three classes, in which an image shows its own number."""
    labels = np.arange(pool) % 3
    pixels = np.broadcast_to(np.arange(pool, dtype=np.uint8)[:, None, None, None], (pool, 1, 2, 2))
    images = ArrayImages(pixels.copy(), labels)
    config = Cut(validation=validation, counts=counts, **values)
    return longtail.cut(images, images, config, root=Path("/"), mean=(0.0,), std=(1.0,))


def shown(images):
    return set(images.take(np.arange(len(images)))[:, 0, 0, 0].tolist())
