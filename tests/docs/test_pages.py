"""The pages of docs/ and the README: every block does what the page says; docs/README.md."""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import subprocess
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from raylt import settings, space
from raylt.recipe import Recipe
from raylt.reference import files
from raylt.schema import InputError
from raylt.space.file import bundled, document
from raylt.space.plan import Study
from tests.docs import blocks
from tests.docs.blocks import Block, Command
from tests.study.start.made import folder

BLOCKS = {page: blocks.of(page) for page in blocks.PAGES}
IDS = {page.relative_to(blocks.ROOT).as_posix(): page for page in blocks.PAGES}
ALWAYS = ("README.md", "docs/start/")
DRAWN = 4
"""Of the other pages that train, as many as CI runs; without RAYLT_PAGES_SEED all are run."""


def with_blocks(names: Iterable[str], *, dear: bool) -> list[str]:
    """The pages that have something to run, all of them or those that train."""
    return [
        name for name in names if any(b.runs and (b.dear or not dear) for b in BLOCKS[IDS[name]])
    ]


def test_every_block_is_of_a_known_language() -> None:
    every = [block for item in BLOCKS.values() for block in item]
    assert [str(b) for b in every if b.language not in blocks.RUN | blocks.SHOWN] == []


def test_the_page_of_profiles_links_every_key_of_one() -> None:
    page = (blocks.ROOT / "docs/how-to/clusters/profiles.md").read_text("utf-8")
    linked = re.findall(r"\{key\}`([\w.]+)`", page)
    alone = [name for name in settings.Profile.model_fields if name != "trial"]
    inner = [f"trial.{name}" for name in settings.Trial.model_fields]
    assert sorted(linked) == sorted([*alone, *inner])


def test_the_links_of_pages_that_sphinx_does_not_build_lead_to_files() -> None:
    pages = [*blocks.ROOT.glob("*.md"), *blocks.ROOT.glob("clusters/**/*.md")]
    links = {
        (page, link)
        for page in pages
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8"))
    }
    assert (blocks.ROOT / "README.md", "CONTRIBUTING.md") in links
    assert {(page, link) for page, link in links if not (page.parent / link).exists()} == set()


@pytest.mark.parametrize("name", IDS)
def test_every_row_of_a_table_has_as_many_cells_as_its_head(name: str) -> None:
    """Markdown fills a short row up, and what stood in one column moves to another."""
    for table in re.findall(r"(?:^\|.*\n)+", IDS[name].read_text("utf-8"), flags=re.MULTILINE):
        head, *rows = (re.sub(r"\\\|", "", line).count("|") for line in table.splitlines())
        assert set(rows) == {head}, table


def test_readme_is_short() -> None:
    assert len((blocks.ROOT / "README.md").read_text("utf-8").splitlines()) <= 120


