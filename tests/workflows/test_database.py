"""A database for the length of a block, which Ctrl-C ends."""

import os
import re
import signal
import threading

import duckdb
import pytest

from workflows.database import connected
from workflows.errors import StoreError

ENDLESS = "SELECT sum(a.range * b.range % 7) FROM range(10000000) a, range(10000000) b"


def answer_of(query: str) -> list[tuple]:
    with connected({"threads": 1}) as database:  # that of the process, which looks for signals
        return database.execute(query).fetchall()


def test_interruption_in_the_middle_of_a_query_is_one():
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        answer_of(ENDLESS)


def test_other_errors_stay_what_they_are():
    for error in (StoreError("recovery/a can't be read (Interrupted system call)"), RuntimeError("another")):
        with pytest.raises(type(error), match=re.escape(str(error))), connected():
            raise error
    with pytest.raises(duckdb.Error):
        answer_of("SELECT * FROM nowhere")


def test_no_bar_is_drawn_and_options_are_the_databases():
    with connected({"threads": 1}) as database:
        settings = database.execute("SELECT current_setting('enable_progress_bar'), current_setting('threads')")
        assert settings.fetchall() == [(False, 1)]
