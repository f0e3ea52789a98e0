"""The rows of a table, from confirmations of the toy study without Ray."""

import contextlib
import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylt import cli
from raylt.schema import InputError
from raylt.study.confirm import candidates, question
from raylt.study.record import studies
from raylt.study.table import formats, rows
from raylt.study.verdict import significance
from raylt.trial.evaluation import classes
from tests.study import drive, made
from tests.study.confirm.made import Now, options, settings


def test_a_confirmation_gives_a_row_for_each_setting_and_bold_where_it_is_shown(toy):
    toy.confirm(top=2, seeds=6, race=False)
    table = rows.table([toy.open()], None, ablations=True)
    assert table.images == "test"
    names = [row.name for row in table.rows]
    assert names == ["baseline", "trial 1 (winner)", "trial 2"]
    assert [row.seeds for row in table.rows] == [6, 6, 6]
    best = table.rows[1].cells["All"]
    assert best.best
    assert best.mean == pytest.approx(90, abs=2)
    assert best.std == pytest.approx(1, abs=1)
    assert not table.rows[0].cells["All"].best
    # The fake's test scores have no std of groups; they are of the last epoch all the same.
    assert set(table.rows[0].cells) == {"All", "Few"}
    (first, *_) = formats.footnote(table, str)
    assert first.endswith("scores on the test images after the last epoch.")
    assert table.openings == (1,)
    assert "Study toy: test set opened 1x." in formats.footnote(table, str)
    on_validation = rows.table([toy.open()], "validation", ablations=True)
    assert set(on_validation.rows[0].cells) == {"All", "Many", "Few"}


@pytest.mark.parametrize("toy", ["val/best/accuracy"], indirect=True)
def test_a_study_of_the_best_epoch_is_scored_after_that(toy):
    toy.confirm()
    table = rows.table([toy.open()], None, ablations=True)
    assert set(table.rows[0].cells) == {"All"}
    # The winner is a tenth better at its best epoch than after the last one.
    assert table.rows[1].cells["All"].mean == pytest.approx(100, abs=2)
    (first, *_) = formats.footnote(table, str)
    assert first.endswith("scores on the test images after the epoch that validation chose.")


def test_what_left_the_race_has_no_test_score_and_is_said_to_be_left_out(toy):
    toy.confirm(top=2, seeds=6)
    table = rows.table([toy.open()], None, ablations=True)
    assert [row.name for row in table.rows] == ["baseline", "trial 1 (winner)"]
    assert table.notices == ("left out without a score on the test images: trial 2",)


def test_the_same_setting_of_two_studies_is_no_rival_of_itself(toy, tmp_path):
    toy.confirm(seeds=6)
    shutil.copytree(toy.folder, tmp_path / "other" / "toy")
    twin = studies.open_study("toy", tmp_path / "other")
    table = rows.table([toy.open(), twin], None, ablations=True)
    bold = {row.name for row in table.rows if row.cells["All"].best}
    assert (len(table.rows), bold) == (4, {"trial 1 (winner)"})


def test_a_setting_with_several_names_has_one_row_that_says_them(toy, tmp_path):
    with contextlib.closing(toy.open()) as study:
        _, (winner,) = candidates.choose(study, options())
        with question.seed_runs(study, validated=True) as runs:
            runs.queue([(dataclasses.replace(winner, name="only prune", role="ablation"), 1)])
            Now(settings(tmp_path)).trials(runs.record)
    toy.confirm(seeds=6)
    table = rows.table([toy.open()], None, ablations=False)
    assert [row.name for row in table.rows] == ["baseline", "trial 1 (winner) = only prune"]


def test_rows_with_fewer_seeds_say_why_in_every_format(toy, capsys):
    toy.confirm(top=2, seeds=6)
    (*_, last) = rows.table([toy.open()], "validation", ablations=True).rows
    assert (last.name, last.seeds, last.fewer) == ("trial 2", 3, "left the race after 3 seeds")
    words = ["table", "toy", "--on", "validation", "--runs", str(toy.folder.parent)]
    for form in ("markdown", "latex"):
        assert cli.run([*words, "--format", form]) == 0
        assert "Left the race after 3 seeds: sdclr, trial 2." in capsys.readouterr().out
    assert cli.run([*words, "--format", "csv"]) == 0
    lines = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [line["fewer seeds"] for line in lines] == ["", "", last.fewer]
    assert cli.run([*words, "--json"]) == 0
    assert [row["fewer"] for row in json.loads(capsys.readouterr().out)["rows"]] == [
        "",
        "",
        last.fewer,
    ]


def test_a_confirmation_that_is_not_finished_says_so_at_its_rows_and_above(toy):
    toy.stop_after = 8
    toy.confirm(top=2, seeds=6, race=False)
    table = rows.table([toy.open()], None, ablations=True)
    assert [row.fewer for row in table.rows] == [
        *["3 of 6 seeds, not finished"] * 2,
        "2 of 6 seeds, not finished",
    ]
    (notice,) = table.notices
    assert notice.startswith("toy: `raylt confirm` is not finished: 8 of 18 runs")
    # The tested runs of a finished one lack nothing while more seeds are on their way.
    toy.stop_after = None
    toy.confirm(top=1, seeds=5)
    toy.stop_after = 1
    toy.confirm(top=2, seeds=6, race=False)
    tested = rows.table([toy.open()], "test", ablations=True)
    assert {row.fewer for row in tested.rows} == {"5 of 6 seeds, not finished"}


