"""Watching a run: a screen that is drawn anew, or, where there is none, a line for each thing that changes."""

import time
from contextlib import nullcontext

from rich.live import Live
from rich.text import Text

from workflows.errors import StoreError
from workflows.live.look import Look, Watched
from workflows.live.words import lines_of, rates_table, screen_of
from workflows.run.store import Store
from workflows.terminal import console, is_screen, plain, say

EVERY_S = 3.0
"""How often a run is looked at, unless another time is asked for."""


def watch(store: Store, every: float = EVERY_S) -> bool:
    """Show how a run goes on until no driver works on it any more; returns whether the last one came to its end. A run
    that has not begun is waited for. Raises InputError where something else is in its folder, and StoreError where that
    can't be read from the start."""
    watched, said, look = Watched(store), {}, None
    live = Live(console=console, refresh_per_second=4, vertical_overflow="crop") if is_screen() else None
    with live or nullcontext():
        while look is None or not look.has_ended:
            look = _look(watched, look)
            if live is not None:
                live.update(_screen(look, store), refresh=True)
            else:
                _say_what_changed(look, store, said)
            if look is None or not look.has_ended:
                time.sleep(every)
    if live is None and look.rates:
        console.print(rates_table(look, len(look.rates)))
    return look.is_done


def _look(watched: Watched, last: Look | None) -> Look | None:
    """What is there now; what was there last, with a word, where the folder can't be read for once."""
    try:
        return watched.look()
    except StoreError as error:
        if last is None:
            raise
        return last._replace(wrong=str(error))


def _screen(look: Look | None, store: Store):
    if look is None:
        return Text(plain(_nothing_yet(store)), overflow="fold")
    return screen_of(look, store.uri, console.height, console.encoding.lower().startswith("utf"))


def _nothing_yet(store: Store) -> str:
    return f"there is no run at {store.uri} yet; waiting for it to begin (Ctrl-C ends the wait)"


def _say_what_changed(look: Look | None, store: Store, said: dict[str, str]) -> None:
    """`said` has what was said last, by what it is about."""
    lines = [("driver", _nothing_yet(store))] if look is None else lines_of(look)
    for about, line in lines:
        if said.get(about) != line:
            said[about] = line
            say(line)
