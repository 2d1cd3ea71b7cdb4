"""A Google Cloud Storage server on loopback. It has no preconditions: of several writers of a new file all succeed."""

from collections.abc import Iterator
from contextlib import contextmanager

from gcp_storage_emulator.server import create_server

from tests.distributed.s3 import BUCKET, free_port


@contextmanager
def gcs_server() -> Iterator[str]:
    """The URL of a server with an empty bucket, for the length of a block."""
    port = free_port()
    with create_server("127.0.0.1", port, in_memory=True, default_bucket=BUCKET):
        yield f"http://127.0.0.1:{port}"
