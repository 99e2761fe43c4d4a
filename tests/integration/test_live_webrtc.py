"""Live speech over WebRTC: aiortc's own client speaks to the server's peers, in one process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias

import httpx
import numpy as np
import pytest

pytest.importorskip("aiortc", reason='no WebRTC: pip install -e ".[webrtc]"')

from musetalk.avatars.store import AvatarStore
from musetalk.lipsync import LipSync
from musetalk.live.host import LiveHost
from musetalk.live.limits import LiveLimits
from musetalk.utils.arrays import Int16Array
from musetalk.webui.offer import add_offer_route
from tests.helpers.bare_page import bare_page
from tests.helpers.live_avatars import LEVELS, SIDE, live_avatars
from tests.helpers.programs import HANG_SECONDS
from tests.helpers.webrtc import RATE, WebRtcClient, stay_on_this_machine, webrtc_client

pytestmark = pytest.mark.integration
Post: TypeAlias = Callable[[str], Awaitable[str]]


class Refused(Exception):
    pass


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    stay_on_this_machine(monkeypatch)


@pytest.fixture(scope="module")
def avatars(tmp_path_factory: pytest.TempPathFactory) -> tuple[LipSync, AvatarStore]:
    return live_avatars(tmp_path_factory.mktemp("avatars"))


@contextmanager
def no_thread_stays() -> Iterator[None]:
    """Threads that were started inside end, those of the event loop a moment after it."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(HANG_SECONDS)
        assert not thread.is_alive()


@asynccontextmanager
async def door(host: LiveHost) -> AsyncIterator[Post]:
    """The app's `/offer`, as those use it who may."""
    page = bare_page()
    add_offer_route(page, host)
    transport = httpx.ASGITransport(page.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as visitor:

        async def post(sdp: str) -> str:
            answer = await visitor.post("/offer", json={"type": "offer", "sdp": sdp, "avatar": "anna"})
            if answer.status_code != 200:
                raise Refused(f"{answer.status_code} {answer.text}")
            assert answer.json()["type"] == "answer"
            return str(answer.json()["sdp"])

        yield post


def served(
    avatars: tuple[LipSync, AvatarStore],
    talk: Callable[[Post], Awaitable[None]],
    **limits: Any,  # noqa: ANN401
) -> LiveHost:
    """Let clients post offers, until all of them were served: nothing of them is left then."""

    async def run() -> LiveHost:
        host = LiveHost(*avatars, LiveLimits(**limits))
        async with door(host) as post:
            await talk(post)
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.01)
        host.close()
        return host

    with no_thread_stays():
        return asyncio.run(run())


def words(seconds: float) -> Int16Array:
    time = np.arange(round(seconds * RATE)) / RATE
    return np.asarray(9000 * np.sin(900 * time) * np.sin(7 * time) ** 2, np.int16)


def heard(client: WebRtcClient) -> Int16Array:
    return np.concatenate([np.asarray(frame.to_ndarray(), np.int16).reshape(-1, 2)[:, 0] for frame in client.sound])


def test_a_microphone_is_spoken_with_picture_and_sound_and_can_be_interrupted(
    avatars: tuple[LipSync, AvatarStore],
) -> None:
    async def talk(post: Post) -> None:
        async with webrtc_client(post) as client:
            video = await client.told_of("video")
            assert (video["width"], video["height"], video["fps"], video["rate"]) == (SIDE, SIDE, "25", RATE)
            client.microphone.say(words(0.4))
            speaking, spoken = await client.told_of("speaking"), await client.told_of("spoken")
            assert 0.4 < spoken["time"] - speaking["time"] < 1.6  # with the silence around it
            client.microphone.say(words(60))
            again = await client.told_of("speaking")
            client.say({"type": "interrupt"})
            await client.told_of("interrupted")
            assert (await client.told_of("spoken"))["time"] - again["time"] < 30
            client.say({"type": "stop"})
            await client.gone()
        shown = np.stack([frame.to_ndarray(format="rgb24") for frame in client.pictures]).astype(np.float32)
        assert abs(shown.mean() - LEVELS["anna"]) < 15
        assert np.abs(heard(client)).max() > 2000

    served(avatars, talk)


def test_who_vanishes_frees_its_place(avatars: tuple[LipSync, AvatarStore]) -> None:
    async def talk(post: Post) -> None:
        async with webrtc_client(post) as first, webrtc_client(post) as second:
            await first.told_of("video")
            with pytest.raises(Refused, match=r"^503 "):
                await post("anything")
            assert (await second.told_of("waiting"))["before"] == 0
            second.microphone.say(words(0.2))  # is not kept for later
            await first.close()
            assert (await second.told_of("video"))["width"] == SIDE

    served(avatars, talk, sessions=1, waiting=1)


def test_who_may_not_be_served_is_told(avatars: tuple[LipSync, AvatarStore]) -> None:
    async def talk(post: Post) -> None:
        async with webrtc_client(post) as client:
            await client.told_of("video")
            client.say({"type": "start", "avatar": "ben"})
            assert (await client.told_of("error"))["kind"] == "live"
            await client.gone()
        async with webrtc_client(post) as client:
            await client.told_of("video")
            client.say(b"\x00" * 100)
            assert (await client.told_of("error"))["kind"] == "live"
            await client.gone()

    served(avatars, talk)


def test_who_offers_and_never_connects_is_forgotten(avatars: tuple[LipSync, AvatarStore]) -> None:
    async def talk(post: Post) -> None:
        client = WebRtcClient()
        await client.connection.setLocalDescription(await client.connection.createOffer())
        await post(client.connection.localDescription.sdp)
        await client.close()

    host = served(avatars, talk, start_seconds=0.1)
    assert not host.speaking("anna")


def test_offers_that_cannot_be_served_are_refused(avatars: tuple[LipSync, AvatarStore]) -> None:
    async def talk(post: Post) -> None:
        deaf = WebRtcClient()
        await deaf.connection.setLocalDescription(await deaf.connection.createOffer())
        sdp = deaf.connection.localDescription.sdp
        await deaf.close()
        for bad in ("no description", sdp.replace("VP8/90000", "VP7/90000"), sdp.replace("a=sendrecv", "a=recvonly")):
            with pytest.raises(Refused, match=r"^400 .*live"):
                await post(bad)

    served(avatars, talk)


def test_a_server_that_ends_leaves_nothing_of_its_sessions(avatars: tuple[LipSync, AvatarStore]) -> None:
    async def run() -> LiveHost:
        host = LiveHost(*avatars)
        async with door(host) as post:
            client = WebRtcClient()
            await client.connect(post)
            await client.told_of("video")
        return host  # and the loop ends

    with no_thread_stays():
        host = asyncio.run(run())
        host.close()
    assert not host.speaking("anna")
