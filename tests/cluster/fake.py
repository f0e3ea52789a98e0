"""A work function whose workers wait for each other in every epoch but train nothing."""

import json
import os
import socket
import time

import torch
import torch.distributed as dist

from tests.study.fake import metrics

INTERFACES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")


def work(recipe, *, root, folder, report, device, leave=None):
    rank = dist.get_rank() if dist.is_initialized() else 0
    world = dist.get_world_size() if dist.is_initialized() else 1
    state = folder / "state.json"
    history = json.loads(state.read_text()) if state.exists() else []
    for entry in history:
        report(entry)
    for epoch in range(len(history) + 1, recipe.epochs + 1):
        time.sleep(float((root / "seconds.txt").read_text()))
        # Whoever kills wants to know whom. Rank 0 writes last: who reads of its world finds the
        # files of all others there.
        where = {"host": socket.gethostname(), "pid": os.getpid(), "world": world}
        where |= {name: os.environ.get(name) for name in INTERFACES}
        if rank > 0:
            write(folder / f"rank-{rank}.json", where)
        if dist.is_initialized():
            dist.all_reduce(torch.ones(1))
        history.append(metrics(recipe, epoch))
        if rank == 0:
            write(folder / "rank-0.json", where)
            with (folder / "ran.txt").open("a") as file:
                file.write(f"{epoch}\n")
            write(state, history)
        report(history[-1])
        if leave is not None and epoch < recipe.epochs and leave():
            return


def write(path, result):
    """A file that whoever looks finds whole."""
    part = path.with_suffix(f".{socket.gethostname()}.{os.getpid()}")
    part.write_text(json.dumps(result))
    part.replace(path)
