from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylt.schema import InputError
from raylt.space.file import document, grammar


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a: 1\na: 2")))
    with pytest.raises(InputError, match="<stdin>:2: a: a key must be given once"):
        document.read("-")


def test_a_path_may_hold_anything(tmp_path: Path) -> None:
    path = tmp_path / "ein Ordner" / "größer ✓.yaml"
    path.parent.mkdir()
    path.write_text("a: ü\n", "utf-8")
    assert document.read(path).values == {"a": "ü"}


def test_a_value_can_be_put_anywhere_but_into_a_scalar() -> None:
    parsed = document.parse("a: {b: 1, c: {d: 2}}\n", "f.yaml")
    changed = parsed.put(("a", "c", "d"), 3).put(("a", "new", "er"), [4]).put(("a", "b"), {"x": 5})
    assert changed.values == {"a": {"b": {"x": 5}, "c": {"d": 3}, "new": {"er": [4]}}}
    assert parsed.values == {"a": {"b": 1, "c": {"d": 2}}}
    assert str(changed.place(("a", "c", "d"))) == "command line"
    assert str(changed.place(("a", "b", "x"))) == "command line"
    assert str(changed.place(("a", "c"))) == "f.yaml:1"
    with pytest.raises(InputError, match=r"a\.b must be a mapping to hold 'x', but it is 1 at f"):
        parsed.put(("a", "b", "x"), 3)


scalars = (
    st.none()
    | st.booleans()
    | st.integers(1 - grammar.LARGEST, grammar.LARGEST - 1)
    | st.floats(allow_nan=False)
    # A file is text: it cannot hold half a character, and most control characters neither.
    | st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")))
    | st.sampled_from(
        ["no", "1e-5", "true", "null", "~", "0x1F", "a\nb", "\t", " x", "# y", "- z"]
    )
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abcé"), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text("abz_", min_size=1), values, min_size=1))
def test_what_is_dumped_is_read_back(result: dict[str, object]) -> None:
    again = document.parse(document.dump(result), "f.yaml").values
    assert again == result
    assert repr(again) == repr(result)


syntax = st.text("ab10.:-{}[]!&*#'\"|>%@\n\t ?,~=<")


@given(st.text() | syntax)
def test_any_text_is_parsed_or_refused(text: str) -> None:
    # Any other exception fails the test.
    with contextlib.suppress(InputError):
        document.parse(text, "f.yaml")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with pytest.MonkeyPatch.context() as patched, contextlib.suppress(InputError):
        patched.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
        document.read("-")
