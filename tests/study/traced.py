"""The real work, which also writes down the epoch that it goes on from at each start."""

import hashlib
import socket
import time

from raylt.trial import worker
from raylt.trial.checkpoints import checkpoint

SECONDS = 1.5
"""Sleep after each epoch, where no file says otherwise: a bucket on loopback has it meanwhile."""


def work(recipe, *, root, folder, report, device, leave=None):
    saved = checkpoint.latest(folder, recipe.digest)
    with (folder / "starts.txt").open("a") as file:
        file.write(f"{saved.epoch if saved else 0}\n")
    if saved:
        with (folder / "weights.txt").open("a") as file:
            file.write(f"{saved.epoch} {fingerprint(saved)}\n")
    print(
        f"trial {folder.name} is here, on {socket.gethostname()} from epoch "
        f"{saved.epoch if saved else 0}"
    )

    pace = root / "seconds.txt"
    seconds = float(pace.read_text()) if pace.exists() else SECONDS

    def slowly(metrics):
        report(metrics)
        if saved is None or metrics["epoch"] > saved.epoch:
            time.sleep(seconds)

    return worker.work(recipe, root=root, folder=folder, report=slowly, device=device, leave=leave)


def fingerprint(result):
    """The weights of a checkpoint in a word."""
    digest = hashlib.sha256()
    for name, tensor in sorted(result.method.items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()
