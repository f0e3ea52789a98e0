"""Checkpoints in a bucket: the folder of a trial again, for machines that share no disk.

`s3://BUCKET/PREFIX` names it; who may write there is known to the environment of each machine
(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or a role), never to a file of raylt. Every object
appears whole or not at all, so the newest checkpoint there is one to go on from.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
import shutil
import threading
import uuid
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, urlsplit

from raylt.schema import EnvironmentError
from raylt.trial.checkpoints import checkpoint_names
from raylt.trial.checkpoints.checkpoint_names import epoch_of

CREDENTIALS = (
    "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and, for a server of your own, "
    "AWS_ENDPOINT_URL"
)
"""What to do where a bucket does not let us in."""
LEFT = (
    checkpoint_names.PATTERN,
    "classes.json",
    "output*.txt",
    "error*.txt",
    "test*.json",
    "test*.txt",
)
"""What the process of a trial leaves behind that others read."""
_OPTIONS = ("endpoint_override", "scheme", "region")
"""What may stand in the query: a server that is not Amazon's."""
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_DEADLINE = 30.0
"""Seconds in which a bucket must show that it can be written."""
_CONNECT, _REQUEST, _TRIES = 5.0, 20.0, 3
"""Seconds and attempts of one request."""
_PIECE = 8 * 2**20