def test_failed_seeds_and_those_nobody_asked_for_are_told_apart(toy, tmp_path):
    toy.confirm(top=2, seeds=6, race=False)
    drive.behave(tmp_path, fails=[7])
    toy.confirm(top=1, seeds=8, race=False)
    table = rows.table([toy.open()], "validation", ablations=True)
    assert [row.fewer for row in table.rows] == [
        "",
        "7 of 8 seeds, 1 failed",
        "6 of 8 seeds, no more were needed",
    ]


def test_without_fresh_seeds_it_is_what_the_search_saw_and_nothing_is_bold(toy):
    table = rows.table([toy.open()], None, ablations=True)
    assert (table.images, table.searched) == ("validation", True)
    assert [row.name for row in table.rows] == ["baseline", "winner"]
    assert [row.cells["All"].std for row in table.rows] == [None, None]
    assert not any(cell.best for row in table.rows for cell in row.cells.values())
    with pytest.raises(InputError, match=r"scored on the test images.*`raylt confirm toy"):
        rows.table([toy.open()], "test", ablations=True)


def test_a_study_that_was_only_searched_is_left_out_of_a_tested_table_and_named(toy, tmp_path):
    toy.confirm()
    balanced = "evaluation.labels=balanced"
    other = made.study(tmp_path / "runs", balanced, name="other", trials=2, failed=())
    records = [toy.open(), other]
    table = rows.table(records, None, ablations=True)
    assert {row.study for row in table.rows} == {"toy"} == {*table.studies}
    (notice,) = table.notices
    assert notice.startswith("other is left out, for it has no score on the test images; `")
    assert "raylt confirm other" in notice
    assert "counted as an opening" in notice
    assert "| sdclr, baseline" in formats.markdown(table)


def test_a_study_without_fresh_seeds_gets_them_without_opening_the_test_images(toy, tmp_path):
    toy.confirm()
    balanced = "evaluation.labels=balanced"
    other = made.study(tmp_path / "runs", balanced, name="other", trials=6, failed=())
    (notice,) = rows.table([toy.open(), other], "validation", ablations=True).notices
    assert notice.startswith("other is left out, for it has no score over fresh seeds on ")
    assert "`raylt ablate other --no-path --runs" in notice
    assert "confirm" not in notice
    alone = made.study(tmp_path / "runs", balanced, name="alone", trials=1, failed=())
    (notice,) = rows.table([toy.open(), alone], "validation", ablations=True).notices
    assert "raylt confirm alone" in notice
    assert notice.endswith("but opens the test images as well, which is counted")


def test_a_baseline_that_won_is_one_row(tmp_path):
    study = made.study(tmp_path, trials=1, failed=())
    (row,) = rows.table([study], None, ablations=True).rows
    assert row.name == "baseline (winner)"


def test_studies_of_other_images_do_not_stand_in_one_table(tmp_path):
    study = made.study(tmp_path, name="one", trials=2, failed=())
    other = made.study(tmp_path, name="other", trials=2, failed=(), fingerprint="other")
    with pytest.raises(InputError, match=r"fingerprints are .* and other; .* one table"):
        rows.table([study, other], None, ablations=True)
    alone = rows.table([study], None, ablations=True).rows
    assert [row.name for row in alone] == ["baseline (winner)"]


scores = st.dictionaries(st.integers(1, 8), st.integers(0, 100), max_size=8)


@given(st.lists(scores, max_size=5), st.booleans())
def test_the_best_is_the_one_whose_every_lead_is_shown(table, smaller):
    best = rows._best(table, [*map(str, range(len(table)))], smaller=smaller)
    sign = -1 if smaller else 1
    shown = [
        i
        for i, row in enumerate(table)
        if row
        and sum(map(bool, table)) > 1
        and all(
            word == "better"
            for word in [
                verdict.word
                for verdict in significance.judge(
                    [
                        [sign * (row[seed] - other[seed]) for seed in row if seed in other]
                        for j, other in enumerate(table)
                        if j != i and other
                    ],
                    out_of_race=[False] * (sum(map(bool, table)) - 1),
                    level=0.05,
                )
            ]
        )
    ]
    assert best is None or int(best) in shown
    # Where all have the same seeds nobody else can be shown to lead every row.
    if len({frozenset(row) for row in table}) == 1:
        assert shown == ([] if best is None else [int(best)])
    # A setting that stands in the table twice is not its own rival.
    twice = rows._best([*table, *table], [*map(str, range(len(table)))] * 2, smaller=smaller)
    assert twice is None or int(twice) in shown


def test_one_run_is_called_the_run_and_what_to_confirm_is_said(tmp_path):
    table = rows.table([made.one_run(tmp_path, facts={"data_of": "many"})], None, ablations=True)
    assert [row.name for row in table.rows] == ["the run"]
    (notice,) = table.notices
    assert "one run has nothing to compare" in notice
    assert "raylt confirm many" in notice
    footnote = " ".join(formats.footnote(table, str))
    assert "One seed." in footnote
    for word in ("winner", "chosen", "each"):
        assert word not in footnote


def test_the_imbalance_of_images_as_they_are_is_counted(toy):
    with contextlib.closing(toy.open()) as study:
        trial = study.baseline()
        assert rows.imbalance(study, trial) == trial.recipe["data"]["imbalance"]
        data = {"name": "folder", "imbalance": 100.0, "natural": True}
        natural = dataclasses.replace(trial, recipe={**trial.recipe, "data": data})
        folder = study.trial_folder(trial.number)
        (folder / classes.FILE).unlink(missing_ok=True)
        assert rows.imbalance(study, natural) is None
        nothing = np.empty(0, np.int64)
        classes.keep(
            folder, epoch=1, predictions=nothing, labels=nothing, train_counts=[60, 13, 4]
        )
        assert rows.imbalance(study, natural) == 15
