"""What verbs share: the settings as options, and which space or study is meant."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from raylt.cli import complete, output
from raylt.cli.exits import too_long

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from raylt.settings import Settings
    from raylt.space import Space
    from raylt.study.record.record import Record

Function = TypeVar("Function", bound=Callable[..., Any])


class PathType(click.Path):
    """A path that the file system can have, whether or not it is there."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, once the system has taken its name."""
        try:
            os.lstat(value)
        except ValueError as error:
            self.fail(f"must be a path, but got {value!r}: {error}", param, ctx)
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                self.fail(too_long(value), param, ctx)
        return super().convert(value, param, ctx)


json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON")
cluster_option = click.option(
    "--cluster",
    type=PathType(),
    metavar="FILE|NAME",
    envvar="RAYLT_CLUSTER",
    show_envvar=True,
    shell_complete=complete.profiles,
    help="Profile of a cluster: resources of a trial, folders, address; a file, or one that comes "
    "with raylt, such as laptop",
)


def study_argument(name: str = "study", **options: Any) -> Callable[[Function], Function]:
    """The study that a verb is about."""
    return click.argument(name, shell_complete=complete.studies, **options)


def space_options(verb: Function) -> Function:
    """The space that a verb reads, as an option or as its first word."""
    verb = click.argument(
        "words", nargs=-1, metavar="[SPACE] [KEY=VALUE]...", shell_complete=complete.spaces
    )(verb)
    return click.option(
        "-s",
        "--space",
        "file",
        metavar="FILE|NAME",
        shell_complete=complete.spaces,
        help="Space file, or one that comes with raylt (see `raylt spaces`); - reads standard "
        "input",
    )(verb)


def sending_options(verb: Function) -> Function:
    """How a verb is sent to a cluster."""
    verb = click.option(
        "--ship",
        type=PathType(),
        metavar="PATH",
        multiple=True,
        help="File or folder to send along with the command, such as a module of your own",
    )(verb)
    verb = click.option(
        "--wait/--no-wait",
        default=True,
        show_default=True,
        help="Follow a command that is sent to a cluster, or print its id and return",
    )(verb)
    return cluster_option(verb)


def given(*names: str) -> list[str]:
    """Those of the options of the verb that runs which the user has given, as its words."""
    context = click.get_current_context()
    words: list[str] = []
    for param in context.command.params:
        value = context.params.get(str(param.name))
        if param.name in names and value is not None and value is not False:
            for word in value if isinstance(value, tuple) else (value,):
                words += [param.opts[-1], *([] if word is True else [str(word)])]
    return words


