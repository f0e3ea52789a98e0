import io

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


def test_what_was_searched_stays_once_all_trials_have_ended():
    rows = [outcome(0, 0.9, role="baseline"), outcome(1, 0.8)]
    assert "no room for: state" in " ".join(shown(70, *rows).split())
    text = " ".join(shown(50, *rows).split())
    assert "temperature" in text.partition("no room")[0]
    assert "no room for: state, epoch, many, medium, time" in text
