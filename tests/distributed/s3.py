"""An S3 server on loopback (moto's)."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import fsspec
import pytest

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
BUCKET = "bucket"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def s3_server() -> Iterator[int]:
    """The port of an S3 server with an empty bucket, for the length of a block."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while not _create_bucket(port):
            assert server.poll() is None, "the S3 server did not start"
            assert time.monotonic() < end, "the S3 server does not answer"
            time.sleep(0.2)
        yield port
    finally:
        server.terminate()
        server.wait(20)


@contextmanager
def named_by_the_environment() -> Iterator[None]:
    """An S3 server with an empty bucket, which this process' environment names for the length of a block."""
    with s3_server() as port, pytest.MonkeyPatch.context() as patch:
        for name, value in environment(f"http://127.0.0.1:{port}").items():
            patch.setenv(name, value)
        opened = fsspec.get_filesystem_class("s3")
        opened.clear_instance_cache()  # those of other tests know another server
        yield
        opened.clear_instance_cache()


def _create_bucket(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request(
            "PUT", f"/{BUCKET}", headers={"Authorization": "AWS4-HMAC-SHA256 Credential=test/x/us-east-1"}
        )
        return connection.getresponse().status == 200
    except OSError:
        return False


def environment(url: str) -> dict[str, str]:
    """What a process needs to use the server at `url`."""
    return {**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": url}
