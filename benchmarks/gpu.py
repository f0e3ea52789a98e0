"""Everything that wants a GPU, in one command: tests, pairs, rooflines, packing, trainings.

    python -m benchmarks.gpu --data DIRECTORY [--budget 3600] [--into gpu.md]
    python -m benchmarks.gpu --device cpu --short

Needs no Ray and no tracker. The folder holds CIFAR-100; without one the published settings (see
`benchmarks/reproduce.py`) are left out and said so. `--short` shrinks everything to a
look whether it runs.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import cifar100, made, packed, pairs, published, reproduce, steps
from benchmarks.packed import Shape
from raylt.methods import _base
from raylt.trial.compiled import Compiled

REPOSITORY = Path(__file__).parents[1]
PEAK = 989e12
"""Dense bfloat16 operations a second of an H100 or H200 (SXM)."""
GOALS: Mapping[str, tuple[str, int, int, int, int, float]] = {
    # Encoder, views, batch, images of the tail, epochs, seconds that the whole run may take.
    "sdclr": ("resnet18", 2, 512, 11_165, 2000, 600.0),
    "bcl": ("resnet32", 3, 256, 10_847, 200, 45.0),
}


def clock(device: torch.device) -> pairs.Clock:
    """Wall-clock seconds once the device has done what it was told; processor time on a CPU."""
    if device.type == "cpu":
        return pairs.processor

    def now() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return now


def tests(device: torch.device) -> list[str]:
    """The last line of `pytest -m gpu`."""
    if device.type == "cpu":
        return ["Tests: left out, for they need a GPU."]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests"]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return [f"`pytest -m gpu`: {ran.stdout.strip().splitlines()[-1]}"]


def roofline(device: torch.device, *, short: bool) -> list[str]:
    """Images a second of whole steps with their views, and what that is of the machine."""
    lines = [
        "| | images a second | TFLOP/s | share of 989 | views' share of a step "
        "| whole run, forecast | goal |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name in GOALS:
        lines.append(_roof(name, device, short=short))
    return lines


def _roof(name: str, device: torch.device, *, short: bool) -> str:
    encoder, views, n, images, epochs, goal = GOALS[name]
    n, size, count = (8, 8, 1) if short else (n, 32, 20)
    now = clock(device)
    method = made.method(name, encoder, classes=100, size=size, device=device, channels_last=True)
    fixed = made.batch(views, n=n, size=size, classes=100, device=device, channels_last=True)
    work = made.steps(method, made.Fixed(fixed, count), made.halved(device))
    batches = Shape(encoder, n, size, count).batches(method, device)

    def looks() -> None:
        for _ in batches.epoch(0):
            pass

    for warm in (work, looks):
        warm()
    step, view = (pairs.seconds(item, now) / count for item in (work, looks))
    rate = n / (step + view)
    # Forward and backward of a convolution are three times its forward.
    flops = 3 * views * _flops(method, fixed.views[0][:1])
    seconds = images * epochs / rate
    return (
        f"| {name}, {encoder}, batch {n} | {rate:,.0f} | {rate * flops / 1e12:.3g} "
        f"| {rate * flops / PEAK:.1%} | {view / (step + view):.0%} | {seconds / 60:.1f} min "
        f"| {goal / 60:.2g} min |"
    )


def _flops(method: _base.Method, image: torch.Tensor) -> float:
    """Operations of the encoder's forward pass of one image."""
    method.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        method.encode(image)
    method.train()
    return float(counter.get_total_flops())


def loaded(device: torch.device, *, short: bool) -> pairs.Pair:
    """Whole steps of SDCLR from the images on: the published form has eight processes for its
    views, which live for an epoch, and raylt makes them on the device."""
    encoder, _, n, *_ = GOALS["sdclr"]
    shape = Shape(encoder, *((8, 8, 1) if short else (n, 32, 20)))
    theirs, ours = (
        made.method(
            "sdclr", encoder, classes=100, size=shape.size, device=device, channels_last=last
        )
        for last in (False, True)
    )
    look = published.sim(shape.size, crop=0.1, flip=0.5, jitter=1.0, grey=0.2)
    images = shape.images
    views = published.Views(images.pool, images.labels, [look, look])
    batches = published.loader(views, batch=shape.batch, workers=1 if short else 8)

    def slow() -> None:
        for _ in published.train_sdclr(
            theirs,
            batches,
            device,
            epochs=1,
            lr=0.01,
            temperature=0.2,
            prune=0.9,  # type: ignore[arg-type]
        ):
            pass

    fast = made.steps(ours, shape.batches(ours, device), made.halved(device))
    name = f"SDCLR, {encoder}, batch {shape.batch}, an epoch of {shape.steps} steps with its views"
    return pairs.Pair(name, slow, fast, goal=5.0)


