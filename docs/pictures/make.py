"""The pictures of `docs/understand`, drawn from raylt's own functions and from real studies.

    raylt tune --space sdclr --study first study.trials=6 epochs=40 study.scheduler.grace=10
    raylt tune --space bcl --study seeds study.trials=6 epochs=20 study.scheduler.grace=10 \
      evaluation.every=10
    raylt confirm seeds --top 1 --seeds 16 --no-race
    raylt tune --space docs/pictures/tau.yaml --study tau-0 seed=0   # and tau-1, tau-2 alike
    raylt tune --space docs/pictures/complement.yaml --study complement-0 seed=0   # and 1, 2
    raylt tune --space sdclr --study killed study.trials=6 epochs=40   # kill -9 and resume it
    and what docs/how-to/compare-methods.md trains
    python docs/pictures/make.py runs
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional

import raylt
from raylt import datasets, metrics, recipe
from raylt.contrast import similarities, unit
from raylt.data import longtail
from raylt.methods.bcl import balanced_contrastive, class_weights
from raylt.methods.sdclr import SDCLR
from raylt.nn.masked import magnitude_masks
from raylt.study.record import studies
from raylt.study.table.rows import table
from raylt.study.verdict import significance
from raylt.trial import parts
from raylt.trial.checkpoints import checkpoint

HERE = Path(__file__).parent
MANY, MEDIUM, FEW = "#0072b2", "#e69f00", "#d55e00"
COUNTS = longtail.exponential_counts(500, 100, 100)
"""The class sizes of CIFAR-100-LT with an imbalance of 100."""
METHODS = ("kcl-digits", "kcl-digits-versus-tsc", "paco-digits", "decoupled-digits")
"""The studies of `docs/how-to/compare-methods.md`."""


def tails(axes: list[Axes], runs: Path) -> None:
    """The three laws, and the shot groups of the first."""
    groups = metrics.groups(COUNTS, by="thresholds")
    for name, colour in (("many", MANY), ("medium", MEDIUM), ("few", FEW)):
        members = list(groups[name])
        axes[0].bar(members, [COUNTS[k] for k in members], width=1, color=colour, label=name)
    axes[0].set(title="exponential: CIFAR-100-LT", xlabel="class", ylabel="training images")
    axes[0].legend(frameon=False)
    axes[1].plot(COUNTS, color=MANY, label="exponential")
    pareto = longtail.pareto_counts(500, 100, 100, power=6)
    axes[1].plot(pareto, color=MEDIUM, label="pareto, power 6")
    axes[1].plot(longtail.step_counts(500, 100, 100), color=FEW, label="step")
    axes[1].set(title="data.law, each with imbalance 100", xlabel="class", yscale="log")
    axes[1].legend(frameon=False)


def temperature(axes: list[Axes], runs: Path) -> None:
    """What a low temperature pushes away, on trained features of the digits' tail."""
    method, images, labels = _trained(runs / "first", 0)
    features = unit(method.head(method.encoder(images)))
    counts = torch.bincount(labels)
    taus = np.geomspace(0.05, 1, 25)
    same = labels[:, None] == labels
    own = torch.eye(len(labels), dtype=torch.bool)
    nearest: list[float] = []
    by_class: list[Tensor] = []
    for tau in taus:
        similarity = similarities(features, features, temperature=float(tau))
        share = similarity.masked_fill(own, -torch.inf).softmax(1)
        nearest.append(share.topk(10, dim=1).values.sum(1).mean().item())
        pushed = (share * same).sum(1)
        by_class.append(torch.stack([pushed[labels == k].mean() for k in range(len(counts))]))
    axes[0].plot(taus, nearest, color="black")
    axes[0].set(
        title="the 10 nearest of 350 other images", xlabel="method.temperature", xscale="log"
    )
    axes[0].set(ylabel="share of the repulsion", ylim=(0, 1))
    pushed = torch.stack(by_class)
    for k, colour in ((0, MANY), (5, MEDIUM), (9, FEW)):
        axes[1].plot(taus, pushed[:, k], color=colour, label=f"a class of {counts[k]}")
    axes[1].set(title="images of the same class", xlabel="method.temperature", xscale="log")
    axes[1].set(ylim=(0, 1))
    axes[1].legend(frameon=False)


