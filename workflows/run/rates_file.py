"""What rates.parquet says of itself: of which work units the rates are, and what had made these."""

import json
from collections.abc import Sequence
from typing import Any

from workflows.run.rates_schema import MADE_BY, PLANNED, UNITS
from workflows.run.schema import Maker
from workflows.run.store import RATES, Store
from workflows.run.unit import Unit, digest_of


def are_of(store: Store, done: Sequence[Unit], planned: int) -> bool:
    """Whether the rates are of just these units, of so many planned."""
    said = _said(store)
    return (said.get(UNITS), said.get(PLANNED)) == (digest_of(done), planned)


def makers_said(store: Store) -> list[Maker]:
    """What had made the rows that the rates are of, from the file's footer alone; nothing where it does not say."""
    return [Maker(*one) for one in _said(store).get(MADE_BY, ())]


def mixed_words(makers: Sequence[Maker]) -> str:
    """A sentence where several versions or devices have made the rows; empty where one has."""
    if len(makers) < 2:
        return ""
    return f"The results are by several versions or devices, whose last bits may differ: {'; '.join(map(str, makers))}."


def forget_others(store: Store, done: Sequence[Unit]) -> None:
    """Remove rates of other units than are there. Some of theirs may be gone, and once these are recovered anew, by
    another version perhaps, which their names don't tell, the rates would pass for theirs."""
    if store.exists(RATES) and _said(store).get(UNITS) != digest_of(done):
        store.remove(RATES)


def _said(store: Store) -> dict[str, Any]:
    """The attributes of the data frame; none where the file does not say."""
    footer = store.footer(RATES)
    try:
        said = json.loads((footer.schema.metadata if footer else {})[b"pandas"])["attributes"]
    except (KeyError, ValueError, TypeError):
        return {}
    return said if isinstance(said, dict) else {}
