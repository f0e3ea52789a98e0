"""How the process of a command ends."""

import subprocess
import sys

import pytest

from raylt import cli

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


@pytest.mark.parametrize(
    "password", ["canary/8b1f", "canary@8b1f", "canary 8b1f'", 'ca"nary?8b1f']
)
@pytest.mark.parametrize("scheme", ["http", "postgresql"])
def test_no_password_reaches_the_screen(scheme, password, tmp_path, capsys):
    option = "--storage" if scheme == "postgresql" else "--tracking-uri"
    # Nobody listens on this port.
    uri = f"{scheme}://me:{password}@127.0.0.1:9/db"
    words = ["-s", "search_spaces/sdclr.yaml", "--runs", str(tmp_path / "runs"), option, uri]
    assert cli.run(["tune", *words]) in (2, 3)
    shown = "".join(capsys.readouterr())
    assert "must" in shown
    assert "8b1f" not in shown
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
