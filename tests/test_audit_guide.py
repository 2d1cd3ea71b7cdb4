"""The guide to audits does what it says: its examples run, and its tables name what there is."""

import re
from pathlib import Path

import pytest

from memrec_core.auditing import as_json
from memrec_core.auditing.audit import STATUS
from memrec_core.torchvision_import import import_torchvision

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
BEGINNING, *EXAMPLES = re.findall(r"^```python\n(.*?)^```$", GUIDE.partition("\n## Examples")[2], re.M | re.S)
SAID = {
    "Autoencoder()": "This network leaks: 12 of 12",
    "vae": "This network leaks: 1",
    "AutoencoderKL": "Inconclusive: ",
}


@pytest.mark.parametrize("example", EXAMPLES, ids=["a dict and another range", "a VAE that samples", "diffusers"])
def test_example_runs_and_says_what_the_guide_says(example: str, capsys: pytest.CaptureFixture[str]):
    import_torchvision()  # for diffusers, beside a torch for the CPU
    exec(compile(BEGINNING + example, "docs/audit.md", "exec"), {"__name__": "example"})
    printed = capsys.readouterr().out
    assert [said for name, said in SAID.items() if name in example and said not in printed] == []
    if "deterministic" in example:
        assert "is not deterministic" in printed


def test_guide_has_three_examples():
    assert len(EXAMPLES) == 3


def test_exit_statuses_are_those_of_the_verdicts():
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d) \|", GUIDE, re.M))
    assert {word: int(status) for word, status in rows.items()} == STATUS


def test_parts_of_the_document_that_the_guide_names_are_there():
    source = Path(as_json.__file__).read_text(encoding="utf-8")
    table = GUIDE.partition("## What makes it trustworthy")[2].partition("\n## ")[0]
    named = [name for cell in re.findall(r"^\| (`.+?) \|", table, re.M) for name in re.findall(r"`(\w+)`", cell)]
    assert len(named) == 9
    assert [name for name in named if f'"{name}"' not in source] == []
