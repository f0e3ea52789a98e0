import json

import pytest

from raylt import cli, space
from raylt.schema import InputError
from raylt.settings import Settings
from raylt.study.record import distributions, revise, studies
from raylt.study.run import driver
from raylt.study.search import sampler as draws
from raylt.study.search.searcher import TruthfulSearcher
from tests.study import made
from tests.study.drive import toy
from tests.study.search.made import result, run, searcher

CHOICES = "method.prune={choices: [0.9, 0.5]}"
MORE = "method.prune={choices: [0.1, 0.5, 0.9]}"


def reopened(made):
    """The study as a new driver sees it."""
    made.close()
    seen = studies.open_study("toy", made.folder.parent)
    sampler = draws.sampler(seen.space, begun=len(seen.outcomes()))
    seen.close()
    return studies.load(made.folder, sampler=sampler)


def test_more_trials_are_drawn_after_those_that_were(study):
    made = study("study.trials=2")
    for i in range(2):
        run(searcher(made), f"t{i}", [0.5])
    revise.trials(made, "+2")
    assert made.wanted == 4
    search = searcher(made)
    assert [run(search, f"m{i}", [0.5])["number"] for i in range(2)] == [2, 3]
    assert search.suggest("more") == TruthfulSearcher.FINISHED
    revise.trials(made, "9")
    assert made.wanted == 9
    for wrong in ("3", "0", "-1", "many", "+"):
        with pytest.raises(InputError, match="--trials"):
            revise.trials(made, wrong)


@pytest.mark.parametrize("sampler", ["tpe", "gp", "nsga2", "random"])
def test_a_wider_space_keeps_all_trials_in_the_history_of_the_sampler(study, tmp_path, sampler):
    startup = "" if sampler == "random" else "startup: 4, "
    how = (f"study.sampler={{name: {sampler}, {startup}seed: 1}}", "study.trials=12")
    made = study(CHOICES, *how)
    search = searcher(made)
    for i in range(6):
        run(search, f"t{i}", [0.1 * i] * 6)
    before = made.outcomes()
    wide = "method.temperature={low: 0.001, high: 1.0, log: true}"
    space = revise.space(made, toy(tmp_path, MORE, wide, *how))
    assert [change.path for change in space] == ["method.prune", "method.temperature"]

    again = reopened(made)
    assert revise.number(again) == 2
    assert again.outcomes() == before
    for trial in before:
        assert again.frozen(trial.number).params == trial.point
    laws = {
        name: distributions.distribution(leaf)
        for leaf in again.space.leaves
        for name in [leaf.path]
    }
    if sampler in ("tpe", "gp"):
        joint = again.study.sampler.infer_relative_search_space(again.study, again.frozen(0))
        assert joint == laws
    search = searcher(again)
    for i in range(6, 12):
        run(search, f"t{i}", [0.5] * 6)
    assert [trial.number for trial in again.outcomes()] == list(range(12))
    assert json.loads(json.dumps(again.facts["revisions"]))[0]["before"]
    again.close()


def test_a_narrower_space_is_refused_with_the_difference_and_changes_nothing(study, tmp_path):
    made = study()
    text = (made.folder / "space.yaml").read_text()
    with pytest.raises(InputError, match=r"epochs: 6 -> 7 +refused") as refused:
        revise.space(made, toy(tmp_path, "epochs=7", "study.trials=9"))
    assert "study.trials: 6 -> 9\n" in str(refused.value) + "\n"
    assert (made.folder / "space.yaml").read_text() == text
    assert revise.number(reopened(made)) == 1


def test_trials_in_flight_and_queued_ones_go_on_in_the_wider_space(study, tmp_path):
    made = study(CHOICES, "study.points=[{method.temperature: 0.3, method.prune: 0.5}]")
    search = searcher(made)
    search.suggest("flight")
    search.started("flight")
    search.on_trial_result("flight", result(1))
    points = "study.points=[{method.temperature: 0.3, method.prune: 0.5}]"
    revise.space(made, toy(tmp_path, MORE, points))
    again = reopened(made)
    search = searcher(again)
    assert [run(search, name, [0.5])["number"] for name in "ab"] == [0, 1]
    assert again.outcome(1).role == "point"
    again.close()


def test_a_driver_killed_between_the_database_and_the_file_leaves_a_whole_study(
    study, tmp_path, monkeypatch
):
    made = study(CHOICES)
    run(searcher(made), "t", [0.5])
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        revise.space(made, toy(tmp_path, MORE))
    monkeypatch.undo()
    again = reopened(made)
    assert again.space.leaves[1].choices == (0.1, 0.5, 0.9)
    again.close()
    assert not (made.folder / "space.next.yaml").exists()


def test_the_number_of_trials_in_a_wider_space_counts(study, tmp_path):
    made = study()
    revise.space(made, toy(tmp_path, "study.trials=8", "study.budget={cpu_hours: 1}"))
    again = reopened(made)
    assert again.wanted == 8
    assert again.space.study.budget.cpu_hours == 1
    again.close()


def test_trials_that_a_space_names_anew_are_those_of_the_study(study, tmp_path):
    made = study()
    revise.trials(made, "+4")
    revise.space(made, toy(tmp_path, "study.budget={cpu_hours: 1}"))
    again = reopened(made)
    assert again.wanted == 10
    revise.space(again, toy(tmp_path, "study.budget={cpu_hours: 1}", "study.trials=12"))
    assert again.wanted == 12
    again.close()


