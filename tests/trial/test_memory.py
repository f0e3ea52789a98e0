"""A reused process trains one trial after the other; none may leave anything behind."""

from pathlib import Path

import pytest

from raylt import recipe
from raylt.trial import worker

TRIALS = 200
SETTLED = 40
"""Trials after which caches, pools and fragmentation have found their size."""
ALLOWED = 32 * 2**20
"""Bytes by which the others may grow the process all together: 0.2 MB a trial, where one copy of
the images, of a network or of its optimizer would be more."""


def resident() -> int:
    """Bytes of this process in memory."""
    line = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line
    )
    return int(line.split()[1]) * 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells a process's size")
def test_two_hundred_trials_in_one_process_do_not_grow_it(tmp_path):
    grown = []
    for number in range(TRIALS):
        values = {
            "data": {"name": "digits"}, "encoder": "small", "size": 8, "epochs": 1,
            "method": {"name": "sdclr" if number % 2 else "bcl"}, "seed": number,
            "optimizer": {"lr": 0.1, "batch_size": 128},
        }  # fmt: skip
        worker.work(
            recipe.parse(values), root=tmp_path, folder=tmp_path / str(number),
            report=lambda row: None, device="cpu",
        )  # fmt: skip
        grown.append(resident())
    growth = max(grown[SETTLED:]) - grown[SETTLED]
    assert growth < ALLOWED, f"{growth / 2**20:.1f} MB over {TRIALS - SETTLED} trials"
