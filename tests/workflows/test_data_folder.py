"""Where data sets are found, and what is said when one can't be fetched."""

import hashlib
import io
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memrec_core.errors import InputError
from memrec_core.torchvision_import import import_torchvision
from workflows.experiment import data_folder
from workflows.experiment.data_folder import default_root, download

CIFAR10, SVHN = (getattr(import_torchvision().datasets, name) for name in ("CIFAR10", "SVHN"))

# Finding


def test_of_several_copies_the_folder_comes_first_then_the_tar_then_the_zip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MEMREC_DATA", str(tmp_path))
    for name in ("tiny-imagenet-200.zip.md5", "tiny-imagenet-200.tar.part", "tiny-imagenet-200-notes.txt"):
        (tmp_path / name).write_text("no data set")
    (tmp_path / "tiny-imagenet-200").mkdir()
    expected = [
        "tiny-imagenet-200",
        "tiny-imagenet-200-small.zip",
        "tiny-imagenet-200.zip",
        "tiny-imagenet-200-25k.tar",
    ]
    for name in expected[1:]:
        (tmp_path / name).write_bytes(b"archive")
        expected_root = tmp_path / name
        assert default_root("tiny_imagenet") == str(expected_root), "an empty folder is nothing to prefer"
    (tmp_path / "tiny-imagenet-200.tar.gz").write_bytes(b"archive")
    assert default_root("tiny_imagenet") == str(tmp_path / "tiny-imagenet-200.tar.gz")
    (tmp_path / "tiny-imagenet-200" / "train").mkdir()
    assert default_root("tiny_imagenet") == str(tmp_path / "tiny-imagenet-200")


def test_data_folder_of_nobody_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MEMREC_DATA", "~nobody-of-this-name/data")
    with pytest.raises(InputError, match="MEMREC_DATA=~nobody-of-this-name/data names the home folder of nobody"):
        default_root("svhn")
    with pytest.raises(InputError, match="MEMREC_DATA=~nobody-of-this-name/data names the home folder of nobody"):
        download(["svhn"])


# Fetching, from a server that breaks off

OK = b"HTTP/1.1 200 OK\r\n"
ANSWERS = {
    "nothing": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "half a body": OK + b"Content-Length: 100000\r\n\r\n" + bytes(5000),
    "half a chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n" + bytes(5000),
    "no chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nzzz\r\n",
    "another file": OK + b"Content-Length: 5\r\n\r\nhello",
    "error page": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy",
    "circle": b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n",
    "to nowhere": b"HTTP/1.1 302 Found\r\nLocation: ftp://[\r\nContent-Length: 0\r\n\r\n",
    "endless head": OK + b"X: " + b"x" * 70_000 + b"\r\n\r\n",
    "many heads": OK + b"X: x\r\n" * 200 + b"\r\n",
}
Serve = Callable[[bytes], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that answers everything with the same bytes and hangs up; gives its address."""
    listeners: list[socket.socket] = []

    def start(answer: bytes, hang_up: bool = True) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=accept, args=(listener, answer, hang_up), daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        listener.close()


def accept(listener: socket.socket, answer: bytes, hang_up: bool) -> None:
    held = []
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        held.append(connection)
        try:
            asked = connection.recv(65536)
            body = b"" if asked.startswith(b"HEAD") and answer.startswith(OK) else answer
            connection.sendall(body or OK + b"Content-Length: 0\r\n\r\n" if answer else b"")
            if hang_up:
                connection.shutdown(socket.SHUT_RDWR)
                connection.close()
        except OSError:
            continue


@pytest.fixture
def point_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has torchvision fetch from elsewhere, into an empty folder."""
    monkeypatch.setenv("MEMREC_DATA", str(tmp_path / "data"))

    def change(url: str, cifar_md5: str = CIFAR10.tgz_md5) -> None:
        monkeypatch.setattr(CIFAR10, "url", f"{url}/cifar.tar.gz")
        monkeypatch.setattr(CIFAR10, "tgz_md5", cifar_md5)
        monkeypatch.setattr(
            SVHN, "split_list", {"train": [f"{url}/a.mat", "a.mat", "0"], "test": [f"{url}/b.mat", "b.mat", "0"]}
        )

    return change


def refused(name: str) -> str:
    with pytest.raises(InputError) as caught:
        download([name])
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["cifar10", "svhn"])
@pytest.mark.parametrize("answer", ANSWERS)
def test_server_that_breaks_off_is_a_sentence(serve: Serve, point_to, answer: str, name: str):
    point_to(serve(ANSWERS[answer]))
    said = refused(name)
    assert said.startswith(f"data set {name} can't be fetched to ")
    assert said.endswith("check the network, or give its place with --set data.root=PATH")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://local host", "http://[::1", "nonsense", "http://a\nb"])
def test_address_that_leads_nowhere_is_a_sentence(point_to, url: str):
    point_to(url)
    assert "can't be fetched" in refused("svhn")


def test_server_that_falls_silent_is_given_up(serve, point_to, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(data_folder, "SILENCE", 0.3)
    point_to(serve(OK + b"Content-Length: 100000\r\n\r\n" + bytes(50), hang_up=False))
    assert "timed out" in refused("svhn")
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize("damage", ["cut", "text"])
def test_archive_that_is_no_whole_tar_is_a_sentence(serve: Serve, point_to, damage: str):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
        member.size = 50_000
        archive.addfile(member, io.BytesIO(hashlib.shake_256(b"noise").digest(50_000)))
    body = {"cut": buffer.getvalue()[:20_000], "text": b"no tar" * 99}[damage]
    answer = OK + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    point_to(serve(answer), cifar_md5=hashlib.md5(body).hexdigest())
    assert "can't be fetched" in refused("cifar10")
