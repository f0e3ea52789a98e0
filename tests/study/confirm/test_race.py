import contextlib

from raylt.study.confirm import candidates, question, race
from raylt.study.verdict import confirmation
from tests.study.confirm.made import Now, options, settings, starts


def test_a_hopeless_candidate_leaves_the_race_and_the_others_are_judged_as_strictly(toy):
    confirmed = toy.confirm(top=2, seeds=6)
    good, bad = confirmed.candidates
    assert (bad.runs.trial, bad.dropped, bad.verdict.word) == (2, 3, "not shown")
    assert (bad.runs.test, bad.paid, bad.verdict.p) == ({}, None, 1)
    assert starts(toy.folder) == (15, 15)
    # Two candidates: twice the p-value, as if the other had run to its end.
    assert good.verdict.p_holm == 2 / 64
    assert "left the race after 3 seeds" in confirmation.text(confirmed)


def test_without_a_race_everybody_runs_to_the_end(toy):
    confirmed = toy.confirm(top=2, seeds=6, race=False)
    assert [candidate.dropped for candidate in confirmed.candidates] == [None, None]
    assert [candidate.verdict.word for candidate in confirmed.candidates] == ["better", "worse"]
    assert starts(toy.folder) == (18, 18)
    # A race after that has nothing to save: nobody leaves it, and the test set stays shut.
    assert toy.confirm(top=2, seeds=6) == confirmed


def test_who_left_the_race_stays_out_of_the_test_set_when_another_question_trained_it(toy):
    raced = toy.confirm(top=2, seeds=6)
    with contextlib.closing(toy.open()) as study:
        _, chosen = candidates.choose(study, options(top=2, seeds=6))
        with question.seed_runs(study, validated=True) as runs:
            runs.queue((chosen[1], seed) for seed in raced.seeds)
            Now(settings(toy.folder.parents[1])).trials(runs.record)
    assert toy.confirm(top=2, seeds=6).candidates[1].dropped == 3
    assert toy.confirm(top=2, seeds=6).openings == 1


def test_the_test_set_stays_shut_if_nobody_is_left(toy, monkeypatch):
    monkeypatch.setattr(race, "hopeless", lambda differences: True)
    confirmed = toy.confirm()
    assert confirmed.openings == 0
    assert not list(toy.folder.glob("confirm/trials/*/test.json"))
    assert "Test set never opened" in confirmation.text(confirmed)


def test_the_user_is_told_from_the_start_how_many_runs_there_may_be(toy, monkeypatch):
    text = []
    trials = Now.trials

    def heard(self, record, *, shown=0, **others):
        text.append((record.wanted, shown))
        return trials(self, record, shown=shown, **others)

    monkeypatch.setattr(Now, "trials", heard)
    toy.confirm(top=2, seeds=6)
    # One of the two leaves the race after three seeds, which saves three runs.
    assert text == [(9, 18), (15, 15)]
    # What another question had trained is none of this one.
    toy.confirm(top=1, seeds=7)
    assert text[2:] == [(17, 14)]
