"""How the process of a command ends."""

import subprocess
import sys

PROGRAM = """
import atexit, sys, threading, time
from raylt.cli import exits

def run(arguments):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    atexit.register(print, "handled")
    print("said")
    return int(arguments[0])

exits.program(run)
"""


def test_a_thread_that_still_works_changes_neither_code_nor_output():
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, "4"], capture_output=True, text=True, timeout=30
    )
    assert (ended.returncode, ended.stderr) == (4, "")
    assert ended.stdout.split() == ["said", "handled"]
