"""Trials that share a device: images a second of several processes at once.

    python -m benchmarks.packed METHOD DEVICE SHAPE    # one, which waits for a line

A process makes its views and trains as a trial does; nothing but the device joins them.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks import made, pairs
from raylt.data.batches import Batches
from raylt.data.images import ArrayImages
from raylt.methods._base import Method

TOGETHER = (1, 2, 4)
_REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Shape:
    """What a process trains."""

    encoder: str
    batch: int
    size: int
    steps: int

    def __str__(self) -> str:
        return f"{self.encoder},{self.batch},{self.size},{self.steps}"

    @classmethod
    def of(cls, text: str) -> Shape:
        """The shape that a text names."""
        encoder, *numbers = text.split(",")
        return cls(encoder, *map(int, numbers))  # type: ignore[arg-type]

    @property
    def images(self) -> ArrayImages:
        """Enough of them for one epoch."""
        generator = np.random.default_rng(0)
        count = self.batch * self.steps
        pixels = generator.integers(0, 256, (count, 3, self.size, self.size), np.uint8)
        return ArrayImages(pixels, generator.integers(0, 100, count))

    def batches(self, method: Method, device: torch.device) -> Batches:
        """An epoch of the views that a method wants."""
        return Batches(
            self.images,
            views=type(method).views(method.config),
            size=self.size,  # type: ignore[attr-defined]
            params=made.PARAMS,
            batch_size=self.batch,
            drop_last=True,
            seed=0,
            device=device,
            rank=0,
            world=1,
            channels_last=True,
        )


def rate(name: str, device: torch.device, shape: Shape, *, processes: int) -> float:
    """Images a second of so many processes together, none of which waits for another.

    Raises:
        RuntimeError: one of them failed.
    """
    command = [sys.executable, "-m", "benchmarks.packed", name, str(device), str(shape)]
    running = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_REPOSITORY
        )
        for _ in range(processes)
    ]
    try:
        for item in running:
            _line(item)
        for item in running:
            assert item.stdin is not None
            item.stdin.write("go\n")
            item.stdin.flush()
        seconds = max(float(_line(item)) for item in running)
    finally:
        for item in running:
            item.communicate()
    return processes * shape.batch * shape.steps / seconds


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("a process that was to train beside others has failed; see above")
    return line


def elapsed(work: pairs.Work, device: torch.device) -> float:
    """Wall-clock seconds of some work, with all that it leaves the device to do."""
    wait = (lambda: torch.cuda.synchronize(device)) if device.type == "cuda" else (lambda: None)
    wait()
    began = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - began


def main(name: str, device: torch.device, shape: Shape) -> None:
    """Warm up, wait for a line, train an epoch, and print how long it took."""
    torch.set_num_threads(1)
    method = made.method(
        name, shape.encoder, classes=100, size=shape.size, device=device, channels_last=True
    )
    work = made.steps(method, shape.batches(method, device), made.halved(device))
    work()
    print("ready", flush=True)
    sys.stdin.readline()
    print(elapsed(work, device), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], torch.device(sys.argv[2]), Shape.of(sys.argv[3]))
