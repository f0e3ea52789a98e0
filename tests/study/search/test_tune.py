"""What is made of the things that only Ray Tune knows."""

import types

import pytest
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.search import Searcher

from raylt.cluster import ray_compat
from raylt.schema import EnvironmentError
from raylt.study.resources.allocation import Allocation
from raylt.study.search import tune
from raylt.study.search.trials import OUT_OF_MEMORY
from tests.cluster.made import node, shape

MONITOR = """ray.exceptions.RayTaskError: ray::ImplicitFunc.train()
ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.
Memory on the node (IP: 10.0.0.1) where the task was running was 30.0GB / 31.0GB (0.97)."""
KILLED = """The actor died unexpectedly before finishing this task.
Worker exit detail: Worker unexpectedly exits with a connection error code 2. End of file."""


def test_the_memory_monitors_word_is_told_from_other_deaths():
    assert tune.why_dead(MONITOR) == OUT_OF_MEMORY
    told = tune.why_dead(KILLED)
    assert told == (
        "the trial's process died: Worker unexpectedly exits with a connection error code 2"
    )


def told(exception):
    """What Tune's own manager of processes makes of an error, where it makes anything of it."""
    heard = []
    actor = types.SimpleNamespace(actor_id=1, _on_error=lambda _, error: heard.append(error))
    manager = types.SimpleNamespace(_failed_actor_ids=set(), _cleanup_actor=lambda **_: None)
    task = types.SimpleNamespace(_tracked_actor=actor, _on_error=None)
    # By name, as Ray does it.
    RayActorManager._actor_task_failed(manager, tracked_actor_task=task, exception=exception)
    return heard


def test_a_process_that_the_memory_monitor_killed_does_not_end_the_search():
    killed = OutOfMemoryError(MONITOR)
    with ray_compat.out_of_memory_is_a_death():
        (error,) = told(killed)
    assert isinstance(error, RayActorError)
    assert tune.why_dead(str(error)) == OUT_OF_MEMORY
    # Once Ray takes it for a death itself, there is nothing left to be done here.
    with pytest.raises(RuntimeError, match="Caught unexpected exception"):
        told(killed)


@pytest.mark.parametrize(
    ("machine", "booked", "beside", "alone"),
    [
        (node(4, 1), shape(cpus=2, gpus=0.5), {"CPU": 2, "GPU": 0.5}, {"CPU": 2, "GPU": 1}),
        (node(4), shape(memory=2.0**30), {"CPU": 1, "memory": 2**30}, {"CPU": 4}),
        (node(4, 2), shape(gpus=1), {"CPU": 1, "GPU": 1}, {"CPU": 1, "GPU": 1}),
    ],
)
def test_what_a_trial_books_beside_others_and_alone(machine, booked, beside, alone):
    share = Allocation(shape=booked, concurrent=2, machines=(machine,))
    assert tune.bundles(share, {"alone": False}).bundles == [beside]
    assert tune.bundles(share, {"alone": True}).bundles == [alone]


def test_what_the_study_s_files_refuse_is_remembered_whatever_tune_makes_of_it():
    class Full(Searcher):
        def suggest(self, trial_id):
            return {"number": 0}

        def on_trial_result(self, trial_id, result):
            raise EnvironmentError("no space is left")

        def on_trial_complete(self, trial_id, result=None, error=False):
            raise EnvironmentError("still none")

    limited = tune.Limited(Full(), lambda: 1)
    assert limited.suggest("a")
    assert limited.trouble is None
    limited.on_trial_result("a", {})
    with pytest.raises(EnvironmentError, match="no space is left"):
        limited.deliver()
    with pytest.raises(EnvironmentError, match="still none"):
        limited.on_trial_complete("a")
    assert str(limited.trouble) == "no space is left"
