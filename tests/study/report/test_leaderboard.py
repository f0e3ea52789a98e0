"""Studies are ranked together only where their numbers mean the same."""

import json

import pytest

from raylt import cli
from raylt.schema import InputError
from raylt.study.report.leaderboard import compare, differences, parts
from tests.study import made
from tests.study.report.made import text_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    made.study(folder, name="one", trials=4, stopped=(2,), failed=(3,), tables=False).close()
    made.study(
        folder,
        "method.prune=0.6",
        "method.random_share=0.0",
        "method.head_depth=2",
        name="two",
        trials=3,
        stopped=(),
        failed=(),
        tables=False,
    ).close()
    made.study(folder, name="other-data", trials=1, failed=(), fingerprint="0" * 16).close()
    made.study(folder, "evaluation.probe=sgd", name="other-probe", trials=1, failed=()).close()
    made.study(folder, name="failed", trials=1, failed=(0,)).close()
    return folder


@pytest.fixture
def studies(folder):
    from raylt.study.record import studies

    opened = {}

    def give(*names):
        return [opened.setdefault(name, studies.open_study(name, folder)) for name in names]

    yield give
    for record in opened.values():
        record.close()


def test_all_finished_trials_stand_in_one_order(studies):
    ranked = compare(studies("one", "two"), metric=None, force=False)
    assert ranked["warnings"] == []
    assert len(ranked["ranking"]) == 2 + 3
    scores = [trial["last"]["val/accuracy"] for trial in ranked["ranking"]]
    assert scores == sorted(scores, reverse=True)
    assert {trial["study"] for trial in ranked["ranking"]} == {"one", "two"}


def test_a_metric_to_be_small_is_ranked_from_below(studies):
    ranked = compare(studies("one", "two"), metric="train/loss", force=False)
    losses = [trial["last"]["train/loss"] for trial in ranked["ranking"]]
    assert losses == sorted(losses)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("other-data", rf"fingerprints are {made.FINGERPRINT} and 0{{16}}"),
        ("other-probe", "evaluation.probe is lbfgs and sgd; .* evaluation.probe=lbfgs, in a new"),
    ],
)
def test_what_does_not_compare_is_refused_unless_forced(studies, name, reason):
    with pytest.raises(InputError, match=reason):
        compare(studies("one", name), metric=None, force=False)
    ranked = compare(studies("one", name), metric=None, force=True)
    assert len(ranked["warnings"]) == 1
    assert len(ranked["ranking"]) == 3


def test_other_data_are_told_by_what_differs_in_the_recipes(tmp_path):
    one, tail = (
        made.study(
            tmp_path,
            f"data.imbalance={n}",
            name=f"tail-{n}",
            trials=1,
            failed=(),
            fingerprint=str(n) * 8,
        )
        for n in (20, 50)
    )
    (sentence,) = differences([one, tail])
    assert sentence.endswith("same data, but data.imbalance is 20 and 50")


def test_a_study_without_a_finished_trial_is_named(studies):
    with pytest.raises(InputError, match="failed must have a finished trial"):
        compare(studies("one", "failed"), metric=None, force=False)


def test_an_unknown_metric_is_named(studies):
    with pytest.raises(InputError, match="did you mean 'val/few'"):
        compare(studies("one"), metric="val/fw", force=False)


def test_texts_and_values_hold_the_ranking(studies):
    ranked = compare(studies("one", "two"), metric=None, force=False)
    first = ranked["ranking"][0]
    printed = text_of(parts(ranked, lines=2))
    assert "... and 3 more finished trials" in printed
    assert "one: 2 of 4 trials finished" in printed
    row = next(line for line in printed.splitlines() if line.lstrip().startswith("1 "))
    assert first["study"] in row
    assert f"method.temperature={first['point']['method.temperature']:.4g}" in row
    plain = json.loads(json.dumps(ranked))
    assert [trial["rank"] for trial in plain["ranking"]] == [1, 2, 3, 4, 5]
    assert plain["ranking"][0]["number"] == first["number"]


def test_the_verb_prints_json_and_refuses(folder, capfd):
    assert cli.run(["compare", "one", "two", "--runs", str(folder), "--json"]) == 0
    assert len(json.loads(capfd.readouterr().out)["ranking"]) == 5
    assert cli.run(["compare", "one", "other-data", "--runs", str(folder)]) == 2
    assert "--force" in capfd.readouterr().err
    assert cli.run(["compare", "one", "other-data", "--runs", str(folder), "--force"]) == 0
    seen = capfd.readouterr()
    assert "warning: one and other-data" in seen.err
    assert "rank" in seen.out


def test_different_epochs_are_said_and_stand_in_a_column(studies, folder):
    made.study(folder, "epochs=3", name="short", trials=1, failed=(), tables=False).close()
    ranked = compare(studies("one", "short"), metric=None, force=False)
    (warning,) = ranked["warnings"]
    assert warning.startswith("their trials had different epochs, one 6, short 3: ")
    head, *rows = text_of(parts(ranked, lines=9)).splitlines()[3:]
    column = head.split().index("epochs")
    assert {row.split()[column] for row in rows if row.strip()[:1].isdigit()} == {"6", "3"}


def test_a_narrow_terminal_leaves_columns_out_and_breaks_no_line(studies):
    ranked = compare(studies("one", "two"), metric=None, force=False)
    shown = text_of(parts(ranked, lines=9), width=80)
    assert max(map(len, shown.splitlines())) <= 80
    assert "method.temperature=" in shown
