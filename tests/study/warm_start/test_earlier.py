import json

import pytest

from raylt.schema import EnvironmentError, InputError
from raylt.space import load
from raylt.space.file.document import dump
from raylt.study.record import lock
from raylt.study.report import best
from raylt.study.warm_start import earlier
from tests.study.warm_start.made import NEW, new


def read(folder, *overrides):
    return earlier.read(new(folder, *overrides), runs=folder / "runs", url=None)


def test_the_best_trials_are_those_of_the_new_studys_objective(old, tmp_path):
    record = old(tmp_path)
    for metric in ("val/accuracy", "val/few"):
        (result,) = read(tmp_path, f"study.objective={metric}")
        scores = [trial.last[metric] for trial in result.finished]
        assert scores == sorted(scores, reverse=True)
        assert len(result.finished) == sum(
            outcome.state == "complete" for outcome in record.outcomes()
        )
    assert (result.method, result.fingerprint, result.running) == ("sdclr", "f" * 16, False)


def test_a_printed_result_is_a_source_like_its_study(old, tmp_path):
    record = old(tmp_path)
    (tmp_path / "best.json").write_text(json.dumps(best.best(record)))
    (result,) = read(tmp_path, f"study.warm_start=[{tmp_path}/best.json]")
    first = result.finished[0]
    assert (first.number, dict(first.point)) == (record.best().number, dict(record.best().point))
    assert first.last["val/accuracy"] == record.best().last["val/accuracy"]
    assert result.fingerprint == "f" * 16


def test_an_exported_recipe_is_a_source_of_every_value_in_it(old, tmp_path):
    winner = old(tmp_path).best()
    (tmp_path / "recipe.yaml").write_text(dump(winner.recipe))
    (result,) = read(tmp_path, f"study.warm_start=[{tmp_path}/recipe.yaml]")
    (only,) = result.finished
    assert only.point["method.temperature"] == winner.point["method.temperature"]
    assert only.point["optimizer.lr"] == 0.1
    assert result.fingerprint is None


def test_a_file_is_counted_from_the_folder_of_the_space_file(old, tmp_path, monkeypatch):
    winner = old(tmp_path).best()
    (tmp_path / "recipe.yaml").write_text(dump(winner.recipe))
    monkeypatch.chdir("/")
    (tmp_path / "new.yaml").write_text(NEW.replace("[old]", "[recipe.yaml]"))
    space = load(tmp_path / "new.yaml")
    assert space.sources[0].file == tmp_path / "recipe.yaml"
    assert earlier.read(space, runs=tmp_path, url=None)[0].finished


def test_a_study_that_has_moved_is_a_source_by_its_folder(old, tmp_path):
    old(tmp_path).close()
    expected = [trial.point for trial in read(tmp_path)[0].finished]
    (tmp_path / "runs").rename(tmp_path / "moved")
    with pytest.raises(InputError, match="must hold the study 'old'"):
        read(tmp_path)
    (result,) = read(tmp_path, f"study.warm_start=[{tmp_path}/moved/old]")
    assert [trial.point for trial in result.finished] == expected
    with pytest.raises(InputError, match="must hold the study 'moved'"):
        read(tmp_path, f"study.warm_start=[{tmp_path}/moved]")


@pytest.mark.parametrize(
    ("overrides", "changes", "message"),
    [
        (("study.warm_start=[odl]",), {}, r"must hold the study 'odl'.*did you mean 'old'"),
        (("study.warm_start=[lost.json]",), {}, "lost.json: the file must be readable"),
        (("study.warm_start=[bare.json]",), {}, "must be what `raylt best STUDY --json` printed"),
        (
            ("method={name: simclr, temperature: {low: 0.1, high: 1.0}}", "study.baseline=null"),
            {},
            "must be a search of simclr, but old is one of sdclr",
        ),
        ((), {"trials": 3, "failed": (0, 1, 2)}, "must have a finished trial.*3 failed"),
        (("study.objective=val/worst",), {}, "must have been scored by val/worst"),
    ],
)
def test_a_source_that_cannot_be_used_is_refused_in_one_line(
    old, tmp_path, monkeypatch, overrides, changes, message
):
    old(tmp_path, **changes)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bare.json").write_text('{"best": {"point": [1]}}\n')
    with pytest.raises(InputError, match=message) as refused:
        read(tmp_path, *overrides)
    text = str(refused.value)
    assert "study.warm_start.0: " in text
    assert text.startswith(("command line: ", f"{tmp_path}/new.yaml:7: "))
    assert "\n" not in text


def test_a_database_that_is_damaged_is_the_worlds_fault(old, tmp_path):
    old(tmp_path).close()
    (tmp_path / "runs" / "old" / "study.db").write_text("no database")
    with pytest.raises(EnvironmentError, match=r"new.yaml:7: study.warm_start.0: "):
        read(tmp_path)


def test_whether_the_search_of_a_source_runs_is_known(old, tmp_path):
    record = old(tmp_path)
    with lock.locked(record.folder, None):
        (result,) = read(tmp_path)
    assert result.running
    assert result.resume == f"raylt resume old --runs {tmp_path / 'runs'}"
    with lock.locked(record.folder, None, question="ablate"):
        (result,) = read(tmp_path)
    assert not result.running
