from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from starlette.testclient import TestClient

from musetalk.avatars.store import AvatarStore
from musetalk.lipsync import LipSync
from musetalk.live.host import LiveHost
from musetalk.live.limits import LiveLimits
from musetalk.webui.offer import add_offer_route
from tests.helpers.bare_page import bare_page

OFFER = {"type": "offer", "sdp": "v=0", "avatar": "anna"}


def visitor(page: Any) -> TestClient:  # noqa: ANN401
    add_offer_route(page, LiveHost(LipSync(), AvatarStore(), LiveLimits(message_bytes=1000)))
    return TestClient(page.app, base_url="http://127.0.0.1:7860")


def test_without_the_extra_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiortc", None)
    for name in [name for name in sys.modules if name.startswith("musetalk.live.webrtc")]:
        monkeypatch.delitem(sys.modules, name)
    answer = visitor(bare_page()).post("/offer", json=OFFER)
    assert answer.status_code == 501
    assert 'pip install ".[webrtc]" in the checkout' in answer.json()["remedy"]


def test_pages_of_other_sites_and_who_has_not_logged_in_are_refused() -> None:
    strangers = visitor(bare_page())
    for origin in ("https://elsewhere.example", "http://[::1"):
        assert strangers.post("/offer", json=OFFER, headers={"Origin": origin}).status_code == 403
    asked = visitor(bare_page({"ann": "secret"}, {"token": "ann"}))
    refused = asked.post("/offer", json=OFFER, headers={"Cookie": "access-token-here=another"})
    assert (refused.status_code, refused.json()["problem"]) == (401, "log in first")
    known = {"Cookie": "access-token-here=token", "Origin": "http://127.0.0.1:7860"}
    assert asked.post("/offer", json={}, headers=known).status_code == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"no JSON", 400),
        (json.dumps({**OFFER, "type": "answer"}).encode(), 400),
        (json.dumps({**OFFER, "max_height": 1}).encode(), 400),
        (json.dumps({**OFFER, "rate": 48_000}).encode(), 400),
        (b" " * 1001, 413),
    ],
)
def test_what_is_no_offer_is_refused(body: bytes, status: int) -> None:
    answer = visitor(bare_page()).post("/offer", content=body)
    assert answer.status_code == status
    assert answer.json()["type"] == "error"