def require_uri(text: str) -> str:
    """A bucket's URI as it stands.

    Raises:
        ValueError: it is none, or holds a secret.
    """
    scheme, _, rest = text.partition("://")
    if scheme != "s3" or not rest:
        raise ValueError(
            f"must be s3://BUCKET/PREFIX, but got {text.rpartition('@')[2]!r}; other kinds of "
            f"storage can be mounted as the folder of runs"
        )
    if "@" in text:
        raise ValueError(
            "must hold no user or password, for it is shown and kept; put them into "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    url = urlsplit(text)
    if not _NAME.fullmatch(url.netloc):
        raise ValueError(
            f"must name a bucket of 3 to 63 small letters, digits, dots and hyphens, but got "
            f"{url.netloc!r}; as in s3://my-bucket/raylt"
        )
    unknown = [
        name for name, _ in parse_qsl(url.query, keep_blank_values=True) if name not in _OPTIONS
    ]
    if unknown or url.fragment:
        raise ValueError(
            f"may hold {', '.join(_OPTIONS)} after its ?, but got "
            f"{unknown[0] if unknown else '#'}; as in "
            f"s3://my-bucket/raylt?endpoint_override=minio:9000&scheme=http"
        )
    return text


def join(uri: str, *deeper: str | int) -> str:
    """The URI of what lies deeper in a bucket."""
    head, mark, query = uri.partition("?")
    return "/".join([head.rstrip("/"), *map(str, deeper)]) + mark + query


def require_writable(uri: str) -> None:
    """Write, read and remove a small object.

    Raises:
        EnvironmentError: it cannot be done within half a minute.
    """
    if why := trouble_in_time(uri):
        raise EnvironmentError(
            f"the bucket of --checkpoints must be there and writable, but {uri} is not: {why}; "
            f"make it, and {CREDENTIALS}"
        )


def trouble_in_time(uri: str) -> str:
    """As `trouble`, within half a minute."""
    told: list[str] = []

    def try_it() -> None:
        told.append(trouble(uri))

    # The library may ask for credentials where nobody answers, for minutes.
    thread = threading.Thread(target=try_it, daemon=True)
    thread.start()
    thread.join(_DEADLINE)
    return told[0] if told else f"no answer within {_DEADLINE:.0f} s"


def trouble(uri: str) -> str:
    """Why a bucket cannot be written from this machine, or ""."""
    word = uuid.uuid4().hex
    where = join(uri, f".probe-{word}")
    try:
        system, key = _opened(where)
        with system.open_output_stream(key) as stream:
            stream.write(word.encode())
        with system.open_input_stream(key) as stream:
            read = stream.read().decode()
        system.delete_file(key)
    except Exception as error:
        return why(error)
    return "" if read == word else "it gives back something else"


def is_left(name: str) -> bool:
    """Whether a file of that name is what a trial leaves behind."""
    return any(fnmatch.fnmatch(name, pattern) for pattern in LEFT)


def files(uri: str) -> tuple[str, ...]:
    """The files that a trial has in its bucket.

    Raises:
        OSError: the bucket does not answer.
    """
    found = (info.base_name for info in _listed(uri, recursive=False))
    return tuple(name for name in found if is_left(name))


def bring(uri: str, folder: Path, *, whole: bool) -> dict[str, bool]:
    """Bring what a bucket has more of a trial than its folder here.

    Of the two the one with the newer checkpoint is right; what the other has is never removed.

    Args:
        uri: The trial's folder in the bucket.
        folder: The trial's folder here.
        whole: Whether checkpoints are wanted, too.

    Returns:
        The files in the bucket, and whether the folder has the same.

    Raises:
        OSError: the bucket does not answer, or the folder cannot be written.
    """
    there = files(uri)
    folder.mkdir(parents=True, exist_ok=True)
    here = {path.name for path in folder.iterdir()}
    ahead = newest(there) > newest(here)
    # A checkpoint of an epoch is one and the same wherever it lies.
    alike = {name: name in here and epoch_of(name) is not None for name in there}
    for name in there:
        wanted = whole or not fnmatch.fnmatch(name, checkpoint_names.PATTERN)
        if wanted and not alike[name] and (ahead or name not in here):
            # What was retired meanwhile is not missed.
            with contextlib.suppress(FileNotFoundError):
                _fetch(join(uri, name), folder / name)
                alike[name] = True
    return alike


def newest(found: Iterable[str]) -> int:
    """The epoch of the newest checkpoint among some names of files; 0 where there is none."""
    return max((epoch_of(name) or 0 for name in found), default=0)


def send(file: BinaryIO, uri: str) -> None:
    """Put an open file into a bucket; it appears there when it is whole.

    Raises:
        OSError: the bucket does not take it.
    """
    system, key = _opened(uri)
    with system.open_output_stream(key) as stream:
        shutil.copyfileobj(file, stream, _PIECE)


def copy(source: str, target: str) -> None:
    """Copy a file within a bucket.

    Raises:
        OSError: it is not there, or the bucket does not answer.
    """
    system, key = _opened(source)
    system.copy_file(key, _opened(target)[1])


def remove(uri: str, unwanted: Iterable[str]) -> None:
    """Remove files of a trial from its bucket; those that are not there are not missed.

    Raises:
        OSError: the bucket does not answer.
    """
    system, key = _opened(uri)
    for name in unwanted:
        with contextlib.suppress(FileNotFoundError):
            system.delete_file(f"{key}/{name}")


def retire(uri: str, unwanted: Container[int]) -> None:
    """Remove the checkpoints of some trials.

    Args:
        uri: The folder of all trials of a study.
        unwanted: Their numbers.

    Raises:
        OSError: the bucket does not answer.
    """
    system, top = _opened(uri)
    for info in _listed(uri, recursive=True):
        number, _, name = info.path.removeprefix(f"{top}/").partition("/")
        large = fnmatch.fnmatch(name, checkpoint_names.PATTERN)
        if large and number.isdigit() and int(number) in unwanted:
            with contextlib.suppress(FileNotFoundError):
                system.delete_file(info.path)


def why(error: Exception) -> str:
    """What a bucket's library says, in a few words."""
    said = " ".join(str(error).split())
    match = re.search(r"AWS Error (\w+)(?: \(HTTP status \d+\))? during \w+ operation: (.*)", said)
    text = f"{match[1]}: {match[2]}" if match else said or type(error).__name__
    return re.sub(r" ?\(Request ID: .*\)", "", text)[:200]


def _fetch(uri: str, path: Path) -> None:
    draft = path.with_suffix(f".{os.getpid()}.draft")
    system, key = _opened(uri)
    try:
        with system.open_input_stream(key) as stream, draft.open("wb") as file:
            shutil.copyfileobj(stream, file, _PIECE)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _listed(uri: str, *, recursive: bool) -> list[Any]:
    from pyarrow import fs

    system, key = _opened(uri)
    selector = fs.FileSelector(key, allow_not_found=True, recursive=recursive)
    return [info for info in system.get_file_info(selector) if info.type == fs.FileType.File]


def _opened(uri: str) -> tuple[Any, str]:
    """The file system of a bucket, and the path in it.

    Made anew each time, which takes a millisecond: a connection may be older than its network.
    """
    from pyarrow import fs

    url = urlsplit(uri)
    options = dict(parse_qsl(url.query))
    server = urlsplit(
        os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    )
    own = options.get("endpoint_override") or server.netloc or None
    region = options.get("region") or os.environ.get("AWS_REGION")
    region = region or os.environ.get("AWS_DEFAULT_REGION")
    if not region and not own:
        region = fs.resolve_s3_region(url.netloc)
    system = fs.S3FileSystem(
        region=region or "us-east-1",
        endpoint_override=own,
        scheme=options.get("scheme") or server.scheme or None,
        connect_timeout=_CONNECT,
        request_timeout=_REQUEST,
        # A small file is one request instead of three.
        allow_delayed_open=True,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_TRIES),
    )
    return system, f"{url.netloc}{url.path}".rstrip("/")
