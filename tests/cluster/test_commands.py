"""What the files in cluster/ tell users to type."""

import re
from pathlib import Path

import pytest

from tests.cluster.commands import commands_of, parse
from tests.cluster.versions import CLUSTER
from workflows.experiment import loading as experiment

COMMANDS = [
    pytest.param(command, id=f"{path.name}: {' '.join(command)}")
    for path in sorted(filter(Path.is_file, CLUSTER.iterdir()))
    for command in commands_of(path)
]


@pytest.mark.parametrize("command", COMMANDS)
def test_memrec_accepts_the_command_and_knows_its_experiment(command: list[str]) -> None:
    asked = parse(command)
    if "experiment" in asked:
        experiment.load(asked["experiment"], asked["set_"], asked["variant"])


@pytest.mark.parametrize("name", ["README.md", "rayjob.yaml"])
def test_there_are_commands_to_check(name: str) -> None:
    assert commands_of(CLUSTER / name)


@pytest.mark.parametrize("name", ["rayjob.yaml", "aws.yaml", "gcp.yaml"])
def test_the_readme_fills_in_all_that_a_file_leaves_open(name: str) -> None:
    readme = (CLUSTER / "README.md").read_text()
    (command,) = re.findall(rf"^ +sed (.*) cluster/{re.escape(name)} ", readme.replace("\\\n", " "), re.MULTILINE)
    filled = set(re.findall(r"s\|(YOUR-[A-Z]+)\|", command))
    assert filled == set(re.findall(r"YOUR-[A-Z]+", (CLUSTER / name).read_text()))