def pruning(axes: list[Axes], runs: Path) -> None:
    """Which weights go, and which images notice."""
    method, images, labels = _trained(runs / "first", 0)
    weights = method.competitor.weights()
    for prune, colour in ((0.3, MANY), (0.6, MEDIUM), (0.9, FEW)):
        kept = [mask.float().mean().item() for mask in magnitude_masks(weights, prune)]
        axes[0].plot(range(1, len(kept) + 1), kept, "o-", color=colour, label=f"prune {prune}")
    axes[0].set(title="what stays of each layer", xlabel="convolution, the first one first")
    axes[0].set(ylabel="share of its weights", ylim=(0, 1.05))
    axes[0].legend(frameon=False)
    for number, colour in ((1, MANY), (4, MEDIUM), (0, FEW)):
        method, images, labels = _trained(runs / "first", number)
        dense = unit(method.head(method.encoder(images)))
        apart = 1 - (dense * unit(method.competitor(images))).sum(1)
        each = [apart[labels == k].mean() for k in range(int(labels.max()) + 1)]
        label = f"prune {method.config.prune:.2f}"
        axes[1].plot(each, "o-", color=colour, label=label)
    axes[1].set(title="distance of both branches, trained", xlabel="class, the largest first")
    axes[1].set(ylabel="1 - cosine", yscale="log", ylim=(5e-5, 5e-2))
    axes[1].legend(frameon=False, loc="lower left")


def prototypes(axes: list[Axes], runs: Path) -> None:
    """How many images a prototype counts as, and what that is among the positives."""
    counts = torch.tensor(COUNTS)
    for power, colour in ((-0.5, "black"), (0.0, MANY), (0.5, MEDIUM), (1.0, FEW)):
        weights = class_weights(counts, weight=1.0, power=power)
        axes[0].plot(weights, color=colour, label=f"complement_power {power:g}")
    axes[0].set(title="weight of each prototype", xlabel="class", yscale="log")
    axes[0].set(ylabel="images that it counts as")
    axes[0].legend(frameon=False)
    # The features of a class that a batch of 256 images, each in two views, holds on average.
    present = torch.clamp(512 * counts / counts.sum(), min=2)
    for weight, colour in ((0.05, "black"), (1.0, MANY), (5.0, MEDIUM), (20.0, FEW)):
        axes[1].plot(weight / (present - 1 + weight), color=colour, label=f"weight {weight:g}")
    axes[1].set(title="prototype among the positives", xlabel="class", ylim=(0, 1))
    axes[1].set(ylabel="share")
    axes[1].legend(frameon=False, title="complement_weight", loc="lower right")


def absent(axes: list[Axes], runs: Path) -> None:
    """The three rules for a class that a batch lacks."""
    draw = torch.Generator().manual_seed(0)
    counts = torch.tensor(longtail.exponential_counts(100, 50, 20))
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 3, 4])
    features = functional.normalize(torch.randn(len(labels), 2, 32, generator=draw), dim=-1)
    centres = functional.normalize(torch.randn(50, 32, generator=draw), dim=-1)
    weights = np.geomspace(1e-3, 5, 40)
    for rule, colour in (("count", MANY), ("scaled", MEDIUM), ("linear", FEW)):
        losses = [
            balanced_contrastive(
                features,
                labels,
                centres,
                counts,
                temperature=0.1,
                complement_weight=float(weight),
                complement_power=0.0,
                absent=rule,
            ).item()
            for weight in weights
        ]
        axes[0].plot(weights, losses, color=colour, label=f"absent: {rule}")
    axes[0].set(title="45 of 50 classes are absent", xlabel="complement_weight", xscale="log")
    axes[0].set(ylabel="loss of the contrast")
    axes[0].legend(frameon=False)
    sizes = torch.tensor(COUNTS)
    for tau, colour in ((0.5, MANY), (1.0, MEDIUM), (1.5, FEW)):
        axes[1].plot(tau * (sizes / sizes.sum()).log(), color=colour, label=f"tau {tau:g}")
    axes[1].set(title="what training adds to a logit", xlabel="class", ylabel="tau * log share")
    axes[1].legend(frameon=False)


