from types import SimpleNamespace

import pytest

from raylt import recipe
from raylt.cluster.capacity import Shape
from raylt.study.workers import group


def wanted(batch_size=64):
    return recipe.parse(
        {
            "data": {"name": "digits"},
            "method": {"name": "simclr"},
            "encoder": "small",
            "optimizer": {"lr": 0.1, "batch_size": batch_size},
            "epochs": 1,
        }
    )


def shape(workers, least):
    return Shape(workers=workers, least=least, cpus=1, gpus=0, placement="pack")


def test_a_group_leaves_when_a_machine_is_about_to_go(monkeypatch):
    from ray import train

    context = SimpleNamespace(get_world_size=lambda: 2, get_world_rank=lambda: 0)
    notices = iter([None, "the machine goes"])
    monkeypatch.setattr(train, "get_context", lambda: context)
    monkeypatch.setattr(train, "get_preemption_info", lambda: next(notices))
    departure = group.Departure(shape(2, 1), counts=(1, 2))
    assert (departure(), departure.reason) == (False, None)
    assert (departure(), departure.reason) == (True, "notice")


def test_a_machine_that_reads_another_recipe_is_named(tmp_path):
    config = {
        "recipe": wanted().model_dump_json(),
        "digest": wanted().digest,
        "folder": str(tmp_path / "trials" / "0"),
        "modules": {},
    }
    assert group.sent_recipe(config) == wanted()
    with pytest.raises(ValueError, match="install one version of raylt everywhere"):
        group.sent_recipe(config | {"digest": wanted(batch_size=32).digest})


def test_the_programs_own_failure_is_told_and_not_that_of_its_partner(tmp_path):
    (tmp_path / "failure-0.txt").write_text("RuntimeError: Connection closed by peer")
    (tmp_path / "failure-1.txt").write_text("ValueError: a wrong batch")
    assert group.cause_of_failure(RuntimeError("both"), tmp_path) == "ValueError: a wrong batch"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "failure",
    [
        "RuntimeError: Connection closed by peer",
        # Ray Train ends what the workers of a lost group wait for.
        "ActorDiedError: The actor died unexpectedly before finishing this task.",
    ],
)
def test_a_worker_whose_partner_died_is_lost_and_may_be_started_again(tmp_path, failure):
    (tmp_path / "failure-0.txt").write_text(failure)
    with pytest.raises(group.WorkerLost, match=failure):
        group.cause_of_failure(RuntimeError("died"), tmp_path)
    with pytest.raises(group.WorkerLost, match="the host is gone"):
        group.cause_of_failure(RuntimeError("the host is gone"), tmp_path)
