"""The memory of a process that shares its GPU or its machine with other trials."""

from __future__ import annotations

import gc
import sys

_CONTEXTS = 0.93
"""Part of a GPU's memory that is divided: each process needs some beside what torch counts."""


def cap(share: float) -> None:
    """Let this process take no more than its share of the GPU's memory; 1 is the whole GPU.

    Whoever needs more then runs out of memory alone, and not a trial beside it.
    """
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(share if share == 1 else _CONTEXTS * share)


def ran_out(error: BaseException) -> bool:
    """Whether an error says that memory ran out, the host's or the GPU's."""
    if isinstance(error, MemoryError):
        return True
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    # The host's allocator has no error of its own.
    short = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    return short or isinstance(error, torch.OutOfMemoryError)


def release() -> None:
    """Give back what an ended trial held, for its process may train the next one."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
