"""From a user's images to a space file: look, choose, measure a step, write."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from raylt import scratch
from raylt import space as spaces
from raylt.cluster.capacity import Need, Shape
from raylt.data.reading.paths import expanded, listing, shown
from raylt.data.survey import Survey
from raylt.schema import EnvironmentError, InputError
from raylt.settings import Settings
from raylt.space.file import document
from raylt.space.study_name import slug
from raylt.study.record.text import duration, unseen_classes, worth, worth_in_words
from raylt.study.resources import allocation
from raylt.study.resources.allocation import Allocation
from raylt.study.start import choices, file, place
from raylt.study.start.file import Choices
from raylt.trial.cost import cost
from raylt.trial.cost.cost import Cost

T = TypeVar("T")
_FEW_EPOCHS = 20
"""With fewer of them a smaller picture or network is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What was written."""

    path: Path
    survey: Survey
    choices: Choices
    seconds: float
    """What the search will take if no trial is stopped early."""
    point: float
    """What one validation image of the smallest class is worth, in points of accuracy."""
    links: tuple[Path, ...]
    """The links to the images that were put into the data root."""

    def lines(self) -> list[str]:
        """What was chosen, for people."""
        chosen = self.choices
        held_out = file.validation_counts(self.survey, chosen.held)
        lines = [
            f"{chosen.method} with the encoder {chosen.encoder} at {chosen.size} pixels, batches "
            f"of {chosen.batch_size}: {chosen.trials} trials of {chosen.epochs} epochs, "
            f"an estimated {duration(self.seconds)}, less where trials are stopped early",
            f"a class keeps {file.tail(self.survey, chosen.held)}",
            f"one validation image is worth {worth_in_words(held_out)}",
        ]
        if self.point > 1:
            lines.append(
                f"  so differences of less than {min(100, 2 * self.point):.3g} points are noise; "
                f"`raylt confirm` compares over seeds"
            )
            if 0 < chosen.held < choices.enough(len(self.survey.classes)):
                smallest = min(self.survey.counts["train"])
                lines.append(
                    f"  every class holds out as many as the smallest one, of {smallest} images, "
                    f"can give: more of that class make all numbers finer"
                )
        if self.seconds > 3600 * chosen.hours:
            lines.append(
                f"  more than the {chosen.hours:g} h asked for, which end the search early: fewer "
                f"epochs would teach nothing"
            )
        if 4 * self.seconds < 3600 * chosen.hours:
            images = sum(file.train_counts(self.survey, chosen.held))
            lines.append(
                f"  that leaves most of the {chosen.hours:g} h: training {images} images for "
                f"longer would bring little, and among more trials luck would choose; raise "
                f"`epochs` or `study.trials` in the file to use them"
            )
        lines += unseen_classes(self.survey.counts, self.survey.classes)
        return [*lines, *(f"{link} is a link to the images" for link in self.links)]

    def plain(self) -> dict[str, Any]:
        """The same for programs."""
        return {**asdict(self), "found": file.summary(self.survey)}


def start(
    source: Path,
    out: Path | None,
    settings: Settings,
    *,
    method: str,
    hours: float,
    force: bool,
    say: Callable[[str], None],
    ask: Callable[[str, Any], Any] = lambda name, value: value,
) -> Start:
    """Write a space file for a user's images.

    Args:
        source: A folder of `class/image`, one with `train`, `val` and `test`, a table or lists.
        out: The file; without it one that is called like the source.
        settings: Where the data root is, and how many trials run at a time.
        ask: Takes the name of a choice and what was chosen; returns what is to be taken.

    Raises:
        InputError: there are no images, too few of a class, or the file is there already.
        EnvironmentError: an image or folder cannot be read, or a step cannot be trained.
    """
    if method not in file.METHODS:
        known = ", ".join(file.METHODS)
        raise InputError(f"the method must be one of {known}, but got {method!r}")
    whole = Path(os.path.abspath(expanded(source)))
    place.require_source(whole)
    out = out or Path(f"{_slug(whole.stem if whole.is_file() else whole.name)}.yaml")
    require_free(out, force=force)
    if out.exists() and out.samefile(whole):
        raise InputError(f"-o: must be another file than the source, but is {out}; name a new one")
    planned = allocation.planned(settings, _unmeasured)
    gpu = bool(planned.shape.gpus)
    with place.found(whole, settings.data) as (survey, links):
        for line in file.summary(survey):
            say(line)
        chosen = _chosen(survey, method, hours, gpu=gpu, ask=ask)
        chosen, seconds, words = _timed(survey, chosen, planned, settings, say=say)
        write(out, file.text(survey, chosen, measured=words, file=str(out)), force=force)
    point = worth(file.validation_counts(survey, chosen.held))
    return Start(
        path=out, survey=survey, choices=chosen, seconds=seconds, point=point, links=links
    )


def require_free(out: Path, *, force: bool) -> None:
    """Refuse to replace a file, or to write where there is no folder.

    Raises:
        InputError: it is there, or its folder is not.
    """
    if out.exists() and not (force and out.is_file()):
        raise InputError(
            f"{out}: must be a new file, but is there already; add --force, or name another one "
            f"with -o"
        )
    if not out.absolute().parent.is_dir():
        raise InputError(
            f"{out}: must lie in a folder that exists, but {out.parent} does not; make it, or "
            f"name another file with -o"
        )


def write(out: Path, text: str, *, force: bool) -> None:
    """Write a space file.

    Raises:
        EnvironmentError: it cannot be written.
    """
    try:
        with out.open("w" if force else "x", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise EnvironmentError(
            f"{out} must be writable, but {error.strerror or error}; name another file with -o"
        ) from error


def _unmeasured(shape: Shape) -> Need:
    raise InputError("--pack must be a number here, for the step is only measured later")


def _slug(name: str) -> str:
    """A name for a study that is like that of a folder; a method's comes behind it."""
    return slug(name)[:80] or "my-images"


