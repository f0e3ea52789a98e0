"""A work function whose workers wait for each other in every epoch but train nothing."""

import json
import os
import socket
import time

import torch
import torch.distributed as dist

from tests.study.fake import metrics


def work(recipe, *, root, folder, report, device, leave=None):
    rank = dist.get_rank() if dist.is_initialized() else 0
    world = dist.get_world_size() if dist.is_initialized() else 1
    state = folder / "state.json"
    history = json.loads(state.read_text()) if state.exists() else []
    for entry in history:
        report(entry)
    for epoch in range(len(history) + 1, recipe.epochs + 1):
        time.sleep(float((root / "seconds.txt").read_text()))
        if dist.is_initialized():
            dist.all_reduce(torch.ones(1))
        history.append(metrics(recipe, epoch))
        # Whoever kills wants to know whom.
        (folder / f"rank-{rank}.json").write_text(
            json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "world": world})
        )
        if rank == 0:
            with (folder / "ran.txt").open("a") as file:
                file.write(f"{epoch}\n")
            part = folder / f"state.{socket.gethostname()}.{os.getpid()}"
            part.write_text(json.dumps(history))
            part.replace(state)
        report(history[-1])
        if leave is not None and epoch < recipe.epochs and leave():
            return
