"""What `memrec submit` refuses, without a cluster: each in one sentence, exit status 2."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import SMALL
from workflows.experiment import loading as experiment
from workflows.job import submit


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """The URL of a server that gives every request the same answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_GET  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def listening(said: bytes) -> Iterator[str]:
    """The URL of a socket that says so much, and then nothing any more."""
    held = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    held.append(server.accept()[0])
                    held[-1].sendall(said)
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        for connection in held:
            connection.close()


def assert_refused(called, *words: str) -> None:
    assert (called.status, called.err.count("\n")) == (2, 1), called
    assert called.err.startswith("error: ")
    for word in words:
        assert word in called.err


@pytest.mark.parametrize(
    "server",
    [
        lambda: answering(404, b"not here"),
        lambda: answering(200, b"<html>hello</html>"),
        lambda: answering(200, b"[]"),
        lambda: answering(200, b'{"ray_version": null}'),
        lambda: answering(200, b'{"version": "2"}'),
        lambda: answering(500, b"no"),
        lambda: listening(b"220 mail.example ESMTP\r\n"),
        lambda: listening(b""),
        lambda: listening(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"),
    ],
    ids=["404", "html", "list", "null", "other JSON", "500", "mail", "silence", "half an answer"],
)
def test_port_that_is_no_dashboard(memrec, small_file: Path, monkeypatch: pytest.MonkeyPatch, server):
    monkeypatch.setattr(submit, "ANSWER_S", 0.5)
    with server() as url:
        called = memrec("submit", small_file, "--run", "s3://bucket/run", "--address", url)
    assert_refused(called, f"no Ray dashboard answers at {url}", "http://HOST:8265")


@pytest.mark.parametrize(
    "address", ["http://", "nonsense://x", "http://127.0.0.1:99999", "127.0.0.1:9", "ray://127.0.0.1:9"]
)
def test_address_that_is_none(memrec, small_file: Path, address: str):
    called = memrec("submit", small_file, "--run", "s3://bucket/run", "--address", address)
    assert_refused(called, address, "http://HOST:8265")


@pytest.mark.parametrize("path", ["pictures", "./pictures", "~/pictures"])
@pytest.mark.parametrize("key", ["data.root", "data.control_root"])
def test_data_path_of_this_machine_is_not_sent_to_the_cluster(memrec, tmp_path: Path, path: str, key: str):
    file = tmp_path / "own.yaml"
    file.write_text(SMALL.replace("name: photos", "name: image_folder, root: /data/pictures"))
    options = ("--run", "s3://bucket/run", "--address", "http://127.0.0.1:9", "--set", f"{key}={path}")
    assert_refused(memrec("submit", file, *options), path, "read on the cluster", "--set data.root=/data/pictures")


def test_relative_run_folder_is_not_the_clusters(memrec, small_file: Path):
    called = memrec("submit", small_file, "--run", "runs/mine", "--address", "http://127.0.0.1:9")
    assert_refused(called, "--run runs/mine", "s3://")


def test_data_of_the_cluster_need_not_lie_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("MEMREC_DATA", str(tmp_path))
    sent = experiment.load("tiny-imagenet-100", elsewhere=True)
    assert sent.data[0].root is None  # the node that reads it looks for it
    sent = experiment.load("tiny-imagenet-100", ["data.root=/data/../tiny"], elsewhere=True)
    assert sent.data[0].root == "/data/../tiny"
    assert experiment.parse(sent.to_yaml(), "sent").data[0].root == "/data/../tiny"


def test_prior_of_this_machine_is_not_sent_to_the_cluster(memrec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "prior").mkdir()
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "own.yaml"
    file.write_text(SMALL + "methods: [ddnm]\nddnm: {prior: prior}\n")
    called = memrec("submit", file, "--run", "s3://bucket/run", "--address", "http://127.0.0.1:9")
    assert_refused(called, "is a path of this machine")
    file.write_text(SMALL + "methods: [ddnm]\nddnm: {prior: cifar10-32}\n")
    assert experiment.load(str(file), elsewhere=True).methods[0].method.prior == "cifar10-32"
