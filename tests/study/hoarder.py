"""A work function without training, some of whose trials take more memory than there is."""

import json
import time

from tests.study import fake

MOST = 6 * 2**10
"""MiB that one takes at most, so that a machine without a watch does not suffer."""


def work(recipe, *, root, folder, report, device):
    hoards = json.loads((root / "behaviour.json").read_text())["hoards"]
    # Beside others only, where it is not the first attempt there is room.
    first = not (folder / "starts.txt").exists()
    in_memory = []

    def kept(metrics):
        report(metrics)
        while (
            first
            and metrics["epoch"] == 2
            and int(folder.name) in hoards
            and len(in_memory) < MOST
        ):
            in_memory.append(b"1" * 2**20)
            time.sleep(0.002)

    fake.work(recipe, root=root, folder=folder, report=kept, device=device)
