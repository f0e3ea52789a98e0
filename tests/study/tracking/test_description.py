"""A study in words, as MLflow shows it."""

import pytest

from raylt.study.tracking import description
from raylt.study.verdict import confirmation
from tests.study import made


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return made.study(tmp_path_factory.mktemp("description"), trials=30)


def test_the_verdict_comes_first_and_what_is_confirmed_before_the_search(record, monkeypatch):
    best = f"Best: trial {record.best().number}, "
    lines = description.verdict(record)
    assert lines[0].startswith(best)
    assert lines[1] == "Test set never opened."
    messages = ["Test set opened 1x.", "Confirmed over 6 seeds: trial 3 better"]
    monkeypatch.setattr(confirmation, "brief", lambda study: messages)
    monkeypatch.setattr(confirmation, "stored", lambda study: {})
    confirmed, searched, opened = description.verdict(record)
    assert (confirmed, opened) == (messages[1], messages[0])
    assert searched.startswith(best)


def test_the_ranking_is_a_table_with_the_baseline_marked(record):
    lines = description.description(record, command="raylt resume made", pages={}).splitlines()
    (head,) = (line for line in lines if line.startswith("| trial "))
    rows = [line for line in lines if line.startswith("| ") and line is not head]
    assert len(rows) == 20
    assert {line.count("|") for line in (head, *rows)} == {head.count("|")}
    assert rows[0].startswith(f"| {record.best().number} |")
    assert any(line.startswith("... and ") and line.endswith("more trials.") for line in lines)
    assert any(line.startswith("\\* the baseline: a paper") for line in lines)
    assert any(line.startswith("Pixel baseline: neighbour/accuracy 42.0") for line in lines)


def test_commands_stand_as_code_and_the_first_is_not_repeated(record):
    first = record.facts["command"]
    text = description.description(record, command=first, pages={})
    assert text.endswith(f"Begun with `{first}`")
    more = description.description(record, command="raylt resume made", pages={})
    assert more.endswith("Then `raylt resume made`")


def test_a_study_without_a_result_says_so(tmp_path):
    bare = made.study(tmp_path, trials=1, failed=(0,), tables=False)
    assert description.verdict(bare)[0] == "Test set never opened."
    assert description.description(bare, command="", pages={}).startswith("Test set")


def test_the_pages_are_linked_above_the_verdict(record):
    pages = {"trials": "#/experiments/7/runs?a=b", "compare": "#/experiments/7/runs?c=d"}
    first = description.description(record, command="", pages=pages).splitlines()[0]
    assert first == (
        "[Trials, best first](#/experiments/7/runs?a=b) · "
        "[Best trials beside the baseline](#/experiments/7/runs?c=d)"
    )
