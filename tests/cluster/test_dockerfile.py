"""The Dockerfile, as far as it can be checked without building it."""

import re
import shlex
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cluster.versions import CLUSTER, PROJECT, PYPROJECT, PYTHON, RAY, ROOT

VERSION_FILE = "memrec_core/__init__.py"


class Instruction(NamedTuple):
    name: str
    arguments: str


def instructions() -> list[Instruction]:
    lines = (CLUSTER / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    return [Instruction(*line.split(maxsplit=1)) for line in lines if line and not line.startswith("#")]


def arguments(name: str) -> list[str]:
    return [instruction.arguments for instruction in instructions() if instruction.name == name]


def copied(of: list[Instruction] | None = None) -> list[str]:
    """The sources of the COPY instructions."""
    copies = [own.arguments for own in (instructions() if of is None else of) if own.name == "COPY"]
    words = [[word for word in shlex.split(copy) if not word.startswith("--")] for copy in copies]
    return [source for sources in words for source in sources[:-1]]


def is_ignored(path: str) -> bool:
    """Whether .dockerignore keeps a file or folder of the root out of the build: its last line that matches it,
    or a folder that it is in, decides."""
    ignored = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if any(fnmatch(str(part), line.removeprefix("!")) for part in (Path(path), *Path(path).parents)):
            ignored = not line.startswith("!")
    return ignored


def test_the_base_is_rays_image_of_the_pinned_ray_and_python() -> None:
    assert arguments("FROM") == [f"rayproject/ray:{RAY}-py{PYTHON.replace('.', '')}-cpu"]


@pytest.mark.parametrize("source", copied())
def test_what_is_copied_exists_and_reaches_the_build(source: str) -> None:
    assert (ROOT / source).exists()
    assert not is_ignored(source)


def test_secrets_and_bulk_do_not_reach_the_build() -> None:
    assert [path.name for path in ROOT.iterdir() if not is_ignored(path.name) and path.name not in copied()] == []


def test_all_that_the_package_is_made_of_is_copied() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    named = {"pyproject.toml", "constraints.txt", PROJECT["readme"], *PROJECT["license-files"], VERSION_FILE}
    assert set(copied()) == packages | named


def test_the_layer_of_the_dependencies_has_the_file_that_pip_reads_the_version_from() -> None:
    module, _, name = PYPROJECT["tool"]["setuptools"]["dynamic"]["version"]["attr"].rpartition(".")
    assert (module, name) == (VERSION_FILE.removesuffix("/__init__.py"), "__version__")
    first = next(i for i, instruction in enumerate(instructions()) if "pip install" in instruction.arguments)
    assert VERSION_FILE in copied(instructions()[:first])


def test_memrec_is_installed_with_the_constraints_and_all_that_its_experiments_need() -> None:
    with_dependencies = [run for run in arguments("RUN") if "--constraint memrec/constraints.txt" in run]
    assert len(with_dependencies) == 1
    extras = re.search(r"\./memrec\[(.*?)\]", with_dependencies[0])
    assert extras is not None
    assert set(extras[1].split(",")) == {"ddnm", "s3", "gcs"} <= set(PROJECT["optional-dependencies"])
    rest = [run for run in arguments("RUN") if run not in with_dependencies and "pip install" in run]
    assert all("--no-deps" in run for run in rest)


def test_nothing_runs_as_root() -> None:
    users = [(name, value) for name, value in instructions() if name in ("USER", "RUN")]
    assert users[0] == ("USER", "1000")
    assert [value for name, value in users if name == "USER"] == ["1000"]
