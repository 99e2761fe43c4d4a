"""`/live`: the WebSocket of live speech, beside the page, and what it shows to players that take HLS."""

from __future__ import annotations

import gradio as gr
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from musetalk.live.hls import HlsShelf
from musetalk.live.host import LiveHost
from musetalk.live.unsent import keep_little_unsent
from musetalk.webui.access import refusal

PATH = "/live"
_HLS = "live/hls"  # from where the page is, and from `/live`
_UNKEPT = {"Cache-Control": "no-store"}
_REFUSED, _DONE = 1008, 1000  # RFC 6455, section 7.4.1: policy violation, normal closure
_MOST_REASON = 120  # bytes that a closing frame holds, and a few less


def add_live_route(page: gr.Blocks, host: LiveHost) -> None:
    """Serve live speech beside a page that is being served: to those who may open the page, from it and from programs.

    Args:
        page: The page, launched.
        host: Serves.
    """
    keep_little_unsent(listener for server in page.server.servers for listener in server.sockets)
    shelf = HlsShelf(_HLS)

    async def converse(socket: WebSocket) -> None:
        refused = refusal(page, socket)
        await socket.accept()
        if refused is not None:
            await socket.close(_REFUSED, refused.problem)
            return
        await host.serve(_Connection(socket), shelf.open_sink)

    async def give(request: Request) -> Response:
        refused = refusal(page, request)
        if refused is not None:
            return PlainTextResponse(refused.problem, refused.status, _UNKEPT)
        file = shelf.file(request.path_params["key"], request.path_params["name"])
        if file is None:
            return PlainTextResponse("there is no such video, or no longer", 404, _UNKEPT)
        return Response(file.data, headers=_UNKEPT, media_type=file.media_type)

    routes = [WebSocketRoute(PATH, converse), Route(f"/{_HLS}/{{key}}/{{name}}", give)]
    page.app.router.routes[:0] = routes


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
