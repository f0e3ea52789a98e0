import contextlib
import io
import json

import pytest

from raylt import cli
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


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """What the command prints, and the folder of runs."""
    folder = tmp_path_factory.mktemp("watched")
    space, runs = folder / "space.yaml", folder / "runs"
    study = {"name": "watched", "scheduler": {"name": "none"}}
    space.write_text(json.dumps({"study": study, "recipe": VALUES}))
    command = ["train", "-s", str(space), "--runs", str(runs), "--profile"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert cli.run([*command, "--json"]) == 0
    return json.loads(out.getvalue()), runs, command


def test_every_phase_is_watched_after_a_warm_up(watched):
    printed, runs, _ = watched
    phases = tuple(profile.Phase(**phase) for phase in printed.pop("phases"))
    parsed = profile.Profile(phases=phases, **printed)
    # 351 images in batches of 128; the end of an epoch is a look for a further batch.
    assert {phase.name: phase.calls for phase in phases} == {
        "augmentation": 4,
        "forward": 3,
        "backward": 3,
        "optimizer": 3,
        "evaluation": 1,
        "report": 1,
    }
    assert (parsed.epochs, parsed.steps) == (1, 3)
    assert all(phase.host > 0 and phase.device == 0 for phase in phases)
    trace = runs / "watched.profile.json"
    names = {event.get("name") for event in json.loads(trace.read_text())["traceEvents"]}
    assert {"raylt/augmentation", "raylt/backward"} <= names
    text = profile.text(parsed)
    assert "augmentation" in text
    assert str(trace) in text
    assert "GPU" not in text


def test_the_command_begins_no_study(watched, capsys):
    _, runs, command = watched
    assert [path.name for path in runs.iterdir()] == ["watched.profile.json"]
    assert cli.run([*command, "--workers", "2"]) == 2
    assert "one process" in capsys.readouterr().err
