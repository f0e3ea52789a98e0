import pytest

from raylt.study.record import revise, studies
from raylt.study.report import charts, page, status
from raylt.study.search.sampler import sampler
from raylt.study.warm_start import origins
from tests.study.made import FLOOR
from tests.study.search.made import run, searcher
from tests.study.warm_start.made import new, warm


def begun(old, folder, *overrides):
    """A new study with its queue, of which nothing was run yet."""
    old(folder)
    space, result = new(folder, *overrides), warm(folder, *overrides)
    return studies.create(
        folder / "runs" / "new",
        space,
        sampler=sampler(space, begun=0),
        queue=(),
        facts={"floor": FLOOR, "fingerprint": "e" * 16, origins.FACT: result.fact},
        warm=[item.point for item in result.points],
    )


def test_the_record_knows_which_trials_come_from_where(old, tmp_path):
    record = begun(old, tmp_path)
    roles = [trial.role for trial in record.outcomes()]
    assert roles == ["baseline", "warm", "warm", "warm", "warm"]
    result = origins.origins(record)
    assert list(result) == [1, 2, 3, 4]
    for number, entry in result.items():
        assert entry["point"] == record.outcome(number).point
        assert (entry["source"], entry["fingerprint"]) == ("old", "f" * 16)
        assert set(entry["setting"]) >= {"method.temperature", "method.prune"}
    there = ", ".join(str(entry["trial"]) for entry in result.values())
    assert origins.sentences(record) == [
        f"Trials 1-4 come from old (its trials {there}); they were trained again, and only that "
        f"counts here."
    ]
    assert origins.tag(record, record.outcome(1)) == f"old, trial {result[1]['trial']}"
    assert origins.tag(record, record.outcome(0)) is None


def test_the_status_and_the_report_say_it(old, tmp_path):
    record = begun(old, tmp_path)
    search = searcher(record)
    for number in range(3):
        run(search, f"t{number}", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    record.note(origins.FACT, {**record.facts[origins.FACT], "unused": ["nothing comes from x"]})
    state = status.study("new", tmp_path / "runs")
    assert "\nTrials 1-4 come from old (" in "\n".join(map(str, status.study_parts(state)))
    html = page.page(record, charts.of_study(record))
    assert "Trials 1-4 come from old" in html
    for text in (html, "\n".join(map(str, status.study_parts(state)))):
        assert "Nothing comes from x." in text
    assert "f" * 16 in html


def test_a_trial_that_failed_and_runs_again_keeps_its_origin(old, tmp_path):
    record = begun(old, tmp_path)
    search = searcher(record)
    run(search, "t0", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    config = search.suggest("t1")
    search.started("t1")
    search.on_trial_complete("t1", {"failure": "ValueError: luck"})
    assert config["number"] == 1
    assert revise.retry_failed(record) == 1
    result = origins.origins(record)
    assert result[5] == result[1]


def test_a_study_that_began_with_nothing_says_nothing(old, tmp_path):
    record = old(tmp_path)
    assert (origins.origins(record), origins.sentences(record)) == ({}, [])


@pytest.mark.parametrize(
    ("known", "text"),
    [
        ([], ""),
        ([(1, "a", 7)], "Trial 1 comes from a (its trial 7)"),
        ([(1, "a.json", None)], "Trial 1 comes from a.json"),
        (
            [(1, "a", 7), (2, "b.json", None), (3, "a", 2), (4, "a", 5)],
            "Trials 1, 3-4 come from a (its trials 7, 2, 5), trial 2 from b.json",
        ),
    ],
)
def test_trials_are_named_by_their_source(known, text):
    assert origins.sentence(known) == text
