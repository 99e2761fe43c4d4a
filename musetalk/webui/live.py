"""`/live`: the WebSocket of live speech, beside the page."""

from __future__ import annotations

from urllib.parse import urlsplit

import gradio as gr
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from musetalk.live.host import LiveHost

PATH = "/live"
_REFUSED, _DONE = 1008, 1000  # RFC 6455, section 7.4.1: policy violation, normal closure
_MOST_REASON = 120  # bytes that a closing frame holds, and a few less


def add_live_route(page: gr.Blocks, host: LiveHost) -> None:
    """Serve live speech beside a page that is being served: to those who may open the page, from it and from programs.

    Args:
        page: The page, launched.
        host: Serves.
    """

    async def converse(socket: WebSocket) -> None:
        refusal = _refusal(page, socket)
        await socket.accept()
        if refusal:
            await socket.close(_REFUSED, refusal)
            return
        await host.serve(_Connection(socket))

    page.app.router.routes.insert(0, WebSocketRoute(PATH, converse))


def _refusal(page: gr.Blocks, socket: WebSocket) -> str:
    """Return why somebody may not speak here; empty: they may."""
    origin, here = socket.headers.get("origin"), socket.headers.get("host", "")
    if origin is not None and urlsplit(origin).netloc.lower() != here.lower():
        return "pages of other sites may not speak here"  # a browser sends our cookies along to whoever asks
    app = page.app
    if app.auth is None and not app.auth_dependency:
        return ""
    names = (f"access-token-{app.cookie_id}", f"access-token-unsecure-{app.cookie_id}")  # as Gradio names them
    logged_in = any(socket.cookies.get(name) in app.tokens for name in names)
    return "" if logged_in else "log in first"


class _Connection:
    """A `Socket` over Starlette's."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def receive(self) -> bytes | str | None:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        data: bytes | str | None = message.get("bytes")
        return data if data is not None else str(message["text"])

    async def send(self, message: bytes | str) -> None:
        try:
            if isinstance(message, bytes):
                await self._socket.send_bytes(message)
            else:
                await self._socket.send_text(message)
        except (WebSocketDisconnect, RuntimeError) as error:  # Starlette's word for a connection that was closed
            raise ConnectionError("the client is gone") from error

    async def close(self, reason: str) -> None:
        if self._socket.client_state is WebSocketState.CONNECTED:
            short = reason.encode()[:_MOST_REASON].decode(errors="ignore")
            try:
                await self._socket.close(_REFUSED if reason else _DONE, short)
            except RuntimeError as error:
                raise ConnectionError("the client is gone") from error
