"""`Peer`: a client over WebRTC as a `Socket`. Its voice is a track, messages pass a data channel."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import numpy as np
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, AudioResampler

from musetalk.errors import LiveError
from musetalk.live.messages import Flush, Start
from musetalk.live.sinks import Send
from musetalk.live.voice_gate import VoiceGate
from musetalk.live.webrtc.tracks import PictureTrack, SoundTrack, TrackSink
from musetalk.media.ffmpeg_commands import LIVE_RATE
from musetalk.streaming.session import StreamingSession

_CODECS = ("video/VP8", "video/rtx")  # every browser has it, and it is free
_MOST_SAID = 1000  # messages and packets of voice that wait to be heard: 20 s
_END_SECONDS = 1.0  # longest that the end of a connection takes
_OVER = "closed", "failed"
_END = Flush(type="flush").model_dump_json()


class Peer:
    """A client over WebRTC, as a `Socket`: what it says first is how it wants to be served. For one event loop.

    Args:
        start: How it wants to be served.
    """

    def __init__(self, start: Start) -> None:
        self._start = start
        self._loop = asyncio.get_running_loop()
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))  # else it asks one of Google's
        self._tracks = PictureTrack(), SoundTrack(LIVE_RATE)
        self._said: asyncio.Queue[bytes | str | LiveError | None] = asyncio.Queue()
        self._channel: RTCDataChannel | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._shown = False

    async def answer(self, offer: str) -> str:
        """Return the description of the connection that answers the client's; it may connect from then on.

        Raises:
            LiveError: The client's cannot be used.
        """
        pictures, sound = self._tracks
        video = self._connection.addTransceiver(pictures, "sendonly")
        audio = self._connection.addTransceiver(sound, "sendrecv")
        known = RTCRtpSender.getCapabilities("video").codecs
        video.setCodecPreferences([codec for codec in known if codec.mimeType in _CODECS])
        self._connection.on("track", self._on_track)
        self._connection.on("datachannel", self._on_channel)
        self._connection.on("connectionstatechange", self._on_state)
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            usable = len(self._connection.getTransceivers()) == 2 and self._connection.sctp is not None
            if usable:
                await self._connection.setLocalDescription(await self._connection.createAnswer())
        except Exception as error:  # whatever aiortc makes of what is no description
            raise LiveError("the offer cannot be understood", "send one with VP8, as browsers do") from error
        if not usable or (video.currentDirection, audio.currentDirection) != ("sendonly", "sendrecv"):
            problem = "a session needs a track of sound both ways, one of video to the client, and a data channel"
            raise LiveError(problem, "offer these and no others")
        return str(self._connection.localDescription.sdp)

    def show(self, session: StreamingSession, start: Start, send: Send) -> TrackSink:
        """Open what shows it a session: an `OpenSink`."""
        self._shown = True
        return TrackSink(session, start, send, self._tracks, self._loop)

    async def receive(self) -> bytes | str | None:
        """Return what it says next; None: it is gone.

        Raises:
            LiveError: It says more than is heard, or what cannot be heard.
        """
        said = await self._said.get()
        if isinstance(said, LiveError):
            raise said
        return said

    async def send(self, message: bytes | str) -> None:
        """Send a message.

        Raises:
            ConnectionError: The client is gone, or never came.
        """
        if self._channel is None or self._channel.readyState != "open":
            raise ConnectionError("the client is gone")
        self._channel.send(message)

    async def close(self, reason: str) -> None:
        """Wait until what was sent is on its way; `end` follows. The reason was told before."""
        del reason
        if self._channel is not None and self._channel.bufferedAmount:
            sent = asyncio.Event()
            self._channel.once("bufferedamountlow", sent.set)
            await sent.wait()

    async def end(self) -> None:
        """End the connection, and all that it runs on."""
        if self._hearing is not None:
            self._hearing.cancel()
        # Where the loop itself ends, it has cancelled what aiortc waits for.
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._connection.close(), _END_SECONDS)

    def _on_track(self, track: MediaStreamTrack) -> None:
        if self._hearing is None:
            self._hearing = asyncio.ensure_future(self._hear(track))

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if self._channel is None:
            self._channel = channel
            channel.on("message", self._on_message)
            channel.on("close", lambda: self._say(None))
            self._say(self._start.model_dump_json())

    def _on_message(self, message: bytes | str) -> None:
        if isinstance(message, str):
            self._say(message)
        else:
            self._said.put_nowait(LiveError("a binary message was not expected", "send the voice as a track"))

    def _on_state(self) -> None:
        if self._connection.connectionState in _OVER:
            self._say(None)

    async def _hear(self, track: MediaStreamTrack) -> None:
        """Hand on the voice that a track carries, once it can be spoken; what was heard before is forgotten."""
        gate, resampler = VoiceGate(LIVE_RATE), AudioResampler("s16", "mono", LIVE_RATE)
        while True:
            try:
                heard = await track.recv()
            except MediaStreamError:
                return
            if not self._shown or not isinstance(heard, AudioFrame):
                continue
            for frame in resampler.resample(heard):
                for hop in gate.hear(np.asarray(frame.to_ndarray(), np.int16).reshape(-1)):
                    self._say(_END if hop is None else hop.astype("<i2").tobytes())

    def _say(self, said: bytes | str | None) -> None:
        if self._said.qsize() < _MOST_SAID or said is None:
            self._said.put_nowait(said)
        else:
            self._said.put_nowait(LiveError("more is said than can be heard", "say it more slowly"))
