"""The folder is the registry: a file in `raylt/methods` is a method. So it is with the folders
`datasets`, `encoders`, `schedulers` and `samplers`; a file of encoders is a family of them."""

from __future__ import annotations

import ast
import builtins
import contextlib
import difflib
import functools
import importlib
import linecache
import pkgutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

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


def names(package: str) -> tuple[str, ...]:
    """The plug-ins of a package such as "methods": its files without a leading underscore."""
    folder = importlib.import_module(f"raylt.{package}")
    files = (module.name for module in pkgutil.iter_modules(folder.__path__))
    return tuple(sorted(name for name in files if not name.startswith("_")))


def module(package: str, name: str) -> ModuleType:
    """Import the plug-in `name`, with everything that it needs."""
    _known(package, name)
    return importlib.import_module(f"raylt.{package}.{name}")


def config(package: str, name: str) -> type[Frozen]:
    """The `Config` of a plug-in, without importing what the rest of its file needs.

    Raises:
        InputError: no plug-in has that name.
    """
    return declared(package, name, "Config")


@functools.cache
def declared(package: str, name: str, declaration: str) -> Any:
    """What the file of a plug-in declares, such as its `Config`.

    A space is checked in a fraction of a second on a machine without a GPU, so the declaration is
    read from the file by itself: the light imports and the definitions that stand on them are run,
    anything that needs torch is passed over. Where the declaration needs more, or does not run,
    the whole file is imported.

    Raises:
        InputError: no plug-in has that name.
    """
    _known(package, name)
    folder = importlib.import_module(f"raylt.{package}")
    path = next(p for root in folder.__path__ if (p := Path(root) / f"{name}.py").is_file())
    light = _light(path, f"raylt.{package}.{name}:{declaration}")
    if not hasattr(light, declaration):
        light = module(package, name)
    return getattr(light, declaration)


def did_you_mean(word: str, known: Any) -> str:
    """`; did you mean 'sdclr'?` where a known word is close, and nothing where none is."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _known(package: str, name: str) -> None:
    known = names(package)
    if name not in known:
        kind = package.removesuffix("s")
        raise InputError(
            f"unknown {kind} {name!r}; known: {', '.join(known)}{did_you_mean(name, known)}"
        )


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
