"""Every file that starts a cluster is checked without one: keys, tokens, health, open doors."""

import copy
import importlib.metadata
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from raylt.schema import InputError
from raylt.space.file import document
from tests.cluster import kuberay

CLUSTERS = Path(__file__).parents[2] / "clusters"
RAY_UP = sorted((CLUSTERS / "ray-up").glob("*.yaml"))
SCRIPTS = [CLUSTERS / "slurm/raylt.sbatch", CLUSTERS / "mlflow/serve.sh"]
STARTS_RAY = [*RAY_UP, CLUSTERS / "slurm/raylt.sbatch", CLUSTERS / "skypilot.yaml"]
HEALTH = (
    "RAY_health_check_period_ms",
    "RAY_health_check_timeout_ms",
    "RAY_health_check_failure_threshold",
)

# What Ray's schema leaves open: a misspelt key in here would be taken in silence.
PROVIDER = {
    "aws": {"type", "region", "availability_zone", "cache_stopped_nodes", "security_group"},
    "gcp": {"type", "region", "availability_zone", "project_id"},
    "azure": {"type", "location", "resource_group", "subscription_id", "availability_zone"},
    "local": {"type", "head_ip", "worker_ips"},
}
NEEDED = {
    "aws": {"InstanceType", "ImageId"},
    "gcp": {"machineType", "disks"},
    "azure": {"azure_arm_parameters"},
}
OPTIONAL = {
    "aws": {"BlockDeviceMappings", "IamInstanceProfile", "InstanceMarketOptions"},
    "gcp": {"scheduling", "metadata", "serviceAccounts"},
    "azure": set(),
}
SKYPILOT = {
    "name",
    "num_nodes",
    "resources",
    "envs",
    "secrets",
    "file_mounts",
    "setup",
    "run",
    "workdir",
}


def values(path):
    """A file by our own reader, which refuses a key that stands twice."""
    return document.read(path).values


def ray_accepts(config):
    """Ray's own check of a cluster file; the one place where its private module is called."""
    from ray.autoscaler._private import util

    util.validate_config(util.prepare_config(copy.deepcopy(config)))


@pytest.mark.parametrize("path", RAY_UP, ids=lambda path: path.stem)
def test_ray_up_files_are_accepted_by_rays_schema_and_by_ours(path):
    config = values(path)
    ray_accepts(config)
    kind = config["provider"]["type"]
    assert set(config["provider"]) <= PROVIDER[kind]
    for node in config.get("available_node_types", {}).values():
        assert NEEDED[kind] <= set(node["node_config"]) <= NEEDED[kind] | OPTIONAL[kind]


def test_every_provider_has_its_file():
    assert {values(path)["provider"]["type"] for path in RAY_UP} == set(PROVIDER)


def test_the_check_of_ray_up_files_sees_mistakes():
    config = values(CLUSTERS / "ray-up/aws.yaml")
    for change in ({"max_worker": 4}, {"head_node_type": "none"}, {"max_workers": "four"}):
        # Ray tells a wrong reference and a wrong schema by errors of different kinds.
        with pytest.raises(Exception, match=r".+"):
            ray_accepts({**config, **change})


@pytest.mark.parametrize("path", RAY_UP, ids=lambda path: path.stem)
def test_the_head_of_ray_up_runs_no_trials_and_hands_out_one_token(path):
    config = values(path)
    (head,) = [line for line in config["head_start_ray_commands"] if "ray start" in line]
    (worker,) = [line for line in config["worker_start_ray_commands"] if "ray start" in line]
    assert "--num-cpus=0" in head
    assert "--num-gpus=0" in head
    assert "$RAY_HEAD_IP" in worker
    for line in (head, worker):
        # A job that is sent runs `python` of this PATH.
        assert line.startswith("PATH=$HOME/raylt/bin:$PATH RAY_AUTH_MODE=token ")
        assert all(f"{name}=" in line for name in HEALTH)
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert "chmod 600 ~/.ray/auth_token" in config["setup_commands"]


