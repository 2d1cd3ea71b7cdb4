"""A proxy before a server on loopback, that now and then answers 500, or late."""

import http.client
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Proxy(ThreadingHTTPServer):
    """Hands requests on to `port`; a share of them is answered with 500 instead, a share 50 ms later."""

    daemon_threads = True

    def __init__(self, port: int, errors: float, delays: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port, self.errors, self.delays = port, errors, delays
        self.random, self.injected, self.answered = random.Random(42), 0, 0
        self.asked: list[str] = []
        """Each request: its method and its path, with what is asked of that."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(f"{self.command} {self.path}")
        chance = self.server.random.random()
        if chance < self.server.errors:
            self.server.injected += 1
            self._answer(500, {}, b"<Error><Code>InternalError</Code></Error>")
            return
        if chance < self.server.errors + self.server.delays:
            time.sleep(0.05)
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        upstream.request(self.command, self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        headers = {k: v for k, v in answer.getheaders() if k.lower() not in ("connection", "transfer-encoding", "date")}
        self.server.answered += 1
        self._answer(answer.status, headers, answer.read())

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = handle_any  # noqa: N815 (names that http.server calls)


@contextmanager
def unreliable(port: int, errors: float, delays: float) -> Iterator[Proxy]:
    """A proxy before the server at `port`, for the length of a block."""
    proxy = Proxy(port, errors, delays)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
