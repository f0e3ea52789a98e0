from __future__ import annotations

import pytest

from raylt.reference import files


@pytest.mark.parametrize(
    ("path", "begins"),
    [
        ("digits/space.yaml", "The space"),
        ("digits/trials/12/epochs.jsonl", "One line of JSON"),
        ("digits/trials/0/checkpoint-000160.safetensors", "The state after"),
        ("digits/confirm/trials/3/output.txt", "The files of each"),
        ("artifacts/digits/8f/artifacts/charts/search.png", "What MLflow keeps"),
    ],
)
def test_a_file_has_its_meaning(path: str, begins: str) -> None:
    assert (files.meaning(path) or "").startswith(begins)


@pytest.mark.parametrize("path", ["digits/else.txt", "digits/trials/x/epochs.jsonl"])
def test_another_file_has_none(path: str) -> None:
    assert files.meaning(path) is None
