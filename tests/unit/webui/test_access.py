"""Who is taken for whoever runs the server."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from musetalk.webui.access import Access, Headers, Heeding
from musetalk.webui.options import ServerOptions

HERE = [(b"host", b"127.0.0.1:7860"), (b"accept", b"*/*")]


@pytest.fixture(autouse=True)
def plain_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GRADIO_SERVER_NAME", "SPACE_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("host", [b"127.0.0.1:7860", b"localhost", b"LocalHost:80", b"[::1]:7860"])
def test_who_opens_a_page_of_this_machine_is_its_owner(host: bytes) -> None:
    access = Access(ServerOptions())
    access.heed([(b"host", host)])
    assert access.owner
    assert access.downloads


@pytest.mark.parametrize(
    "header",
    [
        (b"x-forwarded-for", b"203.0.113.7"),
        (b"X-Forwarded-Host", b"lips.example.org"),
        (b"forwarded", b"for=203.0.113.7"),
        (b"x-real-ip", b"203.0.113.7"),
        (b"via", b"1.1 proxy"),
        (b"host", b"lips.example.org"),  # passed on by a proxy that says nothing of itself
    ],
)
def test_who_comes_through_a_proxy_makes_everybody_a_visitor(header: tuple[bytes, bytes]) -> None:
    access = Access(ServerOptions())
    access.heed(HERE)
    access.heed([*HERE, header])
    assert not access.owner
    assert not access.downloads
    access.heed(HERE)
    assert not access.owner


@pytest.mark.parametrize(
    ("options", "owner"),
    [
        (ServerOptions(host="0.0.0.0"), False),  # noqa: S104 - to be a visitor's
        (ServerOptions(share=True), False),
        (ServerOptions(host="0.0.0.0", owner=True), True),  # noqa: S104
        (ServerOptions(owner=False), False),
        (ServerOptions(owner=True), True),
    ],
)
def test_an_option_says_otherwise(options: ServerOptions, owner: bool) -> None:
    access = Access(options)
    assert access.owner is owner
    access.heed([*HERE, (b"x-forwarded-for", b"203.0.113.7")])
    assert access.owner is owner
    assert access.downloads is owner


def test_with_a_login_visitors_download_through_a_proxy_too() -> None:
    access = Access(ServerOptions(auth=("ann:one",)))
    access.heed([*HERE, (b"via", b"1.1 proxy")])
    assert (access.owner, access.downloads) == (False, True)


def test_headers_are_heeded_before_a_request_is_answered() -> None:
    done: list[object] = []

    async def nothing() -> Message:
        return {}

    async def ignored(_message: Message) -> None:
        pass

    async def answer(scope: Scope, _receive: Receive, _send: Send) -> None:
        done.append(scope["type"])

    def heed(headers: Headers) -> None:
        done.append([*headers])

    layer = Heeding(answer, heed)
    for scope in ({"type": "lifespan"}, {"type": "http", "headers": HERE}):
        asyncio.run(layer(scope, nothing, ignored))
    assert done == ["lifespan", HERE, "http"]
