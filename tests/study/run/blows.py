"""Blows that a driven study must survive, and an account of it that asks raylt nothing."""

import contextlib
import itertools
import json
import os
import signal
import sqlite3
import time
from pathlib import Path

import psutil

PARTS = ("raylet", "agent", "control process", "driver", "trial", "tracker")
SIGNALS = ("SIGKILL", "SIGSTOP")
FATAL = ("raylet", "agent", "control process")
"""Without these no trial goes on: the driver must end by itself."""
AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")


def plan(rng, count):
    """What is struck, and by which signal: everything as often as anything else, and a part of
    Ray every other time."""
    pairs = [(part, name) for part in PARTS for name in SIGNALS]
    fatal = [pair for pair in pairs if pair[0] in FATAL]
    others = [pair for pair in pairs if pair[0] not in FATAL]
    blows = []
    while len(blows) < count:
        rng.shuffle(fatal)
        rng.shuffle(others)
        blows += itertools.chain(*zip(fatal, others, strict=True))
    return blows[:count]


def target(part, driver, tracker, rng):
    """A process of the driver's Ray, of its trials, the driver or the tracker."""
    if part in ("driver", "tracker"):
        return psutil.Process(driver if part == "driver" else tracker)
    marks = {
        "raylet": ("raylet/raylet",),
        "agent": AGENTS,
        "control process": ("gcs_server",),
        "trial": ("ray::ImplicitFunc",),
    }[part]
    collected = []
    for process in psutil.Process(driver).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any(mark in (process.cmdline() or [""])[0] for mark in marks):
                collected.append(process)
    return rng.choice(collected) if collected else None


def agents(processes):
    """Those of some processes that are agents of Ray."""
    collected = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if (process.cmdline() or [""])[0].strip() in AGENTS:
                collected.append(process)
    return collected


def alive(processes):
    """Those of some processes that are still there: number, state and command."""
    left = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            state = process.status()
            if process.is_running() and state != psutil.STATUS_ZOMBIE:
                left.append(f"{process.pid} {state}: {' '.join(process.cmdline())[:80]}")
    return left


def wait_until_gone(processes, seconds):
    end = time.monotonic() + seconds
    while left := alive(processes):
        assert time.monotonic() < end, left
        time.sleep(0.05)


def rows(path, query, *values):
    with contextlib.closing(sqlite3.connect(f"{Path(path).as_uri()}?mode=ro", uri=True)) as base:
        return base.execute(query, values).fetchall()


def account(runs, study, trials, epochs):
    """Read study.db, epochs.jsonl and mlflow.db, and compare them point by point.

    Returns:
        The number of epochs that were compared.
    """
    database = runs / study / "study.db"
    result = rows(database, "SELECT trial_id, number, state FROM trials ORDER BY number")
    # Every trial once, and each at its end.
    assert [number for _, number, _ in result] == list(range(trials))
    assert {state for *_, state in result} <= {"COMPLETE", "PRUNED"}
    query = "SELECT value_json FROM trial_user_attributes WHERE key = 'digest'"
    assert len(set(rows(database, query))) == trials
    runs_of = mlflow_runs(runs / "mlflow.db", study)
    assert sorted(runs_of) == list(range(trials))
    compared = 0
    for trial_id, number, state in result:
        entries = epochs_of(runs / study / "trials" / str(number) / "epochs.jsonl")
        numbers = [int(entry["epoch"]) for entry in entries]
        assert numbers == list(range(1, len(numbers) + 1)), (number, numbers)
        assert numbers
        assert state == "PRUNED" or len(numbers) == epochs, (number, state, numbers)
        query = "SELECT step, intermediate_value FROM trial_intermediate_values WHERE trial_id = ?"
        optuna = sorted(rows(database, query, trial_id))
        assert optuna == [(int(e["epoch"]), e["val/accuracy"]) for e in entries], number
        if state == "COMPLETE":
            ((value,),) = rows(
                database, "SELECT value FROM trial_values WHERE trial_id = ?", trial_id
            )
            assert value == entries[-1]["val/accuracy"]
        run, status = runs_of[number]
        assert status == "FINISHED", number
        query = "SELECT DISTINCT key FROM metrics WHERE run_uuid = ?"
        sent = {key for (key,) in rows(runs / "mlflow.db", query, run)} & entries[0].keys()
        assert sent == {key for key in entries[0] if is_sent(key)}
        for key in sent:
            query = "SELECT step, value FROM metrics WHERE run_uuid = ? AND key = ?"
            points = sorted(rows(runs / "mlflow.db", query, run, key))
            assert points == [(int(e["epoch"]), shown(e[key])) for e in entries], (number, key)
        compared += len(entries)
    return compared


