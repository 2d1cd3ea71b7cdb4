"""The sentence on top of a run's page: the most that came back, with its interval, beside the control images."""

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from memrec_core.degradations import Blur, Erasure
from memrec_core.metrics import clopper_pearson
from memrec_core.recovery.biharmonic import Biharmonic
from workflows import open_run
from workflows.report.facts import Facts, facts_of
from workflows.report.sections.images import came_back
from workflows.report.sections.verdict import Verdict, of_run
from workflows.report.terms import described, hidden
from workflows.run.catalogue import Catalogue
from workflows.words import between, percent, power

FIXED = Path(__file__).parent / "run_of_fixed_schema"
IMAGES = 48


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    return facts_of(open_run(shutil.copytree(FIXED, tmp_path_factory.mktemp("run") / "fixed")))


def verdict(facts: Facts, control: bool = True, **counts: dict[tuple[str, str, str], int]) -> Verdict:
    """Of rates in which so many images came back, by kind, degradation, method and split; of the others none."""
    rates = facts.rates.copy()
    rates["images"] = IMAGES
    for kind in ("accurate", "approximate"):
        named = zip(rates["degradation"], rates["method"], rates["split"], strict=True)
        rates[f"{kind}_count"] = pd.Series([counts.get(kind, {}).get(name, 0) for name in named], rates.index)
        rates[f"{kind}_rate"] = rates[f"{kind}_count"] / IMAGES
        rates[f"{kind}_low"], rates[f"{kind}_high"] = clopper_pearson(rates[f"{kind}_count"], rates["images"])
    return of_run(dataclasses.replace(facts, rates=rates if control else rates[rates["split"] == "train"]))


def test_the_attack_that_gave_back_most_is_named_with_the_same_on_control_images(facts: Facts):
    found = verdict(
        facts,
        accurate={
            ("center", "known_mask", "train"): 40,
            ("center", "unknown_mask", "train"): 47,
            ("center", "unknown_mask", "control"): 2,
            ("center", "known_mask", "control"): 9,
        },
    )
    bounds = between(*map(float, clopper_pearson(47, IMAGES)))
    assert found.sentence.startswith(
        f"47 of 48 training images came back exactly from behind a centred square (95\u00a0% interval {bounds})"
    )
    assert f", and 2 of 48 others ({between(*map(float, clopper_pearson(2, IMAGES)))})." in found.sentence
    assert "By the method “unknown mask”" in found.notes[0]
    assert "combinations of network, training loss, degradation and method" in found.notes[0]
    assert "does not allow for the choice of the most" in found.notes[1]


def test_where_nothing_came_back_exactly_that_is_said_first(facts: Facts):
    found = verdict(facts, approximate={("center", "known_mask", "train"): 3})
    assert found.sentence.startswith(
        "No training image came back exactly. 3 of 48 training images came back approximately from behind"
    )
    assert "0 of 48 others (0 to 7.4\u00a0%)" in found.sentence


def test_where_nothing_came_back_at_all_the_interval_says_how_much_that_excludes(facts: Facts):
    found = verdict(facts)
    assert found.sentence.startswith("0 of 48 training images came back exactly")
    assert "interval 0 to 7.4\u00a0%" in found.sentence


class WithControl(Catalogue):
    """Of which only the number of its control images is asked."""

    def __init__(self) -> None:
        pass

    def count(self, split: str) -> int:
        return 7 if split == "control" else 0

    def drawn(self) -> str:
        return ""


def test_of_methods_without_a_network_there_is_no_verdict_where_networks_are_asked_for(facts: Facts):
    rates = facts.rates.assign(model="generic", accurate_count=6)
    assert of_run(dataclasses.replace(facts, rates=rates)).sentence == (
        "No network has been asked yet; what is there is of methods that use none."
    )
    others = tuple(entry._replace(method=Biharmonic()) for entry in facts.experiment.methods)
    for change in ({"methods": others}, {"models": ()}):  # none will be
        experiment = dataclasses.replace(facts.experiment, **change)
        run = dataclasses.replace(facts.run, experiment=experiment)
        assert "training images came back exactly" in of_run(dataclasses.replace(facts, run=run, rates=rates)).sentence


def test_without_control_images_it_says_that_there_are_none_or_that_none_was_recovered(facts: Facts):
    data_set = facts.rates["data_set"].iloc[0]
    back = {("center", "known_mask", "train"): 48}
    some = dataclasses.replace(facts, catalogues={data_set: WithControl()})
    assert verdict(some, control=False, accurate=back).sentence.endswith(
        "; none of its 7 control images has been tried by this attack, so there is nothing to compare with."
    )
    found = verdict(
        dataclasses.replace(facts, catalogues={}), control=False, accurate={("center", "known_mask", "train"): 48}
    )
    assert found.sentence.endswith("; there are no control images to compare with.")
    assert len(found.bars) == 1


@pytest.mark.parametrize(
    ("degradation", "place", "words"),
    [
        (Erasure("center"), "behind a centred square", "(the paper's mask 1), filled with zeros"),
        (Erasure("random_40", noise_std=0.02), "behind random pixels, 40 % of them and noise of 0.02", "40 % of them"),
        (Erasure("disc"), "behind a disc", "A centred disc of 30 % of the pixels is missing"),
        (Blur(1.0), "under blur_std_1", "Pixels are blurred"),
    ],
)
def test_degradations_have_words(degradation, place: str, words: str):
    assert hidden(degradation) == place
    assert words in described(degradation)


@pytest.mark.parametrize(
    ("share", "words"),
    [
        *((1.0, "100"), (24_999 / 25_000, "99.996"), (0.9949, "99.5"), (0.9264, "92.6"), (0.0218, "2.2")),
        *((0.000527, "0.053"), (1e-7, "0.00001"), (0.0, "0"), (-0.0, "0"), (-0.055, "-5.5"), (1 - 1e-16, "100")),
    ],
)
def test_shares_are_rounded_to_what_matters(share: float, words: str):
    assert percent(share) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(1e-8, "10⁻⁸"), (5e-4, "5·10⁻⁴"), (0.0, "0"), (float("nan"), "–"), (1.0, "10⁰"), (9.999e-9, "10⁻⁸")],
)
def test_errors_are_powers_of_ten(value: float, words: str):
    assert power(value) == words


def test_rates_of_a_sample_say_so_beside_the_verdict(facts: Facts):
    def notes(known: Mapping[str, Catalogue]) -> str:
        return " ".join(verdict(dataclasses.replace(facts, catalogues=known)).notes)

    [(label, known)] = facts.catalogues.items()
    first, *others = known.images
    assert first.split == "train"
    sample = Catalogue((first._replace(audited=False), *others))
    trained = known.count("train")
    assert f"Of {label}, {trained - 1} of {trained} different training images are recovered" in notes({label: sample})
    assert "drawn at random" not in notes(facts.catalogues)


def test_share_of_images_that_some_attack_gave_back_says_where_not_all_were_tried_by_all():
    """While units are missing an image may have been tried by fewer: the share is the least that it may become."""
    images = pd.DataFrame({"split": "train", "attacks": [6, 6, 1], "accurate": [2, 0, 0], "approximate": [2, 1, 0]})
    assert came_back(images)[0].startswith(
        "Of 3 training images, by at least one of 1 to 6 attacks each, so that it may become more, 1 came back exactly"
    )
    assert came_back(images[:2])[0].startswith("Of 2 training images, by at least one of 6 attacks, 1 came back")
