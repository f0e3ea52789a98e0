"""The memory of a process that shares its GPU or its machine with other trials."""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import Any

_CONTEXTS = 0.93
"""Part of a GPU's memory that is divided: each process needs some beside what torch counts."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""What glibc's `mallopt` calls the free memory that it gives back, and the size of a block that
it takes from the kernel by itself."""
_NEVER = 2**31 - 1


def keep() -> None:
    """Let this process keep the memory of tensors on the CPU that are gone, for the next ones.

    Every step takes and frees the same hundreds of MiB. glibc gives them back to the kernel, which
    then clears each page anew: up to a fifth of a step. Elsewhere nothing changes.
    """
    if tune := _libc("mallopt"):
        tune(_MMAP_THRESHOLD, _NEVER)
        tune(_TRIM_THRESHOLD, _NEVER)


def cap(share: float) -> None:
    """Let this process take no more than its share of the GPU's memory; 1 is the whole GPU.

    A trial that needs more then runs out of memory itself, and not a trial beside it.
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
    if trim := _libc("malloc_trim"):
        trim(0)
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _libc(name: str) -> Any:
    """A function of glibc, or None where the C library is another one."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
