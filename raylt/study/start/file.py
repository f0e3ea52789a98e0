"""The text of a first space file: every choice with its reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from raylt import plugins
from raylt.data.survey import Survey
from raylt.escape import terminal
from raylt.schema import Published
from raylt.study.record.text import worth_in_words
from raylt.study.start import choices

_OPEN = {
    "sdclr": """\
    prune: {low: 0.1, high: 0.99, log: complement}  # share of weights that the competitor hides
    temperature: {low: 0.05, high: 1.0, log: true}  # low: hard pairs count, high: all count alike
""",
    "bcl": """\
    temperature: {low: 0.03, high: 0.5, log: true}  # low: hard pairs count, high: all count alike
    complement_weight: {low: 0.05, high: 20.0, log: true}  # what a class's prototype counts as
    complement_power: {low: -0.5, high: 1.0}  # above 0: more for rare classes
    contrastive_weight: {low: 0.1, high: 6.0, log: true}  # the contrast against the classifier
""",
}
"""The leaves of each method that a first search leaves open."""
METHODS = tuple(_OPEN)
_NAMED = 12
"""Classes that are named at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What was chosen for a space."""

    name: str
    """Of the study."""
    method: str
    hours: float
    held: int
    """Images of each class for each part that is taken from the training images."""
    size: int
    encoder: str
    batch_size: int
    trials: int
    epochs: int


def text(survey: Survey, chosen: Choices, *, measured: str, file: str) -> str:
    """The space file."""
    published: Published = plugins.declared("methods", chosen.method, "PUBLISHED")
    lr = float(published.values["optimizer.lr"] or 0.1)
    every = max(1, chosen.epochs // 10)
    jitter, grey = (0.5, 0.0) if survey.channels == 1 else (1.0, 0.2)
    return f"""\
# Written by `raylt init`. It runs as it is; every line may be changed.
#   raylt check {file}
#   raylt tune --space {file}
#   raylt confirm {chosen.name}
#   raylt export {chosen.name} model
{"".join(f"# {line}{_END}" for line in summary(survey))}\
study:
  name: {chosen.name}
  trials: {chosen.trials}
  objective: val/accuracy
  sampler: {{name: tpe, seed: 0, startup: {max(4, chosen.trials // 3)}}}  # so many at random first
  scheduler: {{name: asha, factor: 3}}  # weak trials stop after a third of their epochs
  # The published values of {chosen.method} are the baseline:
  #   {published.source}
  # Nothing new is started after that; the rest of {chosen.hours:g} h is Ray's start and the end.
  budget: {{wall_clock: {_budget(chosen.hours)}}}
  confirm: {{top: 1, seeds: 6}}  # the winner and the baseline, 12 runs; 5 seeds is the minimum
recipe:
  # {_parts(survey, chosen)}
  data:
{_data(survey, chosen)}\
  method:
    name: {chosen.method}
{_OPEN[chosen.method]}\
  encoder: {chosen.encoder}  # `raylt check --schema` lists the others
  size: {chosen.size}  # pixels; the images are decoded at this size
  # flip: 0.0 where left and right matter, as in letters.
  augment: {{crop: 0.2, flip: 0.5, jitter: {jitter}, grey: {grey}}}
  optimizer:
    lr: {{low: {lr / 10:g}, high: {lr * 2:g}, log: true}}  # published: {lr:g}
    batch_size: {chosen.batch_size}  # a power of two, four steps an epoch or more
  schedule: {{name: cosine, warmup: {max(1, chosen.epochs // 20)}}}
  evaluation: {{labels: tail, neighbours: {_neighbours(survey, chosen)}, every: {every}}}
  epochs: {chosen.epochs}  # {measured}
"""


_END = "\n"


def summary(survey: Survey) -> list[str]:
    """What was found, a line each."""
    counts = [sum(of_class) for of_class in zip(*survey.counts.values(), strict=True)]
    order = sorted(range(len(counts)), key=lambda k: -counts[k])
    named = [f"{_plain(survey.classes[k])} {counts[k]}" for k in order]
    if len(named) > _NAMED:
        named = [*named[: _NAMED - 3], "...", *named[-2:]]
    lines = [
        f"{survey.images:,} images of {len(counts)} classes in {_plain(str(survey.source))}",
        f"classes: {', '.join(named)}",
    ]
    if len(survey.counts) > 1:
        parts = ", ".join(f"{part} {sum(n)}" for part, n in survey.counts.items())
        lines.append(f"parts: {parts}")
    if survey.sizes:
        smallest, middle, largest = (
            "x".join(map(str, survey.sizes[i])) for i in (0, len(survey.sizes) // 2, -1)
        )
        modes = ", ".join(f"{mode} {n}" for mode, n in survey.modes.items())
        lines.append(f"sizes: {smallest} to {largest}, half of them {middle}; {modes}")
    if survey.broken:
        lines.append(f"cannot be read and left out: {len(survey.broken)}")
        lines += [f"  {_plain(reason)}" for reason in survey.broken[:20]]
    if survey.left_out:
        lines.append(
            "no images: " + ", ".join(f"{n} {_plain(kind)}" for kind, n in survey.left_out.items())
        )
    return lines


def _budget(hours: float) -> str:
    seconds = choices.budget(hours)
    return f"{seconds:.0f}s" if seconds < 600 else f"{seconds / 60:.4g}m"


def validation_counts(survey: Survey, held_out: int) -> Sequence[int]:
    """Validation images of each class."""
    return survey.counts.get("validation") or [held_out] * len(survey.classes)


def train_counts(survey: Survey, held_out: int) -> list[int]:
    """Training images of each class that are left."""
    taken = held_out * len(parts_to_take(survey))
    return [count - taken for count in survey.counts["train"]]


def tail(survey: Survey, held_out: int) -> str:
    """The tail of the training images that are left, in the words of `raylt data show`."""
    counts = train_counts(survey, held_out)
    imbalance = max(counts) / min(counts)
    return f"{max(counts)} ... {min(counts)} training images, imbalance {imbalance:.4g}"


def parts_to_take(survey: Survey) -> tuple[str, ...]:
    """The parts that the user has not made."""
    return tuple(part for part in ("validation", "test") if part not in survey.counts)


def _plain(text: str) -> str:
    return terminal(text).replace("\n", "\\n")


def _parts(survey: Survey, chosen: Choices) -> str:
    counts = validation_counts(survey, chosen.held)
    worth = f"one validation image is worth {worth_in_words(counts)}"
    taken = " and ".join(parts_to_take(survey))
    parts = f"{chosen.held} of each class for {taken}" if taken else "All parts are yours"
    return f"{parts}; {tail(survey, chosen.held)}; {worth}."


def _data(survey: Survey, chosen: Choices) -> str:
    values: dict[str, Any] = dict(survey.data)
    values |= dict.fromkeys(parts_to_take(survey), chosen.held)
    values |= {"natural": True, "resolution": chosen.size}
    if survey.broken:
        values["broken"] = "skip"
    if survey.images * 3 * chosen.size**2 > 2**32:
        values["keep"] = "files"
    comments = {
        "natural": "the classes keep the sizes that they have",
        "broken": "goes on without what cannot be read, and says so",
        "keep": "too many to be decoded once and kept in memory",
    }
    return "".join(
        f"    {key}: {json.dumps(value, ensure_ascii=False)}"
        + (f"  # {comments[key]}" if key in comments else "")
        + "\n"
        for key, value in values.items()
    )


def _neighbours(survey: Survey, chosen: Choices) -> int:
    """Neighbours that vote: no more than the smallest class has."""
    return max(1, min(20, *train_counts(survey, chosen.held)))
