"""Run a function in several processes that form a gloo group on this machine."""

from __future__ import annotations

import atexit
import functools
import multiprocessing
import shutil
import tempfile
import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

# A collective that waits longer has lost its partner.
_PATIENCE = timedelta(seconds=60)


def run(function: Callable[..., Any], *arguments: Any, workers: int = 2) -> list[Any]:
    """What `function(*arguments)` returns in each of `workers` processes, in order of rank.

    The function must stand at the top level of a module. The processes are started once and used
    for all calls of a test run, since each of them imports torch.

    Raises:
        AssertionError: the function failed in a worker; the text is that worker's traceback.
    """
    pool = _pool(workers)
    for connection in pool:
        connection.send((function, arguments))
    results: dict[int, Any] = {}
    while len(results) < workers:
        for ready in wait([c for i, c in enumerate(pool) if i not in results]):
            rank = pool.index(ready)  # type: ignore[arg-type]
            results[rank], error = _received(pool[rank])
            if error:
                # The others may wait for this one for ever: start afresh at the next call.
                for connection in pool:
                    connection.close()
                _pool.cache_clear()
                raise AssertionError(f"worker {rank} of {workers} failed:\n{error}")
    return [results[rank] for rank in range(workers)]


def _received(connection: Connection) -> tuple[Any, str | None]:
    try:
        return connection.recv()
    except EOFError:
        return None, "the process ended"


@functools.cache
def _pool(workers: int) -> list[Connection]:
    # torch is imported once, by the server that they are forked from.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch.distributed"])
    folder = Path(tempfile.mkdtemp(prefix="raylt-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    connections: list[Connection] = []
    for rank in range(workers):
        ours, theirs = context.Pipe()
        # Daemons end with the test run.
        context.Process(
            target=_serve, args=(theirs, rank, workers, folder / "meeting"), daemon=True
        ).start()
        theirs.close()
        connections.append(ours)
    return connections


def _serve(connection: Connection, rank: int, workers: int, meeting: Path) -> None:
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=workers, timeout=_PATIENCE
    )
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:
            return
        try:
            connection.send((function(*arguments), None))
        except Exception:
            connection.send((None, traceback.format_exc()))
