"""Small pictures, alone and in folders of classes."""

import numpy as np
from PIL import Image


def picture(path, seed=0, size=(24, 24)):
    """A picture of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.RandomState(seed).randint(0, 256, (size[1], size[0], 3))
    Image.fromarray(noise.astype(np.uint8)).save(path)
    return path


def folder(at, sizes):
    """A folder of classes with so many pictures each."""
    for k, (name, size) in enumerate(sizes.items()):
        for i in range(size):
            picture(at / name / f"{i:03d}.png", seed=100 * k + i)
    return at
