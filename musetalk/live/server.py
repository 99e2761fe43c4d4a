"""Live speech over a WebSocket alone, where no page is served: what the lean image runs."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import urlsplit

from musetalk.errors import LiveError, PackageError
from musetalk.live.hls import HlsShelf
from musetalk.live.host import TOLD_SECONDS, LiveHost
from musetalk.live.unsent import keep_little_unsent
from musetalk.utils.origins import same_site

try:
    from websockets.asyncio.server import Server, ServerConnection, serve
    from websockets.datastructures import Headers
    from websockets.exceptions import ConnectionClosed
    from websockets.http11 import Request, Response
except ImportError as error:
    raise PackageError("live speech cannot be served: websockets is not installed", "pip install websockets") from error

PATH, HEALTH, READY = "/live", "/healthz", "/readyz"
_HLS = "live/hls"  # from `/live`
_REFUSED, _DONE = 1008, 1000  # RFC 6455, section 7.4.1: policy violation, normal closure
_MOST_REASON = 120  # bytes that a closing frame holds, and a few less
_BEARER = "bearer "
_LOOK_SECONDS = 0.1  # between two looks whether sessions go on
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Door:
    """Where live speech is served, and to whom.

    Attributes:
        host: Address to listen on.
        port: Port; 0: any that is free.
        token: What clients have to send, as `Authorization: Bearer TOKEN`; empty: everybody may speak who reaches it.
        origins: Pages that may speak beside those of the address itself, as "https://example.org".
    """

    host: str = "127.0.0.1"
    port: int = 7861
    token: str = ""
    origins: tuple[str, ...] = ()


@asynccontextmanager
async def serving(host: LiveHost, door: Door) -> AsyncIterator[str]:
    """Serve live speech while the block runs; its address is yielded, as "ws://127.0.0.1:7861/live".

    `/healthz` says whether the process answers, `/readyz` whether a session is free (503: none is). Below the address
    lies what is shown by HLS.

    Raises:
        LiveError: The address cannot be listened on.
    """
    shelf = HlsShelf(_HLS)

    def answer(_connection: ServerConnection, request: Request) -> Response | None:
        path = urlsplit(request.path).path
        if path in (HEALTH, READY):
            free = host.free
            status = HTTPStatus.OK if path == HEALTH or free else HTTPStatus.SERVICE_UNAVAILABLE
            told = json.dumps({"ok": status == HTTPStatus.OK, "free_sessions": free})
            return _answer(status, f"{told}\n".encode(), "application/json")
        if path != PATH and not path.startswith(f"/{_HLS}/"):
            return _problem(HTTPStatus.NOT_FOUND, f"live speech is at {PATH}")
        if (refused := _refusal(door, request.headers)) is not None:
            return _problem(*refused)
        return None if path == PATH else _shown(shelf, path)

    async def converse(connection: ServerConnection) -> None:
        await host.serve(_Connection(connection), shelf.open_sink)

    try:
        server = await serve(
            converse,
            door.host,
            door.port,
            process_request=answer,
            max_size=host.limits.message_bytes,
            compression=None,  # video does not get smaller
        )
    except OSError as error:
        # asyncio's own words for an address that is taken tell it once more.
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise LiveError(
            f"{door.host}:{door.port} cannot be listened on ({reason})", "give another --host or --port"
        ) from error
    keep_little_unsent(server.sockets)
    async with server:
        yield _address(server)


async def serve_until_told(host: LiveHost, door: Door, drain_seconds: float) -> None:
    """Serve live speech until the process is asked to end; sessions end in order then.

    After SIGTERM they may go on for a while; SIGINT, or another signal meanwhile, ends them at once.

    Args:
        host: Serves.
        door: Where, and whom.
        drain_seconds: Most seconds that sessions go on after SIGTERM.

    Raises:
        LiveError: See `serving`.
    """
    told: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.put_nowait, number)
    async with serving(host, door) as address:
        _log.info("serving live speech on %s", address)
        if await told.get() == signal.SIGTERM:
            _log.info("asked to end: %d live sessions go on", host.sessions)
            host.drain(drain_seconds)
            ends = loop.time() + drain_seconds
            while host.sessions and told.empty() and loop.time() < ends:
                await asyncio.sleep(_LOOK_SECONDS)
        host.dismiss()
        ends = loop.time() + TOLD_SECONDS
        while host.sessions and loop.time() < ends:  # who speaks hears why
            await asyncio.sleep(_LOOK_SECONDS)
        await loop.run_in_executor(None, host.close)


def _refusal(door: Door, headers: Headers) -> tuple[HTTPStatus, str] | None:
    """Return why somebody may not speak; None: they may."""
    origin, here = _said(headers, "Origin"), _said(headers, "Host")
    if "Origin" in headers and origin not in door.origins and not same_site(origin, here):
        return HTTPStatus.FORBIDDEN, "pages of other sites may not speak here"
    if not door.token:
        return None
    said = _said(headers, "Authorization")
    token = said[len(_BEARER) :] if said[: len(_BEARER)].lower() == _BEARER else ""
    if hmac.compare_digest(token.encode(), door.token.encode()):
        return None
    return HTTPStatus.UNAUTHORIZED, "send the header Authorization: Bearer TOKEN"


def _shown(shelf: HlsShelf, path: str) -> Response:
    """Answer a player that asks for a file of what is shown by HLS."""
    *_, key, name = path.split("/")
    file = shelf.file(key, name)
    if file is None:
        return _problem(HTTPStatus.NOT_FOUND, "there is no such video, or no longer")
    return _answer(HTTPStatus.OK, file.data, file.media_type)


def _problem(status: HTTPStatus, problem: str) -> Response:
    return _answer(status, f"{problem}\n".encode(), "text/plain; charset=utf-8")


def _answer(status: HTTPStatus, body: bytes, media_type: str) -> Response:
    headers = Headers(Date=formatdate(usegmt=True), Connection="close")
    headers.update({"Content-Type": media_type, "Content-Length": str(len(body)), "Cache-Control": "no-store"})
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(status.value, status.phrase, headers, body)


def _said(headers: Headers, name: str) -> str:
    """Return what a header says; of one that is there twice, which nobody has to send, what agrees with nothing."""
    return ", ".join(headers.get_all(name))


def _address(server: Server) -> str:
    name, port = next(iter(server.sockets)).getsockname()[:2]
    return f"ws://{f'[{name}]' if ':' in name else name}:{port}{PATH}"


class _Connection:
    """A `Socket` over one of websockets'."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def receive(self) -> bytes | str | None:
        try:
            return await self._connection.recv()
        except ConnectionClosed:
            return None

    async def send(self, message: bytes | str) -> None:
        try:
            await self._connection.send(message)
        except ConnectionClosed as error:
            raise ConnectionError("the client is gone") from error

    async def close(self, reason: str) -> None:
        short = reason.encode()[:_MOST_REASON].decode(errors="ignore")
        await self._connection.close(_REFUSED if reason else _DONE, short)
