from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest

from raylt import cli, datasets, recipe, space
from raylt.trial.cost import cost
from raylt.trial.cost.cost import Cost
from tests.study.start.made import folder

COUNTS = {"ant": 30, "bee": 12, "größer\nals": 6}
COST = Cost(
    start=2.0,
    epoch=0.5,
    score=0.1,
    save=0.1,
    disk=1,
    memory=1,
    gpu_memory=0,
    gpu_size=0,
    gpu_busy=0.0,
    device="cpu",
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory beside the images, in which steps cost what they cost."""
    folder(tmp_path / "my photos", COUNTS)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(
        cost, "measure_apart", create_autospec(cost.measure_apart, return_value=COST)
    )
    return tmp_path / "here"


def loaded(file: str) -> tuple[Any, Any]:
    """The space of a file, without warnings, and its images."""
    search_space = space.load(file)
    assert search_space.warnings == ()
    return search_space, datasets.load(recipe.dataset(search_space.fixed), Path("data"))


@pytest.mark.parametrize("method", ["bcl", "sdclr"])
@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.usefixtures("here")
def test_a_folder_becomes_a_space_that_runs_as_it_is(
    method: str, absolute: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    source = Path("../my photos")
    source = source.resolve() if absolute else source
    assert cli.run(["init", str(source), "-o", "mine.yaml", "--method", method]) == 0
    shown = capsys.readouterr()
    assert "48 images of 3 classes" in shown.err
    assert "ant 30, bee 12, größer\\nals 6\n" in shown.err
    assert "a class keeps 28 ... 4 training images, imbalance 7\n" in shown.err
    assert "20x20" in shown.err
    assert "so differences of less than 66.7 points are noise" in shown.err
    assert "holds out as many as the smallest one, of 6 images, can give" in shown.err
    assert "raylt tune --space mine.yaml" in shown.out
    search_space, splits = loaded("mine.yaml")
    assert search_space.study.name == f"my-photos-{method}"
    assert search_space.known["method.name"] == method
    # A fifth of the smallest class, which has six.
    assert len(splits.validation) == len(splits.test) == 3
    assert sorted(splits.train_counts) == [4, 10, 28]
    assert "worth 33 points" in Path("mine.yaml").read_text("utf-8")
    assert search_space.baseline_point is not None
    assert search_space.study.baseline.source.startswith(f"the published values of {method}")
    assert "28 ... 4 training images, imbalance 7;" in Path("mine.yaml").read_text("utf-8")
    assert cli.run(["data", "show", "mine.yaml"]) == 0
    assert "28 ... 4 training images, imbalance 7\n" in capsys.readouterr().out
    assert cli.run(["check", "mine.yaml"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("here")
def test_hours_that_are_left_over_are_said_with_the_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run(["init", "../my photos", "--hours", "3"]) == 0
    words = capsys.readouterr().err
    assert "that leaves most of the 3 h: training 42 images for longer" in words
    assert "raise `epochs` or `study.trials` in the file" in words
    assert cli.run(["init", "../my photos", "-o", "short.yaml", "--hours", "0.03"]) == 0
    assert "that leaves" not in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_nothing_is_replaced_unless_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    Path("my photos.yaml").write_text("mine")
    Path("mine.yaml").write_text("mine")
    assert cli.run(["init", "../my photos", "-o", "mine.yaml"]) == 2
    assert "mine.yaml: must be a new file, but is there already" in capsys.readouterr().err
    assert Path("mine.yaml").read_text() == "mine"
    assert not Path("data").exists()
    assert cli.run(["init", "../my photos", "-o", "mine.yaml", "--force"]) == 0
    assert Path("mine.yaml").read_text("utf-8").startswith("# Written by `raylt init`")
    assert cli.run(["init", "../my photos", "-o", "absent/mine.yaml"]) == 2
    assert "must lie in a folder that exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("absent", "is not there"),
        (".", "must not hold the data root"),
    ],
)
@pytest.mark.usefixtures("here")
def test_what_is_no_source_is_refused_and_nothing_written(
    source: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["init", source]) == 2
    assert message in capsys.readouterr().err
    assert list(Path().iterdir()) == []


def test_a_class_that_is_too_small_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder(here.parent / "few", {"a": 9, "b": 2})
    assert cli.run(["init", "../few"]) == 2
    error = capsys.readouterr().err
    assert "every class must have 3 images that can be read, 1 to train on" in error
    assert "class 'b' has 2" in error
    assert "leave the class out by taking it out of " in error
    assert list(here.iterdir()) == []


def test_images_below_the_data_root_need_no_link(here: Path) -> None:
    folder(here / "data" / "flies", {"a": 9, "b": 5})
    assert cli.run(["init", "data/flies"]) == 0
    search_space, _ = loaded("flies.yaml")
    assert search_space.known["data.images"] == "flies"
    assert [path.name for path in Path("data").iterdir()] == ["flies"]


def test_a_table_and_parts_of_ones_own(here: Path) -> None:
    source = folder(here.parent / "parts" / "train", {"a": 9, "b": 5}).parent
    folder(source / "val", {"a": 2, "b": 2})
    assert cli.run(["init", str(source), "-o", "parts.yaml"]) == 0
    _, splits = loaded("parts.yaml")
    assert (len(splits.validation), len(splits.test)) == (4, 4)
    lines = ["path,label", *(f"ant/{i}.png,ant" for i in range(30))]
    lines += [f"bee/{i}.png,bee" for i in range(12)]
    (here.parent / "my photos" / "labels.csv").write_text("\n".join(lines))
    assert cli.run(["init", "../my photos/labels.csv"]) == 0
    _, splits = loaded("labels.yaml")
    assert splits.train_counts == (26, 8)


def test_a_class_without_a_validation_image_is_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = folder(here.parent / "parts" / "train", {"a": 9, "b": 5, "c\nd": 5}).parent
    folder(source / "val", {"a": 2})
    folder(source / "test", {"a": 1, "b": 1, "c\nd": 1})
    warning = "warning: no validation image is of 2 of the 3 classes, whose scores are unknown: "
    assert cli.run(["init", str(source), "-o", "mine.yaml"]) == 0
    assert warning + "'b', 'c\\nd'" in capsys.readouterr().err
    assert cli.run(["check", "mine.yaml"]) == 0
    printed = capsys.readouterr().out
    assert warning + "'b', 'c\\nd'" in printed
    assert "no test image" not in printed


def test_a_broken_image_is_left_out_and_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here.parent / "my photos" / "ant" / "torn.png").write_bytes(b"\x89PNG\r\n")
    assert cli.run(["init", "../my photos", "-o", "mine.yaml"]) == 0
    assert "torn.png" in capsys.readouterr().err
    _, splits = loaded("mine.yaml")
    assert len(splits.broken) == 1


def test_a_broken_image_is_not_counted_for_its_class(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = folder(here.parent / "two", {"a": 9, "b": 3})
    (source / "a" / "torn.png").write_bytes(b"no image")
    assert cli.run(["init", "../two"]) == 0
    printed = capsys.readouterr().err
    assert "12 images of 2 classes" in printed
    assert "classes: a 9, b 3\n" in printed
    (source / "b" / "0.png").write_bytes(b"no image")
    assert cli.run(["init", "../two", "-o", "again.yaml"]) == 2
    assert "class 'b' has 2" in capsys.readouterr().err


def test_a_failure_leaves_nothing_and_keeps_what_was_there(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        assert (here / "deep" / "data" / "my photos").is_symlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(cost, "measure_apart", interrupted)
    assert cli.run(["init", "../my photos", "--data", "deep/data"]) == 130
    assert list(here.iterdir()) == []
    (here / "deep" / "data").mkdir(parents=True)
    assert cli.run(["init", "../my photos", "--data", "deep/data"]) == 130
    assert list((here / "deep" / "data").iterdir()) == []


def test_a_table_is_never_replaced_by_the_space(here: Path) -> None:
    (here / "labels.csv").write_text("a.png,a\nb.png,b")
    assert cli.run(["init", "labels.csv", "-o", "labels.csv", "--force"]) == 2
    assert (here / "labels.csv").read_text() == "a.png,a\nb.png,b"


def test_a_step_is_measured_twice_at_most(here: Path) -> None:
    folder(here.parent / "large", {"a": 9, "b": 5}, size=64)
    measured: Any = cost.measure_apart
    measured.return_value = replace(COST, epoch=100.0)
    assert cli.run(["init", "../large", "--hours", "0.1"]) == 0
    assert measured.call_count == 2
    search_space, _ = loaded("large.yaml")
    assert search_space.known["size"] == 16
    assert search_space.study.budget.seconds == 315


@pytest.mark.usefixtures("here")
def test_the_commands_that_come_next_run_as_printed(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--data", "../data", "--concurrent", "1"]
    assert cli.run(["init", "../my photos", "-o", "mine.yaml", *options]) == 0
    check, tune = (shlex.split(line) for line in capsys.readouterr().out.splitlines()[1:])
    assert cli.run(check[1:]) == 0
    assert check[-2:] == ["--data", "../data"]
    assert tune[-4:] == options


@pytest.mark.usefixtures("here")
def test_a_result_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["init", "../my photos", "-o", "mine.yaml", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["path"] == "mine.yaml"
    assert printed["choices"]["held"] == 1
    assert printed["point"] == pytest.approx(100 / 3)


@pytest.mark.usefixtures("here")
def test_a_bundled_space_is_a_beginning_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["init", "--from", "sdclr"]) == 0
    text = Path("sdclr.yaml").read_text("utf-8")
    assert "#   raylt check sdclr.yaml" in text
    assert space.load("sdclr.yaml").digest == space.load("search_spaces/sdclr.yaml").digest
    assert cli.run(["init", "--from", "sdclr"]) == 2
    assert cli.run(["init", "--from", "sdlcr", "-o", "x.yaml"]) == 2
    assert "did you mean 'sdclr'?" in capsys.readouterr().err
    for strange in (".", "-", "a\0b", "a" * 300):
        assert cli.run(["init", "--from", strange, "-o", "x.yaml"]) == 2
        assert "must be a space that comes with raylt" in capsys.readouterr().err
    assert not Path("x.yaml").exists()
    assert cli.run(["init"]) == 2
    assert cli.run(["init", "../my photos", "--from", "sdclr"]) == 2
    assert cli.run(["init", "--from", "sdclr", "-i"]) == 2


@pytest.mark.usefixtures("here")
def test_it_asks_only_when_it_is_told_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.StringIO("sdclr\n0.5\n1\n16\nresnet18\n"))
    assert cli.run(["init", "../my photos", "-o", "mine.yaml", "-i"]) == 0
    search_space, _ = loaded("mine.yaml")
    assert search_space.known["method.name"] == "sdclr"
    assert (search_space.known["size"], search_space.known["encoder"]) == (16, "resnet18")
    capsys.readouterr()
