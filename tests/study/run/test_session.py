"""What a session adds to what goes wrong in it, without Ray."""

import types

import pytest

from raylt.cluster import ray_compat
from raylt.schema import EnvironmentError
from raylt.study.record.listener import Listener
from raylt.study.run import session
from raylt.study.run.interrupt import Interruption
from raylt.study.run.progress import Progress
from raylt.study.search import tune
from tests.study import drive

RESUME = "raylt resume toy --runs elsewhere"


@pytest.fixture
def tracked(tmp_path, monkeypatch):
    """A session whose machines raise what a test says."""
    for name in ("own_processes", "joined_raylet", "joined_head"):
        monkeypatch.setattr(ray_compat, name, dict)
    left = []
    tracker = types.SimpleNamespace(
        resume_command=RESUME,
        start=lambda: None,
        leave=lambda: left.append("left"),
        close=lambda interrupted: (),
    )

    def run(error):
        def refuse(*_):
            raise error

        monkeypatch.setattr(session, "_allocated", refuse)
        study = types.SimpleNamespace(url=None)
        with session.tracked(drive.settings(tmp_path), tracker, study, [], hold=None):
            pass

    return run, left


@pytest.mark.parametrize(
    "error",
    [EnvironmentError("run `pip install timm`"), OSError(28, "No space left on device")],
)
def test_what_ends_a_search_is_told_with_the_command_that_goes_on(tracked, error):
    with pytest.raises(type(error)) as caught:
        tracked[0](error)
    assert caught.value.__notes__ == [f"then go on with `{RESUME}`"]


def test_an_error_that_names_the_command_that_goes_on_keeps_its_own(tracked):
    text = "moved; go on there with `raylt resume toy --runs there`"
    with pytest.raises(EnvironmentError) as caught:
        tracked[0](EnvironmentError(text, names_command=True))
    assert not hasattr(caught.value, "__notes__")


def test_whoever_presses_ctrl_c_twice_is_told_how_to_go_on(tracked):
    run, left = tracked
    with pytest.raises(KeyboardInterrupt, match=f"what was scored is saved: `{RESUME}`"):
        run(KeyboardInterrupt())
    assert left == ["left"]


def test_what_is_trained_in_parts_has_one_clock(study, tmp_path, monkeypatch):
    starts = []

    def train(*_, listeners, **__):
        starts.extend(seen.start for seen in listeners if isinstance(seen, Progress))
        return ""

    monkeypatch.setattr(tune, "run", train)
    running = session.Session(
        settings=drive.settings(tmp_path),
        tracker=Listener(),
        interruption=Interruption(print),
        hold=None,
        guard=types.SimpleNamespace(look=lambda: False),
        allocation=types.SimpleNamespace(shape=None, concurrent=1),
    )
    for _ in range(2):
        running.trials(study())
    first, second = starts
    assert first == second
