"""The two tracks that show a session: pictures and their sound, both timed by the voice."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from musetalk.live.messages import Start, event
from musetalk.live.sinks import Send
from musetalk.live.webrtc.media import audio_frame, pcm_of, video_frame
from musetalk.media.filters import live_size
from musetalk.streaming.session import StreamingSession
from musetalk.streaming.types import LiveFrame
from musetalk.utils.arrays import Int16Array

_MOST_PICTURES = 3  # that wait to be encoded; the oldest are left out where that takes longer than they are shown
_PACKET_SECONDS = 0.02


class PictureTrack(MediaStreamTrack):
    """The pictures. For one event loop."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._pictures: deque[VideoFrame] = deque(maxlen=_MOST_PICTURES)
        self._added = asyncio.Event()

    def put(self, picture: VideoFrame) -> None:
        """Add the next one, which is to be shown now."""
        self._pictures.append(picture)
        self._added.set()

    async def recv(self) -> VideoFrame:
        """Return the next one.

        Raises:
            MediaStreamError: The track was stopped.
        """
        while not self._pictures:
            self._added.clear()
            await self._added.wait()
        if self.readyState != "live":
            raise MediaStreamError
        return self._pictures.popleft()


class SoundTrack(MediaStreamTrack):
    """The sound, in packets of 20 ms, each when it is to be heard. For one event loop.

    What aiortc tells receivers of time is when a packet leaves, and by that they bring sound and pictures together. So
    packets leave evenly, and not all with the frame that they belong to: the two would else be off by half a frame.

    Args:
        rate: Samples a second.
    """

    kind = "audio"

    def __init__(self, rate: int) -> None:
        super().__init__()
        self._rate, self._packet = rate, round(rate * _PACKET_SECONDS)
        self._pcm: Int16Array = np.zeros(0, np.int16)
        self._sent = 0  # samples
        self._origin = 0.0  # when the first sample was to be heard, going by the newest frame: sound is as late as it
        self._added = asyncio.Event()

    def put(self, pcm: Int16Array) -> None:
        """Add the sound of the next frame, which is shown now: int16 [n], mono."""
        if self.readyState != "live":
            return
        self._origin = asyncio.get_running_loop().time() - (self._sent + len(self._pcm)) / self._rate
        self._pcm = np.concatenate([self._pcm, pcm])
        self._added.set()

    async def recv(self) -> AudioFrame:
        """Return the next packet when it is due.

        Raises:
            MediaStreamError: The track was stopped.
        """
        while len(self._pcm) < self._packet:
            self._added.clear()
            await self._added.wait()
        due = self._origin + self._sent / self._rate
        await asyncio.sleep(due - asyncio.get_running_loop().time())
        if self.readyState != "live":
            raise MediaStreamError
        packet = audio_frame(self._pcm[: self._packet], self._sent, self._rate)
        self._pcm, self._sent = self._pcm[self._packet :], self._sent + self._packet
        return packet


class TrackSink:
    """A `FrameSink` that puts frames and their sound into tracks.

    Args:
        session: Whose frames are shown.
        start: How they are wanted.
        send: Is handed the event that tells how they are shown.
        tracks: Where they go.
        loop: Of the tracks.
    """

    def __init__(
        self,
        session: StreamingSession,
        start: Start,
        send: Send,
        tracks: tuple[PictureTrack, SoundTrack],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._fps, self._tracks, self._loop = session.fps, tracks, loop
        self._size = live_size((session.layout.width, session.layout.height), start.max_height)
        width, height = self._size
        send(event("video", width=width, height=height, fps=str(session.fps), rate=session.options.rate))

    def push(self, frame: LiveFrame) -> None:
        """Show the next frame."""
        picture = video_frame(frame.picture, self._size, frame.number, self._fps)
        with suppress(RuntimeError):  # the loop has ended, and the server with it
            self._loop.call_soon_threadsafe(self._put, picture, pcm_of(frame.sound))

    def close(self) -> None:
        """Nothing waits here."""

    def _put(self, picture: VideoFrame, pcm: Int16Array) -> None:
        pictures, sound = self._tracks
        pictures.put(picture)
        sound.put(pcm)
