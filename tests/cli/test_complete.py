import os
import subprocess
import sys
from pathlib import Path

import pytest


def completed(words: str, runs: Path, shell: str = "bash") -> list[str]:
    """What a shell is told when Tab is pressed after these words."""
    variables = {
        "_RAYLT_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
        "RAYLT_RUNS": str(runs),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "raylt"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, **variables},
    )
    assert not ended.stderr
    return ended.stdout.split()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("raylt re", ["plain,resume", "plain,report"]),
        ("raylt status a", ["plain,alpha"]),
        ("raylt compare alpha ", ["plain,alpha", "plain,beta"]),
        ("raylt help space ", ["plain,diff"]),
        ("raylt best --runs elsewhere ", []),
        ("raylt tune sdclr-i", ["file,sdclr-i", "plain,sdclr-imagenet100-lt"]),
        ("raylt tune --cluster lap", ["file,lap", "plain,laptop"]),
    ],
)
def test_verbs_studies_and_bundled_files_are_completed(
    words: str, message: list[str], tmp_path: Path
) -> None:
    for name in ("alpha", "beta"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "space.yaml").touch()
    assert completed(words, tmp_path) == message


def test_zsh_and_fish_show_the_whole_summary_of_a_verb(tmp_path: Path) -> None:
    lines = completed("raylt tun", tmp_path, shell="zsh")
    assert " ".join(lines).endswith("stop weak trials early, rank.")


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("zsh", "#compdef raylt"),
        # Only the first comma ends the kind of an answer: a summary has commas, too.
        ("fish", 'set -l metadata (string split -m 1 "," $completion);'),
    ],
)
def test_a_shell_gets_its_script(shell: str, line: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "raylt"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "_RAYLT_COMPLETE": f"{shell}_source"},
    )
    assert line in map(str.strip, ended.stdout.splitlines())
