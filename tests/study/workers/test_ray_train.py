import pytest

from raylt.study.workers import ray_train


@pytest.mark.parametrize(
    ("gpus", "backend"), [(0, "gloo"), (0.5, "gloo"), (1, "nccl"), (2, "nccl")]
)
def test_workers_with_a_gpu_each_meet_over_nccl_and_all_others_over_gloo(gpus, backend):
    connection = ray_train.torch_backend(gpus=gpus)
    assert connection.backend == backend
    assert connection.timeout_s == 300
