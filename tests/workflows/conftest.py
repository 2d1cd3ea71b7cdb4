"""What tests of experiments that import something share."""

import sys
from collections.abc import Iterator

import pytest

from memrec_core.autoencoders import ARCHITECTURES
from memrec_core.datasets import DATA_SETS
from memrec_core.degradations import DEGRADATIONS, FILLS, PATTERNS
from memrec_core.recovery import METHODS

REGISTRIES = (PATTERNS, FILLS, DEGRADATIONS, METHODS, ARCHITECTURES, DATA_SETS)


@pytest.fixture(scope="module")
def added_here_alone() -> Iterator[None]:
    """What a module's tests add goes with them."""
    before = [set(registry) for registry in REGISTRIES]
    yield
    for registry, names in zip(REGISTRIES, before, strict=True):
        for name in set(registry) - names:
            del registry[name]
    for module in ("tests.workflows.outside", "tests.workflows.outside_wrong"):
        sys.modules.pop(module, None)
