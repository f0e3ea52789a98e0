"""Here or there: a command runs on this machine, or is sent to a cluster."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from raylt import printed, uris
from raylt import settings as model
from raylt.cli import output
from raylt.cluster import address as addresses
from raylt.data.reading.paths import expanded
from raylt.schema import InputError
from raylt.settings import Profile, Settings
from raylt.space.file import bundled, document

if TYPE_CHECKING:
    from raylt.cluster.submit import Job
    from raylt.space import Space

_PROFILE = "profile.yaml"
_SPACE = "space.yaml"


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a command runs, and with which settings."""

    given: Mapping[str, Any]
    """The settings of the command line and the environment."""
    takes: tuple[str, ...]
    """The settings that the command has options for."""
    model: type[Settings] = Settings
    profile_file: Path | None = None
    ship: tuple[Path, ...] = ()
    """Files and folders to send along."""
    wait: bool = True
    """Whether to follow a command that is sent."""

    @cached_property
    def profile(self) -> Profile:
        """What the profile's file says."""
        return model.load(self.profile_file) if self.profile_file else Profile()

    @cached_property
    def settings(self) -> Settings:
        """What was given, before the profile, before the defaults."""
        file = {"profile": self.profile_file} if self.profile_file else {}
        return model.merged({**self.given, **file}, self.profile, self.model)

    @property
    def is_here(self) -> bool:
        """Whether the command runs on this machine.

        Raises:
            InputError: the address is none.
        """
        return addresses.way(self.settings.address) != "submit"

    def send_unless_here(
        self, words: Sequence[str], *, label: str, as_json: bool, space: Space | None = None
    ) -> None:
        """Send a command to its cluster, and leave with its exit code; do nothing if it is here.

        Args:
            words: The verb, with what is no setting.
            label: What the command is about, for the job's id.
            space: The space, which the command reads as `space.yaml`; the modules that stand
                beside its file and the files of its `study.warm_start` go along.
        """
        if self.is_here:
            return
        from raylt.cluster import submit

        def say(text: str) -> None:
            output.echo(text, nl=False, err=text.startswith(("warning: ", "job ", "\nthe job")))

        sent = self.job(
            [
                *words,
                *(["--space", _SPACE] if space is not None else []),
                *(["--json"] if as_json else []),
            ],
            label=label,
            space=space,
        )
        address = str(self.settings.address).rstrip("/")
        code = submit.run(sent, address, wait=self.wait, say=say)
        runs = self.settings.runs
        if self.wait and words[0] != "doctor" and not runs.is_dir():
            output.echo(
                f"{runs} is not here: what reads it, as `best`, runs where it is", err=True
            )
        raise click.exceptions.Exit(code)

    def job(self, words: Sequence[str], *, label: str, space: Space | None) -> Job:
        """A command as a job of the cluster: its words, the settings, and the files of both.

        Raises:
            InputError: a setting cannot be sent.
        """
        from raylt.cluster.submit import Job

        files = {}
        if space is not None:
            # What --ship names is taken as it is there.
            shipped = {path.resolve().name for path in self.ship}
            beside = {k: v for k, v in space.modules.items() if k.split("/")[0] not in shipped}
            files = {**beside, **dict(_earlier_settings(space, shipped)), _SPACE: space.text}
        goes_on = ["resume", label] if space is not None or words[0] == "resume" else words
        again = printed.command(goes_on[0], goes_on[1:], self.settings)
        words = [*words, *self._settings_as_words()]
        if self.profile_file is not None:
            file = bundled.find(self.profile_file, "clusters")
            files[_PROFILE] = Path(file).read_text("utf-8")
            words += ["--cluster", _PROFILE]
        return Job(
            words=tuple(words),
            files=files,
            ship=self.ship,
            label=label,
            again=again,
            variables={printed.SENDER: printed.sender(self.settings)},
        )

    def _settings_as_words(self) -> list[str]:
        """The settings as the command has them on the cluster.

        The rest of the profile travels as a file, apart from what a variable of the cluster's
        environment would overrule.
        """
        fields = self.model.model_fields
        values: dict[str, Any] = {"address": "auto"}
        for name in self.takes:
            option = model.option_of(fields[name])
            overruled = option and option.variable and name in self.profile.model_fields_set
            if name in self.given or overruled:
                values.setdefault(name, getattr(self.settings, name))
        values["runs"] = self.settings.runs
        if "data" in self.takes:
            values.setdefault("data", self.settings.runs.parent / "data")
        words: list[str] = []
        for name in fields:
            if name in values:
                _require_sendable(name, values[name], self.model)
                text = [] if values[name] is True else [str(values[name])]
                words += [model.flag(name), *text]
        return words


def _earlier_settings(space: Space, shipped: Container[str]) -> Iterator[tuple[str, str]]:
    """The files of `study.warm_start`, as a job finds them beside its space; an absolute path is
    one of the cluster.

    Raises:
        InputError: one cannot lie beside the space there, or cannot be read; file and line.
    """
    for source in space.sources:
        path = expanded(source.name)
        if source.file is None or path.is_absolute() or path.parts[0] in shipped:
            continue
        if ".." in path.parts or str(path) in (_SPACE, _PROFILE) or source.file.is_dir():
            raise InputError(
                f"{source.place}: must be a file below the folder of the space file, and not be "
                f"called {_SPACE} or {_PROFILE}, to be sent along, but got {source.name}; move "
                f"it, or give an absolute path of the cluster"
            )
        try:
            values = document.read(source.file).values
        except InputError as error:
            raise InputError(f"{source.place}: {error}") from None
        yield str(path), document.dump(values)


def _require_sendable(name: str, value: Any, settings: type[Settings]) -> None:
    """Refuse a setting that would mean something else on a cluster, or show a password there."""
    flag, option = model.flag(name), model.option_of(settings.model_fields[name])
    if isinstance(value, Path) and not value.is_absolute():
        raise InputError(
            f"{flag}: must be an absolute path of the cluster to send a command there, but got "
            f"{str(value)!r}; name a folder that its machines share, as in {flag} /shared/{name}"
        )
    if option and option.credentials and uris.has_secrets(str(value)):
        raise InputError(
            f"{flag}: must hold no user or password to be sent, for a job's command is shown in "
            f"the dashboard; put them into {option.credentials} on the machines of the cluster"
        )
