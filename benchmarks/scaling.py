"""Several processes that train one model, and how much memory a trial takes.

python -m benchmarks.scaling [--short]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from benchmarks import made
from raylt import collectives, optim
from raylt.data.batches import Batches
from raylt.data.images import ArrayImages
from raylt.methods import _base
from raylt.recipe import Augment
from raylt.trial.fit import fit

CPU = torch.device("cpu")
REPOSITORY = Path(__file__).parents[1]
_TAIL = 10_847
"""Images of CIFAR-100-LT at an imbalance of 100."""


def _spawn(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.scaling", *words],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONWARNINGS": "ignore::FutureWarning"},
        stdout=subprocess.PIPE,
        text=True,
    )


def _said(processes: list[subprocess.Popen[str]]) -> list[str]:
    """The last line of each process, once all have ended well."""
    lines = [process.communicate()[0].strip() for process in processes]
    assert not any(process.returncode for process in processes), lines
    return [line.splitlines()[-1] for line in lines]


def group(world: int, *, encoder: str, n: int, steps: int) -> float:
    """Seconds of some steps of SDCLR on `n` images by `world` processes together."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["--encoder", encoder, "--images", str(n), "--steps", str(steps)]
        processes = [
            _spawn("--rank", str(rank), "--world", str(world), "--meet", f"{folder}/meet", *words)
            for rank in range(world)
        ]
        return max(float(line) for line in _said(processes))


def member(rank: int, world: int, meet: str, *, encoder: str, n: int, steps: int) -> float:
    """What one process of `group` does: a warm-up step, then the timed ones."""
    if world > 1:
        distributed.init_process_group("gloo", f"file://{meet}", rank=rank, world_size=world)
    method = made.method("sdclr", encoder, classes=100, size=32, device=CPU, channels_last=True)  # type: ignore[arg-type]
    step: torch.nn.Module = method
    if world > 1:
        collectives.synchronise_norms(method)
        step = DistributedDataParallel(method, broadcast_buffers=False)
    share = made.batch(2, n=n // world, size=32, classes=100, device=CPU, channels_last=True)
    optimizer = _sgd(method)

    def epoch(count: int) -> None:
        for _ in fit(
            method,
            step,
            made.Fixed(share, count),
            optimizer,
            learning_rate=lambda step: 0.01,  # type: ignore[arg-type]
            autocast=made.whole,
            start=0,
            epochs=1,
        ):
            pass

    epoch(1)
    began = time.perf_counter()
    epoch(steps)
    taken = time.perf_counter() - began
    if world > 1:
        distributed.destroy_process_group()
    return taken


def _sgd(method: _base.Method) -> torch.optim.Optimizer:
    return optim.optimizer(
        method, name="sgd", lr=0.01, momentum=0.9, weight_decay=1e-4, decay_norms=True
    )


def peak(task: str) -> float:
    """MiB that a fresh process had at most in which a task ran."""
    (line,) = _said([_spawn("--peak", task)])
    return float(line)


def _digits() -> None:
    with tempfile.TemporaryDirectory() as folder:
        made.trained(made.digits("sdclr", size=16, epochs=2), Path(folder))


def _cifar(n: int) -> None:
    """Two steps of ResNet-18 on random images in the shape of CIFAR-100-LT."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (_TAIL, 3, 32, 32), generator=generator, dtype=torch.uint8)
    labels = torch.randint(100, (_TAIL,), generator=generator)
    method = made.method("sdclr", "resnet18", classes=100, size=32, device=CPU, channels_last=True)
    batches = Batches(
        ArrayImages(pixels.numpy(), labels.numpy()),
        views=("sim", "sim"),
        size=32,
        params=Augment(),
        batch_size=n,
        drop_last=True,
        seed=0,
        device=CPU,
        rank=0,
        world=1,
        channels_last=True,
    )
    optimizer = _sgd(method)
    method.begin_epoch(0)
    for number, batch in enumerate(batches.epoch(0)):
        torch.stack(tuple(method(batch.views, batch.labels).values())).sum().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if number == 1:
            return


TASKS = {
    "imports": lambda: None,
    "digits": _digits,
    "cifar-8": lambda: _cifar(8),
    "cifar-128": lambda: _cifar(128),
}


def section(*, short: bool) -> list[str]:
    """The tables as Markdown."""
    encoder, n, steps, rounds = ("small", 8, 1, 1) if short else ("resnet18", 64, 4, 5)
    taken = [
        tuple(group(world, encoder=encoder, n=n, steps=steps) for world in (1, 2))
        for _ in range(rounds)
    ]
    alone, both = (statistics.median(item) for item in zip(*taken, strict=True))
    ratio = statistics.median(first / two for first, two in taken)
    batch = 8 if short else 128
    rows = {
        "a process that has imported raylt's trial": peak("imports"),
        "one after a trial on the digits, 16x16, batch 128": peak("digits"),
        f"one after two steps of ResNet-18 on random images in CIFAR-100-LT's shape, "
        f"batch {batch}": peak(f"cifar-{batch}"),
    }
    return [
        f"SDCLR with {encoder}, {n} images a step in all, one thread a process, gloo; wall clock, "
        f"{rounds} rounds, so only two idle cores tell (goal: 1.5).",
        "",
        "| | images a second |",
        "|---|---:|",
        f"| 1 process | {n * steps / alone:.1f} |",
        f"| 2 processes | {n * steps / both:.1f} |",
        f"| ratio | **{ratio:.2f}** |",
        "",
        f"Peak memory of one process. Its images are held once, as uint8: "
        f"{_TAIL * 3 * 32 * 32 / 2**20:.0f} MiB for CIFAR-100-LT. A reused process reads them "
        f"once for all its trials.",
        "",
        "| | MiB at most |",
        "|---|---:|",
        *(f"| {name} | {most:,.0f} |" for name, most in rows.items()),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="tiny shapes: does it run?")
    parser.add_argument("--peak", choices=TASKS, help=argparse.SUPPRESS)
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--world", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--meet", help=argparse.SUPPRESS)
    parser.add_argument("--encoder", help=argparse.SUPPRESS)
    parser.add_argument("--images", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.peak is not None:
        TASKS[given.peak]()
        # Not getrusage: what it tells of a process begins with the memory of its parent.
        status = Path("/proc/self/status").read_text()
        print(int(status.split("VmHWM:")[1].split()[0]) / 2**10)
    elif given.rank is not None:
        print(
            member(
                given.rank,
                given.world,
                given.meet,
                encoder=given.encoder,
                n=given.images,
                steps=given.steps,
            )
        )
    else:
        print("\n".join(section(short=given.short)))


if __name__ == "__main__":
    main()
