from __future__ import annotations

import json

import pytest

from raylt import cli
from raylt.cli import catalogue
from raylt.space.file import bundled


def test_every_bundled_space_says_what_it_is_where_it_is_from_and_what_it_costs() -> None:
    values = catalogue.spaces()
    assert {space["name"] for space in values} == set(bundled.files("search_spaces"))
    for space in values:
        assert space["what"].endswith((".", ".)")), space["name"]
        assert "raylt" not in space["what"]
        assert space["source"]
        assert space["trials"] > 1
        assert space["epochs"] > 1
    by_name = {space["name"]: space for space in values}
    assert by_name["sdclr"]["images"] == 351
    assert by_name["sdclr"]["data"] == "comes with raylt"
    assert by_name["bcl-cifar100-lt"]["data"] == "raylt data get cifar100"
    assert by_name["bcl-imagenet-lt-r50"]["data"] == "your own copy"


def test_spaces_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["spaces"]) == 0
    shown = capsys.readouterr().out
    assert "sdclr\n  SDCLR on real handwritten digits with a long tail" in shown
    assert "16 trials of up to 160 epochs on 351 images" in shown
    assert "Profiles: eight-gpu, laptop" in shown
    assert cli.run(["spaces", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == catalogue.spaces()


def test_spaces_shows_one_and_names_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["spaces", "bcl"]) == 0
    shown = capsys.readouterr()
    assert shown.out == bundled.files("search_spaces")["bcl"].read_text("utf-8")
    assert "raylt check bcl" in shown.err
    assert cli.run(["spaces", "bcl", "--json"]) == 0
    (printed,) = json.loads(capsys.readouterr().out)
    assert printed["name"] == "bcl"
    assert cli.run(["spaces", "blc"]) == 2
    assert "got 'blc'; did you mean 'bcl'?; `raylt spaces` lists them" in capsys.readouterr().err
