"""cluster/rayjob.yaml against a schema of KubeRay's RayJob, and what it promises."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.cluster.commands import commands_of, parse
from tests.cluster.test_dockerfile import instructions
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


@pytest.fixture
def pods(job: dict[str, Any], cluster: dict[str, Any]) -> list[dict[str, Any]]:
    """What each Pod of the job is made from: the head's, the workers' and the submitter's."""
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"], {"template": job["spec"]["submitterPodTemplate"]}]
    return [group["template"]["spec"] for group in groups]


@pytest.fixture
def containers(cluster: dict[str, Any], pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Theirs, and the one that KubeRay puts beside the head."""
    return [*(container for pod in pods for container in pod["containers"]), cluster["autoscalerOptions"]]


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


def test_no_pod_runs_as_root_or_makes_calls_that_containers_have_no_need_of(pods: list[dict[str, Any]]) -> None:
    (user,) = {value for name, value in instructions() if name == "USER"}
    for pod in pods:
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] == int(user) > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}


def test_no_container_gains_privileges_or_writes_outside_tmp(containers: list[dict[str, Any]]) -> None:
    for own in containers:
        context = own["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["readOnlyRootFilesystem"] is True
        assert own["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]


def test_what_libraries_keep_goes_where_containers_can_write() -> None:
    (variables,) = [value for name, value in instructions() if name == "ENV" and "MPLCONFIGDIR" in value]
    places = dict(word.split("=") for word in variables.split())
    assert set(places) == {"MPLCONFIGDIR", "XDG_CACHE_HOME", "HF_HOME"}
    assert all(place.startswith("/tmp/") for place in places.values())


def test_no_pod_fills_its_node_s_disk(pods: list[dict[str, Any]], containers: list[dict[str, Any]]) -> None:
    for own in containers:
        assert own["resources"]["requests"] == own["resources"]["limits"]
        assert own["resources"]["limits"]["ephemeral-storage"]
    for pod in pods:
        (room,) = [volume["emptyDir"]["sizeLimit"] for volume in pod["volumes"]]
        assert room == pod["containers"][0]["resources"]["limits"]["ephemeral-storage"]


def test_only_the_autoscaler_s_pod_has_a_key_to_kubernetes(pods: list[dict[str, Any]]) -> None:
    head, *others = pods
    assert "automountServiceAccountToken" not in head
    assert [pod["automountServiceAccountToken"] for pod in others] == [False, False]


def test_a_job_that_hangs_ends(job: dict[str, Any]) -> None:
    assert 24 * 3600 <= job["spec"]["activeDeadlineSeconds"] <= 7 * 24 * 3600


def test_the_cluster_asks_for_a_token(cluster: dict[str, Any]) -> None:
    assert cluster["authOptions"] == {"mode": "token"}


def test_all_pods_run_one_image(pods: list[dict[str, Any]]) -> None:
    assert len({pod["containers"][0]["image"] for pod in pods}) == 1
