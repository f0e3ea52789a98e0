"""The command line; its verbs are in `verbs/`.

Verbs import what they run inside their functions, so that `raylt --help` is quick.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from raylt.cli import complete, exits, output
from raylt.cli.verbs import (
    ablate,
    best,
    check,
    confirm,
    data,
    doctor,
    help,
    init,
    report,
    space,
    status,
    table,
    tune,
    ui,
)


def main() -> NoReturn:
    """The program `raylt`."""
    if (code := complete.answer(commands)) is not None:
        sys.exit(code)
    exits.program(run)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit code."""
    return exits.run(commands, arguments)


_EXPORTED = "; `raylt export STUDY DIR` writes a load.py that names what is on a picture"
_INSTEAD: dict[str, str] = dict.fromkeys(["predict", "classify", "infer"], _EXPORTED)
"""What to say instead of a verb that there is none of."""


class _Verbs(click.Group):
    """The verbs in the order of their use, with a "did you mean"."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            from raylt.plugins import did_you_mean

            meant = _INSTEAD.get(args[0]) or did_you_mean(args[0], self.commands)
            raise click.UsageError(
                f"unknown verb {args[0]!r}{meant}; known: {', '.join(self.commands)}", ctx
            )
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="raylt", message="raylt %(version)s")
@click.pass_context
def commands(context: click.Context) -> None:
    """Search and scale long-tailed contrastive learning.

    \b
    A first search, minutes on a laptop:
      raylt tune --space sdclr

    \b
    Your own images, a folder for each class:
      raylt init FOLDER
    """
    output.help_without_verb(context)


# The order of the help.
for verb in (
    init.init,
    tune.tune,
    tune.train,
    check.check,
    space.space,
    space.spaces,
    data.data,
    tune.resume,
    status.logs,
    best.best,
    confirm.confirm,
    ablate.ablate,
    status.status,
    doctor.doctor,
    report.report,
    report.compare,
    table.table,
    best.export,
    ui.ui,
    help.help_,
):
    commands.add_command(verb)
