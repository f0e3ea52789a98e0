import re

from raylt.study.confirm import confirm, question
from raylt.study.confirm.runs import open_runs
from raylt.study.report import charts, page, status
from tests.study.confirm.made import Now, options, settings, starts
from tests.study.report.made import text_of


def test_what_another_question_left_waiting_is_not_trained(toy):
    toy.stop_after = 2
    assert toy.confirm(top=2, seeds=6, race=False).interrupted
    toy.stop_after = None
    assert toy.confirm().candidates[0].verdict.word == "better"
    # Five seeds of the baseline and the winner, and the one run of the other that had begun.
    assert starts(toy.folder) == (11, 11)
    left = open_runs(toy.open()).record
    assert {run.state for run in left.outcomes()} == {"complete"}
    # Asked again, it is queued again.
    assert len(toy.confirm(top=2, seeds=6, race=False).candidates) == 2
    assert starts(toy.folder) == (18, 18)


def test_how_much_there_is_to_train_is_said_before_the_first_run(
    toy, tmp_path, capsys, monkeypatch
):
    aloud = settings(tmp_path, quiet=False)
    toy.stop_after = 3
    confirm.confirm("toy", aloud, options())
    sentence = r"2 settings with 5 seeds are 10 runs; they take about \S+ one after another, fewer"
    assert re.match(sentence, capsys.readouterr().err)
    toy.stop_after = None
    # The runs that are there say more of the others than the trials of the search.
    seconds = {"toy": [9.0]}
    monkeypatch.setattr(
        question, "_seconds", lambda record: seconds.get(record.folder.name, [2.0])
    )
    confirm.confirm("toy", aloud, options(race=False))
    again = (
        r"2 settings with 5 seeds are 10 runs, of which 3 are there; the others take about 14.0s"
    )
    assert re.match(rf"{again} one after another\n", capsys.readouterr().err)
    confirm.confirm("toy", aloud, options())
    assert "settings with" not in capsys.readouterr().err


def test_status_says_how_far_a_confirmation_is_and_that_no_trial_runs(toy, monkeypatch):
    states = []

    def trials(now, record, **told):
        record.open_trial()
        (toy.folder / "driver.lock").write_text("1 elsewhere\nconfirm\n")
        states.append(status.studies(toy.folder.parent)[0])
        now.interrupted = True
        return ""

    left = toy.open()
    left.enqueue({}, role="point")
    left.open_trial()
    left.close()
    monkeypatch.setattr(Now, "trials", trials)
    toy.confirm()
    (state,) = states
    assert state["state"] == "running"
    assert state["states"] == {"complete": 3, "interrupted": 1}
    (asked,) = state["questions"]
    assert (asked["verb"], asked["running"]) == ("confirm", True)
    assert (asked["ended"], asked["wanted"]) == (0, 10)
    table, *_ = status.studies_parts(states, toy.folder.parent)
    assert "confirm: 0 of 10 runs" in text_of([table])
    assert status.question_lines([asked]) == [
        "`raylt confirm` is running: 0 of 10 runs over fresh seeds are there, about 10 are left"
    ]


def test_what_is_not_finished_is_seen_in_the_status_and_the_report_until_it_is(toy):
    toy.stop_after = 3
    toy.confirm(top=2, seeds=6, race=False, words=("--top", "2", "--seeds", "6", "--no-race"))
    (state,) = status.studies(toy.folder.parent)
    (asked,) = state["questions"]
    assert "raylt confirm toy --top 2 --seeds 6 --no-race" in asked["command"]
    sentence = (
        "`raylt confirm` is not finished: 3 of 18 runs over fresh seeds are there, about 15 are "
        f"left; go on with `{asked['command']}`"
    )
    seen = status.study_parts(status.study("toy", toy.folder.parent))
    assert sentence in text_of(seen, width=400)
    listed = text_of(status.studies_parts([state], toy.folder.parent))
    assert "confirm unfinished: 3 of 18 " in listed
    assert f"Go on with: {asked['command']}" in listed
    html = page.page(toy.open(), charts.of_study(toy.open()))
    assert re.sub("</?code>", "`", html).count(f"<p>{sentence}.</p>") == 1
    toy.stop_after = None
    toy.confirm(top=2, seeds=6, race=False)
    assert status.studies(toy.folder.parent)[0]["questions"] == []
