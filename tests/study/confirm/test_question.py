import re

from raylt.study.confirm import confirm
from raylt.study.confirm.runs import open_runs
from tests.study.confirm.made import options, settings, starts


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


def test_how_much_there_is_to_train_is_said_before_the_first_run(toy, tmp_path, capsys):
    aloud = settings(tmp_path, quiet=False)
    toy.stop_after = 3
    confirm.confirm("toy", aloud, options())
    sentence = r"2 settings with 5 seeds are 10 runs; they take about \S+ one after another, fewer"
    assert re.match(sentence, capsys.readouterr().err)
    toy.stop_after = None
    confirm.confirm("toy", aloud, options(race=False))
    again = r"2 settings with 5 seeds are 10 runs, of which 3 are there; the others take about \S+"
    assert re.match(rf"{again} one after another\n", capsys.readouterr().err)
    confirm.confirm("toy", aloud, options())
    assert "settings with" not in capsys.readouterr().err
