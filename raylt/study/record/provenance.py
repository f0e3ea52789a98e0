"""Where a study comes from: versions of the libraries, the commit of the program, and the settings
that the commands about it repeat."""

from __future__ import annotations

import importlib.metadata
import subprocess
from pathlib import Path

from raylt import printed
from raylt._version import __version__
from raylt.settings import Settings
from raylt.study.record.record import Record

FACT = "settings"
"""The fact of a study that holds its settings."""
DATA_OF = "data_of"
"""The fact of a study that names the one whose images it was asked to have."""
_LIBRARIES = ("torch", "ray", "optuna", "mlflow")


def tags() -> dict[str, str]:
    """Versions and the commit of the program, as tags."""
    versions = {f"version.{name}": importlib.metadata.version(name) for name in _LIBRARIES}
    return {"version.raylt": __version__, **versions, **commit(Path(__file__).parent)}


def commit(folder: Path) -> dict[str, str]:
    """The commit of the repository around a folder and whether it has changes; {} without one."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return {"git.commit": git("rev-parse", "HEAD"), "git.dirty": str(bool(changed)).lower()}
    except (OSError, subprocess.SubprocessError):
        # Installed from a package, or no git: then there is no commit to name.
        return {}


def command(record: Record, verb: str, *words: str) -> str:
    """A command about a study that runs as pasted.

    Args:
        words: The study's name, if the verb takes it, and other options.
    """
    values = {**record.facts.get(FACT, {}), "runs": record.folder.parent}
    return printed.command(verb, words, Settings.model_validate(values))


def note(record: Record, settings: Settings) -> None:
    """Keep the settings that a study goes on with."""
    record.note(FACT, printed.kept(settings))


def with_data(record: Record, settings: Settings) -> Settings:
    """The settings, with the data root that the study has where none is given."""
    root = record.facts.get(FACT, {}).get("data")
    is_given = "data" in settings.given or settings.data != Settings().data
    if root is None or is_given or not Path(root).is_dir():
        return settings
    return settings.model_copy(update={"data": Path(root)})
