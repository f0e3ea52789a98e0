import pytest

from raylt.study.workers.torch_backend import meeting


@pytest.mark.parametrize(
    ("gpus", "backend"), [(0, "gloo"), (0.5, "gloo"), (1, "nccl"), (2, "nccl")]
)
def test_workers_with_a_gpu_each_meet_over_nccl_and_all_others_over_gloo(gpus, backend):
    found = meeting(gpus=gpus)
    assert found.backend == backend
    assert found.timeout_s == 300
