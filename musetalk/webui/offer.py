"""`/offer`: where live speech over WebRTC begins, beside the page."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING

import gradio as gr
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from musetalk.errors import LiveError
from musetalk.live.host import LiveHost
from musetalk.live.messages import error_event, read_offer
from musetalk.webui.access import refusal

if TYPE_CHECKING:
    from musetalk.live.webrtc.peers import PeerHost

PATH = "/offer"
_BAD, _TOO_LARGE, _NOT_INSTALLED, _FULL = 400, 413, 501, 503
_MISSING = LiveError(
    "WebRTC is not installed on this server", 'pip install ".[webrtc]" in the checkout, and start the server anew'
)
_CROWDED = LiveError("too many are speaking here already", "try again later")

_log = logging.getLogger(__name__)


def add_offer_route(page: gr.Blocks, host: LiveHost) -> None:
    """Answer offers of WebRTC beside a page that is being served, to those who may open the page.

    Args:
        page: The page, launched.
        host: Serves.
    """
    offers = _Offers(page, host)
    page.app.router.routes.insert(0, Route(PATH, offers.answer, methods=["POST"]))


class _Offers:
    """Answers offers; what that needs is loaded with the first one.

    Args:
        page: Whose visitors may offer.
        host: Serves.
    """

    def __init__(self, page: gr.Blocks, host: LiveHost) -> None:
        self._page, self._host = page, host
        self._peers: PeerHost | None = None

    async def answer(self, request: Request) -> Response:
        """Return the server's description of the connection, or an error as over `/live`."""
        refused = refusal(self._page, request)
        if refused is not None:
            return _error(refused.status, LiveError(refused.problem, "open the app's own page"))
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > self._host.limits.message_bytes:
                return _error(_TOO_LARGE, LiveError("the offer is too large", "send what the browser makes"))
        try:
            offer, peers = read_offer(body), await self._peer_host()
            if peers.full:
                return _error(_FULL, _CROWDED)
            sdp = await peers.answer(offer)
        except LiveError as error:
            return _error(_BAD, error)
        except ImportError as error:
            _log.warning("WebRTC cannot be used: %s", error)
            return _error(_NOT_INSTALLED, _MISSING)
        return JSONResponse({"sdp": sdp, "type": "answer"})

    async def _peer_host(self) -> PeerHost:
        # Of an extra; and it takes a second, in which all others would wait, too.
        peers = await run_in_threadpool(import_module, "musetalk.live.webrtc.peers")
        if self._peers is None:
            self._peers = peers.PeerHost(self._host)
        return self._peers


def _error(status: int, error: LiveError) -> Response:
    return Response(error_event(error), status, media_type="application/json")
