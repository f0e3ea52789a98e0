import json

from raylt import cli
from raylt.trial.cost import cost
from tests.study.cost.made import trial_cost
from tests.study.drive import toy


def test_check_measures_when_asked(tmp_path, capsys, monkeypatch):
    toy(tmp_path)
    monkeypatch.setattr(cost, "measure_apart", lambda *_, **__: trial_cost())
    words = ["check", str(tmp_path / "space.yaml"), "--measure", "--runs", str(tmp_path)]
    assert cli.run([*words, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)["forecast"]
    assert values["trials"] == 6
    assert values["mean"] == 10 + 6 * 6.5
    assert cli.run(words) == 0
    assert "49.0s to its end" in capsys.readouterr().out


def test_options_of_the_measurement_are_refused_without_it(tmp_path, capsys):
    toy(tmp_path)
    assert cli.run(["check", str(tmp_path / "space.yaml"), "--concurrent", "2"]) == 2
    assert "--concurrent does nothing without --measure" in capsys.readouterr().err


def test_a_cluster_is_not_measured_from_here(tmp_path, capsys):
    toy(tmp_path)
    (tmp_path / "profile.yaml").write_text("address: auto\n")
    words = ["--measure", "--cluster", str(tmp_path / "profile.yaml")]
    assert cli.run(["check", str(tmp_path / "space.yaml"), *words]) == 2
    assert "trains on the cluster auto" in capsys.readouterr().err