class Verb(click.Command):
    """A verb whose function is given settings.

    With a `--cluster` option the function takes a `target`, else the `settings` themselves. Their
    options are made of the settings' model when the verb is called: `raylt --help` does not need
    them, and importing the model takes time. `raylt.printed.TAKES` says which a verb has.
    """

    def __init__(
        self,
        *args: Any,
        model: type[Settings] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self._model = model

    @cached_property
    def model(self) -> type[Settings]:
        """The settings that there are."""
        from raylt.settings import Settings

        return self._model or Settings

    @cached_property
    def settings(self) -> tuple[click.Option, ...]:
        """The options of the settings, in the order of the model."""
        from raylt.printed import TAKES
        from raylt.settings import option_of

        takes = TAKES.get(str(self.name))
        return tuple(
            _option(name, field)
            for name, field in self.model.model_fields.items()
            if (name in takes if takes else option_of(field))
        )

    def get_short_help_str(self, limit: int = 80) -> str:
        """The summary, which a shell shows that completes; click would cut it at 45 letters."""
        return super().get_short_help_str(limit)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The verb's own parameters, and before --json and --help the settings."""
        own = super().get_params(ctx)
        # The last parameter is --help.
        json = (i for i, param in enumerate(own) if param.name == "as_json")
        last = next(json, len(own) - 1)
        return [*own[:last], *self.settings, *own[last:]]

    def invoke(self, ctx: click.Context) -> Any:
        """Call the verb with the settings in place of their options."""
        from raylt.cli.target import Target

        by_user = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
        values = {str(option.name): ctx.params.pop(str(option.name)) for option in self.settings}
        given = {
            name: v for name, v in values.items() if ctx.get_parameter_source(name) in by_user
        }
        target = Target(
            given={**given, "command": ctx.find_object(str) or ""},
            takes=tuple(values),
            model=self.model,
            profile_file=ctx.params.pop("cluster", None),
            ship=ctx.params.pop("ship", ()),
            wait=ctx.params.pop("wait", True),
        )
        can_be_sent = any(param.name == "cluster" for param in self.params)
        ctx.params |= {"target": target} if can_be_sent else {"settings": target.settings}
        return super().invoke(ctx)


def _option(name: str, field: FieldInfo) -> click.Option:
    """The option of a setting."""
    from raylt.settings import flag, option_of

    option = option_of(field)
    assert option is not None, f"{name} must have an Option to be one"
    description = " ".join((field.description or "").split()).rstrip(".")
    shared: dict[str, Any] = {"default": field.default, "help": description}
    flags = [flag(name), *([option.short] if option.short else [])]
    if option.metavar is None:
        return click.Option(flags, is_flag=True, **shared)
    return click.Option(
        flags,
        type=PathType(file_okay=False) if field.annotation is Path else _Checked(field),
        metavar=option.metavar,
        envvar=option.variable,
        show_envvar=True,
        show_default=field.default is not None,
        **shared,
    )


class _Checked(click.ParamType):
    """A value that is checked by the settings' model."""

    name = "value"

    def __init__(self, field: FieldInfo) -> None:
        self._field = field

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from typing import Annotated

        from pydantic import TypeAdapter, ValidationError

        from raylt.settings import Settings
        from raylt.space.file import explain

        if not isinstance(value, str):
            return value
        checked: Any = Annotated[(self._field.annotation, *self._field.metadata)]
        try:
            return TypeAdapter(checked).validate_strings(value)
        except ValidationError as error:
            self.fail(explain.sentence(error.errors()[0], Settings), param, ctx)


def require_none_given(context: click.Context, *, unless: str, apart: Sequence[str] = ()) -> None:
    """Refuse settings that would do nothing without another option.

    Raises:
        click.UsageError: one is on the command line.
    """
    verb = context.command
    assert isinstance(verb, Verb)
    names = ["cluster", *(str(option.name) for option in verb.settings)]
    for name in (name for name in names if name not in apart):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name} does nothing without {unless}", context)


def load_space(file: str | None, words: Sequence[str], overrides: Sequence[str]) -> Space:
    """The space that the command line names; its warnings are printed.

    Args:
        file: The value of --space; where None, the first word names the file.
        words: The file, then overrides; or overrides alone.
        overrides: Overrides that other options stand for.

    Raises:
        click.UsageError: no file is named.
        InputError: the space breaks a rule.
    """
    from raylt.study.run.waiting import waiting

    words = list(words)
    if file is None:
        if not words or "=" in words[0]:
            raise click.UsageError(
                "a space file must be named, but none is; for example "
                "--space sdclr; `raylt spaces` lists those that come with raylt",
                click.get_current_context(),
            )
        file = words.pop(0)
    # A warning would be written into the line of what is waited for.
    with waiting("reading the space", brief=True):
        from raylt import space

        loaded = space.load(file, [*overrides, *words])
    for warning in loaded.warnings:
        output.tell(f"warning: {warning}", err=True)
    return loaded


def open_study(study: str, settings: Settings) -> Record:
    """A study that the command line names, to read.

    Raises:
        InputError: there is none of that name.
        EnvironmentError: its database cannot be read.
    """
    from raylt.study.record import studies

    return studies.open_study(study_name(study), settings.runs, settings.storage)


def study_name(study: str) -> str:
    """A study's name, which is also that of a folder.

    Raises:
        InputError: it cannot be one.
    """
    from raylt.schema import InputError
    from raylt.space.study_name import study_name

    try:
        return study_name(study)
    except ValueError as error:
        raise InputError(f"STUDY: {error}") from None
