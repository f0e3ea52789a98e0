from raylt.study.confirm.runs import open_runs
from tests.study.confirm.made import starts


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
