"""Checkpoints in a bucket: the folder of a trial again, for machines that share no disk.

`s3://BUCKET/PREFIX` names it. Credentials come from the environment of each machine
(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or a role), never from a file of raylt. Every object
appears whole or not at all, so a run can resume from the newest checkpoint there.

pyarrow, which Ray and MLflow bring along, does the transport. s3fs was compared with it: no fewer
lines here, uploads and downloads of 94 MB alike within the noise, but 32 MB more to install and a
version of botocore pinned for everybody else in the environment.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
import shutil
import uuid
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, urlsplit

from raylt import scratch, threads, uris
from raylt.schema import EnvironmentError
from raylt.trial.checkpoints import checkpoint_names
from raylt.trial.checkpoints.checkpoint_names import epoch_of

CREDENTIALS = (
    "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and, for a server of your own, "
    "AWS_ENDPOINT_URL"
)
"""What to do where a bucket refuses access."""
OUTPUTS = (
    checkpoint_names.PATTERN,
    "classes.json",
    "execution.json",
    "output*.txt",
    "error*.txt",
    "test*.json",
    "test*.txt",
)
"""The files of a trial that other processes read."""
_OPTIONS = ("endpoint_override", "scheme", "region")
"""What may stand in the query: a server that is not Amazon's."""
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
DEADLINE = 30.0
"""Seconds in which a bucket must show that it can be written."""
_CONNECT, _REQUEST, _TRIES = 5.0, 20.0, 3
"""Seconds and attempts of one request."""
_CHUNK = 8 * 2**20


def require_uri(text: str) -> str:
    """A bucket's URI as it stands.

    Raises:
        ValueError: it is none, or holds a secret.
    """
    scheme, _, rest = text.partition("://")
    if scheme != "s3" or not rest:
        raise ValueError(
            f"must be s3://BUCKET/PREFIX, but got {uris.public(text)!r}; other kinds of "
            f"storage can be mounted as the folder of runs"
        )
    if "@" in text:
        raise ValueError(
            "must hold no user or password, for it is shown and kept; put them into "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    try:
        url = urlsplit(text)
    except ValueError as error:
        raise ValueError(f"must be s3://BUCKET/PREFIX, but {error}") from None
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
    if problem := trouble_in_time(uri):
        raise EnvironmentError(
            f"cannot write to the checkpoint bucket {uri}: {problem}; create it, and {CREDENTIALS}"
        )


def trouble_in_time(uri: str) -> str:
    """As `trouble`, but no answer within half a minute is trouble, too."""
    try:
        # The library may ask for credentials where nobody answers, for minutes.
        return threads.in_background(lambda: trouble(uri)).result(DEADLINE)
    except TimeoutError:
        return f"no answer within {DEADLINE:.0f} s"


def trouble(uri: str) -> str:
    """Why a bucket cannot be written from this machine, or ""."""
    content = uuid.uuid4().hex
    probe = join(uri, f".probe-{content}")
    try:
        system, key = _opened(probe)
        with system.open_output_stream(key) as stream:
            stream.write(content.encode())
        with system.open_input_stream(key) as stream:
            read = stream.read().decode()
        system.delete_file(key)
    except Exception as error:
        return reason(error)
    return "" if read == content else "it returns other bytes than were written"


def is_output(name: str) -> bool:
    """Whether a file of that name is one that other processes read."""
    return any(fnmatch.fnmatch(name, pattern) for pattern in OUTPUTS)


def files(uri: str) -> tuple[str, ...]:
    """The files that a trial has in its bucket.

    Raises:
        OSError: the bucket does not answer.
    """
    names = (info.base_name for info in _listed(uri, recursive=False))
    return tuple(name for name in names if is_output(name))


def bring(uri: str, folder: Path, *, whole: bool) -> dict[str, bool]:
    """Fetch the files of a trial that its bucket has and its local folder lacks; checkpoints, too,
    if `whole`.

    Where both have a file, that of the side with the newer checkpoint wins; nothing is removed.

    Returns:
        The files in the bucket, and whether the folder has the same content.

    Raises:
        OSError: the bucket does not answer, or the folder cannot be written.
    """
    remote = files(uri)
    folder.mkdir(parents=True, exist_ok=True)
    local = {path.name for path in folder.iterdir()}
    remote_is_newer = newest(remote) > newest(local)
    # The checkpoint of an epoch is the same everywhere.
    same = {name: name in local and epoch_of(name) is not None for name in remote}
    for name in remote:
        wanted = whole or not fnmatch.fnmatch(name, checkpoint_names.PATTERN)
        if wanted and not same[name] and (remote_is_newer or name not in local):
            # It may have been removed meanwhile.
            with contextlib.suppress(FileNotFoundError):
                _fetch(join(uri, name), folder / name)
                same[name] = True
    return same


def newest(names: Iterable[str]) -> int:
    """The epoch of the newest checkpoint among file names; 0 where there is none."""
    return max((epoch_of(name) or 0 for name in names), default=0)


def send(file: BinaryIO, uri: str) -> None:
    """Put an open file into a bucket; it appears there when it is whole.

    Raises:
        OSError: the bucket refuses it.
    """
    system, key = _opened(uri)
    with system.open_output_stream(key) as stream:
        shutil.copyfileobj(file, stream, _CHUNK)


def copy(source: str, target: str) -> None:
    """Copy a file within a bucket.

    Raises:
        OSError: it is not there, or the bucket does not answer.
    """
    system, key = _opened(source)
    system.copy_file(key, _opened(target)[1])


def remove(uri: str) -> None:
    """Remove a file from a bucket, if it is there.

    Raises:
        OSError: the bucket does not answer.
    """
    system, key = _opened(uri)
    with contextlib.suppress(FileNotFoundError):
        system.delete_file(key)


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


def reason(error: Exception) -> str:
    """The message of the bucket's library, in a few words."""
    message = " ".join(str(error).split())
    match = re.search(
        r"AWS Error (\w+)(?: \(HTTP status \d+\))? during \w+ operation: (.*)", message
    )
    text = f"{match[1]}: {match[2]}" if match else message or type(error).__name__
    return re.sub(r" ?\(Request ID: .*\)", "", text)[:200]


def _fetch(uri: str, path: Path) -> None:
    system, key = _opened(uri)
    with (
        scratch.draft(path) as draft,
        system.open_input_stream(key) as stream,
        draft.open("wb") as file,
    ):
        shutil.copyfileobj(stream, file, _CHUNK)


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
