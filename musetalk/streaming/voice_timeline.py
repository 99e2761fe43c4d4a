"""Who speaks in which frame of a live session: voices one after the other, mouths that close, and silence."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from musetalk.streaming.spans import Closing, Silent, Span, Spoken
from musetalk.streaming.types import LiveOptions, LiveSpeech
from musetalk.streaming.utterance import Utterance
from musetalk.utils.arrays import Float32Array

_NO_SOUND = np.zeros(0, np.float32)


class VoiceTimeline:
    """Lays voices on the frames of a session. The `SpeechTrack` and the `Presence` of its plan. Not thread-safe.

    Voices wait until enough of them is known, and are then laid behind what was laid before. Frames in which nobody
    speaks are laid where they are asked for.

    Args:
        fps: Output frames a second.
        hear: Makes what hears a new voice.
        options: Of the session.
    """

    def __init__(self, fps: Fraction, hear: Callable[[], LiveSpeech], options: LiveOptions) -> None:
        self._fps, self._hear, self._options = fps, hear, options
        self._spans: deque[Span] = deque()
        self._waiting: deque[Utterance] = deque()
        self._open: Utterance | None = None
        self._sound = _NO_SOUND  # of a voice that reaches beyond its last frame

    @property
    def frame_count(self) -> int:
        """Frames that are laid and known."""
        return self._spans[-1].known if self._spans else 0

    def push(self, number: int, samples: Float32Array, rate: int) -> None:
        """Take more of a voice.

        Args:
            number: Which; a new number begins a new voice, and ends the one before.
            samples: float32 [n], mono.
            rate: So many a second.
        """
        if self._open is not None and self._open.number != number:
            self.end()
        if self._open is None:
            self._open = Utterance(number, rate, self._fps, self._hear(), self._options)
            self._waiting.append(self._open)
        self._open.push(samples)
        self._lay_waiting()

    def end(self) -> None:
        """The voice that was pushed has ended."""
        if self._open is not None:
            self._open.end()
            self._open = None
            self._lay_waiting()

    def add_silence(self, frames: int) -> None:
        """Lay frames in which nobody speaks, after a mouth that closes; none where a voice goes on."""
        last = self._spans[-1] if self._spans else None
        if last is not None and last.stop is None:
            return
        if isinstance(last, Spoken):
            last = self._close(last) or last
        if isinstance(last, Silent):
            last.stop += frames
        else:
            start = self.frame_count
            self._spans.append(Silent(start, start + frames))

    def cut(self, frame: int, fading: Float32Array) -> None:
        """Drop all voices, and all that is laid from a frame on; a mouth that speaks there closes.

        Args:
            frame: The first that is laid anew.
            fading: float32 [n], sound that still follows: the end of a voice, faded out.
        """
        while self._waiting:
            self._waiting.pop().close()
        self._open = None
        self._sound = fading
        while self._spans and self._spans[-1].start >= frame:
            _drop(self._spans.pop())
        last = self._spans[-1] if self._spans else None
        if isinstance(last, Spoken) and (last.stop is None or last.stop >= frame):
            last.cut = frame
            self._close(last)
        elif isinstance(last, Silent):
            last.stop = min(last.stop, frame)

    def forget(self, frame: int) -> None:
        """Keep nothing of what was shown before a frame."""
        while len(self._spans) > 1 and self._spans[1].start <= frame:
            _drop(self._spans.popleft())
        first = self._spans[0] if self._spans else None
        if isinstance(first, Spoken) and first.start < frame:
            first.utterance.forget(frame - first.start)

    def close(self) -> None:
        """Hold nothing more."""
        self.cut(0, _NO_SOUND)

    def span_end(self, frame: int) -> int | None:
        """Return where what is shown in a frame ends; None: that is not known yet."""
        return self._at(frame).stop

    def paints(self, frame: int) -> bool:
        """Whether faces are painted in a frame."""
        return self[frame] > 0

    def spoken(self, frame: int) -> tuple[int | None, bool]:
        """Return the number of the voice that is spoken in a frame, and whether it ends with it."""
        span = self._at(frame)
        return (span.utterance.number, span.stop == frame + 1) if isinstance(span, Spoken) else (None, False)

    def window(self, start: int, stop: int) -> Float32Array:
        """Return what the generator hears in painted frames of one span: float32 [stop - start, ...]."""
        span = self._at(start)
        return _NO_SOUND if isinstance(span, Silent) else span.window(start, stop)

    def __getitem__(self, frame: int) -> float:
        """Return how much of the painted faces a frame shows, 0 to 1."""
        span = self._at(frame)
        return 0.0 if isinstance(span, Silent) else span.presence(frame)

    def take_sound(self, frame: int) -> Float32Array:
        """Return the sound of a frame: float32 [n], mono. To be called for each frame once, in order."""
        rate, span = self._options.rate, self._at(frame)
        count = int((frame + 1) * rate / self._fps) - int(frame * rate / self._fps)
        if isinstance(span, Spoken):
            parts = [self._sound, span.utterance.take_sound(count - len(self._sound))]
            if span.stop == frame + 1 and span.cut is None:
                parts.append(span.utterance.take_rest())
            self._sound = np.concatenate(parts)
        own, self._sound = np.split(self._sound, [count])
        return np.pad(own, (0, count - len(own)))

    def _at(self, frame: int) -> Span:
        return next(span for span in reversed(self._spans) if span.start <= frame)

    def _close(self, spoken: Spoken) -> Closing | None:
        """Let a mouth close behind a voice that has ended; None: it is at rest."""
        stop = spoken.known
        if (shown := spoken.presence(stop - 1)) == 0:
            return None
        closing = Closing(stop, self._fps, spoken.window(stop - 1, stop), shown)
        self._spans.append(closing)
        return closing

    def _lay_waiting(self) -> None:
        """Lay voices of which enough is known behind what ends."""
        while self._waiting and self._waiting[0].can_begin:
            last = self._spans[-1] if self._spans else None
            start = 0 if last is None else last.stop
            if start is None:
                return
            opens = start > 0 and self[start - 1] < 1
            self._spans.append(Spoken(start, self._fps, self._waiting.popleft(), opens))


def _drop(span: Span) -> None:
    if isinstance(span, Spoken):
        span.utterance.close()