@pytest.mark.parametrize(
    ("name", "model"), [("raycluster", kuberay.RayCluster), ("rayjob", kuberay.RayJob)]
)
def test_kuberay_files_have_only_fields_that_exist(name, model):
    result = model.model_validate(values(CLUSTERS / f"kuberay/{name}.yaml"))
    cluster = result.spec if name == "raycluster" else result.spec.rayClusterSpec
    assert cluster.rayVersion == importlib.metadata.version("ray")
    assert cluster.headGroupSpec.rayStartParams["num-cpus"] == "0"
    for group in [cluster.headGroupSpec, *cluster.workerGroupSpecs]:
        pod = group.template.spec
        volumes = {volume.name for volume in pod.volumes}
        for container in pod.containers:
            # A head that may grow is a head that is killed.
            assert container.resources.requests == container.resources.limits
            assert {mount.name for mount in container.volumeMounts} == volumes
            assert {env.name for env in container.env} == set(HEALTH)
            assert "/dev/shm" in {mount.mountPath for mount in container.volumeMounts}
    for group in cluster.workerGroupSpecs:
        assert group.minReplicas <= group.replicas <= group.maxReplicas


@pytest.mark.parametrize(
    "change",
    [
        {"authOptions": {"mode": "tokn"}},
        {"authOption": {"mode": "token"}},
        {"headGroupSpec": {"rayStartParams": {"num-cpus": 0}}},
    ],
)
def test_the_check_of_kuberay_files_sees_mistakes(change):
    result = values(CLUSTERS / "kuberay/raycluster.yaml")
    with pytest.raises(ValidationError):
        kuberay.RayCluster.model_validate({**result, "spec": {**result["spec"], **change}})


def test_the_image_has_no_root():
    lines = (CLUSTERS / "kuberay/Dockerfile").read_text().splitlines()
    user = lines.index("USER 1000")
    assert not any(line.startswith("USER") for line in lines[user + 1 :])


def test_the_skypilot_file_has_only_known_keys():
    result = values(CLUSTERS / "skypilot.yaml")
    assert set(result) <= SKYPILOT
    assert "ray stop" not in result["run"].replace("`ray stop`", "")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_parse_and_stop_at_the_first_error(path):
    bash = shutil.which("bash")
    assert bash
    subprocess.run([bash, "-n", path], check=True)
    assert "set -euo pipefail" in path.read_text()


def test_the_slurm_script_uses_options_that_symmetric_run_takes():
    text = (CLUSTERS / "slurm/raylt.sbatch").read_text()
    for refused in ("--head", "--port", "--node-ip-address", "--block"):
        assert not re.search(rf"ray symmetric-run[^#]*{refused}\b", text)
    for wanted in ("--signal=B:TERM@120", "--requeue", "SLURM_GPUS_ON_NODE", "resume"):
        assert wanted in text


@pytest.mark.parametrize("path", STARTS_RAY, ids=lambda path: path.name)
def test_whatever_starts_ray_asks_for_a_token_and_looks_after_health(path):
    text = path.read_text()
    assert "RAY_AUTH_MODE=token" in text
    assert all(f"{name}=" in text for name in HEALTH)


def _files():
    return sorted(
        path
        for path in CLUSTERS.rglob("*")
        if path.is_file() and path.suffix in (".yaml", ".sbatch", ".sh", ".ini")
    )


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(CLUSTERS)))
def test_no_file_opens_a_door_or_holds_a_secret(path):
    text = path.read_text()
    assert "0.0.0.0" not in text
    assert "ray://" not in text
    assert "privileged" not in text
    assert not re.search(r"(?i)(password|secret|token)\s*[:=]\s*[A-Za-z0-9+/]{16,}", text)
    assert not re.search(r"://[^/\s:@]+:[^/\s@]+@", text)


def test_a_key_that_stands_twice_is_refused(tmp_path):
    path = tmp_path / "twice.yaml"
    path.write_text((CLUSTERS / "ray-up/aws.yaml").read_text() + "max_workers: 8\n")
    with pytest.raises(InputError, match="max_workers"):
        values(path)


def test_every_file_has_a_line_in_the_readme():
    readme = (CLUSTERS / "README.md").read_text()
    for path in _files():
        assert str(path.relative_to(CLUSTERS)) in readme, path.name
