"""Whatever a user types wrong: exit code 2, one line with place and remedy, nothing written.

The numbers are those of the project's list of bad inputs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from raylt import cli
from tests.spoilt import BASE
from tests.study import made


@dataclass(frozen=True)
class Case:
    """A way to spoil the space file."""

    row: int
    old: str
    """The part of BASE that is replaced; "" leaves the file as it is."""
    new: str
    said: tuple[str, ...]
    """What the message must contain."""
    at: str | None = None
    """The line that it must name is the last one with this text; that of `new` unless given."""
    words: tuple[str, ...] = ()
    """`key=value` pairs on the command line."""

    def __str__(self) -> str:
        return f"{self.row}:{(self.new or ' '.join(self.words)).strip()[:40]}"


def case(row: int, old: str, new: str, *message: str, at: str | None = None) -> Case:
    return Case(row, old, new, message, at)


def words(row: int, word: str, *message: str) -> Case:
    return Case(row, "", "", message, words=(word,))


METHOD = BASE[BASE.index("  method:") : BASE.index("  encoder")]
LR = "lr: {low: 0.1, high: 1.0, log: true}"
PRUNE = "prune: {low: 0.1, high: 0.99}"

CASES = [
    case(1, METHOD, "", "method: must be given", "add `method: {name:", at="recipe:"),
    case(1, "  encoder: small\n", "", "encoder: must be given", "`encoder: small`", at="recipe:"),
    case(1, "    batch_size: 64\n", "", "optimizer.batch_size: must be given", at="optimizer:"),
    case(1, "  name: spoilt\n", "", "study.name: must be given", at="study:"),
    case(
        1,
        BASE[: BASE.index("recipe:")],
        "",
        "study: must be given",
        "{name: my-study}",
        at="recipe:",
    ),
    case(1, "    name: sdclr\n", "", "method: must be a mapping with a name", at="method:"),
    case(
        2,
        "temperature: 0.2",
        "temprature: 0.2",
        "method.temprature",
        "unknown",
        "did you mean 'temperature'?",
    ),
    case(2, "temperature: 0.2", "temprature: {low: 0.1, high: 1.0}", "'temperature'?"),
    case(2, "trials: 12", "trails: 12", "study.trails", "did you mean 'trials'?"),
    case(2, "recipe:", "receipt:", "did you mean 'recipe'?"),
    case(2, "  method:", "  methd:", "methd: must be a key of", "unknown", "mean 'method'?"),
    case(2, "grace: 2", "graec: 2", "study.scheduler.graec", "did you mean 'grace'?"),
    words(2, "method.temprature=0.2", "command line: method.temprature", "'temperature'"),
    words(2, "trials=20", "did you mean 'study.trials'?"),
    words(2, "++method.temperature=0.2", "write method.temperature=0.2"),
    words(2, "recipe.epochs=3", "write epochs=..."),
    words(2, "epochs.last=3", "epochs must be a mapping", "spoilt.yaml:24"),
    case(3, "epochs: 6", 'epochs: "ten"', "epochs: must be a whole number, but got 'ten'"),
    case(3, "batch_size: 64", "batch_size: 64.5", "must be a whole number, but got 64.5"),
    case(3, "batch_size: 64", "batch_size: 64.0", "must be a whole number, but got 64.0"),
    case(3, "epochs: 6", "epochs: true", "must be a whole number, but got true"),
    case(3, "temperature: 0.2", "temperature: true", "must be a number, but got true"),
    case(3, "own_norms: true", "own_norms: yes", "must be true or false, but got 'yes'"),
    case(3, "name: spoilt", "name: 12", "study.name: must be a text", "put it in quotes"),
    case(
        3,
        "    lr: {low: 0.1, high: 1.0, log: true}\n    batch_size: 64\n",
        "    - 3\n",
        "optimizer: must be a mapping with keys of name, lr",
        at="optimizer:",
    ),
    case(4, "temperature: 0.2", 'temperature: "0.2"', "must be a number", "without quotes"),
    case(4, "temperature: 0.2", "temperature: 0,2", "must be a number, but got '0,2'"),
    case(4, "temperature: 0.2", "temperature: 1_0", "must be a number, but got '1_0'"),
    case(5, LR, "lr: {low: 0, high: 1.0, log: true}", "must be > 0 on a log scale, but got 0"),
    case(5, LR, "lr: {low: -0.1, high: 1.0, log: true}", "must be > 0 on a log scale"),
    case(5, LR, "lr: {low: 0.1, high: 0.9, log: odds}", "must be one of true, false, complement"),
    case(5, LR, "lr: {low: 0.1, high: 1.0, log: complement}", "shares from 0.0 to less than 1"),
    case(6, LR, "lr: {low: 1.0, high: 0.1}", "must be <= high", "swap them"),
    case(8, LR, "lr: {low: .nan, high: 1.0}", "optimizer.lr.low: must be a finite number"),
    case(8, LR, "lr: {low: 0.1, high: .inf}", "optimizer.lr.high: must be a finite number"),
    case(8, LR, "lr: {low: 0.1, high: 1e999}", "optimizer.lr.high: must be a finite number"),
    case(8, LR, 'lr: {low: 0.1, high: "1.0"}', "high: must be a number", "without quotes"),
    case(8, LR, "lr: {low: 0.1}", "high: must be given, but is missing; add `high: 0.1`"),
    case(9, PRUNE, "prune: {choices: []}", "with at least one value, but got []"),
    case(9, PRUNE, "prune: {choices: [0.1, [0.2]]}", "choices.1: must be one number"),
    case(9, PRUNE, "prune: {choices: [{a: 1}]}", "choices.0: must be one number"),
    case(9, PRUNE, "prune: {choices: [0.9, 0.9]}", "is listed twice"),
    case(9, PRUNE, "prune: {choices: [0.9, .nan]}", "must be finite"),
    case(9, PRUNE, "prune: {choices: [0.1], low: 0.1}", "must be left out beside `choices`"),
    case(9, PRUNE, "prune: {low: 0.1, high: 0.9, stpe: 0.1}", "did you mean 'step'?"),
    case(10, PRUNE, "prune: {low: 0.1, high: 0.9, step: 0}", "step: must be > 0, but got 0"),
    case(10, PRUNE, "prune: {low: 0.1, high: 0.9, step: 0.3}", "must divide", "high: 0.7"),
    case(
        10, LR, "lr: {low: 0.1, high: 1.0, log: true, step: 0.1}", "must be left out beside `log"
    ),
    case(10, "batch_size: 64", "batch_size: {low: 16, high: 64, step: 0.5}", "a whole number"),
    case(11, "epochs: 6", "epochs: 6\n  epochs: 7", "already on line 24", at="epochs: 7"),
    case(12, "trials: 12", "trials: !!python/object:os.system 12", "tags must not be used"),
    case(12, "trials: 12", "trials: &a 12", "anchors (&) and aliases (*) must not be used"),
    case(12, "points: []", "points: *a", "anchors (&) and aliases (*) must not be used"),
    case(12, "trials: 12", "trials:\t12\n\tx: 1", "indented with spaces", at="\tx: 1"),
    case(12, "points: []", "points: [", "the file must be YAML", at="data:"),
    case(12, "trials: 12", "trials: a: b", "the file must be YAML"),
    case(12, "study:", "--- 1\n---\nstudy:", "must hold one document", at="---"),
    case(12, BASE, "- 1\n- 2\n", "its top is a list", at="- 1"),
    case(12, BASE, "hello\n", "the single value 'hello'"),
    case(12, "trials: 12", f"trials: {'9' * 5000}", "must have at most 400 digits"),
    case(14, "name: sdclr", "name: sdcrl", "must be one of bcl,", "did you mean 'sdclr'?"),
    case(14, "name: sdclr", "name: os.system", "must be one of bcl,", "but got 'os.system'"),
    case(14, "name: digits", "name: digist", "did you mean 'digits'?"),
    case(14, "encoder: small", "encoder: resnet19", "must be one of small, resnet18"),
    case(14, "name: asha", "name: aha", "must be one of asha, hyperband", "'asha'"),
    case(14, "name: tpe", "name: tep", "must be one of cmaes, gp", "'tpe'"),
    case(14, "name: sdclr", "name: {choices: [sdclr, bcl]}", "must be one name"),
    case(
        15,
        "temperature: 0.2",
        "complement_weight: 1.0",
        "method.complement_weight",
        "is a key of bcl, but method.name is sdclr",
    ),
    case(
        15,
        "epochs: 6",
        "schedule: {warmup: 6}\n  epochs: 6",
        "schedule.warmup: must be less",
        "shorten the warm-up",
        at="warmup",
    ),
    case(16, PRUNE, "prune: 1.0", "method.prune: must be < 1, but got 1.0"),
    case(16, PRUNE, "prune: -0.1", "method.prune: must be >= 0, but got -0.1"),
    case(16, PRUNE, "prune: {low: 0.1, high: 1.0}", "must be < 1, but its high is 1.0"),
    case(16, PRUNE, "prune: {choices: [0.5, 1.5]}", "must be < 1, but one choice is 1.5"),
    case(17, "temperature: 0.2", "temperature: 0", "must be > 0, but got 0"),
    case(17, "temperature: 0.2", "temperature: -0.1", "must be > 0, but got -0.1"),
    case(17, "temperature: 0.2", "temperature: .nan", "must be a finite number, but got nan"),
    case(17, "temperature: 0.2", "temperature: {low: 0, high: 1.0}", "must be > 0, but its low"),
    case(
        18,
        METHOD,
        "  method: {name: bcl, contrastive_weight: -0.5}\n",
        "method.contrastive_weight: must be >= 0, but got -0.5",
    ),
    case(
        18,
        METHOD,
        "  method: {name: bcl, contrastive_weight: 0, classification_weight: 0}\n",
        "must not both be 0",
    ),
    case(19, "imbalance: 20", "imbalance: 0.5", "data.imbalance: must be >= 1, but got 0.5"),
    case(19, "imbalance: 20", "imbalance: 0", "data.imbalance: must be >= 1, but got 0"),
    case(19, "imbalance: 20", "imbalance: 400", "every class must keep", "class 7 is left with 0"),
    case(19, "imbalance: 20", "imbalance: {low: 10, high: 20}", "must be fixed"),
    case(20, "batch_size: 64", "batch_size: 1", "must be >= 2, but got 1"),
    case(20, "batch_size: 64", "batch_size: {choices: [1, 64]}", "must be >= 2, but one choice"),
    case(
        20,
        "batch_size: 64",
        "batch_size: 400\n    drop_last: true",
        "optimizer.batch_size: must be <= 351",
        at="batch_size",
    ),
    case(
        20,
        "batch_size: 64",
        "batch_size: {low: 64, high: 400}\n    drop_last: true",
        "optimizer.batch_size: must be <= 351",
        at="batch_size",
    ),
    case(21, "epochs: 6", "epochs: 0", "epochs: must be >= 1, but got 0"),
    case(21, "trials: 12", "trials: 0", "study.trials: must be >= 1, but got 0"),
    case(21, "trials: 12", "trials: -1", "study.trials: must be >= 1, but got -1"),
    case(21, "grace: 2", "grace: 7", "study.scheduler.grace: must be <= 6, the epochs"),
    words(21, "study.trials=0", "command line: study.trials: must be >= 1, but got 0"),
    case(22, "objective: val/accuracy", "objective: val/acuracy", "did you mean 'val/accuracy'?"),
    case(22, "objective: val/accuracy", "objective: test/accuracy", "must not look at the test"),
    case(
        22,
        "objective: val/accuracy",
        "objective: {metric: val/few, direction: minimize}",
        "must be maximize for val/few",
        "leave it out",
    ),
    case(
        22,
        "objective: val/accuracy",
        "objective: [val/few, val/many]",
        "study.scheduler.metric: must be given",
        at="scheduler",
    ),
    case(
        22,
        "objective: val/accuracy",
        "objective: train/loss",
        "must not be a loss",
        "method.prune",
    ),
    case(22, "grace: 2", "grace: 2, metric: train/loss", "must not be a loss", "try val/knn"),
    case(
        22,
        "imbalance: 20}\n",
        "imbalance: 5}\n",
        "val/few",
        "< 20 training images",
        "104",
        at="objective",
    ),
    case(22, "objective: val/accuracy", "objective: []", "study.objective"),
    case(22, "constraints: []", "constraints: [{metric: val/many}]", "must have min or max"),
    case(22, "constraints: []", "constraints: [{metric: val/many, min: best - 1}]", "`baseline`"),
    case(22, "constraints: []", "constraints: [{metric: val/mny, min: 0.5}]", "'val/many'"),
    case(25, "name: spoilt", "name: a/b", "study.name", "for example 'a-b'"),
    case(
        5,
        PRUNE,
        f"prune: {{low: 0.1, high: {'9' * 400}}}",
        "a whole number must be less than 2^63",
    ),
    case(5, "imbalance: 20", f"imbalance: {'9' * 5000}", "at most 400 digits"),
    case(5, LR, "lr: {low: -1.0e+308, high: 1.0e+308}", "near enough to low"),
    case(10, LR, "lr: {low: 0.1, high: 1.0e+300, step: 0.1}", "at most 1,000,000,000 values"),
    case(25, "name: spoilt", "name: -rf", "study.name", "for example 'rf'"),
    case(25, "name: spoilt", "name: ../x", "for example 'x'"),
    case(25, "name: spoilt", "name: größe", "for example 'groe'"),
    case(25, "name: spoilt", 'name: "a\\0b"', "for example 'a-b'"),
    case(25, "name: spoilt", 'name: "a\\nb"', "for example 'a-b'"),
    case(25, "name: spoilt", f"name: {'x' * 600}", "1 to 100 letters"),
    case(25, "name: spoilt", 'name: ""', "for example 'my-study'"),
    case(25, "name: spoilt", "name: .hidden", "for example 'hidden'"),
    case(46, "seed: 7", "seed: -1", "study.sampler.seed: must be >= 0, but got -1"),
    case(46, "seed: 7", "seed: 4294967296", "study.sampler.seed: must be <"),
    case(46, "epochs: 6", "epochs: 6\n  seed: -1", "seed: must be >= 0, but got -1", at="  seed"),
    case(46, "epochs: 6", "epochs: 6\n  seed: {low: 0, high: 9}", "luckiest seed", at="  seed"),
    case(2, "require: []", "require: [method.prun > 0.5]", "did you mean 'method.prune'?"),
    case(2, "require: []", "require: ['__import__(\"os\")']", "is something else"),
    case(2, "require: []", "require: [method.prune > 2]", "refuses all of 1000 draws"),
    case(2, "require: []", "require: [method.prune]", "neither true nor false"),
    case(2, "require: []", "require: [method.prune > 'x']", "is no number"),
    case(
        2,
        PRUNE,
        "prune: {low: 0.1, high: 0.9, when: method.prune > 0.5}",
        "must not form a circle",
    ),
    case(2, LR, "lr: {low: 0.1, high: 1.0, when: method.prune > 0.5}", "has no default"),
    case(
        2,
        "method.prune: 0.9,",
        "method.prune: 1.5,",
        "study.baseline.values.method.prune",
        "must be 0.1 to 0.99, but got 1.5",
    ),
    case(2, "method.prune: 0.9,", "method.prnue: 0.9,", "did you mean 'method.prune'?"),
    case(2, "method.prune: 0.9,", "method.temperature: 0.3,", "must be 0.2, as the recipe fixes"),
    case(2, ", optimizer.lr: 0.5", "", "must give optimizer.lr", at="values"),
    case(2, "points: []", "points: [{method.prune: [0.5]}]", "must be one number"),
    case(2, "points: []", "confirm: {top: 3, seeds: 3}", "seeds: must be at least 6", "1/8"),
    case(22, "name: tpe", "name: grid", "method.prune: must have a finite list", at="prune: {low"),
    case(2, "points: []", "budget: {wall_clock: 3 days}", "as in 90m"),
    case(2, "points: []", "warm_start: lost", "write [lost]"),
    case(2, "points: []", "warm_start: [spoilt]", "must name other studies"),
    case(2, "points: []", "warm_start: [lost]", "study.warm_start.0: runs must hold the study"),
    case(2, "points: []", "warm_start: [lost.json]", "study.warm_start.0: lost.json", "not exist"),
    case(2, "points: []", "warm_start: [spoilt.yaml]", "must be what `raylt best STUDY --json`"),
]

ALONG = (
    ("imbalance: 5}", "val/accuracy", "val/few"),
    ("name: bcl", "method.prune: 0.9, ", ""),
    ("name: grid", "grid, seed: 7", "grid"),
    ("{low: 64", "lr: 0.5}", "lr: 0.5, optimizer.batch_size: 64}"),
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """Run a command that must refuse at once, and return its one line."""
    began = time.process_time()
    assert cli.run(arguments) == 2
    assert time.process_time() - began < 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    lines = printed.err.splitlines()
    assert len([line for line in lines if line.startswith("error: ")]) == len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize("spoilt", CASES, ids=str)
def test_a_spoilt_space_is_refused_with_its_line_and_remedy(
    spoilt: Case, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert spoilt.old in BASE
    text = BASE.replace(spoilt.old, spoilt.new, 1) if spoilt.old else BASE
    # Some mistakes need a file that is otherwise right around them.
    for sign, right, other in ALONG:
        if sign in text:
            text = text.replace(right, other)
    (here / "spoilt.yaml").write_text(text, "utf-8")

    line = refused(capsys, ["check", "spoilt.yaml", *spoilt.words])

    for part in spoilt.said:
        assert part in line
    if not spoilt.words:
        marked = spoilt.at or spoilt.new.splitlines()[0]
        numbers = [i for i, computed in enumerate(text.splitlines(), 1) if marked in computed]
        assert f"error: spoilt.yaml:{numbers[-1]}: " in line
    assert [path.name for path in here.iterdir()] == ["spoilt.yaml"]


def test_the_unspoilt_file_is_a_valid_space(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "fine.yaml").write_text(BASE, "utf-8")
    assert cli.run(["check", "fine.yaml"]) == 0
    assert capsys.readouterr().err == ""


def test_several_mistakes_are_told_together(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = BASE.replace("temperature: 0.2", "temperature: -1").replace("epochs: 6", "epochs: 0")
    (here / "two.yaml").write_text(text, "utf-8")
    assert cli.run(["check", "two.yaml"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1:3] for line in lines] == [
        ["two.yaml:18", "method.temperature"],
        ["two.yaml:24", "epochs"],
    ]


@pytest.mark.parametrize("value", ["0.2", "2e-1", "0.20", ".2"])
def test_a_number_in_any_notation_is_a_number(value: str, here: Path) -> None:
    """Row 4: other loaders read 2e-1 as a text."""
    text = BASE.replace("temperature: 0.2", f"temperature: {value}")
    (here / "fine.yaml").write_text(text, "utf-8")
    assert cli.run(["check", "fine.yaml"]) == 0


@pytest.mark.parametrize(
    ("opened", "closed"),
    [
        ("{low: 0.4, high: 0.4}", "0.4"),
        ("{low: 0.4, high: 0.4, step: 0.1}", "0.4"),
        ("{choices: [0.4]}", "0.4"),
    ],
)
def test_a_range_of_one_value_is_a_constant_with_a_warning(
    opened: str, closed: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row 7."""
    (here / "fine.yaml").write_text(BASE.replace("temperature: 0.2", f"temperature: {opened}"))
    assert cli.run(["check", "fine.yaml"]) == 0
    assert f"warning: fine.yaml:18: method.temperature: can only be {closed}" in (
        capsys.readouterr().err
    )


