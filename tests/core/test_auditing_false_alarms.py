"""How often an audit says leaks where training and control images are drawn alike: in at most 5 % of the cases."""

import numpy as np
import pytest

from memrec_core.auditing import Attack, Evidence, Side
from memrec_core.auditing.groups import grouped
from memrec_core.auditing.verdict import verdict
from tests.core.evidence import WORKS

AUDITS = 200
ATTACKS = tuple(Attack(method, mask) for mask in ("center", "bottom", "random_80") for method in "abcd")


def sides(counts: tuple[int, int], share: float, source: np.random.Generator) -> list[Side]:
    """Errors as attacks have them: some images come back, by several attacks at once, and smooth ones nearly do."""
    reach = source.random((len(ATTACKS), 1))  # how much an attack finds of what is there
    return [_side(count, share, reach, source) for count in counts]


def _side(count: int, share: float, reach: np.ndarray, source: np.random.Generator) -> Side:
    known, smooth = source.random(count) < share, source.random(count) < 0.1
    back = known & (source.random((len(ATTACKS), count)) < reach)
    exponent = np.where(back, source.normal(-8, 1, back.shape), source.normal(-2, 0.5, back.shape))
    exponent = np.where(smooth & ~back, source.normal(-3.5, 0.5, back.shape), exponent)
    recovered, damage = 10.0**exponent, 10.0 ** source.normal(-1.5, 0.7, back.shape)
    return Side(recovered, recovered * 2, damage, 10.0 ** source.normal(-8, 0.5, count))


@pytest.mark.parametrize("share", [0.0, 0.03, 0.2, 0.5, 0.9])
def test_at_most_five_per_cent_of_audits_of_sides_drawn_alike_say_leaks(share: float):
    source, leaks = np.random.default_rng(0), 0
    for _ in range(AUDITS):
        train, control = sides((int(source.integers(12, 150)), int(source.integers(12, 150))), share, source)
        leaks += verdict(Evidence(ATTACKS, train, control), 0.01, WORKS).word == "leaks"
    assert leaks <= 0.05 * AUDITS


def test_at_most_five_per_cent_do_so_of_groups_that_come_back_together():
    """Slices of a patient alone would be taken for as many pieces of evidence."""
    source, leaks, alone = np.random.default_rng(0), 0, 0
    for _ in range(AUDITS):
        slices = [_repeated(own, 6) for own in sides((30, 30), 0.3, source)]
        alone += verdict(Evidence(ATTACKS, *slices), 0.01, WORKS).word == "leaks"
        names = [str(number // 6) for number in range(180)]
        leaks += verdict(Evidence(ATTACKS, *(grouped(own, names) for own in slices)), 0.01, WORKS).word == "leaks"
    assert leaks <= 0.05 * AUDITS
    assert alone > 0.1 * AUDITS


def _repeated(side: Side, times: int) -> Side:
    errors = (side.recovered, side.missing, side.damage, side.reconstruction)
    return Side(*(np.repeat(own, times, -1) for own in errors))
