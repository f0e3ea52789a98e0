"""Why a cluster cannot be joined, in one line with its remedy."""

import contextlib
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
import ray

from raylt.cluster import connect, ray_compat
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
            monkeypatch.setattr(ray_compat, "refuses_token", lambda *_: False)
            with pytest.raises(EnvironmentError) as caught, connect.joined(address):
                pass
            return str(caught.value)

        refuse.here = here
        yield refuse


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("RPC error: InvalidAuthToken: missing"), "we have none; set RAY_"),
        (RuntimeError("Version mismatch: The cluster was\nstarted with"), "same on all"),
        (RuntimeError("no node has\nthis address"), "ray start --address=HERE"),
    ],
)
def test_why_a_cluster_cannot_be_joined_is_one_line_with_what_to_do(refused, error, message):
    line = refused(error)
    assert message.replace("HERE", refused.here) in line
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


class Head:
    """A control service that knows one token, and answers like Ray's."""

    def service(self, call):
        asked = dict(call.invocation_metadata).get("authorization")

        def answer(request, context):
            if asked != "Bearer right":
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken: missing")
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.mark.parametrize(
    ("word", "message"),
    [(None, "we have none"), ("wrong", "ours is a different one"), ("right", "")],
)
def test_a_head_that_does_not_know_our_token_says_so_at_once(word, message, monkeypatch):
    if word:
        monkeypatch.setenv("RAY_AUTH_TOKEN", word)
    server = grpc.server(ThreadPoolExecutor(1), handlers=[Head()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setattr(ray, "init", lambda **_: None)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    began = time.monotonic()
    try:
        with contextlib.ExitStack() as stack:
            if message:
                stack.enter_context(pytest.raises(EnvironmentError, match=message))
            stack.enter_context(connect.joined(f"127.0.0.1:{port}"))
    finally:
        server.stop(0)
    assert time.monotonic() - began < 4
