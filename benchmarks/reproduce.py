"""The published settings on the real CIFAR-100-LT, beside the papers' numbers.

    python -m benchmarks.reproduce --data DIRECTORY [--budget SECONDS] [--into FILE]

BCL trains over three seeds on the whole tail, SDCLR on its first split for as many epochs as the
rest of the budget allows; both with the settings of their space files. Each run is scored on the
test images once, at its end. `--short` shrinks the encoder and the epochs to a look whether it
runs; its numbers mean nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import cifar100
from raylt import recipe as recipes
from raylt import space
from raylt.recipe import Recipe
from raylt.trial import worker
from raylt.trial.cost.measure import measure
from raylt.trial.evaluation import test_score

SPACES = Path(__file__).parents[1] / "search_spaces"


@dataclass(frozen=True)
class Setting:
    """A setting with published numbers."""

    space: str
    overrides: tuple[str, ...]
    values: Mapping[str, Any]
    """What is else than in the space: dotted path -> value."""
    seeds: int
    published: Mapping[str, float]
    """Metric of the test images -> per cent."""
    source: str


SETTINGS = (
    Setting(
        space="bcl-cifar100-lt",
        overrides=(),
        # The published tail of 500 ... 5 images, with nothing held out.
        values={"data.validation": 0},
        seeds=3,
        published={"accuracy": 51.93, "many": 67.2, "medium": 53.1, "few": 32.9},
        source="Zhu et al., CVPR 2022, 200 epochs; re-runs by others are 1 to 2 points apart",
    ),
    Setting(
        space="sdclr-cifar100-lt",
        overrides=("study.preset=official",),
        values={},
        seeds=1,
        published={
            "accuracy": 55.48,
            "thirds/many": 58.54,
            "thirds/medium": 55.70,
            "thirds/few": 52.10,
        },
        source="Jiang et al., ICML 2021, 2000 epochs, the mean of five splits",
    ),
)
_SHORT = {
    "encoder": "small",
    "epochs": 1,
    "schedule.warmup": 0,
    "evaluation.labels": "few-shot",
}


def setting(one: Setting, *, short: bool) -> Recipe:
    """The published recipe; scored at its end alone, for nothing is chosen by scores."""
    loaded = space.load(
        SPACES / f"{one.space}.yaml", ["study.scheduler={name: none}", *one.overrides]
    )
    assert loaded.baseline_point is not None
    values = loaded.at(loaded.baseline_point).model_dump(mode="json")
    changed = {**one.values, **(_SHORT if short else {})}
    found = recipes.parse(recipes.filled(values, changed))
    return shortened(found, found.epochs)


def shortened(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe over fewer epochs, with what its schedule says of epochs in proportion."""
    share = epochs / recipe.epochs
    schedule = recipe.schedule.model_copy(
        update={
            "warmup": min(round(recipe.schedule.warmup * share), epochs - 1),
            "milestones": tuple(round(each * share) for each in recipe.schedule.milestones),
        }
    )
    evaluation = recipe.evaluation.model_copy(update={"every": epochs})
    return recipe.model_copy(
        update={"epochs": epochs, "schedule": schedule, "evaluation": evaluation}
    )


def fitting(recipe: Recipe, data: Path, seconds: float) -> Recipe:
    """The recipe over as many of its epochs as a few measured steps promise for a time."""
    cost = measure(recipe, root=data, device=None)
    # Scored twice: on the validation images at the end, and on the test images.
    left = seconds - cost.start - cost.save - 2 * cost.score
    return shortened(recipe, min(recipe.epochs, max(1, int(left / cost.epoch))))


def tested(recipe: Recipe, data: Path) -> dict[str, float]:
    """Train from the first step to the last, and score the test images."""
    with tempfile.TemporaryDirectory() as folder:
        worker.work(recipe, root=data, folder=Path(folder), report=_told, device=None)
        opened = test_score.open_test(recipe, root=data, folder=Path(folder), device=None)
    return {key.removeprefix("test/"): value for key, value in opened.metrics.items()}


def _told(row: dict[str, float]) -> None:
    print(f"epoch {row['epoch']:.0f}: loss {row['train/loss']:.3f}", file=sys.stderr)


def section(
    one: Setting, recipe: Recipe, whole: int, found: Sequence[Mapping[str, float]], seconds: float
) -> list[str]:
    """What came of it, and how far that is from the paper, as lines of Markdown.

    Args:
        one: The setting.
        recipe: What was trained, with the first seed.
        whole: Epochs of the published setting.
        found: Metrics of the test images, for each seed.
        seconds: What all seeds took.
    """
    counts = recipe.data.train_counts() or ()
    seeds = "seed 0" if len(found) == 1 else f"seeds 0 ... {len(found) - 1}"
    lines = [
        f"### {one.space}: {recipe.encoder}, {recipe.epochs} of {whole} epochs, {seeds}",
        "",
        f"{sum(counts):,} training images, {max(counts)} ... {min(counts)} a class; "
        f"{seconds / 60:.1f} minutes on {cifar100.machine()}; recipe {recipe.digest}, commit "
        f"{cifar100.commit()}. Test images, per cent; after the last epoch.",
        "",
        "| | here | published | distance |",
        "|---|---:|---:|---:|",
    ]
    for metric, published in one.published.items():
        values = [100 * each[metric] for each in found if metric in each]
        if values:
            mean = statistics.fmean(values)
            spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
            row = f"{mean:.1f}{spread} | {published:.1f} | {mean - published:+.1f}"
            lines.append(f"| {metric} | {row} |")
    spreads = "; ± is the standard deviation over the seeds" if len(found) > 1 else ""
    return [*lines, "", f"Published: {one.source}{spreads}."]


def sections(data: Path, budget: float, *, short: bool) -> list[str]:
    """All settings, one after the other, as Markdown.

    Args:
        data: Folder of the datasets, with CIFAR-100.
        budget: Seconds for all of them: half of what is left goes to each, all to the last.
        short: Whether to look only whether it runs.
    """
    lines: list[str] = []
    end = time.perf_counter() + budget
    for place, one in enumerate(SETTINGS):
        began = time.perf_counter()
        whole = setting(one, short=short)
        last = place + 1 == len(SETTINGS)
        share = (end - began) * (1.0 if last else 0.5) / one.seeds
        recipe = fitting(whole, data, share)
        found = [
            tested(recipe.model_copy(update={"seed": seed}), data) for seed in range(one.seeds)
        ]
        lines += [*section(one, recipe, whole.epochs, found, time.perf_counter() - began), ""]
    return lines[:-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with CIFAR-100")
    parser.add_argument("--budget", type=float, default=3600.0, help="seconds for everything")
    parser.add_argument("--short", action="store_true", help="does it run?")
    parser.add_argument("--into", type=Path, help="file to write, too")
    given = parser.parse_args()
    text = "\n".join(sections(given.data, given.budget, short=given.short))
    print(text)
    if given.into is not None:
        given.into.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