def _require_enough(survey: Survey, taken: Sequence[str]) -> None:
    """Refuse classes that cannot give an image to each part and keep one."""
    needed = len(taken) + 1
    named = zip(survey.classes, survey.counts["train"], strict=True)
    if short := [f"class {shown(name)!r} has {n}" for name, n in named if n < needed]:
        parts = "".join(f", 1 for {part}" for part in taken)
        raise InputError(
            f"every class must have {needed} images that can be read, 1 to train on{parts}, but "
            f"{len(short)} of {len(survey.classes)} classes have fewer; add images, leave the "
            f"class out by taking it out of {shown(survey.source)}, or divide the images yourself "
            f"into train, val and test\n{listing(short)}"
        )


def _chosen(
    survey: Survey, method: str, hours: float, *, gpu: bool, ask: Callable[[str, Any], Any]
) -> Choices:
    """The choices that the images decide; trials and epochs are those of a measurement."""
    taken = file.parts_to_take(survey)
    _require_enough(survey, taken)
    held_out = choices.held_out(min(survey.counts["train"]), len(survey.classes), parts=len(taken))
    if taken:
        held_out = ask(f"images of each class for {' and '.join(taken)}", held_out)
    side = ask(
        "size of the images in pixels", choices.size([min(s) for s in survey.sizes], gpu=gpu)
    )
    images = sum(file.train_counts(survey, held_out))
    return Choices(
        name=f"{_slug(survey.source.stem)}-{method}",
        method=method,
        hours=hours,
        held=held_out,
        size=side,
        encoder=ask("encoder", choices.encoder(images, side, gpu=gpu)),
        batch_size=choices.batch_size(images, side),
        trials=2,
        epochs=choices.FEWEST_EPOCHS,
    )


def _timed(
    survey: Survey,
    chosen: Choices,
    planned: Allocation,
    settings: Settings,
    *,
    say: Callable[[str], None],
) -> tuple[Choices, float, str]:
    """The choices with as many trials and epochs as fit the time, the seconds that they take, and
    what was measured; a size that is too dear gives way to a smaller one, once."""
    images, gpu = sum(file.train_counts(survey, chosen.held)), bool(planned.shape.gpus)
    steps = -(-images // chosen.batch_size)
    affordable = functools.partial(
        choices.epochs,
        hours=chosen.hours,
        concurrent=planned.concurrent,
        steps=steps,
        images=images,
        validation=sum(file.validation_counts(survey, chosen.held)),
    )
    say(f"measuring a step of {chosen.encoder} at {chosen.size} pixels ...")
    step = _measured(survey, chosen, settings, gpu=gpu)
    if affordable(start=step.start, epoch=_epoch(step))[1] < _FEW_EPOCHS:
        # A step takes less time in proportion to the side at least.
        sides = [side for side in choices.SIZES if side < chosen.size]
        fitting = [
            side
            for side in sides
            if affordable(start=step.start, epoch=_epoch(step) * side / chosen.size)[1]
            >= _FEW_EPOCHS
        ]
        if sides:
            chosen = replace(chosen, size=max(fitting, default=sides[0]))
            say(f"that takes too long for {chosen.hours:g} h; measuring {chosen.size} pixels ...")
            step = _measured(survey, chosen, settings, gpu=gpu)
    trials, epochs = affordable(start=step.start, epoch=_epoch(step))
    chosen = replace(chosen, trials=trials, epochs=epochs)
    rounds = -(-trials // planned.concurrent)
    seconds = choices.whole(rounds * (step.start + epochs * _epoch(step)))
    words = (
        f"an epoch of {steps} steps took {step.epoch:.2g} s on {step.device}, so that {trials} "
        f"trials, {planned.concurrent} at a time, take about {duration(seconds)}"
    )
    return chosen, seconds, words


def _epoch(step: Cost) -> float:
    """Seconds of an epoch, with about ten scores a trial, as the file has them."""
    return step.epoch + (step.score + step.save) / 10


def _measured(survey: Survey, chosen: Choices, settings: Settings, *, gpu: bool) -> Cost:
    """What the baseline of a space costs, from a few real steps."""
    text = file.text(survey, chosen, measured="", file="")
    space = spaces.of(document.parse(text, "the space"))
    assert space.baseline_point is not None
    # Beside the file nothing stays: the folder of the studies is made by the search.
    with scratch.folder("init") as runs:
        return cost.measure_apart(
            space.at(space.baseline_point),
            root=settings.data,
            runs=runs,
            threads=settings.cpus_per_worker,
            gpu=gpu,
        )
