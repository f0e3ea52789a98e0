import dataclasses

import pytest

from raylt import scratch
from raylt.cluster import doctor, facts
from raylt.cluster.capacity import Node
from raylt.cluster.doctor import Survey, judge, worst
from raylt.settings import Settings

GIB = 2**30


def node(name="a", gpus=0.0, address="10.0.0.1"):
    return Node(id=name, name=name, address=address, cpus=4, gpus=gpus)


@pytest.fixture
def healthy(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    return facts.Facts(
        host="a",
        versions={"python": "3.11.7", "ray": "2.60.0"},
        time=100.0,
        shm=8 * GIB,
        disk=100 * GIB,
        driver="",
        addresses={"10.0.0.1": "eth0"},
        read="word",
        wrote="a.txt",
        trouble="",
        tracker="",
    )


def look(folder, here, answers, bucket=None):
    return Survey(
        here=here,
        answers=answers,
        began=99.0,
        ended=101.0,
        folder=folder,
        word="word",
        bucket=bucket or {},
    )


def test_a_healthy_machine_has_nothing_against_it(tmp_path, healthy):
    findings = tuple(judge(look(tmp_path, healthy, {node(): healthy})))
    assert worst(findings) == "ok"
    assert not any(finding.remedy for finding in findings)
    assert len(findings) == 8


@pytest.mark.parametrize(
    ("change", "check", "state"),
    [
        ({"versions": {"python": "3.11.8", "ray": "2.60.0"}}, "versions", "error"),
        ({"read": "another"}, "storage", "error"),
        ({"trouble": "No such file: /shared"}, "storage", "error"),
        ({"wrote": "b.txt"}, "storage", "error"),
        ({"disk": 5 * GIB}, "disk", "warning"),
        ({"disk": GIB // 2}, "disk", "error"),
        ({"disk": -1}, "disk", "error"),
        ({"shm": 64 * 2**20}, "/dev/shm", "warning"),
        ({"time": 90.0}, "clock", "warning"),
        ({"time": 110.0}, "clock", "warning"),
        ({"addresses": {"127.0.0.1": "lo"}}, "network", "warning"),
        ({"tracker": "Connection refused"}, "MLflow", "warning"),
        ({"driver": "550.1"}, "GPU", "warning"),
    ],
)
def test_each_fault_is_found_with_a_remedy(tmp_path, healthy, change, check, state):
    sick = dataclasses.replace(healthy, **change)
    findings = judge(look(tmp_path, healthy, {node(): sick}))
    bad = [finding for finding in findings if finding.state != "ok"]
    assert [(finding.check, finding.state) for finding in bad] == [(check, state)]
    assert bad[0].remedy


@pytest.mark.parametrize("change", [{"read": "another"}, {"trouble": "No such file", "disk": -1}])
def test_a_bucket_stands_in_for_the_shared_folder(tmp_path, healthy, change):
    apart = dataclasses.replace(healthy, **change)
    result = tuple(judge(look(tmp_path, healthy, {node(): apart}, {node(): ""})))
    assert worst(result) == "warning"
    (bucket,) = (finding for finding in result if finding.check == "bucket")
    assert (bucket.state, bucket.remedy) == ("ok", "")
    result = judge(look(tmp_path, healthy, {node(): healthy}, {node(): "NO_SUCH_BUCKET"}))
    bad = [finding for finding in result if finding.state != "ok"]
    assert [(finding.check, finding.state) for finding in bad] == [("bucket", "error")]
    assert "AWS_ACCESS_KEY_ID" in bad[0].remedy


def test_clocks_within_the_time_of_asking_are_no_fault(tmp_path, healthy):
    late = dataclasses.replace(healthy, time=105.0)
    findings = {f.check: f for f in judge(look(tmp_path, healthy, {node(): late}))}
    assert findings["clock"].state == "ok"


def test_gpus_without_a_driver_and_two_drivers_are_found(tmp_path, healthy):
    findings = {f.check: f for f in judge(look(tmp_path, healthy, {node(gpus=1): healthy}))}
    assert findings["GPU"].state == "error"
    first = dataclasses.replace(healthy, driver="550.1")
    second = dataclasses.replace(healthy, driver="535.2")
    answers = {node("a", 1): first, node("b", 1): second}
    states = [f.state for f in judge(look(tmp_path, healthy, answers)) if f.check == "GPU"]
    assert states == ["warning", "warning"]


def test_a_machine_that_does_not_answer_is_an_error(tmp_path, healthy):
    findings = tuple(judge(look(tmp_path, healthy, {node(): "no answer within 60 s"})))
    assert [(f.check, f.state) for f in findings] == [("answer", "error")]


def test_this_machine_by_itself_needs_no_cluster(tmp_path):
    findings = doctor.examine(Settings(runs=tmp_path / "runs"), cores=2)
    checks = {finding.check: finding for finding in findings}
    assert checks["storage"].state == "ok"
    assert checks["trials"].found.startswith("2 trials at a time")
    # Nothing of the probe stays behind.
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_dead_tracker_and_no_room_are_told(tmp_path):
    findings = doctor.examine(
        Settings(runs=tmp_path, tracking_uri="http://127.0.0.1:9", workers=3), cores=2
    )
    bad = {finding.check: finding.state for finding in findings if finding.state != "ok"}
    assert bad["MLflow"] == "warning"
    assert bad["trials"] == "error"


def test_a_cluster_that_is_not_there_is_one_finding_with_its_remedy(tmp_path):
    (finding,) = doctor.examine(Settings(runs=tmp_path, address="127.0.0.1:9"), cores=2)
    assert (finding.check, finding.state) == ("reach", "error")
    assert "ray start --head" in finding.remedy


def test_a_bucket_that_does_not_answer_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    uri = "s3://bucket/raylt?endpoint_override=127.0.0.1:9&scheme=http"
    findings = doctor.examine(Settings(runs=tmp_path, checkpoints=uri), cores=2)
    bad = {finding.check: finding.state for finding in findings if finding.state != "ok"}
    assert bad["bucket"] == "error"


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    findings = doctor.examine(Settings(runs=tmp_path / "file"), cores=2)
    assert worst(findings) == "error"
    assert "writable" in findings[-1].found


def test_a_folder_of_temporary_files_that_is_too_long_for_sockets_is_told(tmp_path, monkeypatch):
    long = tmp_path / ("x" * 84)
    long.mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(long))
    result = doctor.socket_folder()
    assert (result.state, result.where) == ("ok", "this machine")
    assert f"since {long} is too long or cannot be written" in result.found
    monkeypatch.setattr(scratch, "candidates", lambda: [str(long)])
    result = doctor.socket_folder()
    assert result.state == "error"
    assert f"{long} has" in result.found
    assert "RAY_TMPDIR=/tmp" in result.remedy
