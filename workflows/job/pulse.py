"""What the driver writes of itself while it lives: the run's progress.json."""

import threading
import time
from contextlib import suppress
from datetime import UTC, datetime

from workflows.errors import StoreError
from workflows.run.heartbeat import Heartbeat
from workflows.run.standing import Standing
from workflows.run.store import CHECKPOINTS, PLAN, PROGRESS, Store

EVERY_S = 5.0


class Pulse:
    """Keeps the heartbeat for the length of a block, from the moment that the run's folder is there to be written, and
    whatever its driver waits for meanwhile. The time counts from the start of the block."""

    def __init__(self, store: Store) -> None:
        self.store, self.standing = store, Standing()
        self.began, self.before = time.monotonic(), _worked_before(store)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True, name="heartbeat")

    def __enter__(self) -> "Pulse":
        return self

    def begin(self) -> None:
        if self.thread.ident is None:
            self.thread.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if self.thread.ident is None:
            return
        self.ended.set()
        self.thread.join(EVERY_S)
        if error is None:
            self._write("done")
        else:
            self._write("stopped", "interrupted" if isinstance(error, KeyboardInterrupt) else str(error))

    def _beat(self) -> None:
        self._write("running")
        while not self.ended.wait(EVERY_S):
            self._write("running")

    def _write(self, state: str, reason: str = "") -> None:
        beat = Heartbeat(
            state, datetime.now(UTC), reason, standing=self.standing, seconds_worked=self._seconds_worked()
        )
        with suppress(StoreError):  # where it matters, the next unit meets it too
            self.store.write(PROGRESS, beat.to_json())

    def _seconds_worked(self) -> float | None:
        return None if self.before is None else round(self.before + time.monotonic() - self.began, 1)


def _worked_before(store: Store) -> float | None:
    """How long drivers have worked on the run by now; None where that is not known, as of one that an earlier revision
    began."""
    try:
        return Heartbeat.of(store.read(PROGRESS)).seconds_worked
    except FileNotFoundError:
        return None if store.exists(PLAN) or store.names(CHECKPOINTS, ".json") else 0.0
    except (ValueError, StoreError):
        return None
