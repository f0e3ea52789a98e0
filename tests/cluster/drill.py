"""A search on pretend hosts that something happens to, and the accounting at its end."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cluster import hosts
from tests.study import s3

WHY = hosts.missing()
MARKS = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(WHY), reason=WHY),
    pytest.mark.timeout(900),
]
ROOT = Path(__file__).parents[2]
PATIENCE = 300.0
"""Seconds that a step may take on a machine that has other things to do."""


class Drill:
    """A cluster of pretend hosts, and a search that one of them drives."""

    epochs = 25
    """Of each trial."""

    def __init__(self, made, folder):
        self.hosts, self.folder = made, folder
        (folder / "data").mkdir()
        self.driver = self.server = None
        self.pace(0.6)

    def pace(self, seconds):
        """How long an epoch takes from now on."""
        (self.folder / "data" / "seconds.txt").write_text(str(seconds))

    def cluster(self, *workers, resolves=True, extra=(), private=(), bucket=False):
        """A head without cores, hosts with one core each, and hosts with none.

        With `private` these see folders of their own there, and with `bucket` a server of S3 is
        on the head, which all know by their environment.
        """
        self.hosts.add("head", resolves=resolves)
        if bucket:
            self._serve_bucket()
        for name in (*workers, *extra):
            self.hosts.add(name, resolves=resolves, private=private)
        self.hosts.ray("head", cpus=0)
        for name in (*workers, *extra):
            self.hosts.ray(name, head="head", cpus=0 if name in extra else 1)

    def _serve_bucket(self):
        head = self.hosts.hosts["head"]
        self.hosts.env |= s3.environment(5000, host=head.address)
        self.server = head.start(
            sys.executable,
            "-m",
            "tests.study.s3",
            "--host",
            head.address,
            "--port",
            "5000",
            env=self.hosts.env,
            log=self.folder / "s3.log",
        )
        look = f"(: </dev/tcp/{head.address}/5000) 2>/dev/null"
        head.run("bash", "-c", f"for i in {{1..300}}; do {look} && exit; sleep 0.2; done; exit 1")
        make = "from tests.study import s3; s3.file_system().create_dir(s3.BUCKET)"
        head.run(sys.executable, "-c", make, env=self.hosts.env)

    def join(self, name, *, private=()):
        """One more host with a core, while a search runs."""
        self.hosts.add(name, private=private)
        self.hosts.ray(name, head="head", cpus=1)

    def raylt(self, *words, **changes):
        """The command on the head, to its end."""
        return subprocess.run(
            self.hosts.hosts["head"].words(sys.executable, "-m", "raylt", *words),
            capture_output=True,
            text=True,
            env={**self.hosts.env, **changes},
            timeout=PATIENCE,
        )

    def begin(self, verb, on, *, head="head", workers, least=None, trials=1, more=()):
        address = self.hosts.hosts[head].address
        self.driver = self.hosts.hosts[on].start(
            sys.executable,
            "-m",
            "tests.cluster.drive",
            verb,
            str(self.folder),
            "--address",
            f"{address}:6379",
            "--workers",
            str(workers),
            "--least",
            str(least or workers),
            "--trials",
            str(trials),
            "--epochs",
            str(self.epochs),
            *more,
            env=self.hosts.env,
            log=self.folder / f"{verb}-{on}.log",
        )

    def epoch(self, trial=0):
        """The newest epoch that is in a trial's checkpoint."""
        path = self.folder / "runs" / "toy" / "trials" / str(trial) / "state.json"
        return len(json.loads(path.read_text())) if path.exists() else 0

    def rank(self, number, trial=0):
        """Host, process and epoch of a worker, as it wrote them."""
        path = self.folder / "runs" / "toy" / "trials" / str(trial) / f"rank-{number}.json"
        return json.loads(path.read_text())

    def await_epoch(self, epoch, trial=0):
        self.wait(lambda: self.epoch(trial) >= epoch, f"epoch {epoch}")

    def on(self, trial=0):
        """Hosts of the workers, as many as there are now."""
        ranks = [self.rank(0, trial)]
        ranks += [self.rank(number, trial) for number in range(1, ranks[0]["world"])]
        return [rank["host"] for rank in ranks]

    def recovered(self, name, blow):
        """Strike, and tell how long it takes until training goes on."""
        blow()
        time.sleep(1.0)
        before, began = self.epoch(), time.monotonic()
        self.wait(lambda: self.epoch() > before, "training again")
        self.note(name, 1.0 + time.monotonic() - began)

    def evacuated(self, name, host, *, seconds):
        """Give notice of a host, take it away when the time is over, and wait for its work."""
        self.hosts.notice(host, head="head", seconds=seconds)
        began = time.monotonic()
        gone = False

        def elsewhere():
            nonlocal gone
            if not gone and time.monotonic() - began > seconds:
                gone = True
                self.hosts.power_cut(host)
            return host not in self.on()

        self.wait(elsewhere, "training elsewhere")
        self.note(name, time.monotonic() - began)
        self.wait(lambda: elsewhere() and gone, "the end of the notice")

    def note(self, name, seconds):
        """Tell a time, and keep it where `benchmarks/drills.py` looks."""
        print(f"\n{name}: back after {seconds:.1f} s")
        if into := os.environ.get("RAYLT_DRILLS"):
            with Path(into).open("a") as file:
                load = os.getloadavg()[0]
                file.write(json.dumps({"blow": name, "seconds": seconds, "load": load}) + "\n")

    def end(self):
        """Wait for the driver, and check that nothing was lost."""
        self.wait(lambda: self.driver.poll() is not None, "the end of the search")
        printed = json.loads((self.folder / "account.json").read_text())
        assert printed["exit_code"] == 0
        for trial in printed["trials"]:
            every = list(range(1, self.epochs + 1))
            assert trial["state"] == "complete"
            assert trial["epochs"] == every
            assert trial["tracked"] == every
            if "ran" in trial:
                assert sorted(set(trial["ran"])) == every
                assert len(trial["ran"]) - self.epochs <= trial["attempts"] - 1
        assert printed["free"] >= 0
        for host in self.hosts.hosts.values():
            assert host.processes("ray::RayTrainWorker") == []
        return printed

    def told(self):
        """All that the drivers have said."""
        return "\n".join(path.read_text() for path in self.folder.glob("*.log"))

    def wait(self, done, what):
        deadline = time.monotonic() + PATIENCE
        while not done():
            if self.driver.poll() not in (None, 0) or time.monotonic() > deadline:
                pytest.fail(
                    f"waited for {what}; driver {self.driver.poll()}\n{self.told()[-6000:]}"
                )
            time.sleep(0.1)


@contextlib.contextmanager
def drilled(folder):
    env = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S": "10",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    with hosts.Hosts(folder, env) as made:
        item = Drill(made, folder)
        yield item
    # Their hosts are gone.
    for process in (item.driver, item.server):
        if process is not None:
            process.wait(timeout=60)
