"""HLS: the newest seconds of a session as segments under an address, for players that a page can hand no video."""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from fractions import Fraction

from musetalk.live.messages import Start
from musetalk.live.sinks import EncodedSink, FrameSink, Send, open_encoder, video_event
from musetalk.media.ffmpeg_commands import LiveQuality
from musetalk.media.live.fragments import Fragment
from musetalk.streaming.session import StreamingSession
from musetalk.streaming.types import LiveFrame

PLAYLIST, PLAYLIST_TYPE = "index.m3u8", "application/vnd.apple.mpegurl"
_OPENING, _SEGMENT_TYPE = "init.mp4", "video/mp4"
_SEGMENT_SECONDS = 1  # the longest; a cut in the picture makes a shorter one
_LISTED = 6  # seconds
# RFC 8216, 6.2.2: who read a list has as long as it and one segment last to fetch what it names.
_KEPT = 2 * _LISTED + _SEGMENT_SECONDS
_FIRST = 3  # seconds before players are told: they begin so many segments before the end, and would only wait
_BEGINNING = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class HlsFile:
    """What is answered to a player.

    Attributes:
        data: The bytes.
        media_type: Their type.
    """

    data: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class _Segment:
    number: int
    begin: Fraction
    end: Fraction
    data: bytes


class HlsWindow:
    """The newest segments of fragmented MP4 while it is made, and their list (RFC 8216). Safe between threads.

    Segments begin with key frames. Each ends where the next one begins in the stream: all of them in a row are it.
    Dates in the list are the video's own time, counted from the beginning of 1970, by which a page knows what it shows.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opening = b""
        self._segments: deque[_Segment] = deque()
        self._growing: list[bytes] = []
        self._begin: Fraction | None = None  # of what grows
        self._count = 0
        self._playable = False

    @property
    def playable(self) -> bool:
        """Whether there is enough of it for a player to begin."""
        return self._playable

    def add(self, fragment: Fragment) -> None:
        """Take the next fragment."""
        with self._lock:
            if fragment.kind == "init":
                self._opening = fragment.data
                return
            if fragment.kind == "picture" and fragment.key:
                self._cut(fragment.time)
            self._growing.append(fragment.data)

    def file(self, name: str) -> HlsFile | None:
        """Return what has that name; None: there is no such thing, or no longer."""
        with self._lock:
            if name == PLAYLIST and self._segments:
                return HlsFile(self._playlist().encode(), PLAYLIST_TYPE)
            if name == _OPENING and self._opening:
                return HlsFile(self._opening, _SEGMENT_TYPE)
            data = next((each.data for each in self._segments if name == _named(each)), None)
            return None if data is None else HlsFile(data, _SEGMENT_TYPE)

    def _cut(self, time: Fraction) -> None:
        """End what grows, if anything, where a key frame begins."""
        if self._begin is not None:
            data = b"".join(self._growing)
            self._segments.append(_Segment(self._count, self._begin, time, data))
            self._growing = []
            self._count += 1
            while self._segments[0].end <= time - _KEPT:
                self._segments.popleft()
            self._playable = self._playable or time - self._segments[0].begin >= _FIRST
        self._begin = time

    def _playlist(self) -> str:
        newest = self._segments[-1].end
        listed = [each for each in self._segments if each.end > newest - _LISTED]
        longest = max(_SEGMENT_SECONDS, *(round(each.end - each.begin) for each in listed))
        date = (_BEGINNING + timedelta(seconds=float(listed[0].begin))).isoformat(timespec="milliseconds")
        lines = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{longest}"]
        lines += ["#EXT-X-INDEPENDENT-SEGMENTS", f"#EXT-X-MEDIA-SEQUENCE:{listed[0].number}"]
        lines += [f'#EXT-X-MAP:URI="{_OPENING}"', f"#EXT-X-PROGRAM-DATE-TIME:{date}"]
        for each in listed:
            lines += [f"#EXTINF:{float(each.end - each.begin):.5f},", _named(each)]
        return "\n".join(lines) + "\n"


class HlsShelf:
    """What is shown by HLS at present, each under an address that nobody guesses. Safe between threads.

    Args:
        address: Where it is served, as clients see it from where they speak.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._windows: dict[str, HlsWindow] = {}

    def open_sink(self, session: StreamingSession, start: Start, send: Send) -> FrameSink:
        """Open what shows a session as its client wants it: an `OpenSink`."""
        if start.video == "mp4":
            return EncodedSink(session, start, send)
        key, window = secrets.token_urlsafe(24), HlsWindow()
        sink = _HlsSink(session, start, send, window, f"{self._address}/{key}/{PLAYLIST}", lambda: self._drop(key))
        self._windows[key] = window
        return sink

    def file(self, key: str, name: str) -> HlsFile | None:
        """Return a file of a session that is shown; None: there is none."""
        window = self._windows.get(key)
        return None if window is None else window.file(name)

    def _drop(self, key: str) -> None:
        self._windows.pop(key, None)


class _HlsSink:
    """A `FrameSink` that fills a window, and tells the client of it once it can be played."""

    def __init__(
        self,
        session: StreamingSession,
        start: Start,
        send: Send,
        window: HlsWindow,
        address: str,
        closed: Callable[[], None],
    ) -> None:
        self._fps, self._send, self._window, self._address, self._closed = session.fps, send, window, address, closed
        self._told = False
        self._encoder = open_encoder(session, start, self._encoded, LiveQuality(keyframe_seconds=_SEGMENT_SECONDS))

    def push(self, frame: LiveFrame) -> None:
        """Encode the next frame."""
        self._encoder.push(frame.picture, frame.sound)

    def close(self) -> None:
        """End the encoder, and keep nothing."""
        self._encoder.close()
        self._closed()

    def _encoded(self, fragment: Fragment) -> None:
        self._window.add(fragment)
        if self._window.playable and not self._told:
            self._told = True
            self._send(video_event(self._encoder, self._fps, PLAYLIST_TYPE, address=self._address))


def _named(segment: _Segment) -> str:
    return f"{segment.number}.m4s"
