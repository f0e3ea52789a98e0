"""A team's MLflow as in clusters/mlflow: PostgreSQL, users, the artifact proxy, a crowd.

Two servers of it stand behind one address, as replicas do.
"""

import contextlib
import functools
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from raylt import recipe as recipes
from raylt.study.record import studies
from raylt.study.resources import environment
from raylt.study.search import sampler
from raylt.study.search.searcher import TruthfulSearcher
from raylt.study.tracking import artifacts
from raylt.study.tracking import tracker as tracking
from raylt.study.tracking.tracker import Tracker
from tests.study import drive, server
from tests.study.fake import metrics
from tests.study.run import blows

pytestmark = [
    pytest.mark.slow,
    # MLflow's own server, which its client of users imports.
    pytest.mark.filterwarnings("ignore:starlette.middleware.wsgi is deprecated"),
]
SERVE = Path(__file__).parents[2] / "clusters/mlflow/serve.sh"
WRITERS, EPOCHS = 16, 20
DATABASE_PASSWORD, ADMIN = "word-of-postgres", "word-of-admin-1"
ADA, EVE = "word-of-ada-12", "word-of-eve-12"


def programs():
    """The folder of PostgreSQL's programs, which Debian keeps off the path."""
    files = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not files:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    if os.geteuid() != 0:
        pytest.skip("PostgreSQL must be started as its own user, which takes root")
    return files[-1].parent


@pytest.fixture(scope="module")
def postgres():
    """PostgreSQL of its own on a socket; the environment and the URI of its databases."""
    bin = programs()
    folder = Path(tempfile.mkdtemp(prefix="raylt-pg-"))
    port = server.free_port()

    def as_postgres(program, *words):
        command = ["runuser", "-u", "postgres", "--", str(bin / program), *words]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    (folder / "password").write_text(DATABASE_PASSWORD)
    (folder / "pgpass").write_text(f"*:{port}:*:mlflow:{DATABASE_PASSWORD}\n")
    (folder / "pgpass").chmod(0o600)
    for path in (folder, folder / "password"):
        shutil.chown(path, "postgres")
    cluster = ("-D", str(folder / "data"))
    as_postgres(
        "initdb",
        *cluster,
        "-U",
        "mlflow",
        "-A",
        "scram-sha-256",
        "--no-sync",
        "--pwfile",
        str(folder / "password"),
    )
    options = f"-p {port} -k {folder} -c listen_addresses='' -c fsync=off"
    as_postgres("pg_ctl", *cluster, "-w", "-l", str(folder / "log"), "-o", options, "start")
    environment = {"PGPASSFILE": str(folder / "pgpass")}
    try:
        for name in ("mlflow", "mlflow_users"):
            words = ["-h", str(folder), "-p", str(port), "-U", "mlflow", name]
            subprocess.run([bin / "createdb", *words], env=environment, check=True, timeout=60)
        yield environment, f"postgresql+psycopg2://mlflow@/{{}}?host={folder}&port={port}"
    finally:
        as_postgres("pg_ctl", *cluster, "-m", "immediate", "stop")
        shutil.rmtree(folder)


@dataclass(frozen=True)
class Team:
    """Two servers of the recipe over one database and one folder of files."""

    address: str
    """In front of both."""
    replicas: tuple[str, ...]


@pytest.fixture(scope="module")
def team(postgres, tmp_path_factory):
    """The servers, with the users ada and eve."""
    variables, database = postgres
    folder = tmp_path_factory.mktemp("team")
    variables = {
        **variables,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DATABASE": database.format("mlflow"),
        "USERS": database.format("mlflow_users"),
        "ARTIFACTS": str(folder / "files"),
        "NAME": "mlflow.internal",
        "WORKERS": "1",
        "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "0" * 64,
    }
    with contextlib.ExitStack() as stack:
        ports = []
        # One after the other: the first makes the tables.
        for name in ("one", "two"):
            ports.append(port := server.free_port())
            stack.enter_context(
                server.running(
                    ["bash", str(SERVE)],
                    port=port,
                    log=folder / f"{name}.log",
                    env={**variables, "PORT": str(port)},
                )
            )
        front = stack.enter_context(server.balanced(ports))
        uri, *replicas = (f"http://127.0.0.1:{port}" for port in (front, *ports))
        with pytest.MonkeyPatch.context() as patch:
            be(patch, "admin", ADMIN)
            environment.prepare_mlflow()
            users(uri).create_user("ada", ADA)
            users(uri).create_user("eve", EVE)
        yield Team(uri, tuple(replicas))


def users(uri):
    """What an administrator manages them by."""
    from mlflow.server import get_app_client

    return get_app_client("basic-auth", uri)


