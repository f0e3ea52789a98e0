"""A training step, its loss, its masks and the probe, beside their published forms.

python -m benchmarks.steps [--short] [--device cpu]
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import TensorDataset

from benchmarks import made, pairs, published
from benchmarks.pairs import Pair, Timed
from raylt.contrast import nt_xent
from raylt.methods.bcl import balanced_contrastive
from raylt.nn import probe
from raylt.nn.masked import magnitude_masks
from raylt.trial.compiled import Compiled

CLASSES = 100


def sdclr(
    encoder: str,
    *,
    n: int,
    size: int,
    steps: int,
    device: torch.device,
    autocast: made.Context,
    name: str,
    goal: float | None,
    compiled: bool = False,
) -> Pair:
    """SDCLR's step, without the making of views."""
    theirs, ours = (
        made.method(
            "sdclr", encoder, classes=CLASSES, size=size, device=device, channels_last=last
        )
        for last in (False, True)
    )
    for one in (theirs, ours):
        one.train()
        one.begin_epoch(0)
        # The masks of an epoch have a row of their own; here an epoch is as short as it gets.
        one.begin_epoch = lambda epoch: None  # type: ignore[method-assign]
    views = list(
        made.batch(2, n=n, size=size, classes=CLASSES, device=device, channels_last=False).views
    )
    fixed = made.batch(2, n=n, size=size, classes=CLASSES, device=device, channels_last=True)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)

    def slow() -> None:
        for _ in range(steps):
            published.sdclr_step(theirs, optimizer, views, 0.2)  # type: ignore[arg-type]

    step = Compiled(ours) if compiled else ours
    return Pair(name, slow, made.steps(ours, made.Fixed(fixed, steps), autocast, step), goal)


def bcl(
    encoder: str,
    *,
    n: int,
    size: int,
    steps: int,
    device: torch.device,
    autocast: made.Context,
    name: str,
    goal: float | None,
    compiled: bool = False,
) -> Pair:
    """BCL's step, without the making of views."""
    theirs, ours = (
        made.method("bcl", encoder, classes=CLASSES, size=size, device=device, channels_last=last)
        for last in (False, True)
    )
    theirs.train()
    plain = made.batch(3, n=n, size=size, classes=CLASSES, device=device, channels_last=False)
    fixed = made.batch(3, n=n, size=size, classes=CLASSES, device=device, channels_last=True)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    views = list(plain.views)

    def slow() -> None:
        for _ in range(steps):
            published.bcl_step(theirs, optimizer, views, plain.labels)  # type: ignore[arg-type]

    step = Compiled(ours) if compiled else ours
    return Pair(name, slow, made.steps(ours, made.Fixed(fixed, steps), autocast, step), goal)


def losses(*, n: int, device: torch.device) -> list[Pair]:
    """The losses alone, forward and backward; SDCLR's program computes its loss twice a step."""
    generator = torch.Generator().manual_seed(0)
    first, second = (
        torch.randn(n, 128, generator=generator).to(device).requires_grad_() for _ in range(2)
    )
    rows = functional.normalize(torch.randn(n, 2, 128, generator=generator), dim=2).to(device)
    rows.requires_grad_()
    prototypes = functional.normalize(torch.randn(CLASSES, 128, generator=generator)).to(device)
    labels = torch.randint(CLASSES, (n,), generator=generator).to(device)
    counts = torch.arange(1, CLASSES + 1, device=device)

    def twice() -> None:
        published.nt_xent(first, second.detach(), 0.2).backward()
        published.nt_xent(first.detach(), second, 0.2).backward()

    return [
        Pair(
            f"NT-Xent of a step, {n} images",
            twice,
            lambda: nt_xent(first, second, temperature=0.2).backward(),
        ),
        Pair(
            f"balanced contrast, {n} images, {CLASSES} classes",
            lambda: published.bcl_contrast(rows, labels, prototypes, temperature=0.1).backward(),
            lambda: balanced_contrastive(
                rows,
                labels,
                prototypes,
                counts,
                temperature=0.1,
                complement_weight=1.0,
                complement_power=0.0,
                absent="count",
            ).backward(),
        ),
    ]


def masks(encoder: str, *, device: torch.device) -> Pair:
    """The masks of an epoch."""
    one = made.method(
        "sdclr", encoder, classes=CLASSES, size=32, device=device, channels_last=True
    )
    weights = one.competitor.weights()  # type: ignore[attr-defined]
    millions = sum(weight.numel() for weight in weights) / 1e6
    return Pair(
        f"masks of {encoder}, {millions:.1f} M weights",
        lambda: published.renew_masks(one, 0.9),  # type: ignore[arg-type]
        lambda: one.competitor.hide(magnitude_masks(weights, 0.9)),  # type: ignore[attr-defined]
    )


