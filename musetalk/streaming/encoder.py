"""`LiveEncoder`: frames with their sound in, fragmented MP4 out, picture by picture, in a process of its own."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from types import TracebackType

import numpy as np

from musetalk.errors import OutputError
from musetalk.media.ffmpeg_commands import LIVE_RATE, LiveQuality, encode_live
from musetalk.media.ffmpeg_process import STALL_SECONDS, Child
from musetalk.media.filters import live_size
from musetalk.media.frames import Frame, FrameLayout
from musetalk.media.live import avi
from musetalk.media.live.flv import PacketReader
from musetalk.media.live.fragments import Fragment, FragmentWriter
from musetalk.utils.arrays import Float32Array

_RATES = range(8_000, 192_001)
_NOTHING = memoryview(b"")
_PATIENCE = 1.0  # seconds without a picture after which ffmpeg's complaints are believed
# Frames that may be inside at once: ffmpeg's own queues would take 12, and make all of them late where it falls behind.
_INSIDE = 3
_SOUND_SECONDS = Fraction(1024, LIVE_RATE)  # nothing comes out before a packet of sound is there


class LiveEncoder:
    """Encodes frames and their sound as they come, as H.264 and AAC in fragments of MP4.

    Each picture comes out before the next one goes in. Sound comes out later, by up to two of AAC's packets: 43 ms.
    Pictures become BT.709 of limited range, 4:2:0 with 8 bits; sides that are odd grow by a pixel that repeats the
    edge. Use it as a context manager: leaving it without `finish` ends ffmpeg at once.

    Args:
        layout: Of the frames.
        fps: Their exact rate.
        rate: Samples a second of their sound.
        on_fragment: Is handed each fragment, in order, by a thread of the encoder's; it must not wait for anything.
        quality: How they are encoded; None: as usual.
    """

    def __init__(
        self,
        layout: FrameLayout,
        fps: Fraction,
        rate: int,
        on_fragment: Callable[[Fragment], None],
        quality: LiveQuality | None = None,
    ) -> None:
        if rate not in _RATES:
            raise ValueError(f"sound of {rate} samples a second cannot be encoded: 8,000 to 192,000 can")
        quality = quality or LiveQuality()
        self._layout, self._fps, self._rate = layout, fps, rate
        self._on_fragment = on_fragment
        self.size = live_size((layout.width, layout.height), quality.max_height)
        self._fragments = FragmentWriter(*self.size, fps, LIVE_RATE)
        self._frames = self._samples = 0
        self._most_inside = _INSIDE + math.ceil(_SOUND_SECONDS * fps)
        self._given = 0  # pictures that came out
        self._ended = False  # whether nothing comes out any more
        self._moved = threading.Condition()
        self._finished = self._closed = False
        self._failure: Exception | None = None
        self._child = Child(encode_live(layout=layout, fps=fps, quality=quality), stdin=True, stdout=True)
        self._reader = threading.Thread(target=self._read, name="live-encoder", daemon=True)
        self._reader.start()
        self._child.write(avi.header(layout, 2 * fps, rate))  # in half frames, see `encode_live`

    def __enter__(self) -> LiveEncoder:
        """Return it; `close` follows."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self.close()

    @property
    def mime_type(self) -> str | None:
        """What browsers are told that it is; known as soon as the first fragment is."""
        return self._fragments.mime_type

    def push(self, frame: Frame, sound: Float32Array, *, key: bool = False) -> None:
        """Hand on the next frame with its sound; waits while the encoder is behind.

        Args:
            frame: Of the layout.
            sound: float32 [n], mono, about -1 to 1: what is heard while it is shown. How many samples that is may
                differ from frame to frame where the rate asks for it; together they must not drift from the frames.
            key: Whether a player has to be able to begin with it.

        Raises:
            OutputError: The encoder has ended, with its reason, or it was closed.
            Exception: What `on_fragment` raised.
        """
        if frame.layout != self._layout:
            raise ValueError(f"a frame of {frame.layout} was handed to an encoder of {self._layout}")
        samples = np.ascontiguousarray(sound, np.float32)
        total, due = self._samples + samples.size, (self._frames + 1) * self._rate / self._fps
        if samples.ndim != 1 or abs(total - due) > 1:
            raise ValueError(f"{self._frames + 1} frames need {float(due):.1f} samples of sound, and got {total}")
        self._wait_for_room()
        halves = [(avi.PICTURE, _NOTHING), (avi.PICTURE, frame.view)]
        pieces: list[bytes | memoryview] = []
        for kind, data in ((avi.SOUND, samples.view(np.uint8).data), *(halves if key else reversed(halves))):
            before, behind = avi.around(kind, len(data))
            pieces += [before, data, behind]
        try:
            for piece in pieces[:-1]:
                self._child.write(piece)
            self._child.write(pieces[-1], at_once=True)
        except (BrokenPipeError, ValueError) as error:  # it has ended; or was closed meanwhile, by another thread
            raise self._why() from error
        self._frames, self._samples = self._frames + 1, total

    def finish(self) -> None:
        """Wait until all fragments were handed on. Nothing can be pushed any more.

        Raises:
            OutputError: The encoder has failed, with its reason, or it was closed.
            Exception: What `on_fragment` raised.
        """
        if self._finished:
            return
        self._check()
        if not self._frames:
            self.close()
            return
        self._finished = True
        status = self._child.finish()
        self._reader.join()
        if status != 0 or self._failure is not None:
            raise self._why()
        if self._fragments.pictures != self._frames:
            raise OutputError(f"of {self._frames} pictures, {self._fragments.pictures} came out of the encoder")

    def close(self) -> None:
        """End it now, whatever it does. From any thread but `on_fragment`'s; may be called twice."""
        self._closed = True
        self._child.end()
        self._reader.join()
        self._child.kill()

    def _wait_for_room(self) -> None:
        """Wait until few enough frames are inside, or it has ended.

        Raises:
            OutputError: As `push`.
        """
        self._check()
        limit = time.monotonic() + STALL_SECONDS
        while not self._has_room(_PATIENCE):
            # Where a codec fails, ffmpeg says so, but does not end before it was given more.
            if self._child.stderr_lines or time.monotonic() > limit:
                self._child.end()
                raise self._why()
        self._check()

    def _has_room(self, seconds: float) -> bool:
        """Return whether a frame may go in, or it has ended, within so many seconds."""
        with self._moved:
            return self._moved.wait_for(lambda: self._ended or self._frames - self._given < self._most_inside, seconds)

    def _check(self) -> None:
        if self._closed or self._failure is not None or (self._ended and not self._finished):
            raise self._why()
        if self._finished:
            raise OutputError("the live encoder has finished")

    def _why(self) -> Exception:
        """Return what ended it."""
        if self._closed:
            return OutputError("the live encoder was closed")
        self._child.finish()
        self._reader.join()
        return self._failure or OutputError(f"the live pictures cannot be encoded ({self._child.complaint})")

    def _read(self) -> None:
        packets = PacketReader()
        try:
            while data := self._child.read_some():
                for packet in packets.feed(data):
                    for fragment in self._fragments.add(packet):
                        self._on_fragment(fragment)
                    if packet.kind == "picture" and not packet.configuration:
                        self._move(given=1)
        except Exception as error:  # noqa: BLE001 - raised where frames are pushed
            self._failure = error
            self._child.end()
        finally:
            self._move(ended=True)

    def _move(self, *, given: int = 0, ended: bool = False) -> None:
        with self._moved:
            self._given += given
            self._ended = ended
            self._moved.notify_all()
