import json
from pathlib import Path

import pytest

from raylt import cli
from raylt.cli import exits
from raylt.cluster import submit
from raylt.space import load
from raylt.space.file import document
from raylt.study.run import plan

SPACE = "search_spaces/sdclr.yaml"


@pytest.fixture
def sent(monkeypatch):
    """What a command sends to a cluster, in place of sending it."""
    collected = []

    def run(job, address, *, wait, say):
        collected.append((job, address, wait))
        return 4

    monkeypatch.setattr(submit, "run", run)
    return collected


@pytest.fixture
def searched(monkeypatch):
    """The settings of a search, in place of searching."""
    collected = []

    def stop(space, settings, **_):
        collected.append(settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(plan, "check", stop)
    return collected


def raylt(*words):
    return exits.run(cli.commands, list(words))


def test_a_search_is_sent_as_the_same_command_with_nothing_but_its_files(sent):
    code = raylt(
        "tune",
        SPACE,
        "--trials",
        "7",
        "--address",
        "http://head:8265/",
        "--runs",
        "/shared/runs",
        "--no-wait",
        "--workers",
        "2",
    )
    assert code == 4
    ((job, address, wait),) = sent
    assert (address, wait) == ("http://head:8265", False)
    assert job.words == (
        "tune",
        "--space",
        "space.yaml",
        "--address",
        "auto",
        "--runs",
        "/shared/runs",
        "--data",
        "/shared/data",
        "--workers",
        "2",
    )
    assert job.files.keys() == {"space.yaml"}
    # The overrides of the command line travel inside the file.
    assert "trials: 7" in job.files["space.yaml"]


def test_a_sent_space_is_the_space_that_was_checked(sent, tmp_path):
    from raylt import space

    raylt(
        "tune",
        SPACE,
        "optimizer.lr=0.3",
        "--address",
        "http://h:8265",
        "--runs",
        "/r",
        "--system-metrics",
        "--tracking-optional",
        "--checkpoints",
        "s3://kept/it",
    )
    words = sent[0][0].words
    assert {"--system-metrics", "--tracking-optional"} <= set(words)
    assert words[words.index("--checkpoints") + 1] == "s3://kept/it"
    path = tmp_path / "space.yaml"
    path.write_text(sent[0][0].files["space.yaml"])
    again = space.load(path)
    assert again.digest == space.load(SPACE, ["optimizer.lr=0.3"]).digest


@pytest.mark.parametrize(
    "words",
    [
        ["confirm", "toy"],
        ["confirm", "toy", "--top", "1", "--seeds", "8", "--retrain", "pool", "--no-race"],
        ["ablate", "toy", "--trial", "0", "--test", "--retry-failed", "--budget", "cpu_hours=3"],
        ["ablate", "toy", "--no-path", "--budget", "cpu_hours=3", "--budget", "wall_clock=1h"],
        ["resume", "toy", "--trials", "+20"],
    ],
)
def test_what_was_asked_of_a_verb_is_sent_along(sent, words):
    assert raylt(*words, "--address", "http://head:8265", "--runs", "/shared/runs") == 4
    assert list(sent[0][0].words[: len(words)]) == words


def test_a_profile_travels_too_and_its_folders_are_used(sent, tmp_path):
    profile = tmp_path / "p.yaml"
    profile.write_text("address: http://head:8265\nruns: /nfs/runs\ndata: /nfs/data\n")
    assert raylt("resume", "toy", "--cluster", str(profile), "--retry-failed", "--json") == 4
    job = sent[0][0]
    assert job.again == f"raylt resume toy --cluster {profile}"
    assert json.loads(job.variables["RAYLT_SENDER"])["profile"] == str(profile)
    assert job.files == {"profile.yaml": profile.read_text()}
    assert job.words == (
        "resume",
        "toy",
        "--retry-failed",
        "--json",
        "--address",
        "auto",
        "--runs",
        "/nfs/runs",
        # The environment of the cluster must not overrule what the profile says.
        "--data",
        "/nfs/data",
        "--cluster",
        "profile.yaml",
    )


def test_what_goes_on_after_a_lost_job_is_the_command_or_resume(sent, capsys):
    where = ("--address", "http://h:8265", "--runs", "/r")
    for words in (
        ("confirm", "toy", "--top", "2"),
        ("tune", SPACE),
        ("resume", "toy", "-n", "+2"),
    ):
        raylt(*words, *where)
    options = "--address http://h:8265 --runs /r"
    assert [job.again for job, _, _ in sent] == [
        f"raylt confirm toy --top 2 {options}",
        f"raylt resume sdclr-digits {options}",
        f"raylt resume toy {options}",
    ]
    assert capsys.readouterr().err.count("/r is not here") == 3


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["--address", "http://h:8265"], "absolute path of the cluster"),
        (["--address", "http://h:8265", "--runs", "/r", "--data", "d"], "--data"),
        (["--address", "ray://h:10001"], "Ray Client"),
        (["--address", "h"], "HOST:6379"),
        (["--cluster", "none.yaml"], "none.yaml"),
    ],
)
def test_what_cannot_be_sent_is_the_users_input(sent, capsys, words, printed):
    assert raylt("tune", SPACE, *words) == 2
    assert printed in capsys.readouterr().err
    assert not sent


