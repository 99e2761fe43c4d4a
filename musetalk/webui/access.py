"""Who opens the page, whoever runs the server or a visitor, and who may use what is served beside it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import gradio as gr
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from musetalk.utils.origins import same_site
from musetalk.webui.options import ServerOptions

Headers: TypeAlias = Iterable[tuple[bytes, bytes]]
_HERE = ("127.0.0.1", "localhost", "::1")
_FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"via")


class Access:
    """What people who open the page may do. One answer per server, from where its requests come.

    Where nobody said, who opens a page that only this machine can open is taken for whoever runs the server, until
    somebody comes from elsewhere, through a proxy on this machine; from then on everybody is a visitor.

    Args:
        options: How the app is served.
    """

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        host = options.host or os.environ.get("GRADIO_SERVER_NAME") or _HERE[0]
        self._near = host in _HERE and not options.share and not on_space()

    @property
    def owner(self) -> bool:
        """Whether they run the server."""
        return self._near if self._options.owner is None else self._options.owner

    @property
    def downloads(self) -> bool:
        """Whether they may fill this machine's disk with weights."""
        return self._trusted if self._options.downloads is None else self._options.downloads

    @property
    def avatar_making(self) -> bool:
        """Whether they may make avatars, which everybody here speaks with, and delete them."""
        return self._trusted if self._options.avatar_making is None else self._options.avatar_making

    @property
    def _trusted(self) -> bool:
        """Whether they may change what the server keeps where nobody said.

        Who runs the server may, and who has a login; strangers may not, and nobody on a Space, whose disk is small and
        forgets.
        """
        return (bool(self._options.auth) or self.owner) and not on_space()

    def heed(self, headers: Headers) -> None:
        """Notice a request that did not come straight from this machine."""
        if self._near and not from_here(headers):
            self._near = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody may not use what is served beside the page.

    Attributes:
        status: Of an answer over HTTP.
        problem: In words.
    """

    status: int
    problem: str


def refusal(page: gr.Blocks, connection: HTTPConnection) -> Refusal | None:
    """Return why somebody may not use what is served beside a page; None: they may, as they may open the page."""
    origin, here = connection.headers.get("origin"), connection.headers.get("host", "")
    if origin is not None and not same_site(origin, here):
        # A browser sends our cookies along to whoever asks.
        return Refusal(403, "pages of other sites may not speak here")
    app = page.app
    if app.auth is None and not app.auth_dependency:
        return None
    names = (f"access-token-{app.cookie_id}", f"access-token-unsecure-{app.cookie_id}")  # as Gradio names them
    logged_in = any(connection.cookies.get(name) in app.tokens for name in names)
    return None if logged_in else Refusal(401, "log in first")


def on_space() -> bool:
    """Whether this is a Hugging Face Space."""
    return "SPACE_ID" in os.environ  # https://huggingface.co/docs/hub/spaces-overview#helper-environment-variables


def from_here(headers: Headers) -> bool:
    """Return whether a request names this machine as its own browser does, and no proxy says it passed it on."""
    said = {name.lower(): value for name, value in headers}
    if any(name in said for name in _FORWARDED):
        return False
    host = said.get(b"host", b"").decode("latin-1")
    name = host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    return name.lower() in ("", *_HERE)


class Heeding:
    """An ASGI layer that shows the headers of each request to `heed`, before it is answered."""

    def __init__(self, app: ASGIApp, heed: Callable[[Headers], None]) -> None:
        self._app = app
        self._heed = heed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does."""
        if scope["type"] in ("http", "websocket"):
            self._heed(scope["headers"])
        await self._app(scope, receive, send)
