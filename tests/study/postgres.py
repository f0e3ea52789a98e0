"""A PostgreSQL server of its own for tests: Debian's programs, a temporary folder, a socket."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
PASSWORD = "canary-5f3a"


class Server:
    """A server with a user `raylt` who must give a password, and a database `raylt`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"postgresql://raylt:{PASSWORD}@/raylt?host={folder}"
        self.public = f"postgresql:///raylt?host={folder}"
        self._as = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []

    def make(self) -> None:
        word = self.folder / "word"
        word.write_text(PASSWORD)
        if os.getuid() == 0:
            owner = pwd.getpwnam("postgres")
            for path in (self.folder, word):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        self._run(
            "initdb",
            "-D",
            str(self._data),
            "-A",
            "scram-sha-256",
            "-U",
            "raylt",
            f"--pwfile={word}",
            "--no-sync",
        )
        self.start()
        where = ["-h", str(self.folder), "-U", "raylt"]
        self._run("createdb", *where, "raylt", env={**os.environ, "PGPASSWORD": PASSWORD})

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses= -c fsync=off"
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", str(self._data), "-o", options, "-l", log, "-w", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _run(self, program: str, *words: str, env: dict[str, str] | None = None) -> None:
        subprocess.run(
            [*self._as, str(PROGRAMS / program), *words],
            check=True,
            env=env,
            cwd="/",
            stdout=subprocess.DEVNULL,
            timeout=60,
        )


@contextlib.contextmanager
def running():
    """A server for the time of a `with`; skips where there are no programs for one."""
    if not (PROGRAMS / "initdb").exists():
        pytest.skip(f"PostgreSQL 15 is not installed: {PROGRAMS} is missing")
    # A socket's path must be short, and pytest's folders are closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="raylt-pg-"))
    folder.chmod(0o755)
    server = Server(folder)
    try:
        server.make()
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
