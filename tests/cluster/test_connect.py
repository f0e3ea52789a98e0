"""Why a cluster cannot be joined, in one line with its remedy."""

import pytest

from raylt.cluster import connect


@pytest.mark.parametrize(
    ("address", "error", "told"),
    [
        ("auto", ConnectionError("Could not find any running Ray instance."), "--address out"),
        ("h:6379", RuntimeError("RPC error: InvalidAuthToken: missing"), "we have none; set RAY_"),
        ("h:6379", RuntimeError("Version mismatch: The cluster was\nstarted with"), "same on all"),
        ("h:6379", RuntimeError("no node has\nthis address"), "ray start --address=h:6379"),
    ],
)
def test_why_a_cluster_cannot_be_joined_is_one_line_with_what_to_do(address, error, told):
    line = connect._cannot_join(address, error, has_token=False)
    assert told in line
    assert "\n" not in line


def test_a_wrong_token_is_told_from_a_missing_one():
    line = connect._cannot_join("h:6379", RuntimeError("Unauthenticated"), has_token=True)
    assert "ours is a different one" in line
