"""The rows of SECURITY.md that have no better place, and that each row has its proof."""

import os
import re
import subprocess
import sys
from pathlib import Path

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


def test_ray_here_shows_its_dashboard_to_this_machine_only():
    text = (ROOT / "raylt/study/resources/local_ray.py").read_text()
    assert 'dashboard_host="127.0.0.1"' in text
    assert 'address="local"' in text


def test_the_command_that_makes_a_token_makes_one_that_only_its_owner_reads(tmp_path):
    texts = [ROOT / "clusters/README.md", *sorted((ROOT / "clusters/ray-up").glob("*.yaml"))]
    for number, text in enumerate(texts):
        (command,) = set(re.findall(r"\(umask.*?auth_token\)", text.read_text()))
        home = tmp_path / str(number)
        home.mkdir()
        words = ["sh", "-c", f"umask 022; {command}"]
        subprocess.run(words, env={**os.environ, "HOME": str(home)}, check=True)
        made = home / ".ray" / "auth_token"
        assert made.stat().st_mode & 0o777 == 0o600
        assert re.fullmatch(r"[0-9a-f]{64}\n", made.read_text())
