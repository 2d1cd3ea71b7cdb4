"""No file in cluster/ names another version than the one it would get from constraints.txt and pyproject.toml."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.cluster.versions import CLUSTER, IMAGE, MEMREC, PYTHON, RAY, ROOT, TORCH

FILES = sorted(path for path in CLUSTER.iterdir() if path.is_file())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.parametrize(
    ("pattern", "version"),
    [
        (r"\bmemrec[:=@ -]*(\d+(?:\.\d+)+(?:\.dev\d+)?)", MEMREC),
        (r"(?<![a-z])ray(?:version)?\W*(\d+(?:\.\d+)+)", RAY),
        (r"\bpy(3\d+)\b", PYTHON.replace(".", "")),
    ],
    ids=["memrec", "ray", "python"],
)
def test_every_file_names_the_pinned_version_and_no_other(path: Path, pattern: str, version: str) -> None:
    assert set(re.findall(pattern, path.read_text(), re.IGNORECASE)) == {version}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.parametrize(
    ("pattern", "version"),
    [(r"\bpython\W*(3\.\d+)", PYTHON), (r"\btorch\W*(\d+(?:\.\d+)+)", TORCH)],
    ids=["python", "torch"],
)
def test_a_version_of_python_or_torch_in_words_is_the_pinned_one(path: Path, pattern: str, version: str) -> None:
    assert set(re.findall(pattern, path.read_text(), re.IGNORECASE)) <= {version}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_all_nodes_get_the_image_that_the_dockerfile_builds(path: Path) -> None:
    found = set(re.findall(r"\bmemrec:\d\S*", path.read_text()))
    assert found == {f"{IMAGE}-YOUR-COMMIT@YOUR-DIGEST" if path.suffix == ".yaml" else f"{IMAGE}-$COMMIT"}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no git repository, whose commit the tag would be")
def test_the_tag_follows_the_code_and_the_digest_is_what_was_pushed() -> None:
    """The README's own command for the tag, in a repository whose code changes."""
    readme = (CLUSTER / "README.md").read_text()
    (command,) = re.findall(r"COMMIT=\$\((git .*)\)$", readme, re.MULTILINE)
    tag = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert head.startswith(tag.removesuffix("-dirty"))
    assert re.fullmatch(r"[\w.-]{1,60}", tag)
    assert re.search(r"DIGEST=\$\(docker inspect .*RepoDigests.* \$IMAGE", readme)
