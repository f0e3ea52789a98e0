"""Where a command runs: what the command line and the profile of a cluster say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from click.core import ParameterSource
from pydantic import ValidationError

from raylt.cluster import address as addresses
from raylt.cluster import profile
from raylt.cluster.profile import Profile, Trial
from raylt.schema import InputError

if TYPE_CHECKING:
    from raylt.cluster.submit import Job
    from raylt.study.run.session import Settings

_PROFILE = "profile.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What was chosen, the command line before the profile before the defaults."""

    profile: Profile
    source: Path | None
    """The profile's file."""
    address: str | None
    runs: Path
    data: Path | None
    """None where nobody said."""
    tracking_uri: str | None
    tracking_optional: bool
    """Whether the command line says so; the profile may, too."""
    system_metrics: bool
    """Likewise."""
    storage: str | None
    """URL of the database of the study of record."""
    checkpoints: str | None
    """Bucket that keeps the checkpoints, too."""
    workers: int | None
    """None where the command line does not say."""
    pack: Literal["auto"] | int | None
    """Likewise."""
    concurrent: int | None

    @property
    def elsewhere(self) -> bool:
        """Whether the command is to be sent to a cluster."""
        return addresses.way(self.address) == "submit"

    @property
    def trial(self) -> Trial:
        """What a trial books.

        Raises:
            InputError: what the command line says does not go with the profile.
        """
        said = {"workers": self.workers, "pack": self.pack}
        given = {name: value for name, value in said.items() if value is not None}
        if not given:
            return self.profile.trial
        # A number of workers on the command line is meant as it stands.
        fixed = {"min_workers": None} if self.workers is not None else {}
        try:
            return Trial.model_validate({**self.profile.trial.model_dump(), **fixed, **given})
        except ValidationError as error:
            told = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise InputError(f"--{next(reversed(given))}: {told}") from None


def choose(
    *,
    cluster: Path | None,
    address: str | None,
    runs: Path,
    data: Path | None,
    tracking_uri: str | None,
    tracking_optional: bool | None,
    system_metrics: bool | None,
    storage: str | None,
    checkpoints: str | None,
    workers: int | None,
    concurrent: int | None,
    pack: Literal["auto"] | int | None,
) -> Target:
    """Join the options of the command that runs now with its profile.

    Raises:
        InputError: the profile breaks a rule, or the address is none.
    """
    found = profile.load(cluster) if cluster else Profile()
    address = address or found.address
    addresses.way(address)
    return Target(
        profile=found,
        source=cluster,
        address=address,
        runs=runs if _given("runs") or found.runs is None else Path(found.runs).expanduser(),
        data=data if _given("data") or found.data is None else Path(found.data).expanduser(),
        tracking_uri=tracking_uri or found.tracking_uri,
        tracking_optional=bool(tracking_optional),
        system_metrics=bool(system_metrics),
        storage=storage or found.storage,
        checkpoints=checkpoints or found.checkpoints,
        workers=workers,
        pack=pack,
        concurrent=concurrent or found.concurrent,
    )


def settings(target: Target, *, quiet: bool, command: str) -> Settings:
    """How a search runs at a target that is not elsewhere."""
    from raylt.study.run.session import Settings

    return Settings(
        runs=target.runs,
        root=target.data or Path("data"),
        tracking_uri=target.tracking_uri,
        tracking_optional=target.tracking_optional or target.profile.tracking_optional,
        system_metrics=target.system_metrics or target.profile.system_metrics,
        storage=target.storage,
        checkpoints=target.checkpoints,
        **target.trial.model_dump(),
        address=target.address if target.address != "local" else None,
        wait=target.profile.wait,
        concurrent=target.concurrent,
        retries=target.profile.retries,
        quiet=quiet,
        command=command,
    )


def job(
    target: Target, words: Sequence[str], *, label: str, space: str | None, ship: Sequence[Path]
) -> Job:
    """A command as a job for the target's cluster.

    Args:
        target: Where to.
        words: The command: its verb and its own options.
        label: What the job is about, for its id.
        space: Text of the space file, which the words call `space.yaml`.
        ship: Files and folders to send along.

    Raises:
        InputError: a folder is not absolute, so it would lie in the job's own folder and go with
            it, or the command would show a password.
    """
    from raylt.cluster.submit import Job

    files = {} if space is None else {"space.yaml": space}
    words = [*words, "--address", "auto", "--runs", _absolute("--runs", target.runs)]
    if "data" in click.get_current_context().params:
        if target.data is not None and _given("data"):
            words += ["--data", _absolute("--data", target.data)]
        elif target.profile.data is None:
            words += ["--data", str(target.runs.parent / "data")]
    if target.source is not None:
        files[_PROFILE] = target.source.read_text("utf-8")
        words += ["--cluster", _PROFILE]
    if target.tracking_uri:
        if "@" in target.tracking_uri:
            raise InputError(
                "--tracking-uri: must hold no password to be sent, for a job's command is shown "
                "in the dashboard; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD on "
                "the machines of the cluster"
            )
        words += ["--tracking-uri", target.tracking_uri]
    flags = {
        "--tracking-optional": target.tracking_optional,
        "--system-metrics": target.system_metrics,
    }
    words += [flag for flag, on in flags.items() if on]
    if target.storage:
        if "@" in target.storage or "password=" in target.storage:
            raise InputError(
                "--storage: must hold no user or password to be sent, for a job's command is "
                "shown in the dashboard; set PGUSER and PGPASSWORD on the machines of the cluster"
            )
        words += ["--storage", target.storage]
    optional = {
        "--checkpoints": target.checkpoints,
        "--workers": target.workers,
        "--concurrent": target.concurrent,
        "--pack": target.pack,
    }
    for name, value in optional.items():
        words += [name, str(value)] if value is not None else []
    return Job(words=tuple(words), files=files, ship=tuple(ship), label=label)


def send(target: Target, sent: Job, *, wait: bool) -> int:
    """Send a job to the target's cluster and follow it; the exit code of the command."""
    from raylt.cluster import submit

    def say(text: str) -> None:
        click.echo(text, nl=False, err=text.startswith(("warning: ", "job ", "\nthe job")))

    assert target.address is not None
    return submit.run(sent, target.address.rstrip("/"), wait=wait, say=say)


def _given(name: str) -> bool:
    context = click.get_current_context()
    return context.get_parameter_source(name) not in (None, ParameterSource.DEFAULT)


def _absolute(option: str, path: Path) -> str:
    if not path.is_absolute():
        raise InputError(
            f"{option}: must be an absolute path of the cluster to send a search there, but got "
            f"{str(path)!r}; name a folder that its machines share, as in {option} /shared/runs"
        )
    return str(path)


def names(options: dict[str, Any]) -> dict[str, Any]:
    """The part of a command's options that `choose` takes."""
    keys = (
        "cluster",
        "address",
        "runs",
        "data",
        "tracking_uri",
        "tracking_optional",
        "system_metrics",
        "storage",
        "checkpoints",
        "workers",
        "concurrent",
        "pack",
    )
    return {key: options.get(key) for key in keys}