def test_a_very_small_temperature_is_warned_of(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row 17."""
    (here / "fine.yaml").write_text(BASE.replace("temperature: 0.2", "temperature: 0.001"))
    assert cli.run(["check", "fine.yaml"]) == 0
    assert "warning: method.temperature: 0.001 is very small" in capsys.readouterr().err


HOSTILE = {
    "alias bomb": "a: &a [x, x]\n"
    + "".join(f"{y}: &{y} [{', '.join(['*' + x] * 9)}]\n" for x, y in pairwise("abcdefghi")),
    "deep nest": "study: " + "[" * 5000,
    "deep block": "".join(f"{' ' * i}a:\n" for i in range(5000)),
    "many values": "study: [" + "1, " * 300_000 + "]",
    "not UTF-8": b"study: \xff\xfe\n",
    "UTF-16": BASE.encode("utf-16"),
    "NUL": "study: \0\n",
    "empty": "",
    "only a comment": "# nothing\n",
    "too large": b"#" * (2**20 + 1),
    "a number as a key": "1: 2\n",
    "a list as a key": "? [a]\n: b\n",
    "unclosed quote": 'study: "abc\n',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_a_moment(
    name: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row 12."""
    content = HOSTILE[name]
    (here / "x.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert "error: x.yaml" in refused(capsys, ["check", "x.yaml"])


def test_a_huge_file_is_not_read(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Row 12: two gigabytes that take no room on the disk."""
    with (here / "x.yaml").open("wb") as file:
        file.truncate(2**31)
    assert "must be at most 1048576 bytes" in refused(capsys, ["check", "x.yaml"])


def test_a_byte_order_mark_is_accepted(here: Path) -> None:
    """Row 12."""
    (here / "x.yaml").write_bytes(BASE.encode("utf-8-sig"))
    assert cli.run(["check", "x.yaml"]) == 0


def test_a_file_that_cannot_be_read_is_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row 13."""
    (here / "folder").mkdir()
    assert "absent.yaml: must be a file that exists, or a built-in space" in refused(
        capsys, ["check", "absent.yaml"]
    )
    assert "but it is a directory" in refused(capsys, ["check", "folder"])
    assert "the system says: Not a directory" in refused(capsys, ["check", "/dev/null/x"])
    for name in ("a\0b", "a" * 300, "a/" * 3000):
        assert "the file must be readable" in refused(capsys, ["check", name])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "x.yaml").write_text(BASE)
    (here / "x.yaml").chmod(0)
    assert "you have no permission to read it" in refused(capsys, ["check", "x.yaml"])


@pytest.mark.parametrize("verb", ["tune", "train", "check"])
def test_no_file_is_a_mistake_of_use(
    verb: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "a space file must be named" in refused(capsys, [verb])
    assert "a space file must be named" in refused(capsys, [verb, "epochs=3"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["tune", "spoilt.yaml", "--workers", "0"],
        ["tune", "spoilt.yaml", "--concurrent", "-1"],
        ["tune", "spoilt.yaml", "--trials", "ten"],
        ["tune", "spoilt.yaml", "--trials", "0"],
        ["tune", "spoilt.yaml", "--study", "a/b"],
        ["resume", "../x"],
        ["best", "a b"],
        ["status", "a\nb"],
        ["tnue"],
        ["check", "spoilt.yaml", "extra"],
    ],
)
def test_bad_options_are_refused(
    arguments: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows 20, 21, 25 on the command line."""
    (here / "spoilt.yaml").write_text(BASE)
    refused(capsys, arguments)
    assert [path.name for path in here.iterdir()] == ["spoilt.yaml"]


def test_an_existing_study_is_never_mixed_with(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row 26."""
    (here / "x.yaml").write_text(BASE)
    made.study(here / "runs", name="spoilt", trials=1, failed=(), stopped=(), tables=False).close()
    assert cli.run(["tune", "x.yaml"]) == 2
    assert "raylt resume spoilt" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [(BASE.replace("temperature: 0.2", "temprature: 0.2"), ()), (BASE, ("epochs=0",)), ("", ())],
)
def test_the_installed_program_refuses_alike(
    text: str, words: tuple[str, ...], here: Path
) -> None:
    folder = here / "ein Ordner mit Ümläuten"
    folder.mkdir()
    (folder / "x.yaml").write_text(text, "utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "raylt", "tune", "--space", folder / "x.yaml", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=here,
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert "Traceback" not in ended.stderr
    assert sorted(path.name for path in here.rglob("*")) == [folder.name, "x.yaml"]
