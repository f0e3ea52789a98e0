import json

from raylt import cli, recipe
from raylt.trial.cost import profile

VALUES = {
    "data": {"name": "digits"},
    "method": {"name": "sdclr"},
    "encoder": "small",
    "size": 8,
    "optimizer": {"lr": 0.1, "batch_size": 128},
    "evaluation": {"every": 9},
    "epochs": 1,
}


def test_every_phase_is_watched_after_a_warm_up(tmp_path):
    trace = tmp_path / "deep" / "trace.json"
    parsed = profile.profile(
        recipe.parse(VALUES), root=tmp_path, trace=trace, epochs=2, device="cpu"
    )
    calls = {phase.name: phase.calls for phase in parsed.phases}
    # 351 images in batches of 128; the end of an epoch is a look for a further batch.
    assert calls == {
        "augmentation": 8,
        "forward": 6,
        "backward": 6,
        "optimizer": 6,
        "evaluation": 2,
        "report": 2,
    }
    assert (parsed.epochs, parsed.steps) == (2, 6)
    assert all(phase.host > 0 and phase.device == 0 for phase in parsed.phases)
    names = {event.get("name") for event in json.loads(trace.read_text())["traceEvents"]}
    assert {"raylt/augmentation", "raylt/backward"} <= names
    text = profile.text(parsed)
    assert "augmentation" in text
    assert str(trace) in text
    assert "GPU" not in text


def test_the_command_begins_no_study(tmp_path, capsys):
    space = tmp_path / "space.yaml"
    study = {"name": "watched", "scheduler": {"name": "none"}}
    space.write_text(json.dumps({"study": study, "recipe": VALUES}))
    runs = tmp_path / "runs"
    command = ["train", "-s", str(space), "--runs", str(runs), "--profile"]
    assert cli.run([*command, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["trace"] == str(runs / "watched.profile.json")
    assert [path.name for path in runs.iterdir()] == ["watched.profile.json"]
    assert cli.run([*command, "--workers", "2"]) == 2
    assert "one process" in capsys.readouterr().err
