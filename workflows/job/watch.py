"""A look at Ray's own processes while a job runs. Ray says little when they die, and what waits for them may hang."""

import os
import socket
import sys
import threading
import time
from typing import Any

from ray._private import worker as ray_worker

from workflows.job.tasks import RAY_DIED
from workflows.terminal import console, say

LOOK_S = 1.0
GRACE_S = 2.0
"""A signal to the whole process group ends Ray's processes too: the driver's own end comes first then."""
SILENCE_S = 20.0
"""How long a cluster's head may not answer without a word. After a minute Ray ends the driver, with status 1."""


class Watch:
    """For the length of a block: ends the process, status 1, in a sentence where this machine's own Ray has died, and
    says so where the head of another cluster answers no more."""

    def __init__(self, address: str | None) -> None:
        self.address, self.ended = address, threading.Event()
        self.node: Any = ray_worker._global_node  # there, once Ray is; its type is that of a global that may be None

    def __enter__(self) -> "Watch":
        look = self._look_at_processes if self.address is None else self._look_at_head
        threading.Thread(target=look, daemon=True, name="watch").start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.ended.set()

    def _look_at_processes(self) -> None:
        while not self.ended.wait(LOOK_S):
            if self.node.dead_processes() and not self.ended.wait(GRACE_S):
                if console.is_terminal:
                    console.show_cursor(True)  # which the bars have hidden
                print(f"error: {RAY_DIED}", file=sys.stderr, flush=True)
                os._exit(1)

    def _look_at_head(self) -> None:
        answered, said = time.monotonic(), False
        while not self.ended.wait(LOOK_S):
            if _answers(self.node.gcs_address):
                answered, said = time.monotonic(), False
            elif time.monotonic() - answered > SILENCE_S and not said:
                said = True
                say(
                    f"the head of the Ray cluster at {self.address} does not answer; should that last for a minute, "
                    "this command ends, and the same command goes on from what is done"
                )


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=LOOK_S).close()
    except OSError:
        return False
    return True