def be(patch, name, password):
    patch.setenv("MLFLOW_TRACKING_USERNAME", name)
    patch.setenv("MLFLOW_TRACKING_PASSWORD", password)


def status(uri, **headers):
    request = urllib.request.Request(f"{uri}/api/2.0/mlflow/experiments/search?max_results=1")
    for name, value in headers.items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def begun(folder):
    space = drive.toy(folder, f"study.name={folder.name}", f"epochs={EPOCHS}")
    return studies.create(
        folder / "study",
        space,
        sampler=sampler.sampler(space, begun=0),
        queue=(),
        facts={"floor": {"floor/logistic/accuracy": 0.83}, "fingerprint": "f1"},
    )


def write(made, tracker):
    """One trial, told epoch by epoch to a tracker of its own."""
    search = TruthfulSearcher(made, [tracker], lambda trial_id: "died")
    recipe = recipes.parse(json.loads(search.suggest("t")["recipe"]))
    search.started("t")
    pause = threading.Event()
    for epoch in range(1, EPOCHS + 1):
        search.on_trial_result("t", metrics(recipe, epoch))
        pause.wait(0.2)
    search.on_trial_complete("t", metrics(recipe, EPOCHS))


def test_a_crowd_writes_and_every_point_is_there(team, tmp_path, monkeypatch):
    be(monkeypatch, "ada", ADA)
    monkeypatch.setattr(tracking, "FLUSH", 500.0)
    # Drawing is not what is tried here, but the proxy takes the files of one study.
    drawn = artifacts.of_study
    of_study = lambda made: drawn(made) if made.name == "s0" else {}  # noqa: E731
    monkeypatch.setattr(artifacts, "of_study", of_study)
    monkeypatch.setattr(artifacts, "of_trial", lambda made, number, drawn: {})
    studies = []
    for number in range(WRITERS):
        folder = tmp_path / f"s{number}"
        folder.mkdir()
        studies.append(begun(folder))
    connect = functools.partial(
        tracking.open_mirror, uri=team.address, artifacts=tmp_path, command=""
    )
    trackers = [
        Tracker(
            functools.partial(connect, made),
            record=made,
            uri=team.address,
            resume_command="raylt resume",
            optional=True,
        )
        for made in studies
    ]
    writers = [
        threading.Thread(target=write, args=pair) for pair in zip(studies, trackers, strict=True)
    ]
    for tracker in trackers:
        tracker.start()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [tracker.close(interrupted=False) for tracker in trackers] == [()] * WRITERS

    from mlflow import MlflowClient

    # Each study is read through one replica alone, whichever of them took its points.
    clients = [MlflowClient(tracking_uri=replica) for replica in team.replicas]
    for made, client in zip(studies, itertools.cycle(clients), strict=False):
        experiment = client.get_experiment_by_name(made.name)
        runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
        assert set(runs) == {made.name, "trial 0 (baseline)"}
        assert {run.info.status for run in runs.values()} == {"FINISHED"}
        entries = made.epochs(0)
        assert len(entries) == EPOCHS
        sent = runs["trial 0 (baseline)"].data.metrics.keys() & entries[0].keys()
        assert sent == {key for key in entries[0] if blows.is_sent(key)}
        for key in sent:
            points = client.get_metric_history(runs["trial 0 (baseline)"].info.run_id, key)
            wanted = [(e["epoch"], blows.shown(e[key])) for e in entries]
            assert [(p.step, p.value) for p in points] == wanted
        made.close()
    # What came in by either of them is there by the other.
    client = clients[-1]
    first = client.get_experiment_by_name("s0")
    assert first.artifact_location.startswith("mlflow-artifacts:")
    run = next(r for r in client.search_runs([first.experiment_id]) if r.info.run_name == "s0")
    page = Path(client.download_artifacts(run.info.run_id, "report.html", str(tmp_path)))
    assert "</html>" in page.read_text()[-20:]

    # Another user of the team sees none of it until it is shared.
    be(monkeypatch, "eve", EVE)
    assert client.search_experiments() == []
    be(monkeypatch, "admin", ADMIN)
    users(team.address).grant_user_permission("eve", "experiment", first.experiment_id, "READ")
    be(monkeypatch, "eve", EVE)
    for client in clients:
        assert [each.name for each in client.search_experiments()] == ["s0"]


def test_strangers_and_other_names_are_turned_away(team):
    import base64

    def basic(user, password):
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    for uri in (team.address, *team.replicas):
        assert status(uri) == 401
        assert status(uri, Authorization=basic("ada", "wrong")) == 401
        assert status(uri, Authorization=basic("ada", ADA)) == 200
        assert status(uri, Authorization=basic("ada", ADA), Host="evil.example") == 403
        assert status(uri, Authorization=basic("ada", ADA), Host="mlflow.internal") == 200
