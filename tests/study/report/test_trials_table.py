import io
from dataclasses import replace

from rich.console import Console

from raylt.study.report import trials_table
from tests.study.run.made import outcome


def shown(width, *rows, **options):
    console = Console(file=io.StringIO(), width=width)
    paths = ["method.temperature", "method.complement_weight"]
    console.print(trials_table.table(rows, paths, "val/accuracy", None, **options))
    return console.file.getvalue()


def test_the_few_stay_longest_of_the_groups():
    rows = [outcome(0, 0.9, role="baseline"), outcome(1, None, state="waiting")]
    assert "no room" not in shown(100, *rows)
    assert "no room for: medium" in " ".join(shown(80, *rows).split())
    assert " few" in shown(50, *rows).partition("───")[0]


def test_the_baseline_has_its_star_and_a_run_its_name():
    row = outcome(0, 0.9, role="baseline")
    assert "0*" in shown(80, row)
    assert "seed 3" in shown(80, row, name=lambda run: "seed 3")


def test_epochs_are_of_how_many_where_that_is_known():
    assert trials_table.epochs(outcome(0, 0.9)) == "6/6"
    assert (
        trials_table.epochs(trials_table.Outcome(number=1, state="waiting", role="sampled")) == "-"
    )


def test_once_all_trials_have_ended_the_epoch_goes_before_what_was_searched():
    rows = [outcome(0, 0.9, role="baseline"), outcome(1, 0.8)]
    assert "no room for: epoch" in " ".join(shown(60, *rows).split())
    text = " ".join(shown(50, *rows).split())
    assert "temperature" in text.partition("no room")[0]
    assert "state" in text.partition("no room")[0]


def test_a_group_that_no_class_is_in_goes_before_all_that_says_something():
    metrics = {"val/accuracy": 0.8, "val/medium": 0.7, "val/few": 0.6}
    rows = [replace(outcome(number, 0.8), last=metrics) for number in range(2)]
    for width in range(40, 110):
        table, _, hidden = shown(width, *rows).partition("no room for: ")
        assert "many" not in table or not hidden
        assert "state" in table
