"""The files for `ray up`, as Ray's own launcher reads them, and what they promise."""

from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from tests.cluster.commands import memrec_commands, parse
from tests.cluster.versions import CLUSTER

FILES = ["aws.yaml", "gcp.yaml"]


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
    for name in ("head", "gpu"):
        asked = node(prepared("aws.yaml"), name)["node_config"] | {"MinCount": 1, "MaxCount": 1}
        assert validation.ParamValidator().validate(asked, request).generate_report() == ""


def test_gpu_workers_come_only_with_work(launch: dict[str, Any]) -> None:
    workers = node(launch, "gpu")
    assert workers["min_workers"] == 0 < workers["max_workers"] == launch["max_workers"]
    assert workers["resources"]["GPU"] > 0


def test_the_head_takes_no_work(launch: dict[str, Any]) -> None:
    assert launch["head_node_type"] == "head"
    assert node(launch, "head")["resources"] == {"CPU": 0}


def test_only_workers_can_be_taken_away() -> None:
    aws, gcp = prepared("aws.yaml"), prepared("gcp.yaml")
    assert node(aws, "gpu")["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert "InstanceMarketOptions" not in node(aws, "head")["node_config"]
    assert node(gcp, "gpu")["node_config"]["scheduling"]["provisioningModel"] == "SPOT"
    assert "scheduling" not in node(gcp, "head")["node_config"]


def test_all_software_comes_with_the_image(launch: dict[str, Any]) -> None:
    assert [launch[f"{which}setup_commands"] for which in ("", "head_", "worker_")] == [[], [], []]
    assert launch["docker"]["image"].startswith("YOUR-REGISTRY/memrec:")


def test_workers_reach_the_bucket_by_who_they_are() -> None:
    aws, gcp = prepared("aws.yaml"), prepared("gcp.yaml")
    assert node(aws, "head")["node_config"]["IamInstanceProfile"] == {"Name": "memrec-head"}
    assert node(aws, "gpu")["node_config"]["IamInstanceProfile"] == {"Name": "memrec-worker"}
    (account,) = node(gcp, "gpu")["node_config"]["serviceAccounts"]
    assert account["email"] == "memrec-worker@YOUR-PROJECT.iam.gserviceaccount.com"


def test_nothing_is_left_to_pay_for_after_ray_down(launch: dict[str, Any]) -> None:
    assert launch["provider"]["cache_stopped_nodes"] is False


def test_the_actors_of_the_readme_s_commands_fit_the_cluster(launch: dict[str, Any]) -> None:
    workers = node(launch, "gpu")
    asked = [parse(command) for command in memrec_commands((CLUSTER / "README.md").read_text())]
    shares = [found["actors"] * found["gpus_per_actor"] for found in asked if found.get("gpus_per_actor")]
    assert shares
    assert max(shares) <= workers["max_workers"] * workers["resources"]["GPU"]
