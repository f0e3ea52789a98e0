"""How long training waits for a checkpoint: written after the scores, and while they are made.

python -m benchmarks.checkpoints [--short]
"""

from __future__ import annotations

import argparse
import functools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from benchmarks import pairs
from raylt import encoders
from raylt.trial.checkpoints import checkpoint

Parts = tuple[nn.Module, torch.optim.Optimizer]


def parts(name: str) -> Parts:
    """A ResNet and an SGD that has momentum for each of its weights."""
    model = encoders.build(name, channels=3, size=32, mean=(0.5,) * 3, std=(0.5,) * 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for weight in model.parameters():
        weight.grad = torch.randn_like(weight)
    optimizer.step()
    return model, optimizer


def after(made: Parts, folder: Path, score: Callable[[], object]) -> None:
    score()
    meanwhile(made, folder, lambda: None)


def meanwhile(made: Parts, folder: Path, score: Callable[[], object]) -> None:
    with checkpoint.writing(
        folder, epoch=1, digest="d", method=made[0], optimizer=made[1], history=()
    ) as keep:
        score()
        keep((), best=True)


def row(name: str, *, scoring: float, rounds: int) -> str:
    made, score = parts(name), functools.partial(time.sleep, scoring)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        pair = pairs.Pair(
            name,
            functools.partial(after, made, folder, score),
            functools.partial(meanwhile, made, folder, score),
        )
        taken: list[tuple[float, float]] = []
        for _ in range(rounds + 1):
            both = (
                pairs.seconds(work, time.perf_counter) for work in (pair.published, pair.raylt)
            )
            slow, fast = (item - scoring for item in both)
            taken.append((slow, fast))
        size = next(folder.iterdir()).stat().st_size / 1e6
    slow, fast = (statistics.median(item) for item in zip(*taken[1:], strict=True))
    ratio = statistics.median(slow / fast for slow, fast in taken[1:])
    return f"| {name}, {size:.0f} MB | {slow:.2f} | {fast:.2f} | **{ratio:.1f}** |"


def section(*, short: bool) -> list[str]:
    scoring, rounds = (0.1, 1) if short else (2.0, 7)
    return [
        f"Seconds that training waits for the checkpoint of an epoch on this machine's disk, "
        f"wall clock, {rounds} rounds in turn, beside {scoring:g} s of scoring in which the "
        f"processor has nothing else to do, as where a GPU scores. What is left is the copy of "
        f"the tensors, the scores, and their way to the disk; an epoch is reported after that.",
        "",
        "| weights and momentum of | written after the scores | while they are made | ratio |",
        "|---|---:|---:|---:|",
        *(row(name, scoring=scoring, rounds=rounds) for name in ("resnet18", "resnet50")),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="two rounds: does it run?")
    print("\n".join(section(short=parser.parse_args().short)))


if __name__ == "__main__":
    main()
