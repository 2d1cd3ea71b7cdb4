"""The files for `ray up`, as Ray's own launcher reads them, and what they promise."""

import json
import re
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.autoscaler.tags import TAG_RAY_CLUSTER_NAME
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
from ray.autoscaler.v2.utils import ResourceRequestUtil

from tests.cluster.commands import memrec_commands, parse
from tests.cluster.versions import CLUSTER

FILES = ["aws.yaml", "gcp.yaml"]
WORKERS = ["gpu", "gpu-on-demand"]
IAM = CLUSTER / "iam"


@pytest.fixture(params=FILES)
def launch(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The file, with what Ray fills in where it says nothing."""
    return prepared(request.param)


def prepared(name: str) -> dict[str, Any]:
    return prepare_config(yaml.safe_load((CLUSTER / name).read_text()))


def node(launch: dict[str, Any], name: str) -> dict[str, Any]:
    return launch["available_node_types"][name]


def test_ray_accepts_the_file(launch: dict[str, Any]) -> None:
    validate_config(launch)


def test_aws_accepts_what_each_node_asks_for() -> None:
    session = pytest.importorskip("botocore.session", reason="AWS's own description of its API comes with the s3 extra")
    validation = pytest.importorskip("botocore.validate")
    request = session.get_session().get_service_model("ec2").operation_model("RunInstances").input_shape
    for name in ("head", *WORKERS):
        asked = node(prepared("aws.yaml"), name)["node_config"] | {"MinCount": 1, "MaxCount": 1}
        assert validation.ParamValidator().validate(asked, request).generate_report() == ""


def test_gpu_workers_come_only_with_work(launch: dict[str, Any]) -> None:
    assert set(launch["available_node_types"]) == {"head", *WORKERS}
    for name in WORKERS:
        workers = node(launch, name)
        assert workers["min_workers"] == 0 < workers["max_workers"] == launch["max_workers"]
        assert workers["resources"]["GPU"] > 0


def test_the_head_takes_no_work(launch: dict[str, Any]) -> None:
    assert launch["head_node_type"] == "head"
    assert node(launch, "head")["resources"] == {"CPU": 0}


MARKETS = {"aws.yaml": "InstanceMarketOptions", "gcp.yaml": "scheduling"}


@pytest.mark.parametrize("name", FILES)
def test_workers_are_spot_machines_or_else_the_same_on_demand(name: str) -> None:
    launch = prepared(name)
    spot, on_demand = (node(launch, worker) for worker in WORKERS)
    assert spot["priority"] > on_demand["priority"]
    assert spot["resources"] == on_demand["resources"]
    (market, other) = (machine["node_config"].pop(MARKETS[name], {}) for machine in (spot, on_demand))
    assert "spot" in str(market).lower()
    assert "spot" not in str(other).lower()
    assert spot["node_config"] == on_demand["node_config"]
    assert "spot" not in str(node(launch, "head")["node_config"]).lower()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("failed", [None, "gpu"])
def test_ray_s_autoscaler_takes_the_spot_machine_first_and_the_other_where_there_is_none(
    name: str, failed: str | None
) -> None:
    """Ray's own scheduler, asked for one actor with a GPU."""
    assert launched(prepared(name), failed) == {"gpu" if failed is None else "gpu-on-demand": 1}


def launched(launch: dict[str, Any], failed: str | None) -> dict[str, int]:
    """How many machines of each type the scheduler starts, after a try of the `failed` one found none."""
    config = AutoscalingConfig(launch, skip_content_hash=True)
    request = SchedulingRequest(
        node_type_configs=config.get_node_type_configs(),
        max_num_nodes=config.get_max_num_nodes(),
        disable_launch_config_check=True,
        resource_requests=ResourceRequestUtil.group_by_count([ResourceRequestUtil.make({"GPU": 1})]),
        recoverable_resource_availabilities={} if failed is None else {failed: 0.0},
    )
    reply = ResourceDemandScheduler().schedule(request)
    return {want.instance_type: want.count for want in reply.to_launch}


def test_all_software_comes_with_the_image(launch: dict[str, Any]) -> None:
    assert [launch[f"{which}setup_commands"] for which in ("", "head_", "worker_")] == [[], [], []]
    assert launch["docker"]["image"].startswith("YOUR-REGISTRY/memrec:")


def test_ray_asks_for_a_token_on_all_machines_and_they_have_it(launch: dict[str, Any]) -> None:
    assert "--env=RAY_AUTH_MODE=token" in launch["docker"]["run_options"]
    assert launch["file_mounts"] == {"/home/ray/.ray/auth_token": "~/.ray/auth_token"}
    readme = (CLUSTER / "README.md").read_text()
    for cloud in ("## AWS", "## Google Cloud"):
        steps = readme.split(cloud)[1].split("\n## ")[0]
        assert steps.index("export RAY_AUTH_MODE=token") < steps.index("ray get-auth-token") < steps.index("ray up -y")


def test_containers_gain_no_privileges(launch: dict[str, Any]) -> None:
    assert {"--security-opt=no-new-privileges", "--cap-drop=ALL"} <= set(launch["docker"]["run_options"])


@pytest.mark.parametrize("name", ["head", *WORKERS])
def test_machines_reach_the_bucket_by_who_they_are(name: str) -> None:
    role = "head" if name == "head" else "worker"
    aws, gcp = prepared("aws.yaml"), prepared("gcp.yaml")
    assert node(aws, name)["node_config"]["IamInstanceProfile"] == {"Name": f"memrec-{role}"}
    (account,) = node(gcp, name)["node_config"]["serviceAccounts"]
    assert account["email"] == f"memrec-{role}@YOUR-PROJECT.iam.gserviceaccount.com"
    scopes = {scope.rpartition("/")[2] for scope in account["scopes"]}
    assert scopes == {"devstorage.read_write"} | ({"compute"} if role == "head" else set())


def statements(name: str) -> list[dict[str, Any]]:
    return json.loads((IAM / f"{name}.json").read_text())["Statement"]


def actions(statement: dict[str, Any]) -> set[str]:
    named = statement["Action"]
    return {named} if isinstance(named, str) else set(named)


@pytest.mark.parametrize("name", ["aws-head", "aws-bucket"])
def test_a_policy_names_what_it_allows_and_where(name: str) -> None:
    for statement in statements(name):
        assert statement["Effect"] == "Allow"
        assert not any("*" in action for action in actions(statement))
        if statement["Resource"] == "*":
            assert all(action.startswith("ec2:Describe") for action in actions(statement))


def test_the_bucket_s_policy_is_of_one_bucket() -> None:
    places = {statement["Resource"] for statement in statements("aws-bucket")}
    assert places == {"arn:aws:s3:::YOUR-BUCKET", "arn:aws:s3:::YOUR-BUCKET/*"}


def test_the_head_starts_and_ends_machines_of_this_cluster_alone() -> None:
    launch = prepared("aws.yaml")
    tag = TAG_RAY_CLUSTER_NAME
    allowed = {action: [] for statement in statements("aws-head") for action in actions(statement)}
    for statement in statements("aws-head"):
        for action in actions(statement):
            allowed[action].append(statement)
    assert set(allowed) == {
        "ec2:DescribeInstances",
        "ec2:DescribeInstanceTypes",
        "ec2:RunInstances",
        "ec2:CreateTags",
        "ec2:TerminateInstances",
        "iam:PassRole",
    }
    (start,) = [one for one in allowed["ec2:RunInstances"] if isinstance(one["Resource"], str)]
    assert start["Resource"].endswith(":instance/*")
    assert start["Condition"]["StringEquals"] == {
        f"aws:RequestTag/{tag}": launch["cluster_name"],
        "ec2:InstanceType": node(launch, "gpu")["node_config"]["InstanceType"],
    }
    (end,) = allowed["ec2:TerminateInstances"]
    assert end["Condition"]["StringEquals"] == {f"aws:ResourceTag/{tag}": launch["cluster_name"]}
    (passed,) = allowed["iam:PassRole"]
    assert passed["Resource"].endswith(f":role/{node(launch, 'gpu')['node_config']['IamInstanceProfile']['Name']}")
    regions = set(re.findall(r"arn:aws:ec2:([\w-]+):", (IAM / "aws-head.json").read_text()))
    assert regions == {launch["provider"]["region"]}


def test_the_head_s_role_on_google_cloud_is_for_machines_alone() -> None:
    role = yaml.safe_load((IAM / "gcp-head.yaml").read_text())
    assert not any("*" in permission for permission in role["includedPermissions"])
    services = {permission.split(".")[0] for permission in role["includedPermissions"]}
    assert services == {"compute"}
    verbs = {"create", "delete", "get", "list", "setLabels"}
    assert {f"compute.instances.{verb}" for verb in verbs} <= set(role["includedPermissions"])


def test_the_readme_gives_no_wider_role_than_these() -> None:
    readme = (CLUSTER / "README.md").read_text()
    assert not re.findall(r"FullAccess|compute\.admin|roles/(?:owner|editor)\b", readme)
    assert set(re.findall(r"\$\(policy ([\w-]+)\)", readme)) == {path.stem for path in IAM.glob("*.json")}
    assert set(re.findall(r"cluster/iam/([\w-]+\.yaml)", readme)) == {path.name for path in IAM.glob("*.yaml")}


def test_nothing_is_left_to_pay_for_after_ray_down(launch: dict[str, Any]) -> None:
    assert launch["provider"]["cache_stopped_nodes"] is False


def test_the_actors_of_the_readme_s_commands_fit_the_cluster(launch: dict[str, Any]) -> None:
    workers = node(launch, "gpu")
    asked = [parse(command) for command in memrec_commands((CLUSTER / "README.md").read_text())]
    shares = [found["actors"] * found["gpus_per_actor"] for found in asked if found.get("gpus_per_actor")]
    assert shares
    assert max(shares) <= workers["max_workers"] * workers["resources"]["GPU"]
