from raylt.space.plan import Study
from raylt.study.record.outcome import Outcome, course, failures, ranked, winner

PLAN = Study.model_validate(
    {
        "name": "toy",
        "trials": 9,
        "baseline": {"source": "a paper", "values": {}},
        "constraints": [{"metric": "val/many", "min": "baseline - 0.1"}],
    }
)


def ended(number, accuracy, *, state="complete", many=0.8, epoch=6, failure=""):
    last = {"epoch": epoch, "val/accuracy": accuracy, "val/many": many} if epoch else {}
    return Outcome(
        number=number,
        state=state,
        role="sampled" if number else "baseline",
        last=last,
        ended=float(number),
        failure=failure,
    )


def test_finished_trials_that_keep_the_constraints_come_first():
    kept, broken = ended(1, 0.6), ended(2, 0.9, many=0.5)
    early, earlier = (
        ended(3, 0.95, state="stopped", epoch=4),
        ended(4, 0.99, state="stopped", epoch=1),
    )
    outcomes = [earlier, early, ended(5, 0, state="failed", epoch=0), broken, kept, ended(0, 0.5)]
    assert [trial.number for trial in ranked(outcomes, PLAN)] == [1, 0, 2, 3, 4, 5]
    assert winner(outcomes, PLAN) is kept
    assert winner([early], PLAN) is None


def test_the_best_so_far_rises_in_the_order_in_which_trials_ended():
    outcomes = [ended(0, 0.5), ended(1, 0.4), ended(2, 0.9, many=0.1), ended(3, 0.7)]
    steps = course([*outcomes[::-1], ended(4, 0.8, state="running")], PLAN)
    assert [step.trial.number for step in steps] == [0, 1, 2, 3]
    assert [step.best for step in steps] == [0.5, 0.5, 0.5, 0.7]
    assert [step.better for step in steps] == [True, False, False, True]


def test_failures_that_differ_in_numbers_alone_are_one_and_the_most_frequent_comes_first():
    outcomes = [
        ended(n, 0, state="failed", epoch=0, failure=failure)
        for n, failure in enumerate(["no disk", "image 7 is missing", "image 12 is missing"])
    ]
    assert failures(outcomes) == [([1, 2], "image 7 is missing"), ([0], "no disk")]


def test_a_trial_at_a_prompt_is_one_short_line():
    assert repr(ended(3, 0.9)) == "<trial 3 (sampled): complete, epoch 6, val/accuracy 0.9>"
    assert repr(ended(3, 0, state="failed", epoch=0)) == "<trial 3 (sampled): failed>"
