"""The real work, which also writes down the epoch that it goes on from at each start."""

import socket
import time

from raylt.trial import checkpoint, worker

SECONDS = 1.5
"""Sleep after each epoch: a bucket on loopback has it meanwhile."""


def work(recipe, *, root, folder, report, device, leave=None):
    found = checkpoint.latest(folder, digests=recipe.forerunners)
    with (folder / "starts.txt").open("a") as file:
        file.write(f"{found.epoch if found else 0}\n")
    print(f"trial {folder.name} is here, on {socket.gethostname()} from epoch "
          f"{found.epoch if found else 0}")  # fmt: skip

    def slowly(metrics):
        report(metrics)
        if found is None or metrics["epoch"] > found.epoch:
            time.sleep(SECONDS)

    return worker.work(
        recipe, root=root, folder=folder, report=slowly, device=device, leave=leave
    )  # fmt: skip
