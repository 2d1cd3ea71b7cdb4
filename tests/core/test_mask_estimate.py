"""The mask estimate against the problem that it solves, entry by entry."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memrec_core.recovery.mask_estimate import estimate_mask

PIXEL = st.floats(-2, 2, width=32)


@given(x=PIXEL, y=PIXEL)
@settings(max_examples=300, deadline=None)
def test_estimate_minimises_the_distance_for_any_pixel_also_below_zero(x: float, y: float):
    found = estimate_mask(torch.tensor(x).double(), torch.tensor(y).double()).item()
    cost = {theta: (theta * x - y) ** 2 for theta in (0.0, 1.0)}  # (19)
    assert cost[found] <= min(cost.values()) + 1e-12


@given(x=st.floats(-2, 2, width=32), y=st.floats(0, 1, width=32))
@settings(max_examples=300, deadline=None)
def test_estimate_is_equation_20_for_pixels_without_noise(x: float, y: float):
    expected = 0.0 if x > 2 * y or x < 0 else 1.0
    assert estimate_mask(torch.tensor(x).double(), torch.tensor(y).double()).item() == expected


def test_equation_20_would_be_wrong_below_zero():
    assert estimate_mask(torch.tensor(-0.1), torch.tensor(-0.1)) == 1


def test_entries_are_estimated_one_by_one():
    x, y = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    found = estimate_mask(x, y)
    assert found.dtype == y.dtype
    assert torch.equal(found[1, 2, 3], estimate_mask(x[1, 2, 3], y[1, 2, 3]))
