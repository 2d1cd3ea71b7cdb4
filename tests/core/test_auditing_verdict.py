"""What an audit says of its evidence: leaks, bounded or inconclusive, and how many more images would say more."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import fisher_exact

from memrec_core.auditing.evidence import Comparison, by_any, by_attack
from memrec_core.auditing.instrument import Instrument
from memrec_core.auditing.verdict import images_needed, verdict
from memrec_core.metrics import ACCURATE, APPROXIMATE, clopper_pearson
from tests.core.evidence import BACK, FAILS, FAR, NEARLY, WORKS, evidence, side


def word(train, control, max_rate: float = 0.01, instrument: Instrument = WORKS) -> str:
    return verdict(evidence(train, control), max_rate, instrument).word


# Leaks


def test_network_leaks_where_training_images_came_back_and_control_images_did_not():
    found = verdict(evidence(side(48, 48), side(0, 48)), 0.01, WORKS)
    assert (found.word, found.kind, found.needed) == ("leaks", "accurate", None)
    assert "48 of 48 training images came back exactly (92.6 % to 100 %), 0 of 48 control images" in found.sentence
    assert "p = 2e-28" in found.sentence


def test_network_does_not_leak_where_as_many_control_images_came_back():
    assert word(side(48, 48), side(48, 48)) == "inconclusive"
    assert word(side(30, 100), side(25, 100)) == "inconclusive"


def test_network_does_not_leak_where_more_control_images_came_back():
    assert word(side(0, 100), side(60, 100)) != "leaks"


@pytest.mark.parametrize(("back", "leaks"), [(5, False), (6, True)])
def test_two_thresholds_share_the_error_of_five_per_cent(back: int, leaks: bool):
    """5 of 100 beside none has p = 0.029: under 5 %, but not under half of that."""
    p = fisher_exact([[back, 100 - back], [0, 100]], alternative="greater").pvalue
    assert p < 0.05
    assert (p < 0.025) == leaks
    assert (word(side(back, 100), side(0, 100)) == "leaks") == leaks


def test_approximate_recoveries_are_a_leak_too_and_the_sentence_says_which():
    found = verdict(evidence(side(0, 100, nearly=40), side(0, 100, nearly=2)), 0.01, WORKS, alike=True)
    assert (found.word, found.kind) == ("leaks", "approximate")
    assert "40 of 100 training images came back approximately" in found.sentence
    assert f"(MSE under {APPROXIMATE:g}; 0 and 0 exactly)" in found.sentence


def test_network_leaks_whatever_share_may_come_back_and_even_if_the_instrument_fails():
    assert word(side(10, 1000), side(0, 1000), max_rate=0.5) == "leaks"
    assert word(side(48, 48), side(0, 48), instrument=FAILS) == "leaks"


def test_leak_of_thousands_of_images_has_a_p_that_a_reader_understands():
    found = verdict(evidence(side(3000, 3000), side(0, 3000)), 0.01, WORKS)
    assert "p < 1e-300" in found.sentence


def test_sides_that_are_told_apart_as_pictures_leak_by_exact_recoveries_alone():
    """Plainer pictures come back approximately from any network."""
    nearly, exact = evidence(side(0, 60, nearly=40), side(0, 60)), evidence(side(40, 60), side(0, 60))
    assert verdict(exact, 0.01, WORKS, alike=False).word == "leaks"
    assert verdict(nearly, 0.01, WORKS, alike=True).word == "leaks"
    unknown = verdict(nearly, 0.01, WORKS, alike=None)
    assert (unknown.word, "give 20 images a side or more" in unknown.sentence) == ("inconclusive", True)
    found = verdict(nearly, 0.01, WORKS, alike=False)
    assert (found.word, found.kind) == ("inconclusive", "approximate")
    assert "significantly more, with p = " in found.sentence
    assert "give control images of the same kind" in found.sentence


# Bounded


@pytest.mark.parametrize(("count", "expected"), [(368, "bounded"), (367, "inconclusive")])
def test_rate_is_bounded_from_the_first_number_of_images_whose_interval_ends_under_the_limit(count: int, expected: str):
    assert word(side(0, count), side(0, 100)) == expected
    assert (clopper_pearson(0, count)[1] < 0.01) == (expected == "bounded")


def test_hundred_images_of_which_none_came_back_bound_no_rate_of_one_per_cent_and_how_many_would_is_said():
    found = verdict(evidence(side(0, 100), side(0, 100)), 0.01, WORKS)
    assert (found.word, found.needed) == ("inconclusive", 368)
    assert "(0 % to 3.62 %)" in found.sentence
    assert "368 training images with no larger share would bound it" in found.sentence
    assert word(side(0, 100), side(0, 100), max_rate=0.04) == "bounded"


def test_bound_is_under_these_attacks_and_no_word_of_safety():
    said = verdict(evidence(side(0, 400), side(0, 400)), 0.01, WORKS).sentence
    assert said.startswith("Bounded under these attacks: 0 of 400 training images came back approximately")
    assert "Other attacks may recover more" in said
    for sentence in (said, verdict(evidence(side(0, 9), side(0, 9)), 0.01, WORKS).sentence):
        assert not re.search(r"\b(safe|secure|no leak|private)\b", sentence)


def test_nothing_is_bounded_with_an_instrument_that_fails():
    for instrument in (FAILS, Instrument(50, 1.0, 0.02)):
        found = verdict(evidence(side(0, 10_000), side(0, 100)), 0.01, instrument)
        assert found.word == "inconclusive"
        assert "The attacks do not work on these images" in found.sentence


@pytest.mark.parametrize(
    ("floor", "expected", "kind"),
    [
        (ACCURATE / 2, "bounded", "approximate"),
        (ACCURATE * 2, "bounded", "approximate"),
        (APPROXIMATE / 2, "bounded", "approximate"),
        (APPROXIMATE * 2, "inconclusive", "approximate"),
        (np.inf, "inconclusive", "approximate"),
        (np.nan, "inconclusive", "approximate"),
    ],
)
def test_bound_is_of_what_the_network_can_give_back_at_all(floor: float, expected: str, kind: str):
    found = verdict(evidence(side(0, 400, reconstruction=floor), side(0, 400)), 0.01, WORKS)
    assert (found.word, found.kind) == (expected, kind)


def test_what_comes_back_approximately_is_not_bounded_by_what_comes_back_exactly():
    """A network that reproduces undamaged images exactly, and gives damaged ones back with an MSE of 1e-6."""
    same = evidence(side(0, 400, nearly=400), side(0, 400, nearly=400))
    few = evidence(side(0, 60, nearly=4), side(0, 60))
    for found in (verdict(same, 0.01, WORKS, alike=True), verdict(few, 0.1, WORKS, alike=True)):
        assert found.word == "inconclusive"
        assert "came back approximately" in found.sentence


def test_sentence_has_both_kinds_of_recovery():
    found = verdict(evidence(side(8, 100, nearly=92), side(0, 100)), 0.01, WORKS, alike=True)
    assert "8 of 100 training images came back exactly" in found.sentence
    assert "100 and 0 approximately" in found.sentence


@pytest.mark.parametrize("undamaged", [True, False])
def test_nothing_is_bounded_where_the_network_gave_no_numbers(undamaged: bool):
    train = side(0, 1000)
    (train.reconstruction if undamaged else train.recovered)[..., :3] = np.nan
    found = verdict(evidence(train, side(0, 1000)), 0.01, WORKS)
    assert found.word == "inconclusive"
    assert "for 3 of 1,000 training images the network gives values that are not finite" in found.sentence


def test_lossy_network_is_not_called_bounded_and_the_sentence_says_why():
    found = verdict(evidence(side(0, 10_000, reconstruction=0.02), side(0, 100)), 0.01, WORKS)
    assert (found.word, found.needed) == ("inconclusive", None)
    assert "reproduces half of the undamaged training images with an MSE of 2.0e-02 or more" in found.sentence
    assert "membership" in found.sentence


def test_network_that_gives_a_few_approximately_back_is_not_bounded_by_the_accurate_ones_alone():
    """It can't give exact ones."""
    train = side(0, 400, nearly=40, reconstruction=1e-5)
    assert word(train, side(0, 400, nearly=40)) == "inconclusive"


