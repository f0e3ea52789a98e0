from __future__ import annotations

import json
from pathlib import Path

import pytest

from raylt import cli
from raylt.cli.verbs import data
from raylt.datasets import cifar10
from tests.data.made import described, packed

DIGITS = str(Path(__file__).parents[3] / "search_spaces" / "sdclr.yaml")
PNG = b"\x89PNG\r\n"


def test_show_tells_sizes_groups_and_where_the_chart_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["data", "show", DIGITS]) == 0
    shown = capsys.readouterr()
    words = [line.split() for line in shown.out.splitlines()]
    assert shown.err == ""
    assert ["train", "351", "the", "long-tailed", "training", "set"] in words
    assert ["validation", "300", "what", "a", "search", "is", "judged", "by"] in words
    assert ["many", "1", "104", "30"] in words
    assert ["few", "5", "55", "150"] in words
    assert ["thirds/few", "3", "22", "90"] in words
    assert "104, 74, 53, 38, 27, 19, 14, 10, 7, 5" in shown.out
    assert list(tmp_path.iterdir()) == []
    assert cli.run(["data", "show", DIGITS, "-o", "tail.png"]) == 0
    assert "The chart is in tail.png" in capsys.readouterr().out
    assert (tmp_path / "tail.png").read_bytes().startswith(PNG)


def test_show_can_be_read_by_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chart = tmp_path / "tail.png"
    words = ["data.imbalance=10", "data.validation=0", "study.objective=train/loss"]
    # A loss may be watched where no leaf of the method is open.
    words += ["method.prune=0.9", "method.temperature=0.2"]
    assert cli.run(["data", "show", "--json", "-o", str(chart), "-s", DIGITS, *words]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["chart"] == str(chart)
    assert chart.read_bytes().startswith(PNG)
    assert printed["data"]["imbalance"] == 10
    assert printed["train_counts"][0] == 134
    assert printed["validation_counts"] == [0] * 10
    assert printed["parts"] == {
        "train": sum(printed["train_counts"]),
        "balanced": 1397,
        "few_shot": 40,
        "validation": 0,
        "test": 400,
    }
    assert sum(item["classes"] for item in printed["groups"]["thresholds"].values()) == 10
    assert len(printed["fingerprint"]) == 16


def test_a_chart_that_cannot_be_written_is_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["data", "show", DIGITS, "--out", str(tmp_path / "no" / "x.png")]) == 3
    assert "name another file with --out" in capsys.readouterr().err


def test_show_wants_the_dataset_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = str(Path(DIGITS).parent / "bcl-cifar100-lt.yaml")
    assert cli.run(["data", "show", space, "--data", str(tmp_path)]) == 3
    assert f"run `raylt data get cifar100 --data {tmp_path}`" in capsys.readouterr().err


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is the published archive of CIFAR-10, as far as raylt knows."""
    content = packed()
    path = tmp_path / "copy.tar.gz"
    path.write_bytes(content)
    monkeypatch.setattr(cifar10, "ARCHIVE", described(content))
    return path


def test_get_fetches_verifies_and_keeps(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["data", "get", "cifar10", "--data", str(tmp_path / "data")]
    folder = tmp_path / "data" / "toy-set"
    assert cli.run([*words, "--from", str(archive)]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"cifar10 fetched and verified: {folder}\n"
    assert shown.err.startswith("cifar10: 0.0 of 0.0 MB, 100%\n")
    assert list(folder.iterdir())
    # Without a source it would be fetched from the network, if it were not there.
    assert cli.run([*words, "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"dataset": "cifar10", "folder": str(folder), "fetched": 0}
    assert shown.err == ""
    assert cli.run(words) == 0
    assert "was there already and is verified" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "printed"),
    [
        (["digits"], 2, "digits cannot be downloaded"),
        (["cifra10"], 2, "did you mean 'cifar10'?"),
        (["cifar10", "--from", "nowhere.tar.gz"], 2, "must be a web address or a file"),
        (["cifar10", "--from", DIGITS], 3, "is not the published archive"),
    ],
)
def test_what_cannot_be_fetched_is_said(
    words: list[str], code: int, printed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["data", "get", *words, "--data", str(tmp_path)]) == code
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert printed in error


def test_progress_is_a_line_for_each_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    def lines(whole: int) -> list[str]:
        progress = data._Progress("toy")
        for done in range(10**6, 101 * 10**6, 10**6):
            progress(done, whole)
        return capsys.readouterr().err.splitlines()

    known = lines(100 * 10**6)
    assert len(known) == 11
    assert known[0] == "toy: 1.0 of 100.0 MB, 1%"
    assert known[-1] == "toy: 100.0 of 100.0 MB, 100%"
    assert lines(0) == ["toy: 1.0 MB", "toy: 51.0 MB"]
