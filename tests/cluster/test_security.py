"""The rows of SECURITY.md that have no better place, and that each row has its proof."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_every_row_of_the_promise_names_a_proof_that_exists():
    rows = [line for line in (ROOT / "SECURITY.md").read_text().splitlines() if "| `tests" in line]
    assert len(rows) >= 10
    for row in rows:
        for proof in re.findall(r"`(tests/[^`]+)`", row.rpartition("|")[0]):
            assert (ROOT / proof).is_file(), proof


def test_a_search_on_this_machine_has_a_token_of_its_own(tmp_path):
    code = (
        "import os; from raylt.study.resources import environment;"
        "environment.prepare_ray(threads=1, alone=True);"
        "print(os.environ['RAY_AUTH_MODE'], os.environ['RAY_AUTH_TOKEN'])"
    )
    plain = {k: v for k, v in os.environ.items() if not k.startswith("RAY_AUTH")}
    env = {**plain, "HOME": str(tmp_path)}
    tokens = set()
    for _ in range(2):
        words = [sys.executable, "-c", code]
        mode, token = subprocess.check_output(words, env=env, text=True).split()
        assert mode == "token"
        assert re.fullmatch(r"[0-9a-f]{64}", token)
        tokens.add(token)
    assert len(tokens) == 2
    # Nothing is left in the home folder, where other users may read it.
    assert list(tmp_path.iterdir()) == []


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a network namespace")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_search_on_this_machine_is_alone(tmp_path, workers):
    """It has no network but loopback, is told of a proxy, and writes into a folder of its own."""
    temporary = tmp_path / ("a" * 84)
    temporary.mkdir()
    python = f"exec {sys.executable} -m tests.cluster.alone"
    command = f"ip link set lo up && {python} {tmp_path}/runs --workers {workers}"
    plain = {
        k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "RAYLT_", "MLFLOW_"))
    }
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", command],
        cwd=ROOT,
        env={**plain, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
        check=True,
    )
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["code"] == 0, seen["said"]
    # All of it on loopback, apart from torch's store where a trial has several workers.
    assert len(seen["sockets"]) >= 5
    # What nobody asks is not started.
    asked = {kind(command) for command, _ in seen["sockets"]} & {"monitor.py", "dashboard.py"}
    assert bool(asked) == (workers == "2")
    loopback = ("127.0.0.1", "::1", "::ffff:127.0.0.1")
    elsewhere = {command for command, address in seen["sockets"] if address not in loopback}
    assert all(command.startswith("ray::") for command in elsewhere), elsewhere
    assert workers == "2" or not elsewhere
    listed = (ROOT / "SECURITY.md").read_text()
    kinds = {kind(command) for command, _ in seen["sockets"]}
    assert kinds <= set(re.findall(r"^\| `([\w:. ]+)` \|", listed, re.MULTILINE))
    # Nobody else enters the folder of its sockets, which is short and gone afterwards.
    (folder,) = seen["folders"]
    assert folder.startswith("/tmp/raylt-ray-")
    assert seen["modes"] == ["0o40700"]
    assert seen["left"] == []
    # Nothing is asked of the world.
    assert seen["asked"] == []


def kind(command):
    """The process that SECURITY.md lists for a command that listens."""
    for name in ("gcs_server", "raylet/raylet", "monitor.py", "dashboard.py"):
        if name in command:
            return name.rpartition("/")[2]
    if "raylt tune" in command:
        return "raylt"
    first = command.strip().partition(".")[0]
    agents = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
    return first if first in agents else "ray::IDLE" if first.startswith("ray::") else first


def test_the_command_that_makes_a_token_makes_one_that_only_its_owner_reads(tmp_path):
    page = ROOT / "docs/how-to/clusters/index.md"
    texts = [page, *sorted((ROOT / "clusters/ray-up").glob("*.yaml"))]
    for number, text in enumerate(texts):
        (command,) = set(re.findall(r"\(umask.*?auth_token\)", text.read_text()))
        home = tmp_path / str(number)
        home.mkdir()
        words = ["sh", "-c", f"umask 022; {command}"]
        subprocess.run(words, env={**os.environ, "HOME": str(home)}, check=True)
        made = home / ".ray" / "auth_token"
        assert made.stat().st_mode & 0o777 == 0o600
        assert re.fullmatch(r"[0-9a-f]{64}\n", made.read_text())
