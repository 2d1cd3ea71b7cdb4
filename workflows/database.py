"""A database of DuckDB's in memory."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import duckdb

Option = str | bool | int | float | list[str]


@contextmanager
def connected(options: Mapping[str, Option] | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A new database for the length of the block, without a progress bar. Ctrl-C ends the block as it ends any other:
    DuckDB itself makes a RuntimeError of it."""
    with duckdb.connect(config=dict(options or {})) as database:
        database.execute("SET enable_progress_bar = false")
        try:
            yield database
        except RuntimeError as error:
            if type(error) is RuntimeError and "interrupted" in str(error).lower():
                raise KeyboardInterrupt from error
            raise
