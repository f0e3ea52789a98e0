"""Whatever a user hands over: one line and exit code 2 or 3, or it works; never a fault of raylt.

The grammar of a space, of a profile and of a command line is known here, so that most cases get
past the first check. `pytest -m slow` tries 10,000 of them, the default suite a few hundred.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from raylt import cli
from raylt.schema import InputError
from raylt.space.file import document
from tests.spoilt import BASE

DIGITS = "9" * 400
NUMBERS = [
    0,
    -1,
    1,
    2,
    3,
    10**15,
    2**31,
    2**63,
    -(2**63),
    10**308,
    int(DIGITS),
    -int(DIGITS),
    10**5000,
    0.0,
    -0.0,
    0.5,
    1.0,
    1e-320,
    1e308,
    -1e308,
    1.5,
    12.0,
]
WORDS = [
    "",
    " ",
    "~",
    "null",
    "yes",
    "nan",
    ".nan",
    ".inf",
    "1e400",
    "0x" + "f" * 500,
    DIGITS,
    "a" * 5000,
    "../../etc/passwd",
    "/dev/zero",
    "-rf",
    "\x1b[2J",
    "\u202ex",
    "ü",
    "日本",
    "a\nb",
    "a\tb",
    "\ud7ff",
    "%s %d {x} $HOME",
    "`id`",
    "<b>",
    "study.name",
    "method.prune",
    "val/accuracy",
    "train/loss",
    "test/accuracy",
    "val/few",
    "cost/seconds",
    "tpe",
    "grid",
    "random",
    "gp",
    "nsga2",
    "none",
    "asha",
    "hyperband",
    "median",
    "sdclr",
    "bcl",
    "simclr",
    "digits",
    "cifar10",
    "folder",
    "small",
    "resnet18",
    "90m",
    "1e9h",
    "0s",
    "9" * 400 + "d",
    "published",
    "none",
    "complement",
    "auto",
    "all",
    "pool",
    "s3://bucket/p",
    "http://[",
    "postgresql://u:p@h:x/d",
    "ray://h:1",
    "auto:99999",
    "h:0",
]
EXPRESSIONS = [
    "method.prune > 0.5",
    "baseline - 0.01",
    "baseline",
    "1/0",
    "1 % 0",
    "9**9**9",
    "not not not true",
    "(" * 50 + "1" + ")" * 50,
    "epochs < " + DIGITS,
    f"baseline - {DIGITS}",
    f"baseline * {DIGITS}",
    "1e400",
    "-1e400",
    "a.b.c",
    "method.prune in (0.1, 0.2)",
    "method.prune == 'x'",
    "1 < 2 < 3",
    "true",
    "null",
    "method.prune > optimizer.lr * 1e308 * 1e308",
    "__import__('os')",
    "f''",
    "1is a",
    "'\\x00'",
    "\x00",
    "lambda: 1",
    "epochs % " + DIGITS + " > 0.5",
]
scalars = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(WORDS),
    st.sampled_from(EXPRESSIONS),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-(10**20), 10**20),
    st.text(max_size=8),
)
small = st.floats(0.001, 0.999) | st.integers(0, 9)
odd_numbers = st.sampled_from(NUMBERS)
numbers = st.one_of(odd_numbers, odd_numbers, small, st.floats(), st.integers(-3, 1000))
ranges = st.fixed_dictionaries(
    {"low": numbers, "high": numbers},
    optional={
        "log": st.sampled_from([True, False, "complement", 1]),
        "step": numbers,
        "when": st.sampled_from(EXPRESSIONS),
    },
)
choices = st.fixed_dictionaries(
    {"choices": st.lists(scalars, max_size=4)}, optional={"when": st.sampled_from(EXPRESSIONS)}
)
KEYS = [
    "study.trials",
    "study.objective",
    "study.constraints",
    "study.sampler",
    "study.sampler.name",
    "study.sampler.seed",
    "study.sampler.startup",
    "study.scheduler",
    "study.scheduler.name",
    "study.scheduler.grace",
    "study.scheduler.factor",
    "study.scheduler.metric",
    "study.require",
    "study.baseline",
    "study.baseline.source",
    "study.baseline.values",
    "study.points",
    "study.budget",
    "study.budget.gpu_hours",
    "study.budget.wall_clock",
    "study.confirm",
    "study.confirm.top",
    "study.confirm.seeds",
    "study.preset",
    "study.presets",
    "study.versus",
    "study.name",
    "study",
    "recipe.data",
    "recipe.data.name",
    "recipe.data.imbalance",
    "recipe.data.validation",
    "recipe.data.indices",
    "recipe.data.law",
    "recipe.method",
    "recipe.method.name",
    "recipe.method.prune",
    "recipe.method.temperature",
    "recipe.method.own_norms",
    "recipe.method.x",
    "recipe.encoder",
    "recipe.encoder.name",
    "recipe.encoder.weights",
    "recipe.encoder.image_size",
    "recipe.data.train",
    "recipe.data.images",
    "recipe.data.path",
    "recipe.data.split",
    "recipe.optimizer",
    "recipe.optimizer.lr",
    "recipe.optimizer.batch_size",
    "recipe.optimizer.momentum",
    "recipe.schedule",
    "recipe.schedule.warmup",
    "recipe.augment",
    "recipe.augment.jitter",
    "recipe.epochs",
    "recipe.seed",
    "recipe.evaluation",
    "recipe.evaluation.labels",
    "recipe.precision",
    "recipe",
    "other",
]
anything = st.one_of(
    scalars,
    ranges,
    choices,
    st.lists(scalars, max_size=3),
    st.dictionaries(
        st.sampled_from([key.rpartition(".")[2] for key in KEYS]) | st.text(max_size=5),
        scalars,
        max_size=3,
    ),
    st.sampled_from(
        [
            [{"metric": "val/many", "min": bound} for bound in (DIGITS, "baseline - 1", "1e999")],
            [{"metric": "val/many", "min": int(DIGITS)}],
            {"source": "x", "values": {"method.prune": int(DIGITS), "optimizer.lr": 0.5}},
            [{"method.prune": 1e308, "optimizer.lr": 1e-320}],
            ["val/accuracy", "cost/seconds"],
        ]
    ),
)
LEAVES = [
    "recipe.method.prune",
    "recipe.method.temperature",
    "recipe.method.own_norms",
    "recipe.optimizer.lr",
    "recipe.optimizer.batch_size",
    "recipe.optimizer.momentum",
    "recipe.augment.jitter",
    "recipe.epochs",
    "recipe.schedule.warmup",
    "recipe.method.head_depth",
    "recipe.optimizer.weight_decay",
]
sound = st.tuples(small, small).map(sorted).map(lambda ends: {"low": ends[0], "high": ends[1]})
changed_leaves = st.tuples(
    st.sampled_from(LEAVES), st.one_of(sound, ranges, ranges, choices, numbers, small)
)
changes = st.lists(
    changed_leaves | st.tuples(st.sampled_from(KEYS), anything), min_size=1, max_size=2
)


def written(value: Any) -> str:
    """A value in YAML's flow style, as JSON has it, with numbers of any size."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)}: {written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, float):
        return {"nan": ".nan", "inf": ".inf", "-inf": "-.inf"}.get(repr(value), repr(value))
    if isinstance(value, int) and not isinstance(value, bool):
        # Python writes no number of more than 4,300 digits in decimal.
        return hex(value) if abs(value) > 10**4000 else str(value)
    return json.dumps(value)