@pytest.mark.parametrize("name", with_blocks(IDS, dear=False))
def test_a_page_is_true(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Down to the first block that trains; its YAML whole."""
    page = BLOCKS[IDS[name]]
    write_files(page, tmp_path)
    monkeypatch.chdir(tmp_path)
    for block in page:
        if block.runs and block.language == "yaml":
            check(block)
    cheap = page[: next((i for i, block in enumerate(page) if block.dear), len(page))]
    run(cheap, tmp_path)


def drawn(seed: str | None) -> set[str]:
    """The pages that train and are run: with a seed the most read ones, and some of the others."""
    names = with_blocks(IDS, dear=True)
    others = [name for name in names if not name.startswith(ALWAYS)]
    if seed is None:
        return set(names)
    return {*names} - {*others} | {*random.Random(seed).sample(others, DRAWN)}


def test_a_seed_draws_some_of_the_pages_and_every_page_is_drawn_in_time() -> None:
    assert drawn("1") == drawn("1")
    assert len(drawn("1")) < len(drawn(None))
    assert {name for seed in range(100) for name in drawn(str(seed))} == drawn(None)
    assert "README.md" in drawn("1")


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", with_blocks(IDS, dear=True))
def test_a_page_that_trains_is_true(name: str, tmp_path: Path) -> None:
    seed = os.environ.get("RAYLT_PAGES_SEED")
    if name not in drawn(seed):
        pytest.skip(f"RAYLT_PAGES_SEED={seed} draws other pages")
    run(BLOCKS[IDS[name]], tmp_path)
    runs = tmp_path / "runs"
    written = {path.relative_to(runs).as_posix() for path in runs.rglob("*") if path.is_file()}
    assert {path for path in written if files.meaning(path) is None} == set()


def write_files(page: Iterable[Block], here: Path) -> None:
    """The files that a page names above its blocks."""
    for block in page:
        if "file" in block.notes:
            (here / block.notes["file"]).parent.mkdir(parents=True, exist_ok=True)
            (here / block.notes["file"]).write_text(block.text, "utf-8")


def check(block: Block) -> None:
    """A block of YAML, as a space, as a part of one, or as a profile."""
    values = document.parse(block.text, str(block)).values
    keys = set(values)
    readings: list[dict[str, Any]] = []
    if keys == {"study", "recipe"}:
        readings = [values]
    elif keys <= {"study", "recipe"}:
        readings = [completed(values.get("study", {}), values.get("recipe", {}))]
    else:
        if keys <= {*Study.model_fields, *Recipe.model_fields}:
            parts = [
                {k: v for k, v in values.items() if k in model.model_fields}
                for model in (Study, Recipe)
            ]
            readings = [completed(*parts)]
    errors: list[str] = []
    for reading in readings:
        try:
            space.of(document.parse(document.dump(reading), str(block)))
            return
        except InputError as error:
            errors.append(str(error))
    if keys <= set(settings.Profile.model_fields):
        path = Path("profile-of-the-page.yaml")
        path.write_text(block.text, "utf-8")
        settings.load(path)
        return
    raise AssertionError(f"{block}: neither a space, nor a part of one, nor a profile: {errors}")


def completed(study: dict[str, Any], recipe: dict[str, Any]) -> dict[str, Any]:
    """Parts of a space in the bundled one; values that its baseline knows need not fit."""
    values = document.read(bundled.find("sdclr", "search_spaces")).values
    values["study"].pop("baseline")
    return {"study": values["study"] | study, "recipe": values["recipe"] | recipe}


def run(page: Iterable[Block], here: Path) -> None:
    """The commands and the Python of a page, in their order and in one folder."""
    with python(here) as execute:
        for block in page:
            write_files([block], here)
            if (given := block.notes.get("given")) is not None:
                folder(here / given, {"cat": 40, "dog": 20, "owl": 10}, size=24)
            if not block.runs:
                continue
            if block.language == "python":
                execute(block)
            elif block.language in ("console", "sh"):
                shell(block, here)


def shell(block: Block, here: Path) -> None:
    """The commands of a block, one after another; what is shown below one comes out of it."""
    commands = block.commands()
    for i, command in enumerate(commands):
        done = subprocess.run(
            ["bash", "-c", command.text],
            cwd=here,
            env={
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "PYTHONPATH": "",
                "COLUMNS": "120",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        expected = int(block.notes.get("exit", "0")) if i == len(commands) - 1 else 0
        printed = f"{block}: $ {command.text}\n{done.stdout}"
        assert done.returncode == expected, f"{printed}\nexit code {done.returncode}"
        assert comes_out(command, done.stdout), f"{printed}\nis not what the page shows"


def comes_out(command: Command, output: str) -> bool:
    """Whether the lines that a page shows come out of a command in their order."""
    parts = [part for line in command.shown for part in line.split("...")]
    text, place = " ".join(output.split()), 0
    for part in (" ".join(part.split()) for part in parts):
        if (result := text.find(part, place)) < 0:
            return False
        place = result + len(part)
    return True


@contextmanager
def python(here: Path) -> Iterator[Any]:
    """Runs blocks of Python one after another in a process of their own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process: Any = None

    def execute(block: Block) -> None:
        nonlocal process
        if process is None:
            process = context.Process(target=_serve, args=(theirs, here))
            process.start()
        ours.send((block.text, str(block)))
        error = ours.recv()
        assert error is None, f"{block}\n{error}"

    yield execute
    if process is not None:
        ours.send(None)
        process.join()


def _serve(connection: Connection, here: Path) -> None:
    os.chdir(here)
    sys.path.insert(0, str(here))
    names: dict[str, Any] = {"__name__": "__main__"}
    while (block := connection.recv()) is not None:
        text, place = block
        try:
            exec(compile(text, place, "exec"), names)
            connection.send(None)
        except BaseException:
            connection.send(traceback.format_exc())


@pytest.mark.parametrize(
    ("shown", "output", "same"),
    [
        ((), "anything", True),
        (("a  b",), "x\na b\ny", True),
        (("a", "b"), "a c b", True),
        (("b", "a"), "a c b", False),
        (("took ... s",), "took 12 s", True),
        (("took ... s",), "took long", False),
    ],
)
def test_what_a_page_shows_must_come_out(shown: tuple[str, ...], output: str, same: bool) -> None:
    assert comes_out(Command("", shown), output) is same