def test_no_password_goes_into_a_command_that_the_dashboard_shows(sent, capsys):
    uri = "http://me:canary@mlflow:5000"
    words = ["--address", "http://h:8265", "--runs", "/r", "--tracking-uri", uri]
    assert raylt("tune", SPACE, *words) == 2
    assert "canary" not in capsys.readouterr().err
    assert not sent


def earlier(folder, source):
    (folder / "kept").mkdir()
    (folder / "kept" / "best.json").write_text(
        '{"best": {"recipe": {"method": {"name": "sdclr"}}}}'
    )
    text = Path(SPACE).read_text().replace("study:\n", f"study:\n  warm_start: [{source}]\n", 1)
    (folder / "mine.yaml").write_text(text)
    return ["tune", str(folder / "mine.yaml"), "--address", "http://h:8265", "--runs", "/r"]


def test_the_files_of_a_warm_start_travel_under_the_names_that_the_space_has(sent, tmp_path):
    assert raylt(*earlier(tmp_path, "old, kept/best.json, /shared/best.json")) == 4
    files = sent[0][0].files
    assert files.keys() == {"space.yaml", "kept/best.json"}
    there = tmp_path / "there"
    there.mkdir()
    submit.pack(sent[0][0], there)
    space = load(there / "space.yaml")
    assert [source.file for source in space.sources] == [
        None,
        there / "kept/best.json",
        Path("/shared/best.json"),
    ]
    here, packed = (document.read(at / "kept/best.json") for at in (tmp_path, there))
    assert packed.values == here.values


def test_what_is_shipped_is_taken_as_it_is(sent, tmp_path):
    words = earlier(tmp_path, "kept/best.json")
    assert raylt(*words, "--ship", str(tmp_path / "kept")) == 4
    assert sent[0][0].files.keys() == {"space.yaml"}


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        ("../best.json", "absolute path of the cluster"),
        ("space.yaml", "and not be called space.yaml"),
        ("./kept", "must be a file"),
        ("kept/none.json", "it does not exist"),
    ],
)
def test_a_file_of_a_warm_start_that_cannot_travel_is_one_line(
    sent, capsys, tmp_path, source, remedy
):
    assert raylt(*earlier(tmp_path, source)) == 2
    printed = capsys.readouterr().err
    assert "mine.yaml:6: study.warm_start.0: " in printed
    assert remedy in printed
    assert printed.count("\n") == 1
    assert not sent


