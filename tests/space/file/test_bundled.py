from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raylt import cli, settings, space
from raylt.schema import InputError
from raylt.space.file import bundled

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ["sdclr", "sdclr.yaml", "search_spaces/sdclr.yaml"])
def test_a_bundled_space_is_found_from_any_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert bundled.find(name, "search_spaces") == ROOT / "search_spaces" / "sdclr.yaml"
    assert space.load(name).study.name == "sdclr-digits"


@pytest.mark.parametrize("name", ["laptop", "clusters/laptop.yaml"])
def test_a_bundled_profile_is_found_from_any_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert settings.load(name).trial.gpus_per_worker == 0


def test_a_file_of_ones_own_comes_first_and_a_folder_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sdclr").mkdir()
    assert bundled.find("sdclr", "search_spaces") == ROOT / "search_spaces" / "sdclr.yaml"
    Path("bcl").write_text("mine")
    assert bundled.find("bcl", "search_spaces") == "bcl"
    assert bundled.find("-", "search_spaces") == "-"


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("sdlcr", "search_spaces", "sdlcr: must be a file that exists, or a built-in space; did "),
        ("my/sdclr.yaml", "search_spaces", "did you mean 'sdclr'?"),
        ("zzz", "clusters", "or a built-in profile; built in: eight-gpu, laptop, multi-node"),
        ("skypilot", "clusters", "must be a file that exists"),
        (
            "cifar10",
            "search_spaces",
            "; cifar10 is the dataset of bcl-cifar10-lt, sdclr-cifar10-lt; ",
        ),
        ("cifar100", "search_spaces", "; `raylt data get cifar100` downloads it"),
    ],
)
def test_what_does_not_exist_names_what_does(
    name: str, kind: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        bundled.find(name, kind)
    assert message in str(error.value)


def test_the_command_line_takes_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["check", "bcl"]) == 0
    assert "bcl.yaml is a valid space" in capsys.readouterr().out
    assert cli.run(["tune", "--space", "sdclr", "--cluster", "laptob"]) == 2
    assert "did you mean 'laptop'?" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_misspelled_file_is_answered_with_the_one_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos.yaml").touch()
    with pytest.raises(InputError, match=r"photo\.yaml: .*; did you mean 'photos\.yaml'"):
        bundled.find("photo.yaml", "search_spaces")
    with pytest.raises(InputError, match=r"did you mean '.*/photos\.yaml'"):
        bundled.find(tmp_path / "photo.yaml", "search_spaces")
