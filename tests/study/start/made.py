"""Small folders of images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def folder(path: Path, counts: Mapping[str, int], *, size: int = 20) -> Path:
    """Images at `class/image`, each of one colour that belongs to its class, with noise."""
    rng = np.random.default_rng(0)
    for k, (name, count) in enumerate(counts.items()):
        (path / name).mkdir(parents=True)
        for i in range(count):
            base = np.full((size, size, 3), (60 + 40 * k, 200 - 40 * k, 90))
            pixels = np.clip(base + rng.normal(0, 20, base.shape), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(path / name / f"{i}.png")
    return path