def compiling(device: torch.device, *, short: bool) -> list[str]:
    """What `compile: true` makes of a step, and after how many steps it has paid for itself."""
    return [
        "Steps on ready views with `compile: true` against the same steps as they are.",
        "",
        "| | to compile, s | a step as it is, ms | compiled, ms | ratio | pays after "
        "| steps of the whole run |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *(_compiled(name, device, short=short) for name in GOALS),
    ]


def _compiled(name: str, device: torch.device, *, short: bool) -> str:
    encoder, views, n, images, epochs, _ = GOALS[name]
    n, size, count = (8, 8, 1) if short else (n, 32, 20)
    encoder = "small" if short else encoder
    now, head = clock(device), f"| {name}, {encoder}, batch {n}"
    plain, other = (
        made.method(name, encoder, classes=100, size=size, device=device, channels_last=True)
        for _ in range(2)
    )
    fixed = made.Fixed(
        made.batch(views, n=n, size=size, classes=100, device=device, channels_last=True), count
    )
    half = made.halved(device)
    step = Compiled(other)
    fast = made.steps(other, fixed, half, step)
    first = pairs.seconds(fast, now)
    if step.failure:
        return f"{head} | {step.failure} | - | - | - | - | - |"
    pair = pairs.Pair(name, made.steps(plain, fixed, half), fast)
    timed = pairs.measure(pair, rounds=2 if short else 5, clock=now)
    slow, quick = timed.published / count, timed.raylt / count
    pays = f"{(first - timed.raylt) / (slow - quick):,.0f}" if quick < slow else "never"
    return (
        f"{head} | {first - timed.raylt:.0f} | {1000 * slow:.3g} | {1000 * quick:.3g} "
        f"| **{timed.ratio:.2f}** | {pays} | {images // n * epochs:,} |"
    )


def packing(device: torch.device, *, short: bool) -> list[str]:
    """What several trials on one device train together."""
    rows: list[str] = []
    for name, (encoder, _, n, *_) in GOALS.items():
        shape = Shape(encoder, *((8, 8, 1) if short else (n, 32, 100)))
        counts = packed.TOGETHER[:2] if short else packed.TOGETHER
        rates = [packed.rate(name, device, shape, processes=count) for count in counts]
        rows += [
            f"| {name}, {encoder}, batch {shape.batch} | {count} | {rate:,.0f} "
            f"| **{rate / rates[0]:.2f}** |"
            for count, rate in zip(counts, rates, strict=True)
        ]
    return [
        "Trials that share the device, each a process of its own, whole steps with their views; "
        "without NVIDIA's multi-process service they take turns.",
        "",
        "| | processes | images a second, together | against one |",
        "|---|---:|---:|---:|",
        *rows,
    ]


def training(data: Path | None, budget: float, *, short: bool) -> list[str]:
    """The published settings on CIFAR-100-LT, as long as they may take."""
    if data is None:
        return ["The published settings: left out, for --data names no folder with CIFAR-100."]
    with tempfile.TemporaryDirectory() as folder:
        return reproduce.sections(data, budget, short=short, folder=Path(folder))


def report(device: torch.device, *, data: Path | None, budget: float, short: bool) -> list[str]:
    """Everything as Markdown."""
    clocked = "CPU s" if device.type == "cpu" else "s"
    rounds = 2 if short else 5
    timed, message = steps.everything(device, short=short, rounds=rounds, clock=clock(device))
    timed.append(pairs.measure(loaded(device, short=short), rounds=rounds, clock=clock(device)))
    return [
        f"## On {_named(device)}",
        "",
        f"Python {platform.python_version()}, torch {torch.__version__}, commit "
        f"{cifar100.commit()}; {pairs.load()}.",
        "",
        *tests(device),
        "",
        *pairs.table(timed, unit=clocked),
        "",
        *(f"- {line}" for line in message),
        "",
        "Steps in bfloat16 and the making of their views, timed apart; operations are those of "
        "the encoder's convolutions and products, forward and backward.",
        "",
        *roofline(device, short=short),
        "",
        *compiling(device, short=short),
        "",
        *packing(device, short=short),
        "",
        *training(data, budget, short=short),
    ]


def _named(device: torch.device) -> str:
    if device.type == "cuda":
        return re.sub(r"\s+", " ", torch.cuda.get_device_name(device))
    return cifar100.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--short", action="store_true", help="tiny shapes: does it run?")
    parser.add_argument("--data", type=Path, help="folder of the datasets, with CIFAR-100")
    parser.add_argument("--budget", type=float, default=3600.0, help="seconds of real training")
    parser.add_argument("--into", type=Path, help="file to write, too")
    given = parser.parse_args()
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA device here; try --device cpu --short")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    text = "\n".join(report(device, data=given.data, budget=given.budget, short=given.short))
    print(text)
    if given.into is not None:
        given.into.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
