"""The folder is the registry: a file in `raylt/methods` is a method. So it is with the folders
`datasets`, `encoders`, `schedulers` and `samplers`; a file of encoders is a family of them.

Methods, datasets and encoders may also stand outside of the package: as `module:Object`, whose
module is on Python's path or beside the space file, and as entry points in the groups
`raylt.methods`, `raylt.datasets` and `raylt.encoders` of other packages.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import difflib
import functools
import importlib
import importlib.metadata
import linecache
import pkgutil
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from pydantic import Field, create_model

from raylt.plugins import outside
from raylt.schema import Frozen, InputError

# What a plug-in's Config may be made of: modules that import in milliseconds.
_LIGHT = (
    "__future__",
    "collections",
    "enum",
    "math",
    "typing",
    "pydantic",
    "raylt.schema",
    "raylt.data.longtail",
    "raylt.data.own",
)


_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_OUTSIDE = ("methods", "datasets", "encoders")
"""Packages whose plug-ins may stand outside of raylt."""


def files(package: str) -> tuple[str, ...]:
    """The plug-ins of a package such as "methods": its files without a leading underscore."""
    return _files(tuple(importlib.import_module(f"raylt.{package}").__path__))


@functools.cache
def _files(folders: tuple[str, ...]) -> tuple[str, ...]:
    # Every recipe asks, and a search has thousands.
    modules = (module.name for module in pkgutil.iter_modules(folders))
    return tuple(sorted(name for name in modules if not name.startswith("_")))


def names(package: str) -> tuple[str, ...]:
    """The plug-ins that a name alone stands for: a package's files, and entry points of others."""
    own = files(package)
    return (*own, *(name for name in entries(package) if name not in own))


def is_reference(package: str, name: str) -> bool:
    """Whether a name has the form `module:Object`."""
    return package in _OUTSIDE and _REFERENCE.fullmatch(name) is not None


def exists(package: str, name: str) -> bool:
    """Whether that is a known name, or has the form `module:Object`."""
    return name in names(package) or is_reference(package, name)


@functools.cache
def entries(package: str) -> dict[str, tuple[str, ...]]:
    """Name -> `module:Object` of the entry points of other packages, each once, by name."""
    points: dict[str, tuple[str, ...]] = {}
    if package in _OUTSIDE:
        for point in importlib.metadata.entry_points(group=f"raylt.{package}"):
            others = points.get(point.name, ())
            points[point.name] = others if point.value in others else (*others, point.value)
    return dict(sorted(points.items()))


def module(package: str, name: str) -> ModuleType:
    """Import the module of the plug-in `name`, with everything that it needs.

    Raises:
        InputError: there is none, or its module cannot be imported.
    """
    target, _ = _target(package, name)
    if target.startswith("raylt."):
        return importlib.import_module(target)
    outside.file(target)
    try:
        return importlib.import_module(target)
    except (Exception, SystemExit) as error:
        raise _unimportable(package, name, error) from error


def _unimportable(package: str, name: str, error: BaseException) -> InputError:
    """That the module of a plug-in fails, and the line of the user's file where it does."""
    target, _ = _target(package, name)
    what = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())[:200]
    return InputError(
        f"{_kind(package)} {name!r} must be importable, but {target} is not: "
        f"{outside.place(error)}{type(error).__name__}: {what}; mend it"
    )


def chosen(package: str, name: str) -> Any:
    """What `module:Object` names, or None for a plug-in that is a whole module.

    Raises:
        InputError: there is no such plug-in.
    """
    _, attribute = _target(package, name)
    if not attribute:
        return None
    imported = module(package, name)
    if not hasattr(imported, attribute):
        public = [key for key in vars(imported) if not key.startswith("_")]
        raise InputError(
            f"{_kind(package)} {name!r} must be defined, but {imported.__file__} has no "
            f"{attribute}{did_you_mean(attribute, public)}"
        )
    return getattr(imported, attribute)


def config(package: str, name: str) -> type[Frozen]:
    """The `Config` of a plug-in, without importing what the rest of its file needs.

    That of a method is the one that its class names; a dataset from outside is its config, and
    the `load` beside it.

    Raises:
        InputError: no plug-in has that name.
    """
    return _config(package, name, _reading(package, name))


@functools.cache
def _config(package: str, name: str, reading: object) -> type[Frozen]:
    _, attribute = _target(package, name)
    declaration, inside = ("Config", attribute)
    if package == "datasets":
        declaration, inside = (attribute or "Config", "")
    try:
        own = _declared(package, name, declaration, inside, reading)
    except AttributeError as error:
        raise InputError(
            f"{_kind(package)} {name!r} must have {declaration}, but its file has none"
        ) from error
    return named(own, package, name)


def named(config: Any, package: str, name: str) -> type[Frozen]:
    """The config of a plug-in under the name that the space file has for it.

    Raises:
        InputError: it is none.
    """
    if not (isinstance(config, type) and issubclass(config, Frozen)):
        raise InputError(
            f"{_kind(package)} {name!r} must have a config that extends one of raylt.schema, but "
            f"has {config!r}"
        )
    field = config.model_fields["name"]
    if field.default == name:
        return config
    own: Any = (Literal[name], Field(default=name, description=field.description))
    return create_model(config.__name__, __base__=config, __module__=config.__module__, name=own)


def declared(package: str, name: str, declaration: str) -> Any:
    """What the file of a plug-in declares, such as its `PUBLISHED`.

    A space is checked in a fraction of a second on a machine without a GPU, so the declaration is
    read from the file by itself: the light imports and the definitions that stand on them are run,
    anything that needs torch is passed over. Where the declaration needs more, or does not run,
    the whole file is imported.

    Raises:
        InputError: no plug-in has that name.
        AttributeError: its file has no such declaration.
    """
    return _declared(package, name, declaration, "", _reading(package, name))


