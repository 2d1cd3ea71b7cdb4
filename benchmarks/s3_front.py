"""A folder as an S3 server on loopback that answers each request after a while, as one far away does.

    python -m benchmarks.s3_front FOLDER FILE SECONDS

writes its port to the file once it listens. moto's server takes more of a machine than the client that is measured;
this one keeps out of its way. It knows what s3fs asks of objects (GET, HEAD, PUT, DELETE, listings) and nothing else:
no parts, no rights, no versions.
"""

import asyncio
import hashlib
import sys
from bisect import bisect_left
from collections import Counter
from pathlib import Path
from xml.sax.saxutils import escape

from aiohttp import web

BUCKET = "bucket"
COUNTS = "/_counts"
"""Answers how many requests there were of each kind since it was asked last."""
PAGE = 1000
"""How many names a listing gives at a time, as S3 does."""
MODIFIED = "Thu, 01 Jan 2026 00:00:00 GMT"


class Front:
    """The objects of one bucket: the files below a folder, by their names."""

    def __init__(self, folder: Path, latency_s: float) -> None:
        self.folder, self.latency_s = folder, latency_s
        self.counts: Counter[str] = Counter()
        files = (path for path in folder.rglob("*") if path.is_file())
        self.tags = {path.relative_to(folder).as_posix(): _tag(path.read_bytes()) for path in files}
        self.names = sorted(self.tags)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == COUNTS:
            counts, self.counts = self.counts, Counter()
            return web.json_response(counts)
        key = request.path.removeprefix(f"/{BUCKET}").strip("/")
        listing = request.method == "GET" and "list-type" in request.query
        self.counts["LIST" if listing else request.method] += 1
        await asyncio.sleep(self.latency_s)
        if listing:
            return self._list(request)
        if request.method == "PUT":
            return await self._put(key, request)
        if not key:
            return web.Response()
        if key not in self.tags:
            return _error(404, "NoSuchKey")
        if request.method == "DELETE":
            return self._delete(key)
        return self._get(key, request)

    def _get(self, key: str, request: web.Request) -> web.Response:
        data = (self.folder / key).read_bytes()
        headers = {"ETag": self.tags[key], "Last-Modified": MODIFIED, "Content-Type": "binary/octet-stream"}
        part = request.http_range
        if part.start is None and part.stop is None:
            return web.Response(body=data, headers=headers)
        start, stop, _ = part.indices(len(data))
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
        return web.Response(status=206, body=data[start:stop], headers=headers)

    async def _put(self, key: str, request: web.Request) -> web.Response:
        if request.headers.get("If-None-Match") == "*" and key in self.tags:
            return _error(412, "PreconditionFailed")
        data = await request.read()
        if "aws-chunked" in request.headers.get("Content-Encoding", ""):
            data = _without_chunks(data)
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if key not in self.tags:
            self.names.insert(bisect_left(self.names, key), key)
        self.tags[key] = _tag(data)
        return web.Response(headers={"ETag": self.tags[key]})

    def _delete(self, key: str) -> web.Response:
        (self.folder / key).unlink()
        del self.tags[key]
        self.names.remove(key)
        return web.Response(status=204)

    def _list(self, request: web.Request) -> web.Response:
        prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter", "")
        most = min(int(request.query.get("max-keys", PAGE)), PAGE)
        place = bisect_left(self.names, request.query.get("continuation-token", prefix))
        found: list[str] = []
        folders: dict[str, None] = {}
        while place < len(self.names) and self.names[place].startswith(prefix) and len(found) + len(folders) < most:
            name = self.names[place]
            rest, divider, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
            if divider:
                folder = f"{prefix}{rest}{delimiter}"
                folders[folder] = None
                place = bisect_left(self.names, folder + "\U0010ffff")
            else:
                found.append(name)
                place += 1
        more = place < len(self.names) and self.names[place].startswith(prefix)
        body = "".join(
            [
                "<ListBucketResult>",
                f"<Name>{BUCKET}</Name><KeyCount>{len(found) + len(folders)}</KeyCount>",
                f"<IsTruncated>{str(more).lower()}</IsTruncated>",
                f"<NextContinuationToken>{escape(self.names[place])}</NextContinuationToken>" if more else "",
                *(
                    f"<Contents><Key>{escape(name)}</Key><ETag>{self.tags[name]}</ETag>"
                    f"<Size>{(self.folder / name).stat().st_size}</Size>"
                    "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
                    for name in found
                ),
                *(f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in folders),
                "</ListBucketResult>",
            ]
        )
        return web.Response(text=body, content_type="application/xml")


def _tag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def _without_chunks(data: bytes) -> bytes:
    """The body of an upload in chunks, each of which begins with its length."""
    found, place = [], 0
    while True:
        end = data.index(b"\r\n", place)
        size = int(data[place:end].partition(b";")[0], 16)
        if not size:
            return b"".join(found)
        found.append(data[end + 2 : end + 2 + size])
        place = end + 2 + size + 2


def _error(status: int, code: str) -> web.Response:
    return web.Response(status=status, text=f"<Error><Code>{code}</Code></Error>", content_type="application/xml")


async def serve(folder: Path, port: Path, latency_s: float) -> None:
    """Answer until the process ends."""
    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{key:.*}", Front(folder, latency_s).answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port.write_text(str(runner.addresses[0][1]), encoding="utf-8")
    await asyncio.Event().wait()


def main() -> None:
    folder, port, seconds = sys.argv[1:]
    asyncio.run(serve(Path(folder), Path(port), float(seconds)))


if __name__ == "__main__":
    main()
