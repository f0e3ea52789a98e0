"""The token that a Ray cluster asks for: read where Ray reads it, and never shown."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from raylt.schema import EnvironmentError


def file() -> Path | None:
    """The file that holds the token; None where the environment holds it or there is none."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return None
    chosen = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(chosen) if chosen else Path.home() / ".ray" / "auth_token"
    return path if path.is_file() else None


def word() -> str:
    """The token itself; "" where there is none."""
    if path := file():
        return path.read_text("utf-8").strip()
    return os.environ.get("RAY_AUTH_TOKEN", "")


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


def refused(address: str) -> EnvironmentError:
    """The error of a cluster that does not accept our token."""
    source = "RAY_AUTH_TOKEN" if os.environ.get("RAY_AUTH_TOKEN") else file()
    if source is None:
        trouble = "we have none"
    elif os.environ.get("RAY_AUTH_MODE", "token") != "token":
        trouble = f"RAY_AUTH_MODE={os.environ['RAY_AUTH_MODE']} keeps that in {source} back"
    else:
        trouble = f"ours is a different one, in {source}"
    return EnvironmentError(
        f"the cluster at {address} must accept our token, but {trouble}; set RAY_AUTH_MODE=token "
        f"and RAY_AUTH_TOKEN_PATH to a copy of the head's ~/.ray/auth_token"
    )


def is_refusal(error: BaseException) -> bool:
    """Whether an error of Ray says that a cluster does not accept our token, or wants one."""
    text = f"{type(error).__name__} {error}".lower()
    return any(word in text for word in ("authtoken", "authentication", "unauthenticated"))


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