def trade(axes: list[Axes], runs: Path) -> None:
    """What tau gives to the smallest third of the classes, and takes from the largest."""
    frames = [raylt.open_study(f"tau-{seed}", runs=runs).frame() for seed in range(3)]
    for group, colour in (("many", MANY), ("medium", MEDIUM), ("few", FEW)):
        rows = [frame.set_index("method.tau")[f"val/thirds/{group}"] * 100 for frame in frames]
        mean = sum(rows) / len(rows)
        for row in rows:
            axes[0].plot(row.index, row, "o", color=colour, markersize=3, alpha=0.6)
        axes[0].plot(mean.sort_index(), color=colour, label=f"thirds/{group}")
    overall = sum(frame.set_index("method.tau")["val/accuracy"] * 100 for frame in frames) / 3
    axes[0].plot(overall.sort_index(), "--", color="black", label="accuracy")
    axes[0].set(title="three seeds each", xlabel="method.tau", ylim=(15, 102))
    axes[0].set(ylabel="per cent, validation")
    axes[0].legend(frameon=False, loc="lower left")


def complement(axes: list[Axes], runs: Path) -> None:
    """What the weight and the power of the prototypes do, each with the mean over the other."""
    frames = [raylt.open_study(f"complement-{seed}", runs=runs).frame() for seed in range(3)]
    for panel, key in zip(axes, ("complement_weight", "complement_power"), strict=True):
        means = [100 * frame.groupby(f"method.{key}").mean(numeric_only=True) for frame in frames]
        mean = sum(means) / len(means)
        for group, colour in (("many", MANY), ("medium", MEDIUM), ("few", FEW)):
            for seed in means:
                panel.plot(seed[f"val/{group}"], "o", color=colour, markersize=3, alpha=0.6)
            panel.plot(mean[f"val/{group}"], color=colour, label=group)
        panel.plot(mean["val/accuracy"], "--", color="black", label="accuracy")
        panel.set(xlabel=f"method.{key}", ylim=(84, 100.6))
        panel.set_xscale("log" if key == "complement_weight" else "linear")
        panel.set_xticks(mean.index, [f"{value:g}" for value in mean.index])
        panel.minorticks_off()
    axes[0].set(title="three seeds, each over 4 powers", ylabel="per cent, validation")
    axes[1].set(title="three seeds, each over 5 weights")
    axes[1].legend(frameon=False, loc="lower left", ncols=2)


def seeds(axes: list[Axes], runs: Path) -> None:
    """One setting with many seeds, and what the best of some of them promises."""
    stored = json.loads((runs / "seeds" / "confirm" / "verdict.json").read_text("utf-8"))
    metric = stored["metric"]
    settings = (stored["baseline"], stored["candidates"][0]["runs"])
    scores = [[100 * row[metric] for row in setting["test"].values()] for setting in settings]
    for place, (values, colour) in enumerate(zip(scores, (MANY, FEW), strict=True)):
        axes[0].plot(values, [place] * len(values), "|", markersize=18, color=colour)
        axes[0].plot(np.mean(values), place, "D", color=colour)
    axes[0].set(yticks=[0, 1], yticklabels=["paper's\nsetting", "best\ntrial"], ylim=(-0.6, 1.6))
    axes[0].set(title=f"{len(scores[0])} seeds each", xlabel="test accuracy, per cent")
    sizes = range(1, len(scores[0]) + 1)
    draws = np.random.default_rng(0).choice(scores[0], (4000, len(scores[0])))
    lead = [draws[:, :size].max(1).mean() - np.mean(scores[0]) for size in sizes]
    axes[1].plot(sizes, lead, "o-", color=MANY)
    axes[1].set(title="the luckiest of n equal trials", xlabel="n", ylabel="lead in points")


def methods(axes: list[Axes], runs: Path) -> None:
    """Every method with the same seeds: the paper's setting and what a search found."""
    with contextlib.ExitStack() as stack:
        records = [
            stack.enter_context(contextlib.closing(studies.open_study(name, runs)))
            for name in METHODS
        ]
        rows = table(records, "validation", ablations=False).rows
    for place, row in enumerate(reversed(rows)):
        for panel, column in zip(axes, ("All", "Few"), strict=True):
            cell, colour = row.cells[column], MANY if row.name == "baseline" else FEW
            panel.errorbar(cell.mean, place, xerr=cell.std, fmt="D", color=colour, markersize=5)
    names = [f"{row.method}, {row.name}" for row in reversed(rows)]
    axes[0].set(title="accuracy, per cent", yticks=range(len(rows)), yticklabels=names)
    axes[1].set(title="few, per cent", yticks=[])


