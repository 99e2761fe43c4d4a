"""Live speech served alone, without the page."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, AsyncExitStack
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.datastructures import HeadersLike
from websockets.exceptions import ConnectionClosed, InvalidStatus

from musetalk.avatars.bundle import Avatar
from musetalk.avatars.store import AvatarStore
from musetalk.lipsync import LipSync
from musetalk.live.host import LiveHost
from musetalk.live.limits import LiveLimits
from musetalk.live.server import Door, serving
from musetalk.settings import RenderSettings
from musetalk.streaming.session import StreamingSession
from musetalk.streaming.types import LiveOptions
from tests.helpers.live_avatars import live_avatars
from tests.helpers.media import decode, tone
from tests.helpers.programs import HANG_SECONDS
from tests.helpers.served import ROOT

pytestmark = pytest.mark.integration
WORD = "open sesame"
Opened: TypeAlias = AbstractContextManager[StreamingSession]
BEARER = {"Authorization": f"Bearer {WORD}"}


@pytest.fixture(scope="module")
def avatars(tmp_path_factory: pytest.TempPathFactory) -> tuple[LipSync, AvatarStore]:
    return live_avatars(tmp_path_factory.mktemp("avatars"))


def serve(avatars: tuple[LipSync, AvatarStore], talk: Callable[[str], Awaitable[None]], **door: Any) -> None:  # noqa: ANN401
    """Serve one session at a time, until `talk` has ended, which is given the address."""

    async def run() -> None:
        host = LiveHost(*avatars, LiveLimits(sessions=1, waiting=0))
        async with serving(host, Door(port=0, **door)) as address:
            await asyncio.wait_for(talk(address), HANG_SECONDS)
        host.close()

    asyncio.run(run())


async def told_of(socket: ClientConnection, kind: str, video: bytearray) -> dict[str, Any]:
    """The next message of that type; what comes before it of the video is added to `video`."""
    while True:
        message = await socket.recv()
        if isinstance(message, bytes):
            video += message
        elif (told := json.loads(message))["type"] == kind:
            return dict(told)


async def get(address: str, path: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(address.replace("ws", "http", 1).replace("/live", path))


def test_a_voice_is_spoken_and_the_places_are_told(avatars: tuple[LipSync, AvatarStore], tmp_path: Path) -> None:
    video, ready = bytearray(), []

    async def talk(address: str) -> None:
        ready.append(await get(address, "/readyz"))
        async with connect(address, max_size=None) as socket:
            await socket.send(json.dumps({"type": "start", "avatar": "anna"}))
            await told_of(socket, "video", video)
            ready.append(await get(address, "/readyz"))
            ready.append(await get(address, "/healthz"))
            await socket.send((tone(0.5) * 20_000).astype("<i2").tobytes())
            await socket.send('{"type": "flush"}')
            await told_of(socket, "spoken", video)
            await socket.send('{"type": "stop"}')
            with pytest.raises(ConnectionClosed) as closed:
                await told_of(socket, "nothing", video)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1000

    serve(avatars, talk)
    assert [(answer.status_code, answer.json()["free_sessions"]) for answer in ready] == [(200, 1), (503, 0), (200, 0)]
    (tmp_path / "shown.mp4").write_bytes(video)
    assert np.mean(decode(tmp_path / "shown.mp4")) == pytest.approx(80, abs=8)  # anna's level


def test_weights_are_where_the_server_says(
    avatars: tuple[LipSync, AvatarStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, store = avatars
    asked: list[Path] = []
    speak = engine.live

    def live(
        avatar: Avatar, settings: RenderSettings, options: LiveOptions
    ) -> AbstractContextManager[StreamingSession]:
        asked.append(settings.models_dir)
        return speak(avatar, settings, options)

    monkeypatch.setattr(engine, "live", live)

    async def run() -> None:
        host = LiveHost(engine, store, models_dir=tmp_path)
        async with serving(host, Door(port=0)) as address, connect(address, max_size=None) as socket:
            await socket.send(json.dumps({"type": "start", "avatar": "ben"}))
            await asyncio.wait_for(told_of(socket, "video", bytearray()), HANG_SECONDS)
        host.close()

    asyncio.run(run())
    assert asked == [tmp_path]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer open"}, 401),
        ({**BEARER, "Origin": "https://elsewhere.example"}, 403),
        ({**BEARER, "Origin": "http://[::1"}, 403),
        ([("Authorization", "Bearer open"), *BEARER.items()], 401),
        ({**BEARER, "Origin": "https://mine.example"}, 101),
        (BEARER, 101),
    ],
)
def test_only_who_has_the_token_speaks_and_from_known_pages(
    avatars: tuple[LipSync, AvatarStore], headers: HeadersLike, status: int
) -> None:
    async def talk(address: str) -> None:
        async with AsyncExitStack() as stack:
            if status == 101:
                await stack.enter_async_context(connect(address, additional_headers=headers))
                return
            with pytest.raises(InvalidStatus) as refused:
                await stack.enter_async_context(connect(address, additional_headers=headers))
            assert refused.value.response.status_code == status

    serve(avatars, talk, token=WORD, origins=("https://mine.example",))


def test_other_addresses_say_where_it_is(avatars: tuple[LipSync, AvatarStore]) -> None:
    async def talk(address: str) -> None:
        answer = await get(address, "/")
        assert (answer.status_code, answer.text) == (404, "live speech is at /live\n")

    serve(avatars, talk)


def test_the_program_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "musetalk.live", "--port", "0", "--avatars-dir", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as program:
        try:
            assert program.stderr is not None
            said = next(line for line in program.stderr if "serving live speech on" in line)
            port = re.search(r":(\d+)/live", said)
            assert port is not None
            assert httpx.get(f"http://127.0.0.1:{port[1]}/healthz").json() == {"ok": True, "free_sessions": 4}
            program.send_signal(signal.SIGTERM)
            assert program.wait(HANG_SECONDS) == 0
        finally:
            program.kill()
