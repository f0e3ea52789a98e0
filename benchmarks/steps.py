"""A training step, its loss, its masks and the probe, beside their published forms.

python -m benchmarks.steps [--short] [--device cpu]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import made, pairs, published
from benchmarks.pairs import Pair, Timed
from raylt.contrast import nt_xent
from raylt.data.batches import Batch
from raylt.methods import _base
from raylt.methods.bcl import balanced_contrastive
from raylt.nn import probe
from raylt.nn.masked import magnitude_masks
from raylt.recipe import Recipe
from raylt.trial import parts
from raylt.trial.compiled import Compiled
from raylt.trial.execution import cache
from raylt.trial.execution.choice import Execution, Layout
from raylt.trial.execution.fastest import choose

CLASSES = 100
COMPILED = "auto, `compile: true`"


@dataclass(frozen=True, kw_only=True)
class Step:
    """A method's training step on ready views, in the published form and in raylt's."""

    name: str
    method: str
    encoder: str
    n: int
    """Images of a batch."""
    size: int
    device: torch.device
    goals: Mapping[str, float] = field(default_factory=dict[str, float])
    """Least ratio of each form, by its name."""
    compiled: bool = False
    """Whether the chosen form is timed as one compiled program, too."""

    @property
    def recipe(self) -> Recipe:
        """A run of such steps, whose machine is asked how to compute them."""
        return made.digits(
            self.method,
            encoder=self.encoder,
            size=self.size,
            epochs=200,
            precision="auto",
            batch_size=self.n,
        )

    def fresh(self, layout: Layout) -> tuple[_base.Method, Batch]:
        """The method as it begins, and the batch of every step."""
        shape = {"classes": CLASSES, "size": self.size, "device": self.device}
        last = layout == "channels_last"
        method = made.method(self.method, self.encoder, channels_last=last, **shape)
        views = len(method.views(method.config))  # type: ignore[attr-defined]
        batch = made.batch(views, n=self.n, channels_last=last, **shape)
        method.train()
        method.begin_epoch(0)
        # The masks of an epoch have a row of their own; here an epoch is as short as it gets.
        method.begin_epoch = lambda epoch: None  # type: ignore[method-assign]
        return method, batch

    def published(self) -> pairs.Work:
        """One published step, as work to be timed."""
        method, batch = self.fresh("contiguous")
        optimizer = torch.optim.SGD(method.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
        if self.method == "sdclr":
            return lambda: published.sdclr_step(method, optimizer, list(batch.views), 0.2)  # type: ignore[arg-type]
        return lambda: published.bcl_step(method, optimizer, list(batch.views), batch.labels)  # type: ignore[arg-type]

    def raylt(self, execution: Execution) -> pairs.Work:
        """One of raylt's steps, as work to be timed."""
        method, batch = self.fresh(execution.layout)
        step = Compiled(method) if execution.compile else method
        autocast = parts.autocast(execution, self.device)
        return made.steps(method, made.Fixed(batch, 1), autocast, step)

    def pairs(self) -> list[Pair]:
        """Each form beside the published one."""
        chosen = choose(self.recipe, root=Path(), device=self.device, began=None)
        plain = parts.as_given(self.recipe, self.device)
        forms = {
            "float32": replace(plain, precision="float32"),
            "bfloat16": replace(plain, precision="bfloat16"),
            "auto": chosen,
        }
        if self.compiled:
            forms[COMPILED] = replace(chosen, compile=True)
        slow = self.published()
        return [
            Pair(f"{self.name}, {name}", slow, self.raylt(form), self.goals.get(name))
            for name, form in forms.items()
        ]


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
    method = made.method(
        "sdclr", encoder, classes=CLASSES, size=32, device=device, channels_last=True
    )
    weights = method.competitor.weights()  # type: ignore[attr-defined]
    millions = sum(weight.numel() for weight in weights) / 1e6
    return Pair(
        f"masks of {encoder}, {millions:.1f} M weights",
        lambda: published.renew_masks(method, 0.9),  # type: ignore[arg-type]
        lambda: method.competitor.hide(magnitude_masks(weights, 0.9)),  # type: ignore[attr-defined]
    )