def test_a_study_that_goes_on_needs_no_file_of_its_warm_start(sent, tmp_path):
    _, file, *where = earlier(tmp_path, "kept/none.json")
    assert raylt("resume", "toy", "--space", file, *where) == 4
    assert sent[0][0].files.keys() == {"space.yaml"}


def test_the_environment_stays_here(sent, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "canary")
    raylt("tune", SPACE, "--address", "http://h:8265", "--runs", "/r")
    assert "canary" not in repr(sent)


def test_the_command_line_comes_before_the_profile_and_the_profile_before_the_defaults(
    searched, tmp_path
):
    profile = tmp_path / "p.yaml"
    profile.write_text(
        f"trial: {{workers: 2, cpus_per_worker: 3, gpus_per_worker: 0, placement: spread}}\n"
        f"runs: {tmp_path}/there\nretries: 5\nconcurrent: 4\nwait: 1.5\naddress: auto\n"
        f"tracking_optional: true\nsystem_metrics: true\n"
    )
    raylt("tune", SPACE, "--cluster", str(profile))
    raylt(
        "tune",
        SPACE,
        "--cluster",
        str(profile),
        "--runs",
        f"{tmp_path}/here",
        "--concurrent",
        "1",
        "--workers",
        "4",
        "--address",
        "local",
    )
    raylt("tune", SPACE)
    first, two, three = searched
    assert (first.workers, first.cpus_per_worker, first.gpus_per_worker) == (2, 3, 0)
    assert (first.placement, first.retries, first.concurrent, first.wait) == ("spread", 5, 4, 1.5)
    assert (first.address, str(first.runs)) == ("auto", f"{tmp_path}/there")
    assert (first.tracking_optional, first.system_metrics) == (True, True)
    assert (two.workers, two.concurrent, two.address) == (4, 1, None)
    assert str(two.runs) == f"{tmp_path}/here"
    assert (three.tracking_optional, three.system_metrics) == (False, False)
    assert (three.workers, three.gpus_per_worker, str(three.runs)) == (1, None, "runs")


def test_the_doctor_prints_findings_and_exits_by_the_worst(tmp_path, capsys):
    assert raylt("doctor", "--runs", str(tmp_path / "r"), "--json") == 0
    findings = json.loads(capsys.readouterr().out)
    assert {"check", "where", "state", "found", "remedy"} == findings[0].keys()
    profile = tmp_path / "p.yaml"
    profile.write_text("trial: {workers: 4096}")
    assert raylt("doctor", "--runs", str(tmp_path / "r"), "--cluster", str(profile)) == 3
    assert "-> lower workers" in capsys.readouterr().out


def test_a_doctor_is_sent_to_the_cluster_as_well(sent):
    assert raylt("doctor", "--address", "http://h:8265", "--runs", "/r") == 4
    # Nothing but options that the verb has.
    assert sent[0][0].words == ("doctor", "--address", "auto", "--runs", "/r")


@pytest.mark.parametrize("uri", ["gs://bucket/p", "s3://", "s3://me:canary@bucket/p", "/shared"])
def test_what_is_no_bucket_is_refused_at_once_and_nothing_begins(uri, searched, tmp_path, capsys):
    code = raylt("tune", SPACE, "--runs", str(tmp_path / "runs"), "--checkpoints", uri)
    assert (code, searched) == (2, [])
    printed = capsys.readouterr().err
    assert printed.startswith("error: ")
    assert "--checkpoints" in printed
    assert printed.count("\n") == 1
    assert "canary" not in printed
    assert not (tmp_path / "runs").exists()


def test_a_bucket_comes_from_the_command_line_before_the_profile(searched, tmp_path):
    profile = tmp_path / "p.yaml"
    profile.write_text("checkpoints: s3://theirs/p\n")
    raylt("tune", SPACE, "--cluster", str(profile))
    raylt("tune", SPACE, "--cluster", str(profile), "--checkpoints", "s3://ours/p")
    assert [item.checkpoints for item in searched] == ["s3://theirs/p", "s3://ours/p"]
