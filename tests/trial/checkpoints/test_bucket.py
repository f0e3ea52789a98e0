"""A trial's folder in a bucket, against a server of S3 on loopback."""

import time

import pytest

from raylt.schema import EnvironmentError
from raylt.trial.checkpoints import bucket, checkpoint_names
from raylt.trial.checkpoints.upload import Sender
from tests.study import s3
from tests.trial.checkpoints.made import save

URI = f"s3://{s3.BUCKET}/search"


@pytest.fixture
def uri(s3_port, request):
    return bucket.join(URI, abs(hash(request.node.name)))


def held(uri):
    return sorted(bucket.files(uri))


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket",
        "s3://my-bucket/deep/er",
        "s3://b.c.d/x?region=eu-west-1&scheme=http",
        "s3://bucket/p?endpoint_override=minio:9000",
    ],
)
def test_a_bucket_is_taken_as_it_stands(text):
    assert bucket.require_uri(text) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gs://bucket/p", "must be s3://BUCKET/PREFIX, but got 'gs://bucket/p'"),
        ("/shared/runs", "must be s3://BUCKET/PREFIX"),
        ("", "must be s3://BUCKET/PREFIX"),
        ("s3://", "must be s3://BUCKET/PREFIX"),
        ("s3:///prefix", "must name a bucket"),
        ("s3://Big_Bucket/p", "must name a bucket"),
        (f"s3://me:{s3.SECRET}@bucket/p", "must hold no user or password"),
        (f"gs://me:{s3.SECRET}@bucket", "must be s3://BUCKET/PREFIX, but got 'gs://bucket'"),
        (f"s3://bucket?access_key={s3.SECRET}", "but got access_key"),
        ("s3://bucket/p#part", "but got #"),
    ],
)
def test_what_is_no_bucket_is_refused_and_no_secret_is_shown(text, message):
    with pytest.raises(ValueError, match=r"must|may") as caught:
        bucket.require_uri(text)
    assert message in str(caught.value)
    assert s3.SECRET not in str(caught.value)


def test_what_lies_deeper_is_named_before_the_options():
    assert bucket.join("s3://b/p/?scheme=http", "study", 3) == "s3://b/p/study/3?scheme=http"
    assert bucket.join("s3://b", "x") == "s3://b/x"


def test_a_bucket_that_can_be_written_leaves_no_trace_of_it(uri):
    bucket.require_writable(uri)
    assert not [key for key in s3.objects() if "probe" in key]


def test_a_missing_bucket_and_a_server_that_is_not_there_are_one_line_in_time(
    s3_port, monkeypatch
):
    with pytest.raises(EnvironmentError, match="NO_SUCH_BUCKET"):
        bucket.require_writable("s3://not-there/p")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(EnvironmentError, match="NETWORK_CONNECTION") as caught:
        bucket.require_writable(URI)
    assert time.monotonic() - began < 30
    assert "\n" not in str(caught.value)
    assert s3.SECRET not in str(caught.value)


def test_a_bucket_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(bucket, "DEADLINE", 0.1)
    monkeypatch.setattr(bucket, "trouble", lambda uri: time.sleep(2) or "")
    with pytest.raises(EnvironmentError, match="no answer within"):
        bucket.require_writable(URI)


def test_checkpoints_that_nobody_wants_go_and_the_small_files_stay(uri, tmp_path):
    for number in (1, 2, 12):
        here = tmp_path / str(number)
        here.mkdir()
        (here / "classes.json").write_text("{}")
        save(here, 1, best=True)
        Sender(here, bucket.join(uri, "trials", number), {}).send()
    bucket.retire(bucket.join(uri, "trials"), {1})
    held_by = [held(bucket.join(uri, "trials", number)) for number in (1, 2, 12)]
    assert held_by == [
        ["classes.json"],
        *[[checkpoint_names.BEST, checkpoint_names.checkpoint(1), "classes.json"]] * 2,
    ]
