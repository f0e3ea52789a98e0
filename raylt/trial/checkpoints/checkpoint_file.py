"""The file of a checkpoint: tensors, a header of ours, and one SHA-256 over every byte of it.

It is a file of safetensors. The digest covers the length and text of its header, in which the
digits of the digest itself count as zeros, and then the digest of all that follows. Files of
format 1, which raylt 0.1.0 wrote, have a digest over their tensors alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from raylt.schema import InputError

FORMAT = 2
_KEY = "raylt"
"""Where the header of a file of safetensors has ours."""
_ZEROS = 64 * "0"
_DIGITS = re.compile(rb'(?<=\\"sha256\\": \\")[0-9a-f]{64}(?=\\")')
"""The digest as it stands in the file, where JSON lies in a string of JSON."""


class Damaged(Exception):
    """A checkpoint file is cut short, altered, or not a checkpoint."""


class _Format(BaseModel):
    """What the headers of all versions have."""

    model_config = ConfigDict(strict=True)
    format: int
    sha256: str


class Header(_Format):
    """What a checkpoint says of itself."""

    epoch: int = Field(ge=1, lt=10**6)
    digest: str
    history: tuple[dict[str, int | float], ...]
    execution: dict[str, Any] | None = None
    """How the steps of the run are computed; None in files of format 1."""


def lay_down(tensors: Mapping[str, Tensor], path: Path, *, room: int) -> bytes:
    """Write tensors, and a place of `room` bytes for what is known later; their digest."""
    save_file(dict(tensors), path, {_KEY: " " * room})
    with path.open("rb") as file:
        os.fsync(file.fileno())
        file.seek(8 + int.from_bytes(file.read(8), "little"))
        return hashlib.file_digest(file, "sha256").digest()


def fill_in(path: Path, text: bytes, content: bytes) -> None:
    """Put a header into the place that was left for it; the spaces behind it mean nothing in JSON.

    Args:
        path: A file of `lay_down`.
        text: From `quoted`.
        content: What `lay_down` returned.
    """
    with path.open("r+b") as file:
        size = file.read(8)
        before, mark, after = file.read(int.from_bytes(size, "little")).partition(
            f'"{_KEY}":"'.encode()
        )
        assert mark, f"{path} has no place for {_KEY}"
        header = before + mark + text + after[len(text) :]
        sha256 = _sha256(size + header, content)
        file.seek(8)
        file.write(_DIGITS.sub(sha256.encode(), header))
        file.flush()
        os.fsync(file.fileno())


def quoted(header: Mapping[str, object]) -> bytes:
    """A header as it stands within quotes in a file, its digest left open."""
    whole = {"format": FORMAT, **header, "sha256": _ZEROS}
    return json.dumps(json.dumps(whole)).encode()[1:-1]


def read(path: Path) -> tuple[Header, dict[str, Tensor]]:
    """Read and verify one file.

    Raises:
        Damaged: the file is cut short, altered, or not a checkpoint.
        InputError: a newer raylt wrote it.
    """
    try:
        if not path.is_file():
            raise OSError("it is not a file")
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {})[_KEY]
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
        header = _Format.model_validate_json(text)
        sha256 = _of_tensors(tensors) if header.format == 1 else _of_file(path)
        if header.sha256 != sha256:
            raise Damaged(f"{path} was altered: it does not match its own SHA-256")
        if header.format > FORMAT:
            raise InputError(
                f"{path} must be of format {FORMAT} or older, but is of format {header.format}; "
                "it was written by a newer raylt: update this one"
            )
        return Header.model_validate_json(text), tensors
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise Damaged(f"{path} is no complete checkpoint: {reason}") from error


def header(path: Path) -> Header:
    """What a file says of itself, which is not verified.

    Raises:
        Damaged: it cannot be read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return Header.model_validate_json((file.metadata() or {})[_KEY])
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise Damaged(f"{path} is no complete checkpoint") from error


def _of_file(path: Path) -> str:
    with path.open("rb") as file:
        size = file.read(8)
        header = file.read(int.from_bytes(size, "little"))
        return _sha256(size + header, hashlib.file_digest(file, "sha256").digest())


def _sha256(header: bytes, content: bytes) -> str:
    return hashlib.sha256(_DIGITS.sub(_ZEROS.encode(), header) + content).hexdigest()


def _of_tensors(tensors: Mapping[str, Tensor]) -> str:
    """The digest of format 1."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
