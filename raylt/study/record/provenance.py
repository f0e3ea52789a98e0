"""Where a study comes from: versions of the libraries and the commit of the program."""

from __future__ import annotations

import importlib.metadata
import subprocess
from pathlib import Path

from raylt._version import __version__

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
