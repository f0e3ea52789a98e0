"""The published settings on the real CIFAR-100-LT, beside the papers' numbers.

    python -m benchmarks.reproduce --data DIRECTORY --folder DIRECTORY [KEY=VALUE]...
    python -m benchmarks.reproduce --data DATA --folder KEPT --background
    python -m benchmarks.reproduce --folder KEPT --status

One setting in one precision: `--only bcl-cifar100-lt --seeds 1 precision=bfloat16`.

BCL trains over three seeds on the whole tail, then SDCLR on its first split; both with the
settings of their space files and of the overrides. `--folder` keeps everything: the recipe, the
checkpoints and the curve of each run. The same command goes on after any kill, and loses one epoch
or a minute at most. With `--background` the training outlives the terminal and gives way to other
programs; `--status` tells how far it is. Each run is scored on the test images once, at its end,
and the folder says when. With `--budget` a run that begins takes as many epochs as fit into it.
`--short` shrinks the encoder and the epochs to a look whether it runs; its numbers mean nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import cifar100
from raylt import recipe as recipes
from raylt import space
from raylt.recipe import Recipe
from raylt.trial import worker
from raylt.trial.checkpoints import checkpoint_names
from raylt.trial.cost.measure import measure
from raylt.trial.evaluation import test_score

SCORES = 20
"""Points of a curve."""
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


def setting(published: Setting, *, short: bool, overrides: Sequence[str] = ()) -> Recipe:
    """The published recipe; scored now and then for its curve, for nothing is chosen by scores."""
    words = ["study.scheduler={name: none}", *published.overrides, *overrides]
    loaded = space.load(SPACES / f"{published.space}.yaml", words)
    assert loaded.baseline_point is not None
    values = loaded.at(loaded.baseline_point).model_dump(mode="json")
    changed = {**published.values, **(_SHORT if short else {})}
    recipe = recipes.parse(recipes.filled(values, changed))
    return shortened(recipe, recipe.epochs)


def shortened(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe over fewer epochs, with what its schedule says of epochs in proportion."""
    share = epochs / recipe.epochs
    schedule = recipe.schedule.model_copy(
        update={
            "warmup": min(round(recipe.schedule.warmup * share), epochs - 1),
            "milestones": tuple(round(item * share) for item in recipe.schedule.milestones),
        }
    )
    # The published linear evaluation passes all images thirty times: it is made once.
    dear = recipe.evaluation.probe == "reforward"
    every = epochs if dear else max(1, epochs // SCORES)
    evaluation = recipe.evaluation.model_copy(update={"every": every})
    return recipe.model_copy(
        update={"epochs": epochs, "schedule": schedule, "evaluation": evaluation}
    )


def fitting(recipe: Recipe, data: Path, seconds: float) -> Recipe:
    """The recipe over as many of its epochs as a few measured steps promise for a time."""
    cost = measure(recipe, root=data, device=None)
    # Scored twice: on the validation images at the end, and on the test images.
    left = seconds - cost.start - cost.save - 2 * cost.score
    return shortened(recipe, min(recipe.epochs, max(1, int(left / cost.epoch))))


def trained(recipe: Recipe, data: Path, folder: Path) -> Recipe:
    """Train from where the folder is to the last step; returns the recipe that it keeps."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "recipe.json"
    if kept.exists():
        recipe = recipes.parse(json.loads(kept.read_text("utf-8")))
    else:
        write(kept, recipe.model_dump(mode="json"))
    rows: dict[int, dict[str, float]] = {}
    began = time.monotonic()

    def report(row: dict[str, float]) -> None:
        # A run that goes on reports what it did before, too.
        rows[int(row["epoch"])] = row
        if len(rows) > len(curve(folder)):
            write(folder / "curve.json", list(rows.values()))
            print(f"{folder.name}: {progress(row, recipe)}; {spent(began)}", flush=True)

    worker.work(recipe, root=data, folder=folder / "trial", report=report, device=None)
    return recipe


def tested(recipe: Recipe, data: Path, folder: Path) -> dict[str, float]:
    """What a finished run does on the test images, which are opened once.

    That they are opened is written down first, so that a second opening after a kill shows.
    """
    result, openings = folder / "result.json", folder / "openings.json"
    if not result.exists():
        known = json.loads(openings.read_text("utf-8")) if openings.exists() else []
        write(openings, [*known, datetime.now(UTC).isoformat(timespec="seconds")])
        opened = test_score.open_test(recipe, root=data, folder=folder / "trial", device=None)
        write(result, opened.metrics)
    metrics = json.loads(result.read_text("utf-8"))
    return {key.removeprefix("test/"): value for key, value in metrics.items()}


def curve(folder: Path) -> list[dict[str, float]]:
    """What a run has reported so far."""
    path = folder / "curve.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else []


def progress(row: Mapping[str, float], recipe: Recipe) -> str:
    """How far a run is, in words."""
    left = recipe.epochs - int(row["epoch"])
    images = sum(recipe.data.train_counts() or ())
    hours = left * images / row["images_per_second"] / 3600
    return (
        f"epoch {row['epoch']:.0f} of {recipe.epochs}, loss {row['train/loss']:.3f}, "
        f"{row['images_per_second']:.0f} images/s, about {hours:.1f} h of training left"
    )


def spent(began: float) -> str:
    return f"{(time.monotonic() - began) / 3600:.2f} h since it was started"


def status(folder: Path) -> list[str]:
    """How far every run in a folder is."""
    lines: list[str] = []
    for path in sorted(folder.glob("*/recipe.json")):
        recipe, rows = recipes.parse(json.loads(path.read_text("utf-8"))), curve(path.parent)
        newest = max(
            (
                checkpoint_names.epoch_of(file.name) or 0
                for file in (path.parent / "trial").glob("*")
            ),
            default=0,
        )
        word = f"epoch {newest} of {recipe.epochs} is on the disk"
        if rows:
            word += f"; the last score was of {progress(rows[-1], recipe)}"
        done = " and tested" if (path.parent / "result.json").exists() else ""
        lines.append(f"{path.parent.name}: {word}{done}")
    return lines or [f"{folder} holds no run"]


def write(path: Path, values: object) -> None:
    """Write JSON whole or not at all."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(values, indent=1), "utf-8")
    draft.replace(path)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Refuse a second process that trains in the same folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(
                f"{folder} is being trained in; look with --status, or choose another --folder"
            ) from None
        yield


def section(
    one: Setting, recipe: Recipe, whole: int, result: Sequence[Mapping[str, float]], seconds: float
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
    seeds = "seed 0" if len(result) == 1 else f"seeds 0 ... {len(result) - 1}"
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
        values = [100 * item[metric] for item in result if metric in item]
        if values:
            mean = statistics.fmean(values)
            spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
            row = f"{mean:.1f}{spread} | {published:.1f} | {mean - published:+.1f}"
            lines.append(f"| {metric} | {row} |")
    spreads = "; ± is the standard deviation over the seeds" if len(result) > 1 else ""
    return [*lines, "", f"Published: {one.source}{spreads}."]


def curves(folders: Sequence[Path]) -> list[str]:
    """Epochs and losses of every seed, as lines of Markdown."""
    known = [{int(row["epoch"]): row for row in curve(folder)} for folder in folders]
    heads = " | ".join(f"loss, seed {seed}" for seed in range(len(known)))
    lines = ["", f"| epoch | {heads} |", "|--:|" + "--:|" * len(known)]
    for epoch in sorted({epoch for rows in known for epoch in rows}):
        cells = [f"{rows[epoch]['train/loss']:.3f}" if epoch in rows else "-" for rows in known]
        lines.append(f"| {epoch} | {' | '.join(cells)} |")
    return lines


def sections(
    data: Path,
    budget: float | None,
    *,
    short: bool,
    folder: Path,
    only: str | None = None,
    seeds: int | None = None,
    overrides: Sequence[str] = (),
) -> list[str]:
    """All settings, one after the other, as Markdown.

    Args:
        data: Folder of the datasets, with CIFAR-100.
        budget: Seconds for all of them: half of what is left goes to each, all to the last; None
            for the published epochs.
        short: Whether to look only whether it runs.
        folder: Keeps what is done; a run that is in it goes on.
        only: The name of a space file, for one setting alone.
        seeds: How many, in place of the setting's own number.
        overrides: Of the space files, such as `precision=bfloat16`.
    """
    lines: list[str] = []
    end = None if budget is None else time.perf_counter() + budget
    chosen = [published for published in SETTINGS if only in (None, published.space)]
    for place, published in enumerate(chosen):
        began = time.perf_counter()
        whole = recipe = setting(published, short=short, overrides=overrides)
        count = seeds or published.seeds
        if end is not None:
            last = place + 1 == len(chosen)
            recipe = fitting(whole, data, (end - began) * (1.0 if last else 0.5) / count)
        folders = [folder / f"{published.space}-seed{seed}" for seed in range(count)]
        collected: list[dict[str, float]] = []
        for seed, place_of in enumerate(folders):
            recipe = trained(recipe.model_copy(update={"seed": seed}), data, place_of)
            collected.append(tested(recipe, data, place_of))
        first = recipe.model_copy(update={"seed": 0})
        seconds = time.perf_counter() - began
        lines += [
            *section(published, first, whole.epochs, collected, seconds),
            *curves(folders),
            "",
        ]
    return lines[:-1]


def background(arguments: Sequence[str], folder: Path) -> str:
    """Go on in a process of its own, which gives way to others; returns what to tell the user."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log.txt"
    words = [word for word in arguments if word != "--background"]
    with log.open("a") as file:
        process = subprocess.Popen(
            ["nice", "-n", "10", sys.executable, "-m", "benchmarks.reproduce", *words],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    return f"training in process {process.pid}; its progress is in {log}"


def main() -> None:
    names = [published.space for published in SETTINGS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--data", type=Path, help="folder with CIFAR-100")
    parser.add_argument("--folder", type=Path, required=True, help="keeps what is done")
    parser.add_argument("--only", choices=names, help="one setting alone")
    parser.add_argument("--seeds", type=int, help="how many")
    parser.add_argument("--budget", type=float, help="seconds for everything")
    parser.add_argument("--background", action="store_true", help="train on without a terminal")
    parser.add_argument("--status", action="store_true", help="tell how far it is, and end")
    parser.add_argument("--short", action="store_true", help="does it run?")
    given = parser.parse_intermixed_args()
    if given.status:
        print("\n".join(status(given.folder)))
        return
    if given.data is None:
        parser.error("--data is needed to train")
    if given.background:
        print(background(sys.argv[1:], given.folder))
        return
    with alone(given.folder):
        lines = sections(
            given.data,
            given.budget,
            short=given.short,
            folder=given.folder,
            only=given.only,
            seeds=given.seeds,
            overrides=given.overrides,
        )
    command = shlex.join(["python", "-m", "benchmarks.reproduce", *sys.argv[1:]])
    text = "\n".join([f"    {command}", "", *lines, ""])
    (given.folder / "result.md").write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
