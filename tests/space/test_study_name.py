import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylt.space.study_name import study_name


@pytest.mark.parametrize("name", ["a", "my-study_2.1", "_x", "7", "A" * 100])
def test_a_name_is_a_folders_name(name):
    assert study_name(name) == name


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("mon étude", "'mon-etude'"),
        ("a/b", "'a-b'"),
        (".hidden", "'hidden'"),
        ("-x", "'x'"),
        ("..", "'my-study'"),
        ("", "'my-study'"),
        ("a" * 101, repr("a" * 100)),
        ("a\n", "'a'"),
    ],
)
def test_another_name_is_refused_with_one_that_would_do(name, suggestion):
    with pytest.raises(ValueError, match="for example") as error:
        study_name(name)
    assert str(error.value).endswith(suggestion)


@given(st.text(max_size=120))
def test_what_is_suggested_is_a_name(text):
    try:
        assert study_name(text) == text
    except ValueError as error:
        suggestion = str(error).rpartition("for example ")[2].strip("'")
        assert study_name(suggestion) == suggestion
