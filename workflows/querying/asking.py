"""A query in SQL over a run's tables, by DuckDB: it reads these tables, and neither changes nor reaches anything else.

The tables are registered as Arrow's, so DuckDB opens no file at all. Then its access to files, the network and
extensions is shut, and its settings are locked. A query is one SELECT.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from tempfile import TemporaryDirectory
from typing import TypeVar

import duckdb
from pyarrow.dataset import Dataset

from memrec_core.errors import InputError, shown
from workflows.database import Option, connected
from workflows.querying.tables import SCANNED, TABLES, Rows
from workflows.run.opened import OpenRun
from workflows.run.scan import scan_rows

Found = TypeVar("Found")
Answer = Callable[[duckdb.DuckDBPyConnection], Found]
_LOCKS = ("SET enable_external_access = false", "SET lock_configuration = true")
_OPTIONS: dict[str, Option] = {
    "python_enable_replacements": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_WORD, _BY_TEXT = re.compile(r"\w+"), {"query", "query_table"}
"""A query names no table but by a word of its own; two functions take a text that may be put together."""
_EMPTY = {name: table.schema.empty_table() for name, table in TABLES.items()}


def ask(run: OpenRun, sql: str, answer: Answer[Found]) -> Found:
    """What is made of a query's result, which waits in the connection that `answer` is given.

    Raises InputError for what is not one SELECT of the run's tables, and as reading these does.
    """
    named = _checked(sql)
    if SCANNED & set(named):
        return scan_rows(run, partial(_asked, run, sql, named, answer))
    return _asked(run, sql, named, answer, None)


def _checked(sql: str) -> list[str]:
    """The tables that a query names. Raises InputError for one that can't be done, before any row is read."""
    with _in_a_sentence(sql, []):
        statements = duckdb.extract_statements(sql)
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise InputError(
            f"the query {shown(sql)} is not one SELECT; memrec query answers a single SELECT (a PIVOT needs its IN "
            f"list) over {', '.join(TABLES)}, and changes nothing"
        )
    words = {word.lower() for word in _WORD.findall(sql)}
    named = [name for name in TABLES if name in words or _BY_TEXT & words]
    with _database(_EMPTY) as database, _in_a_sentence(sql, named):
        database.execute(f"EXPLAIN {sql}")
    return named


def _asked(run: OpenRun, sql: str, named: list[str], answer: Answer[Found], scanned: Dataset | None) -> Found:
    """`scanned` has all rows of the results, where the query names them."""
    there = {name: TABLES[name].rows(run, scanned) for name in named} or _EMPTY  # of SHOW TABLES
    with _database(there) as database, _in_a_sentence(sql, named):
        database.execute(sql)
        return answer(database)


@contextmanager
def _database(there: Mapping[str, Rows]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database with these tables, which is locked."""
    with (
        TemporaryDirectory(prefix="memrec-") as spilled,
        connected(_OPTIONS | {"temp_directory": spilled}) as database,
    ):
        for name, rows in there.items():
            database.register(name, rows)
        for lock in _LOCKS:
            database.execute(lock)
        yield database


@contextmanager
def _in_a_sentence(sql: str, named: list[str]) -> Iterator[None]:
    """DuckDB's errors as the user's, with the columns that the tables of the query have."""
    try:
        yield
    except duckdb.Error as error:
        said = " ".join(str(error).partition("\nLINE ")[0].partition("\n\n")[0].split()).rstrip(".?!")
        raise InputError(f"the query {shown(sql)} can't be answered: {said}; {_choices(named)}") from error


def _choices(named: list[str]) -> str:
    if not named:
        return f"the tables are {', '.join(TABLES)}"
    return "; ".join(f"{name} has the columns {', '.join(TABLES[name].schema.names)}" for name in named)
