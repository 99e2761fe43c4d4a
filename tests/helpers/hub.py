"""A file server on this machine that answers as the Hugging Face hub does: redirects, hashes, ranges, and failures."""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath

from musetalk.backends.preview.spec import PREVIEW
from musetalk.backends.spec import AnyBackend
from musetalk.weights import HubPlace, WeightFile

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_DRIP_SECONDS = 1.0
_APART = 4096  # bytes from which a file is stored apart, as the hub does with what git holds only pointers to

# What tests have it serve.
LARGE = bytes(range(256)) * 20_000  # 5 MB: several chunks, and progress is told in steps of one
SMALL = b'{"in_channels": 8}'
UNET, CONFIG, EARS = "some/net/unet.pth", "some/net/config.json", "some/ears/ears.bin"


@dataclass
class Hub:
    """What it has, how it misbehaves, and what it was asked.

    Attributes:
        files: Contents by "owner/name/path".
        said: Contents that hashes are told of, where they are others than those sent.
        cuts: After how many bytes each of the next answers with contents breaks off.
        pauses: After how many bytes each of the next answers with contents drips, until `go_on` is set: a byte now and
            then, for whoever takes silence for a broken connection.
        status: Answered instead of any contents; 0: none.
        refusal: Status and error code answered to whoever asks where a file is; 0: nobody is refused.
        ranges: Whether it understands them.
        asked: Requests so far: method, path, range.
        tokens: Hosts that were sent an Authorization header.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    said: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    pauses: list[int] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)
    status: int = 0
    refusal: tuple[int, str] = (0, "")
    ranges: bool = True
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    port: int = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fetched(self) -> list[str]:
        """Ranges of the requests for contents; "" where all was asked for."""
        return [given for method, path, given in self.asked if method == "GET" and path.startswith("/cdn/")]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        pass

    @property
    def hub(self) -> Hub:
        return self.server.hub  # type: ignore[attr-defined, no-any-return]

    def _answer(self) -> None:
        self.hub.asked.append((self.command, self.path, self.headers.get("Range", "")))
        if "Authorization" in self.headers:
            self.hub.tokens.add(self.headers["Host"].split(":")[0])
        if resolved := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path):
            self._resolve(resolved[1], resolved[3])
        elif self.path.startswith(("/cdn/", "/api/resolve-cache/")):
            self._contents(self.path.removeprefix("/cdn/").removeprefix("/api/resolve-cache/"))
        else:
            self._head(404)

    def _resolve(self, repository: str, path: str) -> None:
        key, (refused, why) = f"{repository}/{path}", self.hub.refusal
        if refused:
            self._head(refused, {"X-Error-Code": why} if why else {})
        elif not any(name.startswith(f"{repository}/") for name in self.hub.files):
            self._head(404, {"X-Error-Code": "RepoNotFound"})
        elif key not in self.hub.files:
            self._head(404, {"X-Error-Code": "EntryNotFound"})
        elif len(self.hub.files[key]) < _APART:
            self._head(307, {"Location": f"/api/resolve-cache/{key}", "X-Repo-Commit": COMMIT})
        else:
            said = self.hub.said.get(key, self.hub.files[key])
            elsewhere = f"http://localhost:{self.hub.port}/cdn/{key}"
            linked = {"X-Linked-Etag": f'"{sha256(said)}"', "X-Linked-Size": str(len(said))}
            self._head(302, {"Location": elsewhere, "X-Repo-Commit": COMMIT, **linked})

    def _contents(self, key: str) -> None:
        held = self.hub.files.get(key)
        if held is None or self.hub.status:
            self._head(self.hub.status or 404)
            return
        said = self.hub.said.get(key, held)
        blob = hashlib.sha1(f"blob {len(said)}\0".encode() + said).hexdigest()  # noqa: S324 - git's
        headers = {"ETag": f'"{blob}"', "X-Repo-Commit": COMMIT}
        given = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if given and self.hub.ranges:
            start = int(given[1])
            if start >= len(held):
                self._head(416, {"Content-Range": f"bytes */{len(held)}"})
                return
            headers["Content-Range"] = f"bytes {start}-{len(held) - 1}/{len(held)}"
            self._send(206, headers, held[start:])
        else:
            self._send(200, headers, held)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self._head(status, headers, len(body))
        if self.command == "GET":
            cut = self.hub.cuts.pop(0) if self.hub.cuts else len(body)
            pause = self.hub.pauses.pop(0) if self.hub.pauses else cut
            with contextlib.suppress(ConnectionError):  # who cancels hangs up
                self.wfile.write(body[:pause])
                while pause < cut and not self.hub.go_on.wait(_DRIP_SECONDS):
                    self.wfile.write(body[pause : pause + 1])
                    pause += 1
                self.wfile.write(body[pause:cut])
            self.close_connection = self.close_connection or cut < len(body)

    def _head(self, status: int, headers: dict[str, str] | None = None, length: int = 0) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(length), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()


def sha256(contents: bytes) -> str:
    return hashlib.sha256(contents).hexdigest()


def on_hub(key: str, size: int | None = None, digest: str = "", name: str = "") -> WeightFile:
    """A file of weights that such a server has, by "owner/name/path"."""
    owner, repository, path = key.split("/", 2)
    place = HubPlace(f"{owner}/{repository}", path)
    return WeightFile(PurePosixPath("net", name or path), place, "MIT", size, digest)


def reading(name: str, *files: WeightFile) -> AnyBackend:
    """A backend that paints as the preview does, but only where it has its files."""
    return replace(
        PREVIEW,
        name=name,
        summary=f"a network called {name}",
        weights=files,
    )


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub that answers while the `with` block runs."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.hub = hub  # type: ignore[attr-defined]
    hub.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