# How many would be needed


@pytest.mark.parametrize(("max_rate", "needed"), [(0.01, 368), (0.05, 72), (0.001, 3688), (0.5, 6)])
def test_so_many_images_bound_a_rate_of_none_and_fewer_do_not(max_rate: float, needed: int):
    assert images_needed(Comparison(0, 1, 0, 1), max_rate) == needed
    assert clopper_pearson(0, needed)[1] < max_rate <= clopper_pearson(0, needed - 1)[1]


def test_so_many_images_bound_a_rate_of_some():
    needed = images_needed(Comparison(1, 200, 0, 200), 0.02)
    assert needed is not None
    assert 200 < needed < 2000
    assert clopper_pearson(np.ceil(needed / 200), needed)[1] < 0.02
    assert clopper_pearson(np.ceil(0.9 * needed / 200), np.floor(0.9 * needed))[1] >= 0.02


@pytest.mark.parametrize(("back", "max_rate"), [(2, 0.01), (100, 0.5), (0, 1e-9), (0, 1e-17), (0, 1e-300)])
def test_no_number_is_named_where_none_is_sensible(back: int, max_rate: float):
    assert images_needed(Comparison(back, 100, 0, 100), max_rate) is None


# What counts


def test_image_comes_back_only_where_it_was_damaged():
    """Black under the hole, it is there from the start."""
    train = side(100, 100)
    assert word(replace(train, damage=np.full((1, 100), 1e-8)), side(0, 100)) == "inconclusive"
    assert word(replace(train, damage=np.full((1, 100), ACCURATE)), side(0, 100)) == "leaks"


def test_image_that_came_back_exactly_came_back_approximately_too():
    """Even one that was approximately there without the network."""
    train = replace(side(1, 2, nearly=1), damage=np.full((1, 2), NEARLY))
    assert train.back(ACCURATE).tolist() == [[True, False]]
    assert train.back(APPROXIMATE).tolist() == [[True, False]]


def test_image_with_errors_that_are_no_numbers_did_not_come_back():
    train = replace(side(0, 3), recovered=np.array([[np.nan, np.inf, BACK]]))
    assert train.back(ACCURATE).tolist() == [[False, False, True]]


def test_an_image_under_several_attacks_counts_once_on_either_side():
    recovered = np.array([[BACK, FAR, FAR, FAR], [BACK, BACK, FAR, FAR]])
    both = evidence(*[replace(side(0, 4), recovered=e, missing=e, damage=e * 0 + 0.1) for e in (recovered, recovered)])
    assert [(c.train, c.control) for c in by_attack(both, ACCURATE).values()] == [(1, 1), (2, 2)]
    assert (by_any(both, ACCURATE).train, by_any(both, ACCURATE).control) == (2, 2)


def test_sides_with_errors_of_other_attacks_are_refused():
    from memrec_core.auditing import Attack, Evidence
    from memrec_core.errors import InputError

    with pytest.raises(InputError, match="errors of training images are not those of 2 attacks on 4 images"):
        Evidence((Attack("a", "b"), Attack("a", "c")), side(0, 4), side(0, 4))
    with pytest.raises(InputError, match="needs control images, and there are none"):
        evidence(side(0, 4), side(0, 0))
