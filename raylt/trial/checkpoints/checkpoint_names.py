"""What the checkpoints of a trial are called."""

from __future__ import annotations

import re

BEST = "best.safetensors"
"""The checkpoint of the scored epoch with the highest validation accuracy."""
PATTERN = "*.safetensors"
"""Matches every one of them."""
_NAME = re.compile(r"checkpoint-(\d{6})\.safetensors")


def checkpoint(epoch: int) -> str:
    """The file of the checkpoint after `epoch` finished epochs."""
    return f"checkpoint-{epoch:06d}.safetensors"


def epoch_of(name: str) -> int | None:
    """The finished epochs of the checkpoint with a name; None for any other file."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else None
