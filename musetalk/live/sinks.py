"""What shows a session's frames to a client: for `/live`, an encoder whose fragments are sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Protocol, TypeAlias

from musetalk.live.messages import Start, event
from musetalk.media.ffmpeg_commands import LIVE_RATE, LiveQuality
from musetalk.media.live.fragments import Fragment
from musetalk.streaming.encoder import LiveEncoder
from musetalk.streaming.session import StreamingSession
from musetalk.streaming.types import LiveFrame

Send: TypeAlias = Callable[[bytes | str], None]


class FrameSink(Protocol):
    """Shows frames with their sound, one after the other. Before the first one it says how large they are shown."""

    def push(self, frame: LiveFrame) -> None:
        """Show the next frame, now; waits while what shows it is behind.

        Raises:
            MuseTalkError: It cannot be shown.
        """
        ...

    def close(self) -> None:
        """Show nothing more, and end a `push` that waits; from any thread."""
        ...


OpenSink: TypeAlias = Callable[[StreamingSession, Start, Send], FrameSink]
"""Opens what shows a session to a client who wants it like that; `Send` hands on what is to be sent, in order."""


class EncodedSink:
    """A `FrameSink` that sends fragmented MP4.

    Args:
        session: Whose frames are shown.
        start: How they are wanted.
        send: Is handed what is to be sent, in order; must not wait.
    """

    def __init__(self, session: StreamingSession, start: Start, send: Send) -> None:
        self._fps, self._send = session.fps, send
        self._encoder = open_encoder(session, start, self._encoded, LiveQuality())

    def push(self, frame: LiveFrame) -> None:
        """Encode the next frame."""
        self._encoder.push(frame.picture, frame.sound)

    def close(self) -> None:
        """End the encoder."""
        self._encoder.close()

    def _encoded(self, fragment: Fragment) -> None:
        if fragment.kind == "init":
            self._send(video_event(self._encoder, self._fps, self._encoder.mime_type))
        self._send(fragment.data)


def open_encoder(
    session: StreamingSession, start: Start, on_fragment: Callable[[Fragment], None], quality: LiveQuality
) -> LiveEncoder:
    """Open an encoder of a session's frames, as large as its client wants them; see `LiveEncoder`."""
    quality = replace(quality, max_height=start.max_height)
    return LiveEncoder(session.layout, session.fps, session.options.rate, on_fragment, quality)


def video_event(encoder: LiveEncoder, fps: Fraction, mime: str | None, **more: str) -> str:
    """Return what a client is told of the video before it comes."""
    width, height = encoder.size
    return event("video", mime=mime, width=width, height=height, fps=str(fps), rate=LIVE_RATE, **more)
