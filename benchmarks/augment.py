"""How many views a second one core makes, beside torchvision's PIL transforms.

    python -m benchmarks.augment [--rounds 9]

Both sides work in turn on the same images in one process on one thread, and are timed by the
process's own CPU clock; a ratio is the median over the rounds of each round's own ratio, so that
a busy machine slows both. Exits with 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from PIL import Image
from torchvision import transforms as pil
from torchvision.transforms import InterpolationMode

from benchmarks.made import PARAMS
from raylt.data.augment import VIEWS

IMAGES = 512
_BATCH = 128
"""Images of a batch in the comparison of two programs that make batches."""


@dataclass(frozen=True)
class Case:
    """One kind of view, and the PIL pipeline that it replaces."""

    view: str
    channels: int
    native: int
    size: int
    theirs: Callable[[Image.Image], object]
    goal: float | None
    """Least ratio that is good enough."""


def pipeline(*steps: object, size: int = 32) -> pil.Compose:
    crop = pil.RandomResizedCrop(size, (0.1, 1.0), interpolation=InterpolationMode.BICUBIC)
    return pil.Compose([crop, pil.RandomHorizontalFlip(), *steps, pil.ToTensor()])


JITTER = pil.RandomApply([pil.ColorJitter(0.4, 0.4, 0.4, 0.1)], 0.8)
GREY_JITTER = pil.RandomApply([pil.ColorJitter(0.4, 0.4)], 0.8)
SIM = pipeline(JITTER, pil.RandomGrayscale(0.2))
POLICY = pil.Compose(
    [
        pil.RandomCrop(32, 4),
        pil.RandomHorizontalFlip(),
        pil.AutoAugment(pil.AutoAugmentPolicy.CIFAR10),
        pil.ToTensor(),
        pil.RandomErasing(1.0, (0.25, 0.25), (1, 1)),
    ]
)
CASES = (
    Case("sim", 3, 32, 32, SIM, 5.0),
    # BCL's two operations with probability 1/2 are one on average.
    Case("rand", 3, 32, 32, pipeline(JITTER, pil.RandomGrayscale(0.2), pil.RandAugment(1)), None),
    Case("policy", 3, 32, 32, POLICY, None),
    Case("sim", 1, 8, 32, pipeline(GREY_JITTER), None),
    # Both published programs take colour images, so that grey ones cost them as much.
    Case("sim", 1, 8, 32, pil.Compose([pil.Grayscale(3), SIM]), 25.0),
    Case("sim", 1, 8, 16, pipeline(GREY_JITTER, size=16), None),
)


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def measure(case: Case, rounds: int) -> tuple[float, float, float]:
    """Views a second of PIL and of raylt, and the ratio; medians over the rounds."""
    generator = torch.Generator().manual_seed(0)
    shape = (IMAGES, case.channels, case.native, case.native)
    pixels = torch.randint(0, 256, shape, generator=generator).to(torch.uint8)
    images = [pil.functional.to_pil_image(each) for each in pixels]
    view = VIEWS[case.view]

    def ours() -> object:
        return view(pixels, size=case.size, params=PARAMS, generator=generator)

    def theirs() -> object:
        return [case.theirs(image) for image in images]

    ours(), theirs()
    pairs = [(seconds(theirs), seconds(ours)) for _ in range(rounds)]
    return (
        IMAGES / statistics.median(pair[0] for pair in pairs),
        IMAGES / statistics.median(pair[1] for pair in pairs),
        statistics.median(slow / fast for slow, fast in pairs),
    )


def kornia(rounds: int) -> list[str]:
    """SimCLR's view by kornia, whose batches draw for each image but jitter all in one order."""
    if importlib.util.find_spec("kornia") is None:
        return ["kornia: left out, for it is not installed; `uv sync --group bench` does it."]
    from kornia import augmentation as batched

    views = torch.nn.Sequential(
        batched.RandomResizedCrop((32, 32), scale=(0.1, 1.0), resample="bicubic"),
        batched.RandomHorizontalFlip(),
        batched.ColorJiggle(0.4, 0.4, 0.4, 0.1, p=0.8),
        batched.RandomGrayscale(p=0.2),
    )
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (IMAGES, 3, 32, 32), generator=generator).to(torch.uint8)

    def theirs() -> object:
        return [views(part.float() / 255) for part in pixels.split(_BATCH)]

    def ours() -> object:
        return [
            VIEWS["sim"](part, size=32, params=PARAMS, generator=generator)
            for part in pixels.split(_BATCH)
        ]

    ours(), theirs()
    pairs = [(seconds(theirs), seconds(ours)) for _ in range(rounds)]
    slow, fast = (IMAGES / statistics.median(item) for item in zip(*pairs, strict=True))
    ratio = statistics.median(first / two for first, two in pairs)
    return [
        f"kornia {importlib.metadata.version('kornia')} makes {slow:,.0f} of SimCLR's views of "
        f"RGB 32x32 in batches of {_BATCH}, and raylt {fast:,.0f}: **{ratio:.1f}** times as many.",
    ]


def section(rounds: int) -> list[str]:
    """The table as Markdown."""
    lines = [
        f"Views a second of processor time on one thread; {rounds} rounds.",
        "",
        "| view | images | PIL | raylt | ratio | goal |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for case in CASES:
        slow, fast, ratio = measure(case, rounds)
        kind = "RGB" if case.channels == 3 else "grey"
        word = "" if case.goal is None else "reached" if ratio >= case.goal else "missed"
        goal = "-" if case.goal is None else f"{case.goal:.0f}, {word}"
        lines.append(
            f"| {case.view} | {kind} {case.native}x{case.native} -> {case.size} | {slow:,.0f} "
            f"| {fast:,.0f} | **{ratio:.1f}** | {goal} |"
        )
    return [*lines, "", *kornia(rounds)]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, load {os.getloadavg()[0]:.1f} at the start")
    lines = section(parser.parse_args().rounds)
    print("\n".join(lines))
    print(f"load {os.getloadavg()[0]:.1f} at the end")
    return int(any("missed" in line for line in lines))


if __name__ == "__main__":
    sys.exit(main())
