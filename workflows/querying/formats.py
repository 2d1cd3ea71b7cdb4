"""A query's result as a table for people, or as CSV or JSON for programs, a part at a time."""

import base64
import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

import duckdb
from rich.table import Table

from memrec_core.errors import unknown
from workflows.terminal import plain, print_whole, put, say, terminals_width, width_of

SHOWN, ROWS = 500, 50_000
"""How many rows a table has at the most, and how many are fetched at a time."""


def writer_of(name: str) -> Callable[[duckdb.DuckDBPyConnection], None]:
    """What writes a result in the format of that name. Raises InputError where there is none."""
    if name not in FORMATS:
        raise unknown("format", name, FORMATS)
    return FORMATS[name]


def _parts(database: duckdb.DuckDBPyConnection) -> Iterator[list[tuple[Any, ...]]]:
    while part := database.fetchmany(ROWS):
        yield part


def _titles(database: duckdb.DuckDBPyConnection) -> list[str]:
    return [str(column[0]) for column in database.description or ()]


def print_table(database: duckdb.DuckDBPyConnection) -> None:
    """The first rows, and a word on how many more there are. A row is a line; where the terminal is too narrow for
    that, each column of a row is."""
    titles, shown, rows = _titles(database), [], 0
    numeric = [False] * len(titles)
    for number, part in enumerate(_parts(database)):
        if number == 0:
            numeric = [*map(_are_numbers, zip(*part, strict=True))]
        shown += [[plain(_cell(value)) for value in row] for row in part[: max(SHOWN - rows, 0)]]
        rows += len(part)
    if rows == 0:
        say(f"no rows ({', '.join(titles)})")
        return
    table = _table([*map(plain, titles)], numeric, shown)
    needed, there = width_of(table), terminals_width()
    if there is None or needed <= there:
        print_whole(table, needed)
    else:
        _print_records(titles, shown)
    if rows > SHOWN:
        say(f"... and {rows - SHOWN:,} more rows; --format csv or json has all of them")


def _table(titles: list[str], numeric: list[bool], rows: list[list[str]]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for title, is_numeric in zip(titles, numeric, strict=True):
        table.add_column(title, justify="right" if is_numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _print_records(titles: list[str], rows: list[list[str]]) -> None:
    for number, row in enumerate(rows):
        if number:
            say("")
        for title, cell in zip(titles, row, strict=True):
            say(f"{title}: {cell}".replace("\n", "\\n"))


def print_csv(database: duckdb.DuckDBPyConnection) -> None:
    """A line of titles, and a line a row; null is empty, pictures are base64, and what is not finite is inf, -inf or
    nan."""
    put(_lines([_titles(database)]))
    for part in _parts(database):
        put(_lines([[*map(_in_csv, row)] for row in part]))


def _lines(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _in_csv(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    plain_value = _in_json(value)
    if plain_value is None or isinstance(plain_value, str):
        return plain_value or ""
    return json.dumps(plain_value, ensure_ascii=False)


def print_json(database: duckdb.DuckDBPyConnection) -> None:
    """A list of objects, a line each; what JSON has no number for is null, pictures are base64."""
    titles, before = _distinct(_titles(database)), "[\n"
    for part in _parts(database):
        for row in part:
            entry = dict(zip(titles, map(_in_json, row), strict=True))
            put(before + json.dumps(entry, allow_nan=False, ensure_ascii=False))
            before = ",\n"
    put("[]\n" if before == "[\n" else "\n]\n")


def _distinct(titles: list[str]) -> list[str]:
    """Each once: a second `mse` is mse_2."""
    found: list[str] = []
    for title in titles:
        name, number = title, 2
        while name in found:
            name, number = f"{title}_{number}", number + 1
        found.append(name)
    return found


def _are_numbers(column: Iterable[Any]) -> bool:
    """Whether those that are there are."""
    return all(
        isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        for value in column
        if value is not None
    )


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bytes) or _is_picture(value):
        return f"<{len(value['bytes'] if isinstance(value, dict) else value):,} bytes>"
    if isinstance(value, bool | list | dict):
        return json.dumps(_in_json(value), ensure_ascii=False)
    return str(value)


def _is_picture(value: Any) -> bool:
    """Whether it is one of the results'."""
    return isinstance(value, dict) and value.keys() == {"bytes", "path"} and isinstance(value["bytes"], bytes)


def _in_json(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if _is_picture(value):
        return _in_json(value["bytes"])
    if isinstance(value, dict):
        return {str(key): _in_json(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_in_json(own) for own in value]
    return str(value)


FORMATS = {"table": print_table, "csv": print_csv, "json": print_json}
