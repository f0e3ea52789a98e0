"""The space files and the profiles of clusters that come with raylt.

In a checkout they are the folders `search_spaces/` and `clusters/`; a wheel holds copies of both.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from raylt.plugins import did_you_mean
from raylt.schema import InputError

Kind = Literal["search_spaces", "clusters"]
"""The folder of a bundled file."""
MODELINE = "# yaml-language-server: "
"""How the line begins that names a file's schema for editors; the schema lies beside the file."""
_NOUNS = {"search_spaces": "space", "clusters": "profile"}
_LOOK = "; check the spelling and the working directory"
_NO_PROFILES = ("skypilot",)
"""Files of `clusters/` that are for other programs."""
_PACKAGE = Path(__file__).parents[2]


def files(kind: Kind) -> dict[str, Path]:
    """The bundled files of a kind by their names, such as "sdclr"."""
    inside = _PACKAGE / kind
    folder = inside if inside.is_dir() else _PACKAGE.parent / kind
    paths = sorted(folder.glob("*.yaml"))
    return {path.stem: path for path in paths if path.stem not in _NO_PROFILES}


def find(source: Path | str, kind: Kind) -> Path | str:
    """The file that a user means: one of their own, or else a bundled one.

    Args:
        source: A path; or the name of a bundled file, or its path as the documents write it, such
            as "search_spaces/sdclr.yaml". `-` stays what it is.

    Raises:
        InputError: there is neither such a file nor a bundled one.
    """
    path = Path(source)
    if str(source) == "-" or os.path.isfile(path):
        return source
    bundled = files(kind)
    named = path.suffix in ("", ".yaml") and str(path.parent) in (".", kind)
    if named and path.stem in bundled:
        return bundled[path.stem]
    try:
        path.stat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError):
        return source  # The reader of the file says what is wrong with it.
    else:
        return source
    beside = [str(other) for other in path.parent.glob("*.yaml")] if path.suffix else []
    near = did_you_mean(str(path), beside) or did_you_mean(path.stem, bundled)
    known = near or f"; built in: {', '.join(bundled)}"
    raise InputError(
        f"{source}: must be a file that exists, or a built-in {_NOUNS[kind]}"
        f"{_of_dataset(str(source), bundled) or known + _LOOK}"
    )


def _of_dataset(name: str, spaces: Mapping[str, Path]) -> str:
    """What to say of a word that names the dataset of built-in spaces; "" of another."""
    texts = {space: path.read_text("utf-8") for space, path in spaces.items()}
    users = [
        s for s, text in texts.items() if re.search(rf"data: {{name: {re.escape(name)}\b", text)
    ]
    if not users:
        return ""
    get = f"raylt data get {name}"
    fetched = f"; `{get}` downloads it" if get in texts[users[0]] else ""
    return f"; {name} is the dataset of {', '.join(users)}{fetched}"
