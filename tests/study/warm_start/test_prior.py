import statistics

import optuna
import pytest

from raylt.study.record import studies
from raylt.study.search import sampler
from raylt.study.warm_start import origins, prior
from tests.study.search.made import run, searcher
from tests.study.warm_start.made import new, warm

CMAES = "study.sampler={name: cmaes, seed: 3}"
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.mark.parametrize("name", ["tpe", "random", "gp", "nsga2"])
def test_samplers_without_a_place_for_it_get_none(old, tmp_path, name):
    old(tmp_path, trials=30)
    result = warm(tmp_path, f"study.sampler={{name: {name}}}")
    assert (result.prior, result.notices) == ((), ())


def test_cmaes_gets_every_scored_trial_that_fits_by_its_rank(old, tmp_path):
    record = old(tmp_path, trials=30)
    result = warm(tmp_path, CMAES)
    scored = [outcome for outcome in record.outcomes() if outcome.state in ("complete", "stopped")]
    assert len(result.prior) == len(scored)
    assert [entry["rank"] for entry in result.prior] == [
        n / len(scored) for n in range(len(scored))
    ]
    best = record.best().point["method.temperature"]
    assert result.prior[0]["point"]["method.temperature"] == best
    trials = prior.trials(new(tmp_path, CMAES), result.prior)
    # The best accuracy is the largest value.
    assert max(trials, key=lambda trial: trial.value).params["method.temperature"] == best
    assert set(trials[0].params) == {"method.temperature", "method.prune", "optimizer.lr"}


@pytest.mark.parametrize(
    ("overrides", "trials", "message"),
    [
        ((), 9, "there are 8"),
        (
            ("method.random_share={low: 0.0, high: 1.0, when: method.prune > 0.5}",),
            30,
            "cmaes gets no prior, for a leaf has a `when`",
        ),
        (("method.temperature={low: 0.9, high: 1.0}", "study.baseline=published"), 30, "takes 10"),
    ],
)
def test_why_there_is_none_is_said(old, tmp_path, overrides, trials, message):
    old(tmp_path, trials=trials)
    result = warm(tmp_path, CMAES, *overrides)
    assert result.prior == ()
    (notice,) = result.notices
    assert message in notice


def first_draws(folder, name, space, *, known=(), points=()):
    """The record after the baseline, and what is drawn next."""
    record = studies.create(
        folder / "runs" / name,
        space,
        sampler=sampler.sampler(space, begun=0, prior=known),
        queue=(),
        facts={"floor": {}, "fingerprint": "e"},
        warm=points,
    )
    search = searcher(record)
    for number in range(12):
        run(search, f"t{number}", [0.1, 0.1, 0.1, 0.1, 0.1, 0.5])
    return record


def test_the_first_distribution_is_around_the_best_of_before_and_the_study_has_its_own_trials(
    old,
    tmp_path,
):
    old(tmp_path, trials=30)
    space = new(tmp_path, CMAES)
    result = warm(tmp_path, CMAES)
    cold = first_draws(tmp_path, "cold", space)
    heard = first_draws(tmp_path, "told", space, known=prior.trials(space, result.prior))

    def miss(record):
        draws = [outcome.point for outcome in record.outcomes() if outcome.role == "sampled"]
        return statistics.mean(abs(point["method.prune"] - 0.6) for point in draws)

    assert miss(heard) < miss(cold) / 1.5
    for record in (cold, heard):
        assert len(record.study.get_trials()) == 12
        assert {trial.value for trial in record.study.get_trials()} == {0.5}


def test_a_study_that_goes_on_takes_its_prior_from_its_own_record(old, tmp_path):
    source = old(tmp_path, trials=30)
    space, result = new(tmp_path, CMAES), warm(tmp_path, CMAES)
    record = studies.create(
        tmp_path / "runs" / "new",
        space,
        sampler=optuna.samplers.RandomSampler(seed=0),
        queue=(),
        facts={"floor": {}, "fingerprint": "e", origins.FACT: result.fact},
    )
    kept = prior.of(record, space)
    assert [(item.params, item.value) for item in kept] == [
        (item.params, item.value) for item in prior.trials(space, result.prior)
    ]
    assert prior.of(source, source.space) == ()
