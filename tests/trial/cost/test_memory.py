"""A reused process trains one trial after the other; none may leave anything behind."""

import platform
import statistics
import subprocess
import sys
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
            "data": {"name": "digits"},
            "encoder": "small",
            "size": 8,
            "epochs": 1,
            "method": {"name": "sdclr" if number % 2 else "bcl"},
            "seed": number,
            "optimizer": {"lr": 0.1, "batch_size": 128},
        }
        worker.work(
            recipe.parse(values),
            root=tmp_path,
            folder=tmp_path / str(number),
            report=lambda row: None,
            device="cpu",
        )
        grown.append(resident())
    growth = max(grown[SETTLED:]) - grown[SETTLED]
    assert growth < ALLOWED, f"{growth / 2**20:.1f} MB over {TRIALS - SETTLED} trials"


FAULTS = """
import resource, torch
from raylt.trial.cost import memory
torch.set_num_threads(1)
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def step():
    before = faults()
    sum(torch.ones(n * 2**20).sum() for n in (1, 9, 3, 12))
    return faults() - before
for prepare in (step, memory.keep):
    prepare()
    step()
    print(*(step() for _ in range(30)))
"""
"""Takes and frees 100 MB in every step, and tells how many pages the kernel had to clear in it,
first as the system does it and then with the memory kept."""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep it")
def test_the_memory_of_a_step_is_there_for_the_next_one():
    lines = subprocess.check_output([sys.executable, "-c", FAULTS], text=True).splitlines()
    given_back, kept = ([int(number) for number in line.split()] for line in lines)
    assert statistics.median(kept) == 0
    # In a third of all processes something small comes to lie in the place of a block, at any
    # step, and that block is taken from the kernel once more.
    assert sum(kept) < 2 * statistics.median(given_back) < sum(given_back) / 10
