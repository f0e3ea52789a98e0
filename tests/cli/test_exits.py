"""How the process of a command ends."""

import errno
import subprocess
import sys
from pathlib import Path

import click
import pytest

from raylt import cli
from raylt.cli import exits

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


IMPORTS = """
import signal, time
from raylt.cli import exits

def run(arguments):
    # Where Python looks for a module, and where an exception may be lost with its lock.
    within = "signal.raise_signal(signal.SIGINT); print('imported')"
    exec(compile(within, "<frozen importlib._bootstrap>", "exec"), {"signal": signal})
    try:
        # In short pieces: Python may begin a sleep between a signal and the look for it.
        for _ in range(200):
            time.sleep(0.1)
    except KeyboardInterrupt:
        return 130

exits.program(run)
"""


def test_ctrl_c_waits_until_python_has_found_a_module():
    ended = subprocess.run(
        [sys.executable, "-c", IMPORTS], capture_output=True, text=True, timeout=30
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "imported\n", "")


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


SAYS = """
import sys
from raylt.cli import exits, output
import click

@click.command()
def command():
    for number in range(20000):
        output.echo(f"progress {number}", err=True)
    open(sys.argv[2], "w").close()
    if sys.argv[1] == "full":
        open("/dev/full", "w").write(1000000 * "x")
    output.echo("result")

exits.program(lambda arguments: exits.run(command, []))
"""


def says(tmp_path, word="", **streams):
    done = tmp_path / "done"
    process = subprocess.Popen([sys.executable, "-c", SAYS, word, str(done)], text=True, **streams)
    return process, done


def test_a_command_goes_on_though_nobody_reads_what_it_says_meanwhile(tmp_path):
    process, done = says(tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr.readline() == "progress 0\n"
    process.stderr.close()
    assert process.stdout.read() == "result\n"
    process.stdout.close()
    assert process.wait() == 0
    assert done.exists()


def test_a_pipe_that_nobody_reads_to_its_end_is_no_fault(tmp_path):
    process, done = says(tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait() == 141
    assert done.exists()


def test_a_full_standard_output_says_so_after_the_work(tmp_path):
    with open("/dev/full", "w") as full:
        process, done = says(tmp_path, stdout=full, stderr=subprocess.PIPE)
        last = process.communicate()[1].splitlines()[-1]
        assert process.returncode == 3
        assert last.startswith("error: the results must be written to standard output")
        assert done.exists()
        process, _ = says(tmp_path, stdout=full, stderr=full)
        assert process.wait() == 3


@click.command()
def deep():
    """Look at a path that no command line has."""
    Path("a/" * 3000).stat()


def test_a_path_that_is_too_long_is_the_users(capsys):
    assert exits.run(deep, []) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: a path must be as short as the file system has them, but a/a/a")
    assert len(line) < 200


@click.command()
@click.argument("noted", type=bool)
def refused(noted):
    """Find the disk full."""
    error = OSError(errno.ENOSPC, "No space left on device")
    if noted:
        error.add_note("then go on with `raylt resume toy --runs elsewhere`")
    raise error


@pytest.mark.parametrize(
    ("noted", "remedy"),
    [
        ("yes", "then go on with `raylt resume toy --runs elsewhere`"),
        ("no", "then run the command again"),
    ],
)
def test_the_command_that_goes_on_stands_at_the_end_where_it_is_known(noted, remedy, capsys):
    assert exits.run(refused, [noted]) == 3
    assert capsys.readouterr().err == (
        f"error: the machine refused: No space left on device; mend that; {remedy}\n"
    )


def test_a_full_disk_is_not_a_fault_of_the_program(tmp_path):
    process, _ = says(tmp_path, "full", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    last = process.communicate()[1].splitlines()[-1]
    assert process.returncode == 3
    assert "the machine refused: No space left on device" in last
