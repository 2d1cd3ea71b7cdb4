"""How right methods are about their results: claims.parquet, beside the rates.

A method may claim of a result, without the original, that it is an image which the network was trained on. The claim is
right of a training image that came back, and wrong of any control image.
"""

import pandas as pd
import pyarrow as pa

from memrec_core.metrics import KINDS, clopper_pearson
from workflows.run.rates_schema import CLAIMS_SCHEMA, GROUP
from workflows.run.store import CLAIMS, Store

_PREFIX = "claims_"
_CLAIMANT = [column for column in GROUP if column != "split"]
_ROWS = {
    "images": "claimed IS NOT NULL",
    "control": "claimed IS NOT NULL AND split = 'control'",
    "claimed": "claimed",
    "claimed_control": "claimed AND split = 'control'",
    **{f"{kind}_count": f"claimed IS NOT NULL AND split = 'train' AND mse < {mse}" for kind, mse in KINDS.items()},
    **{f"{kind}_right": f"claimed AND split = 'train' AND mse < {mse}" for kind, mse in KINDS.items()},
}
COUNTED = {f"{_PREFIX}{name}": f"count(*) FILTER ({rows})" for name, rows in _ROWS.items()}
"""What is counted of each group of rows, beside what the rates are made of, in SQL."""


def claims_from(counted: pd.DataFrame) -> pd.DataFrame:
    """From what was counted of each group, the claims of each method that makes some, over both splits: their precision
    and recall, where training images count as come back accurately, and approximately."""
    claims = counted.groupby(_CLAIMANT, dropna=False, sort=False)[[*COUNTED]].sum().reset_index()
    claims = claims.rename(columns=lambda name: name.removeprefix(_PREFIX))
    claims = claims[claims["images"] > 0].reset_index(drop=True)
    for kind in KINDS:
        _add_share(claims, f"{kind}_precision", f"{kind}_right", "claimed")
        _add_share(claims, f"{kind}_recall", f"{kind}_right", f"{kind}_count")
    return claims[CLAIMS_SCHEMA.names]


def _add_share(claims: pd.DataFrame, name: str, count: str, total: str) -> None:
    """With its bounds; null of none."""
    low, high = clopper_pearson(claims[count], claims[total])
    for column, values in ((name, claims[count] / claims[total]), (f"{name}_low", low), (f"{name}_high", high)):
        claims[column] = pd.Series(values, claims.index, "float64").where(claims[total] > 0)


def keep_claims(store: Store, claims: pd.DataFrame) -> None:
    """Write them; where no method claims anything there is no file."""
    if claims.empty:
        store.remove(CLAIMS)
    else:
        store.write_table(CLAIMS, pa.Table.from_pandas(claims, CLAIMS_SCHEMA, preserve_index=False))


def kept_claims(store: Store) -> pd.DataFrame:
    """As they were aggregated; without rows where there are none."""
    kept = store.read_table(CLAIMS) if store.exists(CLAIMS) else CLAIMS_SCHEMA.empty_table()
    return kept.to_pandas()
