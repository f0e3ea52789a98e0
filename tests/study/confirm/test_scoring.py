import pytest

from raylt.study.confirm import scoring
from raylt.study.verdict import confirmation


@pytest.mark.parametrize("toy", ["val/best/accuracy"], indirect=True)
def test_where_the_best_epoch_is_searched_the_verdict_is_by_the_chosen_epoch_on_test(toy):
    confirmed = toy.confirm()
    (candidate,) = confirmed.candidates
    assert confirmed.metric == "test/best/accuracy"
    # 0.2 after the last epoch, and the best one is 0.1 better still.
    assert candidate.verdict.mean == pytest.approx(0.3, abs=0.02)
    assert candidate.promised == pytest.approx(0.3)
    assert candidate.paid.groups["few"].mean == pytest.approx(0.3, abs=0.02)
    text = confirmation.text(confirmed)
    scores = candidate.runs.test.values()
    for name in ("best/accuracy", "accuracy"):
        mean = sum(item[f"test/{name}"] for item in scores) / len(scores)
        assert f"{name} {100 * mean:.1f}" in text
    assert "after the epoch that validation chose" in text


@pytest.mark.parametrize("toy", ["val/best/accuracy"], indirect=True)
def test_nothing_chooses_an_epoch_where_no_images_are_held_out(toy):
    confirmed = toy.confirm(retrain="pool")
    assert confirmed.metric == "test/accuracy"
    assert confirmed.candidates[0].verdict.mean == pytest.approx(0.2, abs=0.02)


def test_a_confirmation_killed_while_the_test_set_is_open_counts_it_once(toy, monkeypatch):
    score = scoring.score

    def killed(now, record, runs, *, opener):
        score(now, record, runs[:3], opener=opener)
        raise KeyboardInterrupt

    monkeypatch.setattr(scoring, "score", killed)
    with pytest.raises(KeyboardInterrupt):
        toy.confirm()
    monkeypatch.setattr(scoring, "score", score)
    confirmed = toy.confirm()
    assert confirmed.openings == 1
    looks = [p.read_text().split() for p in toy.folder.glob("confirm/trials/*/looks.txt")]
    assert looks == [["look"]] * 10


def test_a_run_that_cannot_be_tested_is_told(toy, monkeypatch):
    monkeypatch.setattr(
        scoring, "score", lambda now, record, runs, *, opener: {runs[0].number: "no file"}
    )
    confirmed = toy.confirm()
    assert confirmed.baseline.failures == {"1": "not tested: no file"}
    assert confirmed.candidates[0].verdict.mean is None
