from __future__ import annotations

import contextlib
import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylt.schema import InputError
from raylt.space import expressions

VALUES: dict[str, expressions.Value] = {
    "method.prune": 0.9,
    "method.own_norms": False,
    "optimizer.name": "sgd",
    "epochs": 3,
    "nothing": None,
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("method.prune > 0.5", True),
        ("not (method.prune > 0.5 and not method.own_norms)", False),
        ("method.own_norms == true", False),
        ("method.own_norms == False", True),
        ("nothing == null", True),
        ("nothing != null or epochs > 100", False),
        ("optimizer.name == 'sgd'", True),
        ('optimizer.name in ("sgd", "lars")', True),
        ("optimizer.name not in ['lars']", True),
        ("epochs in (1, 2)", False),
        ("1 < epochs <= 3 != 4", True),
        ("1 < epochs < 3", False),
        ("epochs * 2 - 1 == 5.0", True),
        ("epochs % 2 == 1 and epochs / 2 > 1", True),
        ("-epochs + 1 < 0", True),
        # Like Python's, `and` and `or` do not look further than they must.
        ("epochs > 5 and 1 / (epochs - 3) > 0", False),
        ("epochs < 5 or 1 / (epochs - 3) > 0", True),
    ],
)
def test_a_condition_means_what_it_says(text: str, value: bool) -> None:
    assert expressions.parse(text).truth(VALUES) is value


def test_the_mentioned_paths_are_known() -> None:
    expression = expressions.parse("method.prune > baseline - 0.1 or a.b.c == 'x.y'")
    assert expression.names == {"method.prune", "baseline", "a.b.c"}
    assert expressions.parse("baseline - 0.01").number({"baseline": 0.5}) == pytest.approx(0.49)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "a.b()",
        "a[0]",
        "a ** 2",
        "a // 2",
        "a << 2",
        "a & b",
        "~a",
        "+a",
        "lambda: a",
        "a if b else c",
        "[x for x in a]",
        "{1: 2}",
        "f'{a}'",
        "(a := 3)",
        "a is b",
        "a, b",
        "'a'.upper",
        "(1).real",
        "b'a' == a",
        "... == a",
        "1j == a",
        "a in b",
        "await a",
        "*a",
    ],
)
def test_nothing_else_of_python_is_understood(text: str) -> None:
    with pytest.raises(InputError, match=r"an expression must"):
        expressions.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must read like"),
        ("a >", "must read like"),
        ("a\nb", "must read like"),
        ("a = 3", "must read like"),
        ("import os", "must read like"),
        ("a\0", "must read like"),
        ("(" * 300 + "a" + ")" * 300, "must read like"),
        ("not " * 200 + "a", "nested at most 40 deep"),
        ("-" * 900 + "1", "at most 40 deep"),
        ("a" * 1001, "at most 1000 characters"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        expressions.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optimizer.name > 3", "'sgd' is no number where optimizer.name = 'sgd'"),
        ("optimizer.name == 3", "'sgd' and 3 are of different kinds"),
        ("method.own_norms == 'true'", "different kinds"),
        ("method.own_norms > 0", "False is no number"),
        ("method.own_norms == 0", "different kinds"),
        ("not epochs", "3 is neither true nor false"),
        ("epochs and true", "3 is neither true nor false"),
        ("epochs", "3 is neither true nor false where epochs = 3"),
        ("1 / (epochs - 3) > 0", "division by zero where epochs = 3"),
        ("'a' * 1000000000 == 'b'", "'a' is no number"),
        ("nothing > 1", "None is no number"),
        ("1e308 * 10 / (1e308 * 10 - 1e308 * 10) > 0", None),
    ],
)
def test_unlike_things_are_not_compared(text: str, message: str | None) -> None:
    expression = expressions.parse(text)
    if message is None:
        assert expression.truth(VALUES) is False
        return
    with pytest.raises(InputError) as refused:
        expression.truth(VALUES)
    assert message in str(refused.value)
    assert text in str(refused.value)


def test_a_number_is_asked_for_by_name() -> None:
    with pytest.raises(InputError, match="True is no number"):
        expressions.parse("epochs > 1").number(VALUES)


numbers = st.integers(-9, 9) | st.floats(-9, 9)
comparisons = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
arithmetic = {"+": operator.add, "-": operator.sub, "*": operator.mul}


@given(numbers, numbers, numbers, st.sampled_from([*comparisons]), st.sampled_from([*arithmetic]))
def test_numbers_behave_as_in_python(
    a: float, b: float, c: float, compare: str, combine: str
) -> None:
    expression = expressions.parse(f"x.a {combine} ({b}) {compare} c")
    expected = comparisons[compare](arithmetic[combine](a, b), c)
    assert expression.truth({"x.a": a, "c": c}) is expected


@given(st.text() | st.text("ab1.()[]'\"<>=!+-*/%, notadi"))
def test_any_text_is_read_or_refused(text: str) -> None:
    # Any other exception fails the test.
    with contextlib.suppress(InputError):
        expressions.parse(text)
