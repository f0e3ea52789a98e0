"""URIs of databases and servers: built and read by real parsers, and shown without their secrets.

SQLAlchemy reads those of databases and urllib all others. Where a password holds characters that a
URI must have percent-encoded, no parser can tell its end; then more is left out rather than less.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, unquote_plus, urlencode, urlsplit

if TYPE_CHECKING:
    from sqlalchemy import URL

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
"""What the URI of a database begins with, before the name of a driver."""
VARIABLES = ("MLFLOW_TRACKING_URI", "OPTUNA_STORAGE")
"""Variables of the environment that hold one."""
HIDDEN = "***"
"""Stands for what is left out of a text."""
_FILES = ("sqlite", "file")
"""Have a path and no user."""
_SECRET = re.compile(
    r"user|pass|pwd|token|secret|key$|cred|auth|sig$|signature|odbc_connect", re.I
)
"""Names of parameters whose values are secret."""
_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S*")
_LEAST = 4
"""Characters of a secret that is looked for in a text; shorter ones are part of common words."""


def sqlite(file: Path) -> str:
    """The URI of a SQLite file, whatever characters its path has."""
    from sqlalchemy import URL

    uri = URL.create("sqlite", database=str(file)).render_as_string()
    # MLflow makes the folder of what follows `sqlite:///`, taking it for the path as it is. Where
    # the path had to be encoded that would be another folder.
    return uri if "%" not in uri else uri.replace("sqlite:", "sqlite+pysqlite:", 1)


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite URI; None for other URIs and a database in memory."""
    if _kind(uri) != "sqlite":
        return None
    database = _database(uri).database
    return Path(database) if database and database != ":memory:" else None


def require_readable(uri: str) -> str:
    """The URI as it stands, if a parser understands it; a text that is none is left alone.

    Raises:
        ValueError: it is none, such as one with a port that is no number.
    """
    try:
        if _kind(uri) in DATABASES:
            if "@" in (_database(uri).host or ""):
                raise ValueError("a raw @ in the password")
        elif "://" in uri:
            _ = urlsplit(uri).port
    except ValueError:
        raise ValueError(
            f"must be a URI of a host and a port from 0 to 65535, but got "
            f"{public(uri)}; write / ? # @ % in a password as %2F %3F %23 %40 %25"
        ) from None
    return uri


def has_secrets(uri: str) -> bool:
    """Whether a URI holds a user, a password, a token or the like."""
    return public(uri) != uri


def public(uri: str) -> str:
    """A URI without user, password, and parameters that may be secret."""
    scheme, mark, rest = uri.partition("://")
    if not mark:
        return uri
    if _kind(uri) not in _FILES:
        rest = _without_user(uri, rest)
    base, sharp, fragment = rest.partition("#")
    base, question, query = base.partition("?")
    if "@" in query + fragment:
        # It may be part of a parameter, or of a password with a raw `?` or `#`.
        return f"{scheme}://{HIDDEN}"
    shown = _without_secrets(query)
    question = question if shown or not query else ""
    # A secret with a raw `#` goes on behind it.
    shown_fragment = _without_secrets(fragment) if shown == query else ""
    sharp = sharp if shown_fragment or not fragment else ""
    return f"{scheme}://{base}{question}{shown}{sharp}{shown_fragment}"


def redacted(text: str, uris: Iterable[str] = ()) -> str:
    """A text without the secrets of the URIs in it.

    Args:
        uris: Those that are in use here. Their secrets are left out wherever the text has them,
            even alone.
    """
    for uri in uris:
        if "://" not in uri:
            continue
        text = text.replace(uri, public(uri))
        for secret in sorted(set(_secrets(uri)), key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
    return _IN_TEXT.sub(lambda match: public(match[0]), text)


def redacted_command(words: Iterable[str]) -> str:
    """A command line that a shell reads again, without the secrets of the URIs in it."""
    return shlex.join(
        # What follows `://` is one URI to the end of its word, blanks and quotes included.
        re.sub(r"[A-Za-z][A-Za-z0-9+.-]*://.*", lambda m: public(m[0]), word, flags=re.DOTALL)
        for word in words
    )


def of_process(arguments: Iterable[str]) -> list[str]:
    """The URIs that a process was given, on its command line and by its environment."""
    words = [*arguments, *(os.environ.get(name, "") for name in VARIABLES)]
    return [
        match[0]
        for word in words
        if (match := re.search(r"[A-Za-z][\w+.-]*://.*", word, re.DOTALL))
    ]


def _kind(uri: str) -> str:
    return uri.partition(":")[0].partition("+")[0].lower()


def _database(uri: str) -> URL:
    """The parts of a database's URI.

    Raises:
        ValueError: it is none.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(uri)
    except ArgumentError as error:
        raise ValueError(str(error)) from None


def _without_user(uri: str, rest: str) -> str:
    """What follows the user and the password of a URI, of which `rest` follows the `://`."""
    try:
        if _kind(uri) in DATABASES:
            # SQLAlchemy ends a password at its first @, even behind a / or ?.
            end = rest.find("@") + 1 if _database(uri).username is not None else 0
        else:
            end = urlsplit(uri).netloc.rfind("@") + 1
    except ValueError:
        end = rest.find("@") + 1
    # An @ in the path that is left may end a password with a raw @ or /.
    path = re.split(r"[?#]", rest[end:], maxsplit=1)[0]
    return rest[end + path.rfind("@") + 1 :]


def _without_secrets(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    kept = [(name, value) for name, value in pairs if not _SECRET.search(name)]
    if len(kept) == len(pairs):
        return query
    # A name without a value is what follows a raw & in a secret.
    return urlencode([(name, value) for name, value in kept if value], safe="/")


def _secrets(uri: str) -> Iterator[str]:
    """What is secret in a URI, as it stands there and decoded."""
    rest = uri.partition("://")[2]
    userinfo = rest.rpartition("@")[0] if _kind(uri) not in _FILES else ""
    user, _, password = userinfo.partition(":")
    query: Mapping[str, str] = dict(parse_qsl(rest.partition("?")[2]))
    values = [value for name, value in query.items() if _SECRET.search(name)]
    for part in (userinfo, user if not password else "", password, *values):
        yield from (
            text for text in (part, unquote(part), unquote_plus(part)) if len(text) >= _LEAST
        )