def levels(axes: list[Axes], runs: Path) -> None:
    """The smallest p-value that some seeds can give, and what three candidates ask for."""
    sizes = range(1, 13)
    axes[0].plot(sizes, [significance.smallest_p(n, two_sided=False) for n in sizes], "o-")
    for candidates in (1, 3):
        level = 0.05 / candidates
        axes[0].axhline(level, color="grey", linestyle=":")
        axes[0].text(12, level * 1.1, f"top: {candidates}", ha="right")
    axes[0].set(title="the smallest p-value of n seeds", xlabel="seeds", yscale="log")


def killed(axes: list[Axes], runs: Path) -> None:
    """Each scored epoch of a study whose driver was killed and that was resumed."""
    study = raylt.open_study("killed", runs=runs)
    epochs = study.epochs().sort_values("time")
    seconds = epochs["time"] - epochs["time"].min()
    gap = seconds.diff()
    # The time between the kill and the first epoch after it is not the study's.
    again = gap.idxmax()
    pause = gap[again] - 10
    struck = seconds[again] - gap[again] + 5
    epochs["seconds"] = seconds.where(seconds < struck, seconds - pause)
    axes[0].axvline(struck, color=FEW, linestyle=":")
    axes[0].text(struck + 0.5, 4.6, "kill -9, raylt resume", color=FEW, fontsize=8)
    states = {trial.number: trial.state for trial in study.trials}
    for number, rows in epochs.groupby("trial"):
        axes[0].plot(rows["seconds"], [number] * len(rows), "o", markersize=4, color=MANY)
        for place, epoch in zip(rows["seconds"], rows["epoch"], strict=True):
            axes[0].text(place, number + 0.15, f"{epoch:.0f}", ha="center", fontsize=6)
        axes[0].text(rows["seconds"].max() + 2, number, states[number], va="center", fontsize=8)
    axes[0].set(title="each dot a scored epoch", xlabel="seconds of training", ylabel="trial")
    axes[0].margins(x=0.15)


def _trained(folder: Path, number: int) -> tuple[SDCLR, Tensor, Tensor]:
    """The model of a trial of SDCLR, and the training images that it saw, with their labels."""
    study = raylt.open_study(folder.name, runs=folder.parent)
    trial = next(trial for trial in study.trials if trial.number == number)
    trained = recipe.parse(dict(trial.recipe))
    splits = datasets.load(trained.data, Path("data"))
    method = parts.method_of(trained, splits, torch.device("cpu"))
    state = checkpoint.latest(folder / "trials" / str(number), trained.digest, method=method)
    assert state is not None, f"{folder} has no checkpoint of trial {number}"
    method.load_state_dict(state.method)
    assert isinstance(method, SDCLR)
    pixels = torch.from_numpy(splits.train.take(np.arange(len(splits.train)))).float() / 255
    images = functional.interpolate(pixels, size=trained.size, mode="bicubic").clamp(0, 1)
    return method.eval(), images, torch.from_numpy(splits.train.labels)


PICTURES: dict[Callable[[list[Axes], Path], None], int] = {
    tails: 2,
    temperature: 2,
    pruning: 2,
    prototypes: 2,
    absent: 2,
    trade: 1,
    complement: 2,
    seeds: 2,
    methods: 2,
    levels: 1,
    killed: 1,
}
"""Each picture and its panels; its file has its name."""


def main(runs: Path, wanted: list[str]) -> None:
    """Draw the named pictures, or all of them."""
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "raylt", "font.size": 10})
    for picture, panels in PICTURES.items():
        if wanted and picture.__name__ not in wanted:
            continue
        figure = Figure(
            figsize=(8.4 if panels == 2 else 6.3, 3.1), layout="constrained", facecolor="white"
        )
        axes = np.atleast_1d(figure.subplots(1, panels)).tolist()
        with torch.no_grad():
            picture(axes, runs)
        for panel in axes:
            panel.spines[["top", "right"]].set_visible(False)
        figure.savefig(HERE / f"{picture.__name__}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs"), sys.argv[2:])