@st.composite
def space_texts(draw: st.DrawFn) -> str:
    values = copy.deepcopy(document.parse(BASE, "base").values)
    if draw(st.booleans()):
        # Otherwise it would have to give every leaf that is opened.
        del values["study"]["baseline"]
    for key, value in draw(changes):
        inner: Any = values
        *way, last = key.split(".")
        for part in way:
            inner = inner.setdefault(part, {}) if isinstance(inner, dict) else {}
        if isinstance(inner, dict):
            inner[last] = value
    text = "\n".join(f"{key}: {written(value)}" for key, value in values.items())
    if draw(st.integers(0, 9)) == 0:
        # Now and then a text that is no YAML.
        at = draw(st.integers(0, len(text)))
        text = (
            text[:at] + draw(st.text(max_size=3) | st.sampled_from("[{&*!%@`\t\x00")) + text[at:]
        )
    return text


overrides = (changed_leaves | st.tuples(st.sampled_from(KEYS), anything)).map(
    lambda pair: f"{pair[0].removeprefix('recipe.')}={written(pair[1])}"
)


def run(arguments: list[str]) -> None:
    """Run a command line; it must not be a fault of raylt."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.run(arguments)
    assert code in (0, 2, 3), err.getvalue()[-2000:]
    assert "Traceback" not in err.getvalue()
    assert code == 0 or err.getvalue().startswith(("error: ", "warning: ")), err.getvalue()


def check_space(text: str, words: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "space.yaml")
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        run(["check", str(file), *words])


PROFILE = [
    "address",
    "runs",
    "data",
    "tracking_uri",
    "storage",
    "checkpoints",
    "concurrent",
    "retries",
    "wait",
    "trial",
    "tracking_optional",
    "x",
]
TRIAL = ["workers", "min_workers", "cpus_per_worker", "gpus_per_worker", "pack", "placement"]
profiles = st.dictionaries(
    st.sampled_from(PROFILE),
    anything | st.dictionaries(st.sampled_from(TRIAL), anything, max_size=3),
    max_size=4,
)


def check_profile(values: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "profile.yaml")
        text = "\n".join(f"{key}: {written(value)}" for key, value in values.items())
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        space = Path(folder, "space.yaml")
        space.write_text(BASE, "utf-8")
        # Up to the moment at which something would be started or sent.
        with (
            mock.patch("raylt.study.run.plan.check", side_effect=InputError("enough")),
            mock.patch("raylt.cluster.submit.run", side_effect=InputError("enough")),
        ):
            run(["tune", str(space), "--cluster", str(file)])


words = st.sampled_from(WORDS).filter(lambda word: "\x00" not in word) | st.text(
    st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=6
)
verbs = st.sampled_from(
    [
        "init",
        "check",
        "spaces",
        "space",
        "status",
        "best",
        "logs",
        "report",
        "export",
        "resume",
        "confirm",
        "compare",
    ]
)
flags = st.sampled_from(
    [
        "--address",
        "--runs",
        "--data",
        "--tracking-uri",
        "--storage",
        "--checkpoints",
        "--concurrent",
        "--workers",
        "--pack",
        "--trials",
        "-n",
        "--json",
        "-o",
        "--cluster",
        "--space",
        "--study",
        "-q",
    ]
)


def check_command(verb: str, study: str, more: list[str]) -> None:
    # Names of servers are tried elsewhere: here each would be looked up.
    if any("://" in word and "[" not in word for word in (study, *more)):
        return
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        run([verb, study, *more])


COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=150, **COMMON)
@given(space_texts(), st.lists(overrides, max_size=1))
def test_no_space_is_a_fault_of_raylt(text: str, words: list[str]) -> None:
    check_space(text, words)


@settings(max_examples=100, **COMMON)
@given(profiles)
def test_no_profile_is_a_fault_of_raylt(values: dict[str, Any]) -> None:
    check_profile(values)


@settings(max_examples=100, **COMMON)
@given(verbs, words, st.lists(flags | words, max_size=4))
@example("init", "9" * 400, [])
@example("init", "~0", [])
@example("tune", "--space", ["~0", "--runs", "~0"])
@example("export", "study", ["a" * 400])
@example("init", "--from", ["a" * 400])
def test_no_command_line_is_a_fault_of_raylt(verb: str, study: str, more: list[str]) -> None:
    check_command(verb, study, more)


@pytest.mark.slow
@settings(max_examples=8000, **COMMON)
@given(space_texts(), st.lists(overrides, max_size=1))
def test_none_of_8000_spaces_is_a_fault_of_raylt(text: str, words: list[str]) -> None:
    check_space(text, words)


@pytest.mark.slow
@settings(max_examples=1000, **COMMON)
@given(profiles)
def test_none_of_1000_profiles_is_a_fault_of_raylt(values: dict[str, Any]) -> None:
    check_profile(values)


@pytest.mark.slow
@settings(max_examples=1000, **COMMON)
@given(verbs, words, st.lists(flags | words, max_size=4))
def test_none_of_1000_command_lines_is_a_fault_of_raylt(
    verb: str, study: str, more: list[str]
) -> None:
    check_command(verb, study, more)
