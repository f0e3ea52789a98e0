"""The folder is the registry: a file in `raylt/methods` is a method, and so for datasets."""

from __future__ import annotations

import ast
import builtins
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
)


def names(package: str) -> tuple[str, ...]:
    """The plug-ins of a package such as "methods": its files without a leading underscore."""
    folder = importlib.import_module(f"raylt.{package}")
    found = (module.name for module in pkgutil.iter_modules(folder.__path__))
    return tuple(sorted(name for name in found if not name.startswith("_")))


def module(package: str, name: str) -> ModuleType:
    """Import the plug-in `name`, with everything that it needs."""
    _known(package, name)
    return importlib.import_module(f"raylt.{package}.{name}")


@functools.cache
def config(package: str, name: str) -> type[Frozen]:
    """The `Config` of a plug-in, without importing what the rest of its file needs.

    A space is checked in a fraction of a second on a machine without a GPU, so the class is read
    from the file by itself: the light imports and the definitions that stand on them are run,
    anything that needs torch is passed over.

    Raises:
        InputError: no plug-in has that name.
    """
    _known(package, name)
    folder = importlib.import_module(f"raylt.{package}")
    path = next(p for root in folder.__path__ if (p := Path(root) / f"{name}.py").is_file())
    text = path.read_text("utf-8")
    qualified = f"raylt.{package}.{name}:config"
    # pydantic resolves annotations through the module that a class names, and finds the strings
    # under its fields by the file of that module: a name of its own, for both stand on one file.
    light = sys.modules[qualified] = ModuleType(qualified)
    light.__file__ = f"{path}:config"
    linecache.cache[light.__file__] = (len(text), None, text.splitlines(True), light.__file__)
    for statement in ast.parse(text, str(path)).body:
        if _is_light(statement, vars(light)):
            module = ast.Module([statement], [])
            flag = annotations.compiler_flag
            exec(compile(module, light.__file__, "exec", flag, dont_inherit=True), vars(light))
    return light.Config


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


def _is_light(statement: ast.stmt, defined: dict[str, Any]) -> bool:
    if isinstance(statement, ast.ImportFrom):
        return statement.module in _LIGHT and statement.level == 0
    if isinstance(statement, ast.Import):
        return all(alias.name in _LIGHT for alias in statement.names)
    match statement:
        case ast.ClassDef(bases=needed, decorator_list=decorators):
            needed = [*needed, *decorators]
        case ast.FunctionDef(decorator_list=decorators, args=arguments):
            # The body of a validator's helper runs later, if at all.
            defaults = [*arguments.defaults, *arguments.kw_defaults]
            needed = [*decorators, *(node for node in defaults if node is not None)]
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
            needed = [value]
        case _:
            return False
    used = {n.id for node in needed for n in ast.walk(node) if isinstance(n, ast.Name)}
    return all(name in defined or hasattr(builtins, name) for name in used)
