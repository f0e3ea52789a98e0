"""The token that a Ray cluster asks for: read where Ray reads it, and never shown."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def file() -> Path | None:
    """The file that holds the token; None where the environment holds it or there is none."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return None
    chosen = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(chosen) if chosen else Path.home() / ".ray" / "auth_token"
    return path if path.is_file() else None


def use() -> bool:
    """Make Ray send the token where there is one; call it before Ray is imported.

    Ray sends none as long as RAY_AUTH_MODE is not set, even with the token at hand.

    Returns:
        Whether there is a token.
    """
    has_token = bool(os.environ.get("RAY_AUTH_TOKEN")) or file() is not None
    if has_token:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    return has_token and os.environ["RAY_AUTH_MODE"] == "token"


def exposed() -> Path | None:
    """The token's file if other users of this machine may read it; Ray creates it that way."""
    path = file()
    if path is not None and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return path
    return None


def warnings() -> tuple[str, ...]:
    """What is unsafe about how the token is kept here, in words."""
    path = exposed()
    if path is None:
        return ()
    return (f"other users of this machine may read {path}, the cluster's token; chmod 600 it",)