def evaluation(*, images: int, size: int, device: torch.device) -> Pair:
    """A linear probe of the small encoder: features once and L-BFGS, against 30 epochs anew."""
    method, ours = (
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
            method.encode,
            method.encoder.width,
            10,
            train=train,
            test=test,
            device=device,
            workers=0,
        )

    def last(images: torch.Tensor) -> torch.Tensor:
        return images.contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def fast() -> None:
        known, seen = (
            torch.cat([ours.encode(part) for part in last(item.tensors[0].to(device)).split(512)])
            for item in (train, test)
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


def steps(device: torch.device, *, short: bool) -> list[Step]:
    """The steps that are timed; `short` shrinks them to a look whether they run."""
    n, deep = (8, 8) if short else (64, 32) if device.type == "cpu" else (256, 512)
    # `benchmarks/gpu.py` has a table of its own for what a GPU makes of compiled steps.
    shared = {"size": 8 if short else 32, "device": device}
    compiled = device.type == "cpu" and not short
    goals = {
        "sdclr": {"float32": 1.35, "auto": 2.2, COMPILED: 2.6},
        "bcl": {"float32": 1.3, "auto": 2.0, COMPILED: 2.3},
    }
    both = [
        Step(
            name=f"{name}, ResNet-32, batch {n}",
            method=method,
            encoder="resnet32",
            n=n,
            goals=goals[method],
            compiled=compiled,
            **shared,
        )
        for name, method in (("SDCLR", "sdclr"), ("BCL", "bcl"))
    ]
    if short:
        return both
    deeper = replace(
        both[0],
        name=f"SDCLR, ResNet-18, batch {deep}",
        encoder="resnet18",
        n=deep,
        goals={"auto": 2.2},
        compiled=False,
    )
    return [*both, deeper]


def everything(
    device: torch.device, *, short: bool, rounds: int, clock: pairs.Clock
) -> tuple[list[Timed], list[str]]:
    """All pairs, measured, and what is to be said of the steps."""
    timed: list[Timed] = []
    message: list[str] = []
    for step in steps(device, short=short):
        float32, bfloat16, auto, *compiled = pairs.together(
            step.pairs(), rounds=rounds, clock=clock
        )
        timed += [float32, bfloat16, auto, *compiled]
        fastest = min((auto, *compiled), key=lambda item: item.raylt)
        message.append(
            f"{step.name}: `auto` is **{pairs.against(auto, [float32, bfloat16]):.2f}** times as "
            f"fast as the better of both; {share(step, fastest, clock)}."
        )
    others = [
        *losses(n=8 if short else 256, device=device),
        masks("small" if short else "resnet18", device=device),
        evaluation(images=60 if short else 600, size=16, device=device),
    ]
    timed += [pairs.measure(pair, rounds=rounds, clock=clock) for pair in others]
    return timed, message


def share(step: Step, timed: Timed, clock: pairs.Clock) -> str:
    """What a step reaches of the rate at which the machine multiplies matrices in bfloat16."""
    work = step.raylt(parts.as_given(step.recipe, step.device))
    with FlopCounterMode(display=False) as counter:
        work()
    rate = counter.get_total_flops() / timed.raylt
    most = matrix_rate(step.device, clock)
    return (
        f"its convolutions and products, {counter.get_total_flops() / 1e9:,.3g} GFLOP in two "
        f"forwards' and backwards' worth of work, go at {rate / 1e9:.0f} GFLOP/s in "
        f"the fastest form, {rate / most:.0%} of the {most / 1e9:.0f} that a product of two "
        f"square matrices of bfloat16 reaches"
    )


def matrix_rate(device: torch.device, clock: pairs.Clock) -> float:
    """Operations a second of a product of two square matrices in bfloat16: the best of a few."""
    side = 1024 if device.type == "cpu" else 8192
    first, other = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * side**3 / min(pairs.seconds(lambda: first @ other, clock) for _ in range(10))


def convolutions(step: Step) -> str:
    """What of a step is torch's convolution, which both forms call alike, in a sentence."""
    shares: list[float] = []
    chosen = choose(step.recipe, root=Path(), device=step.device, began=None)
    for work in (step.published(), step.raylt(chosen)):
        work()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as watched:
            work()
        spent = {item.key: item.self_cpu_time_total for item in watched.key_averages()}
        shares.append(
            sum(time for name, time in spent.items() if "convolution" in name)
            / sum(spent.values())
        )
    slow, fast = shares
    return (
        f"Of a step of {step.name}, convolutions take {slow:.0%} of the published form's time and "
        f"{fast:.0%} of raylt's. They are torch's in both."
    )


def section(device: torch.device, *, short: bool) -> list[str]:
    """The table as Markdown."""
    with tempfile.TemporaryDirectory() as runs, cache.shared_in(Path(runs)):
        timed, message = everything(
            device, short=short, rounds=2 if short else 5, clock=pairs.processor
        )
        message += [convolutions(step) for step in steps(device, short=short)]
    return [
        "Seconds of processor time on one thread; the views are made beforehand. Both forms train "
        "the same network. `float32` and `bfloat16` are those precisions forced, `auto` is what "
        "the machine chooses once it has timed a few steps. What compiling takes, a minute or "
        "more here, is not in a step.",
        "",
        *pairs.table(timed, unit="CPU s"),
        "",
        *(f"- {line}" for line in message),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="tiny shapes: does it run?")
    given = parser.parse_args(arguments)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    print("\n".join(section(torch.device("cpu"), short=given.short)))


if __name__ == "__main__":
    main()
