"""What the documents name is there."""

import re
from pathlib import Path

import pytest

from memrec_core.autoencoders import ARCHITECTURES
from memrec_core.datasets import DATA_SETS
from memrec_core.degradations import DEGRADATIONS, FILLS, PATTERNS
from memrec_core.recovery import METHODS

ROOT = Path(__file__).parents[1]
DOCUMENTS = [path for path in sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("*/*.md")) if path.parent.name[0] != "."]
REGISTRIES = {
    "PATTERNS": PATTERNS,
    "FILLS": FILLS,
    "DEGRADATIONS": DEGRADATIONS,
    "METHODS": METHODS,
    "ARCHITECTURES": ARCHITECTURES,
    "DATA_SETS": DATA_SETS,
}
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def headings(path: Path) -> set[str]:
    """As links name them."""
    titles = re.findall(r"^#+ (.+)$", text_of(path), re.M)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_links_to_is_there(path: Path):
    broken = []
    for target, heading in LINK.findall(text_of(path)):
        if "://" in target:
            continue
        place = path.parent / target if target else path
        if not place.exists() or (heading and heading not in headings(place)):
            broken.append(f"{target}#{heading}")
    assert broken == []


def test_contributing_names_every_registry_with_the_file_that_it_stands_in():
    rows = {
        name: next((row for row in text_of(ROOT / "CONTRIBUTING.md").splitlines() if f"| `{name}`" in row), "")
        for name in REGISTRIES
    }
    assert [name for name, row in rows.items() if not row] == []
    for name, row in rows.items():
        _, _, _, registry, examples, tests, _ = row.split("|")
        [file] = [target for target, _ in LINK.findall(registry)]
        assert re.search(rf"^{name} = Registry\b", text_of(ROOT / file), re.M), f"{name} is not in {file}"
        named = re.findall(r"`(\w+)`, there", examples)
        assert named or LINK.findall(examples), f"{name} has no example"
        assert all(re.search(rf"^(?:def|class) {example}\b", text_of(ROOT / file), re.M) for example in named)
        assert LINK.findall(tests)


def test_contributing_names_every_target_of_make_that_checks():
    text = text_of(ROOT / "CONTRIBUTING.md")
    targets = re.findall(r"^([\w-]+):", text_of(ROOT / "Makefile"), re.M)
    assert [
        target for target in targets if target not in ("help", "setup", "clean") and f"`make {target}`" not in text
    ] == []


def test_example_of_an_outsider_adds_to_every_registry():
    outside = text_of(ROOT / "tests" / "workflows" / "outside.py")
    assert [name for name in REGISTRIES if not re.search(rf"^{name}\[", outside, re.M)] == []


def test_changelog_has_the_version_that_is_installed():
    from memrec_core import __version__

    version = re.escape(__version__)
    released, to_come = rf"{version} - \d{{4}}-\d\d-\d\d", rf"Unreleased \({version}\)"
    assert re.search(rf"^## ({to_come if '.dev' in __version__ else released})$", text_of(ROOT / "CHANGELOG.md"), re.M)