def test_the_text_of_a_space_says_what_holds_now(tmp_path):
    record = made.study(tmp_path, trials=3, failed=(), stopped=(), tables=False)
    revise.trials(record, "+2")
    record.close()
    moved = record.folder.rename(tmp_path / "moved")
    again = studies.load(moved, sampler=None)
    path = tmp_path / "now.yaml"
    path.write_text(revise.current_text(again))
    now = space.load(path)
    assert (now.study.name, now.study.trials) == ("moved", 5)
    assert now.leaves == again.space.leaves
    assert again.space.study.trials == 3
    again.close()


@pytest.fixture
def resumed(monkeypatch):
    """What the verb hands to the driver."""
    seen = {}

    def resume(name, settings, **options):
        seen.update(options, name=name)
        raise InputError("enough")

    monkeypatch.setattr(driver, "resume", resume)
    return seen


def test_the_verb_hands_on_more_trials_and_a_wider_space(study, tmp_path, resumed):
    made = study()
    runs = ["--runs", str(made.folder.parent)]
    assert cli.run(["resume", "toy", "--trials", "+20", *runs]) == 2
    assert (resumed["trials"], resumed["space"]) == ("+20", None)
    cli.run(["resume", "toy", "study.budget.cpu_hours=3", *runs])
    assert resumed["space"].study.budget.cpu_hours == 3
    assert resumed["space"].digest == made.space.digest
    toy(tmp_path)
    cli.run(["resume", "toy", "-s", str(tmp_path / "space.yaml"), "epochs=7", *runs])
    assert resumed["space"].known["epochs"] == 7


def test_the_difference_of_two_files_is_printed_and_a_refused_one_is_exit_2(
    study, tmp_path, capsys
):
    made = study()
    other = tmp_path / "other.yaml"
    other.write_text(
        made.space.text.replace("epochs: 6", "epochs: 7").replace("lr: 0.1", "lr: 0.2")
    )
    assert cli.run(["space", "diff", str(made.folder / "space.yaml"), str(other)]) == 0
    out = capsys.readouterr().out
    head, _, row, *_ = out.splitlines()
    assert head.split()[:3] == ["key", "before", "after"]
    assert row.split()[:3] == ["epochs", "6", "7"]
    assert head.endswith("resume refuses it, because")
    assert out.count("decides what their results mean") == 1
    made.close()
    runs = ["--runs", str(made.folder.parent), "--data", str(tmp_path)]
    assert cli.run(["resume", "toy", "--space", str(other), *runs]) == 2
    assert "epochs: 6 -> 7" in capsys.readouterr().err


def test_a_study_goes_on_only_where_its_batches_divide_over_the_workers(study, tmp_path):
    made = study()
    made.close()
    settings = Settings(runs=made.folder.parent, data=tmp_path, workers=5, cpus=5)
    with pytest.raises(InputError, match=r"divide evenly over 5 workers, .* but got 128; try 125"):
        driver.resume("toy", settings, retry_failed=False)


def test_failed_trials_can_be_tried_again_under_new_numbers(study):
    made = study("study.trials=2")
    search = TruthfulSearcher(made, [], str)
    for name in "ab":
        search.suggest(name)
        search.started(name)
        search.on_trial_complete(
            name, {"failure": "no"} if name == "a" else {"epoch": 6, "val/accuracy": 1}
        )
    assert revise.retry_failed(made) == 1
    search = TruthfulSearcher(made, [], str)
    assert (search.suggest("c")["number"], search.suggest("d")) == (2, "FINISHED")
    assert made.outcome(2).role == "baseline"
    assert made.outcome(2).digest == made.outcome(0).digest


def test_another_baseline_is_one_more_trial_and_takes_the_place_of_the_first(study, tmp_path):
    made = study(CHOICES, "study.trials=2")
    search = searcher(made)
    for i in range(2):
        run(search, f"t{i}", [0.5] * 6)
    first = made.baseline()
    changes = revise.space(
        made,
        toy(
            tmp_path,
            CHOICES,
            "study.trials=2",
            "study.baseline={source: mine, values: {method.prune: 0.5, method.temperature: 0.3}}",
        ),
    )
    assert {change.path.rpartition("baseline.")[2] for change in changes} == {
        "source",
        "values.method.prune",
        "values.method.temperature",
    }
    assert {change.refusal for change in changes} == {""}
    again = reopened(made)
    assert again.wanted == 3
    assert again.baseline().state == "waiting"
    search = searcher(again)
    run(search, "m", [0.7] * 6)
    assert search.suggest("more") == TruthfulSearcher.FINISHED
    assert again.baseline().number == 2 != first.number
    assert again.baseline().point == {"method.prune": 0.5, "method.temperature": 0.3}
    # Once more changes nothing.
    assert revise.space(again, again.space) == ()
    assert again.wanted == 3
    again.close()


def test_a_study_without_a_baseline_gets_the_published_one_when_it_is_asked_for(study, tmp_path):
    made = study(CHOICES, "study.trials=1")
    run(searcher(made), "t", [0.5] * 6)
    space = studies.spaces.stored(made.folder / "space.yaml", ["study.baseline=published"])
    assert space.baseline_point["method.prune"] == 0.9
    revise.space(made, space)
    assert "the published values of" in made.space.study.baseline.source
    made.close()


def test_one_run_gets_no_more_trials(tmp_path):
    record = made.one_run(tmp_path)
    with pytest.raises(InputError, match=r"--trials must stay 1, .* but got \+1"):
        revise.trials(record, "+1")
    assert record.wanted == 1
