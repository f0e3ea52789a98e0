from pathlib import Path

import pytest

from raylt.cluster import profile
from raylt.schema import InputError

CLUSTERS = Path(__file__).parents[2] / "clusters"


@pytest.mark.parametrize("name", ["laptop", "one-gpu", "eight-gpu", "multi-node"])
def test_every_profile_that_is_shipped_is_valid(name):
    found = profile.load(CLUSTERS / f"{name}.yaml")
    assert (found.address is not None) == (name == "multi-node")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("trial: {workers: 0}", "trial.workers"),
        ("trial: {workers: true}", "trial.workers"),
        ("trial: {workers: 2, min_workers: 3}", "lower min_workers to 2"),
        ("trial: {workers: 2, min_workers: 0}", "min_workers"),
        ("trial: {wrokers: 2}", "did you mean 'workers'"),
        ("trial: {gpus_per_worker: 1.5}", "try 1"),
        ("trial: {gpus_per_worker: -1}", "gpus_per_worker"),
        ("trial: {gpus_per_worker: .nan}", "gpus_per_worker"),
        ("trial: {placement: STRICT}", "placement"),
        ("concurrent: 0", "concurrent"),
        ("retries: -1", "retries"),
        ("runs: runs", "absolute"),
        ("runs: s3://bucket/runs", "mount it"),
        ("runs: s4://bucket", "mount it"),
        ("tracking_uri: mlflow:5000", "http://mlflow:5000"),
        ("tracking_uri: http://me:word@mlflow:5000", "MLFLOW_TRACKING_PASSWORD"),
        ("trail: {}", "did you mean 'trial'"),
        ("concurrent: 1\nconcurrent: 2", "concurrent"),
    ],
)
def test_a_bad_profile_is_refused_with_its_place_and_a_remedy(tmp_path, text, told):
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        profile.load(path)
    assert told in str(refused.value)
    assert "p.yaml:" in str(refused.value)
    # What somebody wrote by mistake is not repeated into logs.
    assert "word@" not in str(refused.value)


def test_a_missing_profile_is_the_users_input(tmp_path):
    with pytest.raises(InputError):
        profile.load(tmp_path / "none.yaml")
