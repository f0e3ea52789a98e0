"""Modules outside the package: those beside a space file, and the copies that a study keeps.

A space file may name `module:Object`. The module is on Python's path, or a file or package in the
folder of the space file. Of that folder nothing can be imported but the modules that are named and
those that they import.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import sys
import traceback
from collections.abc import Generator, Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from raylt import scratch
from raylt.schema import InputError

FOLDER = "plugins"
"""The folder in a study's in which it keeps the modules that its space file names."""


class _Beside:
    """One of Python's import finders: the modules that stand beside the space file in use."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.kept = False
        self.texts: dict[Path, str] = {}
        self.files: dict[str, Path] = {}
        self.generation = 0

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module, where it is one of those in use."""
        file = self.files.get(name) if path is None else None
        if file is None:
            return None
        inner = [str(file.parent)] if file.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(name, file, submodule_search_locations=inner)


_beside = _Beside()
sys.meta_path.insert(0, _beside)


def use(folder: Path, *, kept: bool = False) -> None:
    """Take modules from a folder, and no longer from the one before; what has changed in it since
    is imported anew.

    Args:
        folder: That of the space file.
        kept: Whether it holds a study's copies, which go before all others of their names.
    """
    folder = folder.resolve()
    same = folder == _beside.folder and all(
        path.is_file() and path.read_text("utf-8") == text for path, text in _beside.texts.items()
    )
    if same:
        return
    for name in [name for name in sys.modules if name.partition(".")[0] in _beside.files]:
        del sys.modules[name]
    _beside.folder, _beside.kept = folder, kept
    _beside.files, _beside.texts = {}, {}
    _beside.generation += 1


@contextlib.contextmanager
def restored() -> Generator[None]:
    """The body of a `with` may open other studies; after it the same modules are in use as
    before."""
    folder, kept = _beside.folder, _beside.kept
    try:
        yield
    finally:
        if folder is not None:
            use(folder, kept=kept)


def folder() -> str | None:
    """The folder whose modules are in use; None where there is none."""
    return str(_beside.folder) if _beside.files else None


def generation() -> int:
    """How often the modules in use have changed."""
    return _beside.generation


def file(module: str) -> Path:
    """The file of a module, which may be imported from now on.

    Raises:
        InputError: there is no such module, or one of its name beside the space file and another
            on Python's path.
    """
    top = module.partition(".")[0]
    own, other = _local(top), _elsewhere(top)
    if own is None:
        if other is None or other.origin is None:
            raise InputError(
                f"must name a module on Python's path or in {_beside.folder or Path.cwd()}, but "
                f"there is no {top}; check the spelling, or install its package"
            )
    elif other is None or other.origin is None or _beside.kept or _alike(own, Path(other.origin)):
        _serve(top, own)
    else:
        raise InputError(
            f"must name one module, but {top} is both {own} and {other.origin}; rename one"
        )
    start = own if own is not None else Path(str(other and other.origin))
    inner = module.split(".")[1:]
    base = start.parent.joinpath(*inner)
    files = [p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()]
    if inner and not files:
        raise InputError(f"must name a module, but {top} has no {'.'.join(inner)}")
    return files[0] if inner else start


def sources() -> dict[str, str]:
    """The modules beside the space file that are in use, by their paths in its folder."""
    if _beside.folder is None:
        return {}
    return {
        path.relative_to(_beside.folder).as_posix(): text for path, text in _beside.texts.items()
    }


def place(error: BaseException) -> str:
    """`FILE:LINE: ` of the user's last line that an error came from; "" where there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno or 1}: "
    frames = traceback.extract_tb(error.__traceback__)
    own = {str(path) for path in _beside.texts}
    lines = [f"{frame.filename}:{frame.lineno}: " for frame in frames if frame.filename in own]
    return lines[-1] if lines else ""


def write(files: Mapping[str, str], folder: Path) -> None:
    """Write modules into a folder, where they are missing or differ."""
    for name, text in files.items():
        path = folder / name
        if not path.is_file() or path.read_text("utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            with scratch.draft(path) as draft:
                draft.write_text(text, "utf-8")


def _local(top: str) -> Path | None:
    if _beside.folder is None:
        return None
    places = (_beside.folder / f"{top}.py", _beside.folder / top / "__init__.py")
    return next((path for path in places if path.is_file()), None)


def _elsewhere(top: str) -> ModuleSpec | None:
    """The module of that name that Python would find without this one."""
    if top in sys.builtin_module_names:
        return ModuleSpec(top, None, origin="built into Python")
    return PathFinder.find_spec(top)


def _alike(first: Path, other: Path) -> bool:
    return first.samefile(other) if other.exists() else False


def _serve(top: str, own: Path) -> None:
    """Let a module beside the space file be imported, and those of its kind that it imports."""
    if top in _beside.files:
        return
    _beside.files[top] = own
    package = own.parent.rglob("*.py") if own.name == "__init__.py" else [own]
    for path in sorted(package):
        _beside.texts[path] = _text(path)
        for name in _imported(_beside.texts[path]):
            sibling, other = _local(name), _elsewhere(name)
            # What Python finds by itself is not replaced by a file that happens to be there.
            free = other is None or _beside.kept
            if sibling and (free or _alike(sibling, Path(str(other and other.origin)))):
                _serve(name, sibling)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} must be UTF-8, but is not: {error}; save it as UTF-8") from error


def _imported(text: str) -> Iterator[str]:
    """The top-level names of what a module imports anywhere."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]
