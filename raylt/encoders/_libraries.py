"""The encoders of torchvision and timm, by name; neither is imported to look for a name."""

from __future__ import annotations

import functools
import importlib.util
import re
from pathlib import Path

from raylt import plugins
from raylt.plugins import outside
from raylt.schema import EnvironmentError, InputError

LIBRARIES = ("torchvision", "timm")
"""What `LIBRARY/NAME` may begin with; raylt/encoders has a file `_LIBRARY.py` for each."""
_REGISTERED = re.compile(r"^@register_model.*\n(?:@.*\n)*def (\w+)\(", re.MULTILINE)


def library(name: str) -> str:
    """The library of an encoder's name, or "" for one of raylt's own."""
    first, slash, _ = name.partition("/")
    return first if slash else ""


def known(name: str) -> str:
    """The name of an encoder; a library that is missing here may be installed elsewhere.

    Raises:
        ValueError: there is no such encoder.
    """
    own, source = own_names(), library(name)
    if not source:
        if name in own:
            return name
        if plugins.is_reference("encoders", name):
            try:
                outside.file(name.partition(":")[0])
            except InputError as error:
                raise ValueError(str(error)) from None
            return name
        everything = [*own, *(f"{x}/{bare}" for x in LIBRARIES for bare in names(x))]
        hint = plugins.did_you_mean(name, own) or plugins.did_you_mean(name, everything)
    elif source in LIBRARIES:
        existing = names(source)
        bare, _, tag = name.partition("/")[2].partition(".")
        if not existing or (bare in existing and (not tag or source == "timm")):
            return name
        near = plugins.did_you_mean(name, [f"{source}/{bare}" for bare in existing])
        raise ValueError(f"must be a model of {source}, but got {name!r}{near}")
    else:
        hint = plugins.did_you_mean(source, LIBRARIES)
    raise ValueError(
        f"must be one of {', '.join(own)}, torchvision/NAME or timm/NAME, but got {name!r}{hint}"
    )


def require_installed(name: str) -> None:
    """Refuse an encoder whose library is missing on this machine.

    Raises:
        EnvironmentError: it is not installed.
    """
    source = library(name)
    if source and importlib.util.find_spec(source) is None:
        raise EnvironmentError(
            f"encoder: {name} needs the package {source}, which is not installed; install it with "
            f"`pip install {source}` (the extra raylt[{source}]), or choose torchvision/NAME"
        )


def own_names() -> tuple[str, ...]:
    """Every encoder of raylt's own, family by family, and those of entry points; torch is not
    imported."""
    own = families()
    return (*own, *(name for name in plugins.entries("encoders") if name not in own))


@functools.cache
def families() -> dict[str, str]:
    """Name of an encoder -> name of its file."""
    return {
        name: family
        for family in plugins.files("encoders")
        for name in plugins.declared("encoders", family, "NAMES")
    }


def names(source: str) -> tuple[str, ...]:
    """The classifiers of a library, read off its files, those of timm without the tags of their
    weights; empty where it is not installed."""
    package = importlib.util.find_spec(source)
    if package is None or not package.submodule_search_locations:
        return ()
    folder = Path(package.submodule_search_locations[0], "models")
    # Beside its classifiers torchvision has folders of models for other tasks.
    return _registered(folder, "*.py" if source == "torchvision" else "**/*.py")


@functools.cache
def _registered(folder: Path, pattern: str) -> tuple[str, ...]:
    texts = [path.read_text("utf-8") for path in folder.glob(pattern)]
    return tuple(sorted({name for text in texts for name in _REGISTERED.findall(text)}))
