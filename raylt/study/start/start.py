"""From a user's images to a space file: look, choose, measure a step, write."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from raylt import scratch
from raylt import space as spaces
from raylt.cluster.capacity import Need, Shape
from raylt.data import survey as surveys
from raylt.data.survey import Survey
from raylt.schema import EnvironmentError, InputError
from raylt.settings import Settings
from raylt.space.file import document
from raylt.space.study_name import study_name
from raylt.study.record.text import duration
from raylt.study.resources import allocation
from raylt.study.resources.allocation import Allocation
from raylt.study.start import choices, file
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
    """What one validation image is worth, in points of accuracy."""
    link: Path | None
    """The link to the images that was put into the data root."""

    def lines(self) -> list[str]:
        """What was chosen, for people."""
        chosen = self.choices
        lines = [
            f"{chosen.method} with the encoder {chosen.encoder} at {chosen.size} pixels, batches "
            f"of {chosen.batch_size}: {chosen.trials} trials of {chosen.epochs} epochs, about "
            f"{duration(self.seconds)}",
            f"one validation image is worth {self.point:.2g} points of accuracy",
        ]
        if self.point > 1:
            lines.append(
                "  so differences of a point or two are noise; `raylt confirm` compares over seeds"
            )
        if self.seconds > 3600 * chosen.hours:
            lines.append(
                f"  more than the {chosen.hours:g} h asked for, which end the search early: fewer "
                f"epochs would teach nothing"
            )
        if self.link is not None:
            lines.append(f"{self.link} is a link to the images")
        return lines

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
        method: One of `file.METHODS`.
        hours: What the search may take.
        force: Whether a file that is there may be replaced.
        say: Takes a line now and then.
        ask: Takes the name of a choice and what was chosen; returns what is to be taken.

    Raises:
        InputError: there are no images, too few of a class, or the file is there already.
        EnvironmentError: an image or folder cannot be read, or a step cannot be trained.
    """
    if method not in file.METHODS:
        known = ", ".join(file.METHODS)
        raise InputError(f"the method must be one of {known}, but got {method!r}")
    whole = Path(os.path.abspath(source.expanduser()))
    out = out or Path(f"{_slug(whole.stem if whole.is_file() else whole.name)}.yaml")
    require_free(out, force=force)
    planned = allocation.planned(settings, _unmeasured)
    gpu = bool(planned.shape.gpus)
    survey, link = _surveyed(whole, settings.data)
    try:
        for line in file.summary(survey):
            say(line)
        chosen = _chosen(survey, method, hours, gpu=gpu, ask=ask)
        chosen, seconds, words = _timed(survey, chosen, planned, settings, say=say)
        write(out, file.text(survey, chosen, measured=words, file=str(out)), force=force)
    except BaseException:
        if link is not None:
            link.unlink()
        raise
    worth = choices.points(file.validation_images(survey, chosen.held))
    return Start(path=out, survey=survey, choices=chosen, seconds=seconds, point=worth, link=link)


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
    """A name for a study that is like that of a folder."""
    try:
        return study_name(name)
    except ValueError:
        plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name)
        return plain.strip(".-")[:80] or "my-images"


def _surveyed(source: Path, root: Path) -> tuple[Survey, Path | None]:
    """The images as they are seen from the data root, and the link that was put there if they lie
    elsewhere."""
    root = Path(os.path.abspath(root))
    if source.is_dir() and root.is_relative_to(source):
        raise InputError(
            f"{source}: must not hold the data root {root}, for what is put there would be taken "
            f"for images; name the folder of the images, or another root with --data"
        )
    found = surveys.survey(source, root=root)
    if source != root and source.is_relative_to(root):
        return found, None
    folder = source if source.is_dir() else source.parent
    link, new = _link(root, folder)
    data = {
        key: value if key == "name" else _moved(found.root / str(value), folder, link.name)
        for key, value in found.data.items()
    }
    return replace(found, root=root, data=data), link if new else None


def _moved(path: Path, folder: Path, name: str) -> str:
    """A path below a folder as it is below the link to that folder."""
    return (Path(name) / os.path.relpath(path, folder)).as_posix()


def _link(root: Path, folder: Path) -> tuple[Path, bool]:
    """A link to a folder in the data root, and whether it is new."""
    base = folder.name or "images"
    names = [base, *(f"{base}-{i}" for i in range(2, 100))]
    for link in (root / name for name in names):
        if link.is_symlink() and link.resolve() == folder.resolve():
            return link, False
        if not os.path.lexists(link):
            try:
                root.mkdir(parents=True, exist_ok=True)
                link.symlink_to(folder, target_is_directory=True)
            except OSError as error:
                raise EnvironmentError(
                    f"{link} must become a link to the images, but {error.strerror or error}; "
                    f"name another data root with --data, or put the images below it"
                ) from error
            return link, True
    raise InputError(
        f"{root} must have room for a link to {folder}, but {base} to {base}-99 are there"
    )


def _chosen(
    survey: Survey, method: str, hours: float, *, gpu: bool, ask: Callable[[str, Any], Any]
) -> Choices:
    """The choices that the images decide; trials and epochs are those of a measurement."""
    taken = file.parts_to_take(survey)
    held = choices.held_out(min(survey.counts["train"]), len(survey.classes), parts=len(taken))
    if taken:
        held = ask(f"images of each class for {' and '.join(taken)}", held)
    side = ask(
        "size of the images in pixels", choices.size([min(s) for s in survey.sizes], gpu=gpu)
    )
    images = sum(file.train_counts(survey, held))
    return Choices(
        name=f"{_slug(survey.source.stem)}-{method}",
        method=method,
        hours=hours,
        held=held,
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
    what was measured; a size that is too dear gives way to a smaller one."""
    while True:
        say(f"measuring a step of {chosen.encoder} at {chosen.size} pixels ...")
        step = _measured(survey, chosen, settings, gpu=bool(planned.shape.gpus))
        steps = -(-sum(file.train_counts(survey, chosen.held)) // chosen.batch_size)
        # About ten scores a trial, as the file has them.
        epoch = step.epoch + (step.score + step.save) / 10
        trials, epochs = choices.epochs(
            hours=chosen.hours,
            concurrent=planned.concurrent,
            start=step.start,
            epoch=epoch,
            steps=steps,
        )
        smaller = [side for side in choices.SIZES if side < chosen.size]
        if epochs >= _FEW_EPOCHS or not smaller:
            break
        chosen = replace(chosen, size=smaller[-1])
    chosen = replace(chosen, trials=trials, epochs=epochs)
    rounds = -(-trials // planned.concurrent)
    seconds = rounds * (step.start + epochs * epoch)
    words = (
        f"an epoch of {steps} steps took {step.epoch:.2g} s on {step.device}, so that {trials} "
        f"trials take {duration(seconds)}, {planned.concurrent} at a time"
    )
    return chosen, seconds, words


def _measured(survey: Survey, chosen: Choices, settings: Settings, *, gpu: bool) -> Cost:
    """What the baseline of a space costs, from a few real steps."""
    text = file.text(survey, chosen, measured="", file="")
    space = spaces.of(document.parse(text, "the space"))
    assert space.baseline_point is not None
    # Beside the file nothing stays: the folder of the studies is made by the search.
    with scratch.folder("init") as runs:
        return cost.measured(
            space.at(space.baseline_point),
            root=settings.data,
            runs=runs,
            threads=settings.cpus_per_worker,
            gpu=gpu,
        )
