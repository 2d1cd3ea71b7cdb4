"""A database for the length of a block, which Ctrl-C ends."""

import re

import duckdb
import pytest

from workflows.database import connected
from workflows.errors import StoreError


def test_what_duckdb_makes_of_an_interruption_is_one():
    with pytest.raises(KeyboardInterrupt), connected():
        raise RuntimeError("Query interrupted")


def test_other_errors_stay_what_they_are():
    for error in (StoreError("recovery/a can't be read (Interrupted system call)"), RuntimeError("another")):
        with pytest.raises(type(error), match=re.escape(str(error))), connected():
            raise error
    with pytest.raises(duckdb.Error), connected() as database:
        database.execute("SELECT * FROM nowhere")


def test_no_bar_is_drawn_and_options_are_the_databases():
    with connected({"threads": 1}) as database:
        settings = database.execute("SELECT current_setting('enable_progress_bar'), current_setting('threads')")
        assert settings.fetchall() == [(False, 1)]
