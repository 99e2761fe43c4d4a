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
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urljoin

import httpx
import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_soon
from websockets.datastructures import HeadersLike
from websockets.exceptions import ConnectionClosed, InvalidStatus

from musetalk.avatars.bundle import Avatar
from musetalk.avatars.store import AvatarStore
from musetalk.errors import LiveError
from musetalk.lipsync import LipSync
from musetalk.live.host import LiveHost
from musetalk.live.limits import LiveLimits
from musetalk.live.outbox import Outbox
from musetalk.live.server import Door, serving
from musetalk.live.sinks import EncodedSink, OpenSink
from musetalk.live.socket import Socket
from musetalk.settings import RenderSettings
from musetalk.streaming.session import StreamingSession
from musetalk.streaming.types import LiveOptions
from tests.helpers.live_avatars import live_avatars
from tests.helpers.media import decode, tone, write_wav
from tests.helpers.programs import HANG_SECONDS
from tests.helpers.served import ROOT

pytestmark = pytest.mark.integration
WORD = "open sesame"
connect = partial(connect_soon, open_timeout=HANG_SECONDS)
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


async def get(address: str, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
    async with httpx.AsyncClient(timeout=HANG_SECONDS) as client:
        return await client.get(urljoin(address.replace("ws", "http", 1), path), headers=headers)


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


def test_hls_is_beside_it_for_the_same_people(avatars: tuple[LipSync, AvatarStore]) -> None:
    async def talk(address: str) -> None:
        async with connect(address, additional_headers=BEARER) as socket:
            await socket.send(json.dumps({"type": "start", "avatar": "anna", "video": "hls"}))
            shown = (await told_of(socket, "video", bytearray()))["address"]
            answer = await get(address, shown, BEARER)
            assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
            first = re.search(r"^0\.m4s$", answer.text, re.MULTILINE)
            assert first is not None
            assert (await get(address, urljoin(shown, first[0]), BEARER)).content
            refused = [await get(address, shown), await get(address, urljoin(shown, "none.m4s"), BEARER)]
            assert [each.status_code for each in refused] == [401, 404]
            assert refused[0].headers["WWW-Authenticate"] == "Bearer"

    serve(avatars, talk, token=WORD)


def test_a_network_takes_in_little_that_a_client_does_not_read(avatars: tuple[LipSync, AvatarStore]) -> None:
    ended: asyncio.Queue[BaseException | None] = asyncio.Queue()

    class Flooding(LiveHost):
        async def serve(self, socket: Socket, _show: OpenSink = EncodedSink) -> None:
            outbox = Outbox(0.2)
            for _ in range(30):
                outbox.put(bytes(50_000))  # together less than the buffers of a system
            outbox.put(EOFError("all was sent"))
            tasks = [asyncio.create_task(work) for work in (outbox.watch(), outbox.send_to(socket))]
            (first, *_), rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in rest:
                task.cancel()
            ended.put_nowait(first.exception())

    async def run() -> None:
        async with serving(Flooding(*avatars), Door(port=0)) as address, connect(address, max_queue=1, close_timeout=0):
            assert isinstance(await asyncio.wait_for(ended.get(), HANG_SECONDS), LiveError)

    asyncio.run(run())


def test_other_addresses_say_where_it_is(avatars: tuple[LipSync, AvatarStore]) -> None:
    async def talk(address: str) -> None:
        answer = await get(address, "/")
        assert (answer.status_code, answer.text) == (404, "live speech is at /live\n")

    serve(avatars, talk)


def test_the_example_says_who_asks_and_what_went_wrong(avatars: tuple[LipSync, AvatarStore], tmp_path: Path) -> None:
    voice, out = write_wav(tmp_path / "voice.wav", tone(0.3)), tmp_path / "out.mp4"
    known = ("--header", f"Authorization: Bearer {WORD}")
    done: list[subprocess.CompletedProcess[str]] = []

    async def talk(address: str) -> None:
        wrong: list[tuple[str, ...]] = [
            ("anna", str(voice)),
            ("nobody", str(voice), *known),
            ("anna", str(ROOT / "LICENSE")),
        ]
        for avatar, sound, *who in [*wrong, ("anna", str(voice), *known)]:
            command = [sys.executable, "-m", "examples.live_client", avatar, sound, str(out), "--url", address, *who]
            run = partial(subprocess.run, command, cwd=ROOT, capture_output=True, text=True, timeout=HANG_SECONDS)
            done.append(await asyncio.get_running_loop().run_in_executor(None, run))
            assert out.exists() == (done[-1].returncode == 0)

    serve(avatars, talk, token=WORD)
    assert [each.returncode for each in done] == [1, 1, 1, 0]
    assert "HTTP 401" in done[0].stderr
    assert "there is no avatar" in done[1].stdout
    assert "is no WAV file" in done[2].stderr
    assert not any("Traceback" in each.stderr for each in done)


def test_sessions_go_on_for_a_while_when_the_program_is_to_end(avatars: tuple[LipSync, AvatarStore]) -> None:
    command = [sys.executable, "-m", "musetalk.live", "--port", "0", "--avatars-dir", str(avatars[1].folder)]
    with subprocess.Popen(
        [*command, "--drain-seconds", "1000"], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as program:

        async def talk(address: str) -> None:
            async with connect(address, max_size=None) as socket:
                await socket.send(json.dumps({"type": "start", "avatar": "anna"}))
                await told_of(socket, "video", bytearray())
                program.send_signal(signal.SIGTERM)
                assert (await told_of(socket, "ending", bytearray()))["seconds"] == 1000
                assert (await get(address, "/readyz")).status_code == 503
                await socket.send('{"type": "stop"}')
                await socket.wait_closed()

        try:
            assert program.stderr is not None
            said = next(line for line in program.stderr if "serving live speech on" in line)
            asyncio.run(asyncio.wait_for(talk(said.split()[-1]), HANG_SECONDS))
            assert program.wait(HANG_SECONDS) == 0
        finally:
            program.kill()


def test_the_program_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "musetalk.live", "--port", "0", "--avatars-dir", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as program:
        try:
            assert program.stderr is not None
            said = next(line for line in program.stderr if "serving live speech on" in line)
            port = re.search(r":(\d+)/live", said)
            assert port is not None
            assert httpx.get(f"http://127.0.0.1:{port[1]}/healthz", timeout=HANG_SECONDS).json() == {
                "ok": True,
                "free_sessions": 4,
            }
            program.send_signal(signal.SIGTERM)
            assert program.wait(HANG_SECONDS) == 0
        finally:
            program.kill()
