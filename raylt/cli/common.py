"""What the verbs share: which space and which study are meant, and how results are printed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from raylt.space import Space


def help_alone(context: click.Context) -> None:
    """A group without a verb shows its help."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def load(file: str | None, words: Sequence[str], overrides: Sequence[str]) -> Space:
    """The space that the command line names.

    Args:
        file: The value of --space; where None, the first word names the file.
        words: The file, then overrides; or overrides alone.
        overrides: Overrides that other options stand for.

    Raises:
        click.UsageError: no file is named.
        InputError: the space breaks a rule.
    """
    from raylt import space

    words = list(words)
    if file is None:
        if not words or "=" in words[0]:
            raise click.UsageError(
                "a space file must be named, but none is; for example "
                "--space search_spaces/sdclr.yaml",
                click.get_current_context(),
            )
        file = words.pop(0)
    return space.load(file, [*overrides, *words])


def warn(space: Space) -> None:
    """Say what the user should know about a space and need not change."""
    for warning in space.warnings:
        click.echo(f"warning: {warning}", err=True)


def study_name(study: str) -> str:
    """A study's name, which is also that of a folder.

    Raises:
        InputError: it cannot be one.
    """
    from raylt.schema import InputError
    from raylt.space import names

    try:
        return names.study_name(study)
    except ValueError as error:
        raise InputError(f"STUDY: {error}") from None


def print_json(found: Any) -> None:
    """Print a result for programs."""
    click.echo(json.dumps(_finite(found), indent=2, default=str, allow_nan=False))


def _finite(found: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(found, dict):
        return {key: _finite(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [_finite(value) for value in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found


def require_no_options(options: Mapping[str, Any], *, unless: str) -> None:
    """Refuse options of the command line that would do nothing without another one.

    Raises:
        click.UsageError: one is given.
    """
    context = click.get_current_context()
    for name in options:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name} does nothing without {unless}", context)