def evaluation(*, images: int, size: int, device: torch.device) -> Pair:
    """A linear probe of the small encoder: features once and L-BFGS, against 30 epochs anew."""
    one, ours = (
        made.method(
            "simclr", "small", classes=10, size=size, device=device, channels_last=last
        ).eval()
        for last in (False, True)
    )
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(10, (images,), generator=generator)
    pixels = torch.rand(images, 3, size, size, generator=generator)
    pixels += labels.view(-1, 1, 1, 1) / 20
    split = images * 2 // 3

    class Labelled(TensorDataset):
        def __getitem__(self, index: int) -> tuple[list[torch.Tensor], torch.Tensor]:
            image, label = super().__getitem__(index)
            return [image], label

    train, test = (Labelled(pixels[cut], labels[cut]) for cut in (np.s_[:split], np.s_[split:]))

    def slow() -> float:
        return published.linear_evaluation(
            one.encode, one.encoder.width, 10, train=train, test=test, device=device, workers=0
        )

    def last(images: torch.Tensor) -> torch.Tensor:
        return images.contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def fast() -> None:
        known, seen = (
            torch.cat([ours.encode(part) for part in last(each.tensors[0].to(device)).split(512)])
            for each in (train, test)
        )
        head = probe.linear(
            known,
            labels[:split].to(device),
            classes=10,
            kind="lbfgs",
            early=False,
            batch_size=128,
            seed=0,
        )
        head(seen).argmax(1)

    return Pair(f"linear evaluation of {images} images, {size}x{size}", slow, fast, 25.0)


def everything(
    device: torch.device, *, short: bool, rounds: int, clock: pairs.Clock
) -> list[Timed]:
    """All pairs, measured; `short` shrinks them to a look whether they run."""
    n, deep = (8, 8) if short else (64, 32) if device.type == "cpu" else (256, 512)
    size, steps = (8, 1) if short else (32, 1)
    shared = {"size": size, "steps": steps, "device": device}
    wholes = {**shared, "autocast": made.whole}
    halves = {**shared, "autocast": made.halved(device)}
    every = [
        sdclr("resnet32", n=n, name=f"SDCLR, ResNet-32, batch {n}, float32", goal=1.35, **wholes),
        sdclr("resnet32", n=n, name="the same, bfloat16 forced", goal=None, **halves),
        bcl("resnet32", n=n, name=f"BCL, ResNet-32, batch {n}, float32", goal=1.3, **wholes),
        bcl("resnet32", n=n, name="the same, bfloat16 forced", goal=None, **halves),
    ]
    if not short:
        every.insert(
            2,
            sdclr(
                "resnet18",
                n=deep,
                name=f"SDCLR, ResNet-18, batch {deep}, float32",
                goal=1.35,
                **wholes,
            ),
        )
    if not short and device.type == "cpu":
        # `benchmarks/gpu.py` has a table of its own for what a GPU makes of compiled steps.
        fast = {**wholes, "compiled": True, "goal": None}
        every.append(bcl("resnet32", n=n, name="the same, float32, `compile: true`", **fast))
        every.insert(3, sdclr("resnet18", n=deep, name="the same, `compile: true`", **fast))
        every.insert(2, sdclr("resnet32", n=n, name="the same, float32, `compile: true`", **fast))
    every += losses(n=n if short else 256, device=device)
    every.append(masks("small" if short else "resnet18", device=device))
    every.append(evaluation(images=60 if short else 600, size=16, device=device))
    return [pairs.measure(pair, rounds=rounds, clock=clock) for pair in every]


def convolutions(device: torch.device, *, short: bool) -> list[str]:
    """What of a step is torch's convolution, which both forms call alike, in a sentence."""
    n, encoder = (4, "small") if short else (32, "resnet18")
    pair = sdclr(
        encoder, n=n, size=32, steps=1, device=device, autocast=made.whole, name="", goal=None
    )
    shares: list[float] = []
    for work in (pair.published, pair.raylt):
        work()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as watched:
            work()
        spent = {one.key: one.self_cpu_time_total for one in watched.key_averages()}
        shares.append(
            sum(time for name, time in spent.items() if "convolution" in name)
            / sum(spent.values())
        )
    slow, fast = shares
    return [
        f"Of a step of SDCLR with {encoder}, batch {n}, convolutions take {slow:.0%} of the "
        f"published form's time and {fast:.0%} of raylt's. They are torch's in both; what raylt "
        f"saves of them is one forward pass of three.",
    ]


def section(device: torch.device, *, short: bool) -> list[str]:
    """The table as Markdown."""
    return [
        "Seconds of processor time on one thread; the views are made beforehand. Both forms train "
        "the same network. bfloat16 is `precision: bfloat16`; `auto` takes the faster of both "
        "once it has timed a few steps. What compiling takes, a minute or more here, is not in a "
        "step.",
        "",
        *pairs.table(
            everything(device, short=short, rounds=2 if short else 3, clock=pairs.processor),
            unit="CPU s",
        ),
        "",
        *convolutions(device, short=short),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="tiny shapes: does it run?")
    given = parser.parse_args(arguments)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    print("\n".join(section(torch.device("cpu"), short=given.short)))


if __name__ == "__main__":
    main()
