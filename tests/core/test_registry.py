"""What users add stands beside what memrec has, and never in its place."""

import pytest

from memrec_core import autoencoders, datasets, degradations, recovery
from memrec_core.errors import InputError, unknown

REGISTRIES = [
    (degradations.PATTERNS, "center"),
    (degradations.FILLS, "zeros"),
    (degradations.DEGRADATIONS, "mask"),
    (recovery.METHODS, "known_mask"),
    (autoencoders.ARCHITECTURES, "fc10"),
    (datasets.DATA_SETS, "photos"),
]


@pytest.mark.parametrize(("registry", "name"), REGISTRIES)
def test_none_of_memrecs_own_is_replaced(registry: dict, name: str):
    before = registry[name]
    with pytest.raises(InputError, match=f"'{name}' in memrec; give yours another name"):
        registry[name] = object()
    with pytest.raises(InputError, match="give yours another name"):
        registry.update({name: object()})
    with pytest.raises(InputError, match="give yours another name"):
        registry |= {name: object()}
    registry[name] = before
    assert registry[name] is before


@pytest.mark.parametrize(("registry", "name"), REGISTRIES)
def test_ones_own_may_be_mended_and_taken_out_again(registry: dict, name: str):
    for entry in (object(), object()):
        registry["mine"] = entry
        assert registry["mine"] is entry
    registry |= {"mine": name}
    assert registry["mine"] == name
    del registry["mine"]
    assert name in registry


@pytest.mark.parametrize("count", [30, 96])
def test_long_list_of_choices_is_cut_and_counted(count: int):
    said = str(unknown("image", "photo-7x", [f"photo-{number}" for number in range(count)]))
    assert "did you mean" in said
    assert "photo-8, photo-9, " in said
    assert ("photo-10" in said) == (count == 30)
    assert said.endswith("photo-29" if count == 30 else "photo-9, ... (96 in all)")