def _reading(package: str, name: str) -> object:
    """What the file of a plug-in is read anew for: another folder, or other modules outside."""
    target, _ = _target(package, name)
    folders = importlib.import_module(f"raylt.{package}").__path__
    return tuple(folders) if target.startswith("raylt.") else outside.generation()


@functools.cache
def _declared(package: str, name: str, declaration: str, inside: str, reading: object) -> Any:
    """What it declares itself, or where a class of it says `declaration = NAME`."""
    target, _ = _target(package, name)
    path, _ = _parsed(package, name)
    at_top = _assigned(path, inside, declaration) if inside else declaration
    light = _light(path, f"{target}:{declaration}")
    if hasattr(light, at_top):
        return getattr(light, at_top)
    if not inside and declaration not in path.read_text("utf-8"):
        # What takes long is not imported to see that it is not there.
        raise AttributeError(f"{path} does not declare {declaration}")
    whole = chosen(package, name) if inside else module(package, name)
    return getattr(whole, declaration)


def summary(package: str, name: str) -> str:
    """What a plug-in is, in a sentence: the first paragraph of its file.

    Raises:
        InputError: no plug-in has that name, or its file is no Python.
    """
    _, tree = _parsed(package, name)
    return " ".join((ast.get_docstring(tree) or "").partition("\n\n")[0].split())


def _parsed(package: str, name: str) -> tuple[Path, ast.Module]:
    """The file of a plug-in, and what it says."""
    target, _ = _target(package, name)
    if target.startswith("raylt."):
        folder = importlib.import_module(f"raylt.{package}")
        path = next(p for root in folder.__path__ if (p := Path(root) / f"{name}.py").is_file())
    else:
        path = outside.file(target)
    try:
        return path, ast.parse(path.read_text("utf-8"), str(path))
    except SyntaxError as error:
        raise _unimportable(package, name, error) from error


def _assigned(path: Path, inside: str, declaration: str) -> str:
    """NAME where a class of a file says `declaration = NAME`; "" where it does not."""
    tree = ast.parse(path.read_text("utf-8"), str(path))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == inside:
            for statement in node.body:
                match statement:
                    case ast.Assign([ast.Name(left)], ast.Name(right)) if left == declaration:
                        return right
                    case _:
                        pass
    return ""


def _target(package: str, name: str) -> tuple[str, str]:
    """The module of a plug-in, and what it is in it, "" where it is the module as a whole.

    Raises:
        InputError: there is none, or two of that name.
    """
    own, others = name in files(package), entries(package).get(name, ())
    if own + len(others) > 1:
        places = [*([f"raylt/{package}/{name}.py"] if own else []), *others]
        raise InputError(
            f"{_kind(package)} {name!r} must be one plug-in, but is {' and '.join(places)}; "
            f"uninstall one of them"
        )
    if own:
        return f"raylt.{package}.{name}", ""
    if others or is_reference(package, name):
        target, _, attribute = (others[0] if others else name).partition(":")
        return target, attribute
    known = names(package)
    raise InputError(
        f"unknown {_kind(package)} {name!r}; known: {', '.join(known)}{did_you_mean(name, known)}"
    )


def _kind(package: str) -> str:
    return package.removesuffix("s")


def did_you_mean(word: str, known: Any, *, closeness: float = 0.6) -> str:
    """`; did you mean 'sdclr'?` where a known word is close, and nothing where none is."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=closeness)
    return f"; did you mean {close[0]!r}?" if close else ""


def _light(path: Path, name: str) -> ModuleType:
    """What can be run of a file without anything that takes long to import."""
    text = path.read_text("utf-8")
    # pydantic resolves annotations through the module that a class names, and finds the strings
    # under its fields by the file of that module: a name of its own, for both stand on one file.
    light = sys.modules[name] = ModuleType(name)
    light.__file__ = f"{path}:{name.rpartition(':')[2]}"
    linecache.cache[light.__file__] = (len(text), None, text.splitlines(True), light.__file__)
    for statement in ast.parse(text, str(path)).body:
        if _is_light(statement, vars(light)):
            code = ast.Module([statement], [])
            # What fails here is an error of the plug-in only if it fails in the whole file, too.
            with contextlib.suppress(Exception):
                exec(
                    compile(
                        code, light.__file__, "exec", annotations.compiler_flag, dont_inherit=True
                    ),
                    vars(light),
                )
    return light


def _is_light(statement: ast.stmt, defined: dict[str, Any]) -> bool:
    match statement:
        case ast.ImportFrom(module=source, level=level):
            return source in _LIGHT and level == 0
        case ast.Import(names=aliases):
            return all(alias.name in _LIGHT for alias in aliases)
        case ast.ClassDef() | ast.FunctionDef() | ast.Assign() | ast.AnnAssign():
            return all(name in defined or hasattr(builtins, name) for name in _needs(statement))
        case _:
            return False


def _needs(statement: ast.stmt) -> set[str]:
    """The names that a definition takes from around it, those in bodies of functions included."""
    nodes = list(ast.walk(statement))
    hints = [node.annotation for node in nodes if isinstance(node, ast.arg)]
    hints += [node.returns for node in nodes if isinstance(node, ast.FunctionDef)]
    # The hints of functions are never evaluated; those of fields are, by pydantic.
    unused = {node for hint in hints if hint for node in ast.walk(hint)}
    used: set[str] = set()
    bound: set[str] = set()
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                used |= set() if node in unused else {name}
            case (
                ast.Name(id=name)
                | ast.arg(arg=name)
                | ast.FunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                bound.add(name)
            case _:
                pass
    return used - bound
