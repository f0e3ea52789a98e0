"""Why a cluster cannot be joined, in one line with its remedy."""

import socket

import pytest
import ray

from raylt.cluster import connect
from raylt.schema import EnvironmentError

pytestmark = pytest.mark.usefixtures("no_token")


@pytest.fixture
def refused(monkeypatch):
    """Why nobody joins a cluster whose Ray answers with an error."""
    with socket.create_server(("127.0.0.1", 0)) as head:
        here = f"127.0.0.1:{head.getsockname()[1]}"

        def refuse(error, address=here):
            def init(**_):
                raise error

            monkeypatch.setattr(ray, "init", init)
            with pytest.raises(EnvironmentError) as caught, connect.joined(address):
                pass
            return str(caught.value)

        refuse.here = here
        yield refuse


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("RPC error: InvalidAuthToken: missing"), "we have none; set RAY_"),
        (RuntimeError("Version mismatch: The cluster was\nstarted with"), "same on all"),
        (RuntimeError("no node has\nthis address"), "ray start --address=HERE"),
    ],
)
def test_why_a_cluster_cannot_be_joined_is_one_line_with_what_to_do(refused, error, told):
    line = refused(error)
    assert told.replace("HERE", refused.here) in line
    assert "\n" not in line


def test_without_a_cluster_here_the_address_is_left_out(refused):
    error = ConnectionError("Could not find any running Ray instance.")
    assert "--address out" in refused(error, "auto")


def test_a_wrong_token_is_told_from_a_missing_one(refused, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "word")
    assert "ours is a different one" in refused(RuntimeError("Unauthenticated"))


def test_a_head_that_does_not_answer_is_said_before_ray_is_asked():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = f"127.0.0.1:{gone.getsockname()[1]}"
    with pytest.raises(EnvironmentError, match="must answer at"), connect.joined(address):
        pass
