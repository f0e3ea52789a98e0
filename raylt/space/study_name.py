"""What a study may be called: its name is also that of a folder and of an MLflow run."""

from __future__ import annotations

import re
import unicodedata

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


def study_name(name: str) -> str:
    """`name`, if a folder and an experiment may be called so.

    Raises:
        ValueError: it has other characters than letters, digits, `.`, `_` and `-`, starts with a
            dot or a dash (a command would take it for an option), is empty or longer than 100; the
            message suggests one that has not.
    """
    if _NAME.fullmatch(name):
        return name
    shown = name if len(name) <= 60 else f"{name[:60]}..."
    raise ValueError(
        f"must be 1 to 100 letters, digits, dots, dashes or underscores and not start with a dot "
        f"or a dash, but got {shown!r}; for example {slug(name) or 'my-study'!r}"
    )


def slug(name: str) -> str:
    """A study's name that is like another text, and as it is where that is one; "" where nothing
    of it can stay."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip(".-")[:100]
