"""Machines that keep what trials leave behind, and those that do not; see also the drills."""

import pytest

from raylt.cluster import connect, facts, sharing
from raylt.schema import EnvironmentError
from tests.cluster.made import node

A, B = node(1, name="a"), node(1, name="b")


@pytest.fixture
def cluster(monkeypatch):
    """Two machines, of which one is behind a folder of its own."""

    class Cluster:
        def __init__(self):
            self.there = [A, B]
            self.own = {}
            self.silent = ()

        def everywhere(self, function, arguments):
            return {item: self.answer(function, item, given) for item, given in arguments.items()}

        def answer(self, function, item, given):
            if item.name in self.silent:
                return "no answer within 60 s"
            if function is not facts.gather:
                return "" if item.name not in self.own else "NO_SUCH_BUCKET"
            folder, *others = given
            return facts.gather(str(self.own.get(item.name, folder)), *others)

    result = Cluster()
    monkeypatch.setattr(connect, "nodes", lambda: tuple(result.there))
    monkeypatch.setattr(sharing, "_on_each", result.everywhere)
    return result


def test_machines_that_share_the_folder_are_taken_and_nothing_stays(cluster, tmp_path):
    assert sharing.require(tmp_path / "runs", None, [A, B]) == [A, B]
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_local_folder_on_two_machines_is_refused_by_the_name_of_the_machine(cluster, tmp_path):
    cluster.own["b"] = tmp_path / "local"
    with pytest.raises(EnvironmentError, match="must be one folder on all 2 machines") as caught:
        sharing.require(tmp_path / "runs", None, [A, B])
    assert "is not on b (No such file or directory" in str(caught.value)
    assert "\n" not in str(caught.value)
    # What another study has left there is not what was written here.
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "driver.txt").write_text("of another driver")
    with pytest.raises(EnvironmentError, match=r"is not on b \(it reads another file there\)"):
        sharing.require(tmp_path / "runs", None, [A, B])


def test_a_machine_that_does_not_answer_is_not_taken_for_one_that_shares(cluster, tmp_path):
    cluster.silent = ("a",)
    with pytest.raises(EnvironmentError, match=r"is not on a \(no answer within 60 s\)"):
        sharing.require(tmp_path, None, [A, B])


def test_a_machine_that_left_meanwhile_is_not_waited_for(cluster, tmp_path):
    cluster.there, cluster.silent = [A], ("b",)
    assert sharing.require(tmp_path, None, [A, B]) == [A]


def test_a_bucket_that_one_machine_cannot_write_is_refused(cluster, tmp_path):
    assert sharing.require(tmp_path, "s3://my-bucket", [A, B]) == [A, B]
    cluster.own["b"] = tmp_path
    with pytest.raises(EnvironmentError, match="able to write the checkpoint bucket") as caught:
        sharing.require(tmp_path, "s3://my-bucket", [A, B])
    assert "on b (NO_SUCH_BUCKET)" in str(caught.value)
    assert "set AWS_ACCESS_KEY_ID" in str(caught.value)
