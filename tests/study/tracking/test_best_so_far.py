from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from raylt.space.plan import Study
from raylt.study.record.outcome import Outcome, improvements
from raylt.study.tracking.best_so_far import BestSoFar

PLAN = Study.model_validate(
    {
        "name": "toy",
        "trials": 9,
        "baseline": {"source": "a paper", "values": {}},
        "constraints": [{"metric": "val/many", "min": "baseline - 0.1"}],
    }
)
METRICS = st.fixed_dictionaries({"val/accuracy": st.floats(0, 1), "val/many": st.floats(0, 1)})
ENDS = st.tuples(st.sampled_from(["complete", "stopped", "failed"]), METRICS)


def record(outcomes):
    """What a study looks like when some of its trials have ended."""
    return SimpleNamespace(
        count=len(outcomes), outcome=lambda n: outcomes[n], space=SimpleNamespace(study=PLAN)
    )


def running(number):
    role = "draw" if number else "baseline"
    return Outcome(number=number, state="running", role=role, recipe={"seed": 0})


def ended(number, at, end):
    state, metrics = end
    role = "draw" if number else "baseline"
    return Outcome(
        number=number, state=state, role=role, recipe={"seed": 0}, last=metrics, ended=float(at)
    )


@given(st.lists(ENDS, min_size=1, max_size=8), st.randoms(), st.sets(st.integers(1, 8)))
def test_trials_told_in_parts_improve_like_all_of_them_at_once(ends, rng, cuts):
    # The baseline ends first, for what others are compared with does not change then.
    order = [0, *rng.sample(range(1, len(ends)), len(ends) - 1)]
    outcomes = [running(number) for number in range(len(ends))]
    best = BestSoFar(record(outcomes))
    steps = []
    for at, number in enumerate(order, 1):
        outcomes[number] = ended(number, at, ends[number])
        if at in cuts or at == len(order):
            fresh = best.steps()
            assert fresh == best.steps()  # what is not told yet is said again
            best.advance(fresh)
            steps += fresh
    assert [step.number for step in steps] == list(range(1, len(ends) + 1))
    assert [step.trial.number for step in steps] == order
    whole = improvements(outcomes, PLAN)
    assert {step.trial.number: step.best for step in steps if step.better} == whole
    assert {trial.number for trial in outcomes if best.was_best(trial)} == set(whole)
    assert best.steps() == ()


def test_a_trial_for_which_no_point_was_left_is_no_step():
    discarded = Outcome(number=1, state="failed", role="draw", ended=1.0)
    waits = Outcome(number=0, state="waiting", role="draw")
    assert BestSoFar(record([waits, discarded])).steps() == ()
