from __future__ import annotations

import pytest

from raylt.schema import InputError
from raylt.space.file import document
from raylt.space.file.document import Place


def parsed(text: str) -> object:
    return document.parse(f"x: {text}", "f.yaml").values["x"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # The core schema of YAML 1.2, section 10.3.2, and what YAML 1.1 made of the same words.
        ("1e-5", 1e-5),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-0.5", -0.5),
        ("+1", 1),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("true", True),
        ("false", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("null", None),
        ("~", None),
        ("", None),
        ("none", "none"),
        (".inf", float("inf")),
        ("-.inf", float("-inf")),
        ("inf", "inf"),
        ("nan", "nan"),
        ('"1"', "1"),
        ("'true'", "true"),
        ("2001-01-01", "2001-01-01"),
        ("=", "="),
        ("[1, a, {b: 2}]", [1, "a", {"b": 2}]),
        ("{}", {}),
        ("[]", []),
        ("|\n  a\n  b", "a\nb"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    document_read = parsed(text)
    assert document_read == value
    assert type(document_read) is type(value)


def test_nan_is_a_number_for_the_schema_to_refuse() -> None:
    document_read = parsed(".nan")
    assert isinstance(document_read, float)
    assert document_read != document_read


def test_every_value_knows_its_place() -> None:
    document_read = document.parse("a:\n  b: [1,\n   2]\n  c: {d: 3}\n", "f.yaml")
    assert document_read.place(("a",)) == Place("f.yaml", 1, 1)
    assert document_read.place(("a", "b", 1)) == Place("f.yaml", 3, 4)
    assert document_read.place(("a", "c", "d")) == Place("f.yaml", 4, 7)
    # What is not there is looked for around it.
    assert document_read.place(("a", "c", "e", 7)) == Place("f.yaml", 4, 3)
    assert str(document_read.error(("a", "b"), "must be short")) == "f.yaml:2: a.b: must be short"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "f.yaml:3: a: a key must be given once, but this one is already on "),
        ("a:\n  b: 1\n  b: 2", "f.yaml:3: a.b: a key must be given once"),
        ("a: {b: 1, b: 2}", "f.yaml:1: a.b: a key must be given once"),
        ("a: &x 1", "f.yaml:1: anchors"),
        ("&x a: 1", "f.yaml:1: anchors"),
        ("a: 1\nb: *x", "f.yaml:2: anchors"),
        ("<<: {a: *x}", "f.yaml:1: anchors"),
        ("a: !!str 1", "f.yaml:1: tags"),
        ("!x a: 1", "f.yaml:1: tags"),
        ("a: !x {b: 1}", "f.yaml:1: tags"),
        ("a: 1\n---\nb: 2", "f.yaml:2: a file must hold one document"),
        ("a:\n\tb: 1", "f.yaml:2: a line must be indented with spaces"),
        ("a: b: c", "f.yaml:1: the file must be YAML"),
        ("a: 1\n b: 2", "f.yaml:2: the file must be YAML"),
        ("a: \x07", "f.yaml:1: the file must be plain text"),
        ("a: " + "[" * 30, "f.yaml:1: values must be nested at most 20 deep"),
        ("a: [" + "1," * 20_001 + "]", "f.yaml:1: a file must hold at most 20000 values"),
        ("[1]", "f.yaml:1: the file must hold a mapping"),
        ("", "f.yaml: the file must hold a mapping, but it is empty"),
        ("[a]: 1", "f.yaml:1: a key must be a word"),
    ],
)
def test_what_the_language_leaves_out_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(InputError) as refused:
        document.parse(text, "f.yaml")
    assert str(refused.value).startswith(message)


def test_a_merge_key_is_a_key_like_any_other() -> None:
    assert document.parse("<<: {a: 1}", "f.yaml").values == {"<<": {"a": 1}}
