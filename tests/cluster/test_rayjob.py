"""cluster/rayjob.yaml against a schema of KubeRay's RayJob, and what it promises."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.cluster.commands import commands_of, parse
from tests.cluster.versions import CLUSTER, RAY

FILE = CLUSTER / "rayjob.yaml"
SCHEMA = json.loads(Path(__file__).with_name("rayjob.schema.json").read_text())


@pytest.fixture
def job() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text())


@pytest.fixture
def cluster(job: dict[str, Any]) -> dict[str, Any]:
    return job["spec"]["rayClusterSpec"]


@pytest.fixture
def asked() -> dict[str, Any]:
    """What the job's command asks of memrec."""
    (command,) = commands_of(FILE)
    return parse(command)


def container(group: dict[str, Any]) -> dict[str, Any]:
    (only,) = group["template"]["spec"]["containers"]
    return only


def gpus(group: dict[str, Any]) -> int:
    resources = container(group)["resources"]
    assert resources["requests"] == resources["limits"]
    return int(resources["limits"].get("nvidia.com/gpu", 0))


def test_kuberay_knows_every_field(job: dict[str, Any]) -> None:
    jsonschema.validate(job, SCHEMA)


def test_a_misspelt_field_is_caught(job: dict[str, Any], cluster: dict[str, Any]) -> None:
    cluster["workerGroupSpecs"][0]["minReplica"] = cluster["workerGroupSpecs"][0]["replicas"]
    with pytest.raises(jsonschema.ValidationError, match="minReplica"):
        jsonschema.validate(job, SCHEMA)


def test_its_ray_is_the_image_s(cluster: dict[str, Any]) -> None:
    assert cluster["rayVersion"] == RAY


def test_gpu_workers_come_only_with_work(cluster: dict[str, Any]) -> None:
    (group,) = cluster["workerGroupSpecs"]
    assert cluster["enableInTreeAutoscaling"] is True
    assert group["minReplicas"] == group["replicas"] == 0 < group["maxReplicas"]
    assert gpus(group) > 0


def test_the_head_takes_no_work_and_needs_no_gpu(cluster: dict[str, Any]) -> None:
    head = cluster["headGroupSpec"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert gpus(head) == 0


def test_the_actors_fit_the_largest_cluster(cluster: dict[str, Any], asked: dict[str, Any]) -> None:
    (group,) = cluster["workerGroupSpecs"]
    assert 0 < asked["actors"] * asked["gpus_per_actor"] <= group["maxReplicas"] * gpus(group)


def test_a_retry_finds_the_results_in_a_bucket(job: dict[str, Any], asked: dict[str, Any]) -> None:
    assert job["spec"]["backoffLimit"] > 0
    assert asked["run"].startswith("s3://")
    assert asked["address"] == "auto"


def test_the_cluster_ends_with_the_job(job: dict[str, Any]) -> None:
    assert job["spec"]["shutdownAfterJobFinishes"] is True
    assert job["spec"]["ttlSecondsAfterFinished"] <= 3600


def test_all_pods_take_the_bucket_s_credentials_from_a_secret(cluster: dict[str, Any]) -> None:
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    assert [container(group)["envFrom"] for group in groups] == [[{"secretRef": {"name": "memrec-storage"}}]] * 2
    assert not any("env" in container(group) for group in groups)
