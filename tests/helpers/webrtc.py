"""A client of live speech over WebRTC, on this machine's own address alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aioice.ice
import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from musetalk.live.webrtc.media import audio_frame
from musetalk.utils.arrays import Int16Array
from tests.helpers.programs import HANG_SECONDS

RATE, PACKET = 48_000, 960


class Microphone(MediaStreamTrack):
    """Silence, and what is said into it."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._speech: Int16Array = np.zeros(0, np.int16)
        self._sent, self._began = 0, asyncio.get_running_loop().time()

    def say(self, voice: Int16Array) -> None:
        self._speech = np.concatenate([self._speech, voice])

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(self._began + self._sent / RATE - asyncio.get_running_loop().time())
        said, self._speech = self._speech[:PACKET], self._speech[PACKET:]
        self._sent += PACKET
        return audio_frame(np.pad(said, (0, PACKET - len(said))), self._sent - PACKET, RATE)


class WebRtcClient:
    """What a page would be."""

    def __init__(self) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.channel = self.connection.createDataChannel("messages")
        self.channel.on("message", lambda message: self._told.put_nowait(json.loads(message)))
        self.microphone = Microphone()
        self.pictures: list[VideoFrame] = []
        self.sound: list[AudioFrame] = []
        self._told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.connection.addTrack(self.microphone)
        self.connection.addTransceiver("video", "recvonly")
        self.connection.on("track", self._on_track)
        self._taking: list[asyncio.Task[None]] = []

    async def connect(self, post: Callable[[str], Awaitable[str]]) -> None:
        """Offer, and take the answer; the connection follows."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        answer = await post(self.connection.localDescription.sdp)
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    def say(self, message: dict[str, Any] | bytes) -> None:
        self.channel.send(message if isinstance(message, bytes) else json.dumps(message))

    async def told_of(self, kind: str) -> dict[str, Any]:
        """The next message of that type."""
        while (message := await asyncio.wait_for(self._told.get(), HANG_SECONDS))["type"] != kind:
            pass
        return message

    async def gone(self) -> None:
        """Wait until the server has ended it."""
        while self.channel.readyState != "closed":
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        await self.connection.close()
        for task in self._taking:
            task.cancel()
        await asyncio.gather(*self._taking, return_exceptions=True)

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._taking.append(asyncio.ensure_future(self._take(track)))

    async def _take(self, track: MediaStreamTrack) -> None:
        kept: list[Any] = self.pictures if track.kind == "video" else self.sound
        while True:
            try:
                kept.append(await track.recv())
            except MediaStreamError:
                return


@asynccontextmanager
async def webrtc_client(post: Callable[[str], Awaitable[str]]) -> AsyncIterator[WebRtcClient]:
    """A client that has offered; closed after the block, if it was not before."""
    client = WebRtcClient()
    try:
        await client.connect(post)
        yield client
    finally:
        await client.close()


def stay_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no connection be offered to others."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: ["127.0.0.1"])
