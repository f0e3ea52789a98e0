"""Where a first space finds the images: below the data root, by a link if they lie elsewhere."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path

from raylt.data import survey as surveys
from raylt.data.reading import decode, rows
from raylt.data.reading.paths import shown
from raylt.data.survey import Survey
from raylt.schema import EnvironmentError, InputError

_SPACES = (".yaml", ".yml", ".json")
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")


def require_source(source: Path) -> None:
    """Refuse what is plainly no folder or table of images, by what it is.

    Raises:
        InputError: it is missing, a space file, a single image or an archive.
    """
    reason, ending = "", source.suffix.lower()
    if not source.exists():
        reason = "is not there; check the spelling and the working directory"
    elif source.is_dir():
        return
    elif ending in _SPACES:
        reason = f"looks like a space file; look at it with `raylt check {source.name}`"
    elif ending in decode.suffixes():
        reason = "is one image; name the folder that holds a folder for each class"
    elif ending in _ARCHIVES:
        reason = "is an archive; unpack it, and name the folder"
    if reason:
        raise InputError(f"SOURCE must be a folder or a table, but {shown(source)} {reason}")


@contextlib.contextmanager
def found(source: Path, root: Path) -> Generator[tuple[Survey, tuple[Path, ...]]]:
    """The images as they are seen from the data root, and the links to them that were put there.

    An error in the body takes away what was put there.

    Raises:
        InputError: the source holds the data root, or there are no images as they must be.
        EnvironmentError: an image or folder cannot be read, or no link can be made.
    """
    root = Path(os.path.abspath(root))
    if source.is_dir() and root.is_relative_to(source):
        raise InputError(
            f"{source}: must not hold the data root {root}, for what is put there would be taken "
            f"for images; name the folder of the images, or another root with --data"
        )
    survey = surveys.survey(source, root=root)
    if source != root and source.is_relative_to(root):
        yield survey, ()
        return
    missing = [folder for folder in (root, *root.parents) if not folder.exists()]
    made: list[Path] = []
    try:
        yield _linked(survey, root, made), tuple(made)
    except BaseException:
        for link in made:
            link.unlink()
        for folder in missing:
            # What somebody else put there meanwhile stays.
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _linked(survey: Survey, root: Path, made: list[Path]) -> Survey:
    """The images by links in the data root; those that are new are added to `made`."""
    source = survey.source
    folder = source if source.is_dir() else source.parent
    named = {key: str(value) for key, value in survey.data.items() if key != "name"}
    if not root.is_relative_to(folder):
        link = _link(root, folder, made)
        moved = {
            key: (Path(link.name) / os.path.relpath(survey.root / value, folder)).as_posix()
            for key, value in named.items()
        }
    else:
        # A link to the folder would lead into itself: the table and what it names are linked.
        moved = _by_parts(survey, root, named, made)
    return replace(survey, root=root, data={**survey.data, **moved})


def _by_parts(
    survey: Survey, root: Path, named: Mapping[str, str], made: list[Path]
) -> dict[str, str]:
    """The table, and each folder that its paths begin with, by links of their own."""
    images = survey.root / named["images"]
    if not root.is_relative_to(images):
        where = _link(root, images, made).name
    else:
        where = "."
        first = {row.path.replace("\\", "/").split("/")[0] for row in rows.read(survey.source)}
        for name in sorted(first):
            if not (images / name).is_dir():
                raise InputError(
                    f"{survey.source}: its images must lie in folders, but {name!r} lies beside "
                    f"the data root {root}; move the images into a folder, or name another root "
                    f"with --data"
                )
            _link(root, images / name, made, exactly=True)
    return {"images": where, "table": _link(root, survey.source, made).name}


def _link(root: Path, target: Path, made: list[Path], *, exactly: bool = False) -> Path:
    """A link to a file or folder in the data root.

    Args:
        exactly: Whether it must have the name of its target.
    """
    base = Path(target.name or "images")
    names = [base, *(base.with_stem(f"{base.stem}-{i}") for i in range(2, 1 if exactly else 100))]
    for link in (root / name for name in names):
        if link.is_symlink() and link.resolve() == target.resolve():
            return link
        if not os.path.lexists(link):
            try:
                root.mkdir(parents=True, exist_ok=True)
                link.symlink_to(target, target_is_directory=target.is_dir())
            except OSError as error:
                raise EnvironmentError(
                    f"{link} must become a link to the images, but {error.strerror or error}; "
                    f"name another data root with --data, or put the images below it"
                ) from error
            made.append(link)
            return link
    raise InputError(
        f"{root} must have room for a link to {target}, but {names[0]} is there; move it away, or "
        f"name another data root with --data"
    )