def is_sent(key):
    """Whether MLflow gets a number of an epoch, in a study that watches the accuracy."""
    return key not in ("time", "epoch") and not key.startswith(
        ("val/thirds/", "val/shots/", "val/std", "val/best/", "cost/")
    )


def shown(value):
    """A value as MLflow gets it: four decimals, of small ones four digits."""
    return float(f"{value:.4g}") if abs(value) < 0.1 else round(value, 4)


def mlflow_runs(database, study):
    """The run and status of each trial; two of one trial are an error."""
    collected = {}
    query = (
        "SELECT runs.run_uuid, runs.status, tags.value FROM runs "
        "JOIN tags ON tags.run_uuid = runs.run_uuid AND tags.key = 'trial' "
        "JOIN experiments USING (experiment_id) "
        "WHERE experiments.name = ? AND runs.lifecycle_stage = 'active'"
    )
    for run, status, number in rows(database, query, study):
        assert int(number) not in collected, number
        collected[int(number)] = run, status
    return collected


def epochs_of(path):
    """Every entry; half a line of a killed driver is none."""
    entries = {}
    for line in path.read_bytes().split(b"\n"):
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            entries.setdefault(int(entry["epoch"]), entry)
    return [entries[epoch] for epoch in sorted(entries)]


def leftovers(runs):
    """What a study that has ended must not leave behind."""
    wrong = [*runs.rglob("*.draft*"), *runs.rglob(".tune"), *runs.rglob("*.db-journal")]
    return [*wrong, *runs.glob("*/study.db-*")]


class Traces:
    """Sockets and files that processes had open while they lived.

    Args:
        spared: A folder whose files are to stay.
    """

    def __init__(self, spared):
        self._spared = spared
        self.sockets, self.files = {}, set()
        self._own = sockets_of(os.getpid())

    def note(self, processes):
        """Look at what some processes have open now."""
        for process in processes:
            with contextlib.suppress(psutil.Error, OSError):
                name = (process.cmdline() or [""])[0]
                # A child has the standard input of its parent.
                for inode in set(sockets_of(process.pid)).difference(self._own):
                    self.sockets.setdefault(inode, name)
                self.files.update(
                    Path(file.path) for file in process.open_files() if file.mode != "r"
                )

    def left(self):
        """Those that are still there, as lines; an empty list when all are gone."""
        still = open_sockets()
        files = [path for path in self.files if path.exists()]
        return [
            *(f"{name}: {still[key]}" for key, name in self.sockets.items() if key in still),
            *(str(path) for path in files if not path.is_relative_to(self._spared)),
        ]


def sockets_of(pid):
    """The sockets that a process has open, by the numbers of the kernel."""
    links = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(os.readlink(entry))
    return [link[8:-1] for link in links if link.startswith("socket:[")]


def open_sockets():
    """All sockets of this machine, by number: the kernel's line of each."""
    collected = {}
    for table, column in (("tcp", 9), ("tcp6", 9), ("udp", 9), ("unix", 6)):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            words = line.split()
            if words[column] != "0":
                collected[words[column]] = f"{table} {line.strip()}"
    return collected


def strike(process, name):
    os.kill(process.pid, getattr(signal, name))
    return time.monotonic()
