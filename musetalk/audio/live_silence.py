"""How much of the painted faces shows while a voice is still heard: pauses as far as they are known by then."""

from __future__ import annotations

import math
from collections import deque
from fractions import Fraction
from typing import Protocol

import numpy as np

from musetalk.audio.silence import CLOSING, MARGIN, ROUNDING, SLOWER
from musetalk.settings import SilenceSettings
from musetalk.utils.arrays import BoolArray, Float32Array
from musetalk.utils.easing import smoothstep

_QUICK = 0.12  # seconds in which a painted mouth comes in where speech is in sight and there is no more time


class SpeechFrames(Protocol):
    """What is heard in consecutive output frames."""

    @property
    def heard(self) -> BoolArray:
        """Whether there is speech in each frame: bool [n]."""
        ...

    @property
    def soon(self) -> BoolArray:
        """Whether there is speech shortly after the end of each: bool [n]."""
        ...


class SpeechFinder(Protocol):
    """Tells speech from all else while a voice is heard, frame by frame."""

    @property
    def soon(self) -> Fraction:
        """How many seconds after a frame's end speech is looked for that follows soon."""
        ...

    @property
    def lookahead(self) -> Fraction:
        """How many seconds of sound after a frame's end have to be known at most before the frame is told."""
        ...

    def push(self, samples: Float32Array) -> SpeechFrames:
        """Hear more, float32 [n], 16 kHz mono, about -1 to 1, and return the frames that are known now."""
        ...

    def finish(self, frame_count: int) -> SpeechFrames:
        """Return the rest of so many frames: after the last sample there is silence."""
        ...


class LivePresence:
    """How much of the painted faces shows, frame by frame, while the voice is heard: `find_presence` without waiting.

    What is told of a frame rests on the frames up to it and so many after it, and never changes; how they are handed
    over changes nothing. A pause counts once so much of it is known as makes it one, and the faces fade out from then
    on; they come back as soon as speech is in sight, in 0.12 s if there is no more time. Where the look-ahead covers
    the shortest pause and the fade, that is what `find_presence` says of the same voice.

    Args:
        settings: What the mouth does in pauses: "keep" or "rest".
        fps: Output frames a second.
        lookahead: Frames that are known beyond one that is told; None: all of the voice.
        soon: Seconds after a frame in which `SpeechFrames.soon` looks for speech.
        rests_first: Whether nothing shows of the faces while it is not known how long the voice is silent at first.
    """

    def __init__(
        self, settings: SilenceSettings, fps: Fraction, lookahead: int | None, *, soon: Fraction, rests_first: bool
    ) -> None:
        resting, rate = settings.mode == "rest", float(fps)
        self._least = settings.min_pause_seconds * rate - ROUNDING
        self._fade = settings.fade_seconds * rate * (SLOWER if resting else 1)
        self._ending, self._beginning = (MARGIN + CLOSING if resting else MARGIN) * rate, MARGIN * rate
        self._quick, self._reach = min(_QUICK * rate, self._fade), math.floor(soon * fps)
        self._lookahead, self._rests_first = math.inf if lookahead is None else lookahead, rests_first
        self._known, self._ended = 0, False  # frames
        self._spoken: deque[int] = deque()  # those with speech among them that are not told
        self._told: deque[float] = deque()  # of the last frames that were
        self._frame = 0  # the next one that is told
        self._pause = 0  # the frame after the last that speaks
        self._falls: float | None = None  # where the faces begin to fade out; None: they show
        self._seen: int | None = None  # the frame in which the end of the pause came in sight
        self._rises: tuple[float, float] | None = None  # where they begin to come back, and are all there

    @property
    def ready(self) -> int:
        """Frames that are told for good."""
        return self._frame

    def push(self, frames: SpeechFrames) -> None:
        """Hear the next frames."""
        for heard, soon in zip(frames.heard.tolist(), frames.soon.tolist(), strict=True):
            if heard:
                self._spoken.append(self._known)
            self._known += 1
            if self._known - self._frame > self._lookahead:
                self._tell(self._known, self._known + self._reach, soon=soon)

    def end(self) -> None:
        """Tell all frames: nothing follows."""
        self._ended = True
        while self._frame < self._known:
            self._tell(self._known, self._known, soon=False)

    def __getitem__(self, frame: int) -> float:
        """Return how much of the faces a frame shows that was told and not forgotten: 0 to 1."""
        return self._told[frame - self._frame]

    def forget(self, frame: int) -> None:
        """Keep nothing of the frames before one, but for the last one that was told."""
        while len(self._told) > 1 and self._frame - len(self._told) < frame:
            self._told.popleft()

    def _tell(self, known: int, silent: int, *, soon: bool) -> None:
        """Tell the next frame.

        Args:
            known: Frames whose speech is known.
            silent: Frames without any speech if there is none among the known ones, nor soon.
            soon: Whether it follows soon after the known ones.
        """
        onset, sure = (known + self._reach, known) if soon else (None, silent)
        if self._spoken:
            onset = sure = self._spoken[0]
        self._told.append(self._presence(onset, sure))
        if onset == self._frame:
            self._spoken.popleft()
            self._pause = self._frame + 1
        self._frame += 1

    def _presence(self, onset: int | None, sure: int) -> float:
        """Return that of the next frame.

        Args:
            onset: The first frame with speech from there on, as far as one is in sight.
            sure: All frames before it, from there on, are silent.
        """
        frame = self._frame
        if self._falls is None and onset != frame:
            self._falls = self._start_of_fade(onset, sure)
        if self._falls is None:
            return 1.0
        if onset is not None:
            self._seen = frame if self._seen is None else self._seen
            if self._rises is None or frame < self._rises[0]:
                start = max(onset - self._beginning - self._fade, float(self._seen))
                self._rises = start, max(onset - self._beginning, start + self._quick)
        left = (self._falls + self._fade - frame - 0.5) / self._fade
        back = 0.0
        if self._rises is not None:
            start, stop = self._rises
            back = (frame + 0.5 - start) / (stop - start)
        if back >= 1:
            self._falls = self._seen = self._rises = None
        return float(smoothstep(np.array(max(left, back))))

    def _start_of_fade(self, onset: int | None, sure: int) -> float | None:
        """Return where the faces begin to fade out, now that silence is known up to a frame; None: nowhere yet."""
        frame, first = self._frame, self._frame == self._pause == 0
        if sure - self._pause < self._least:
            return -math.inf if first and onset is None and self._rests_first else None
        start = -math.inf if first else max(self._pause + self._ending, float(frame))
        gone = frame if first else math.ceil(start + self._fade - 0.5)  # the first frame that shows nothing
        if onset is not None:
            return start if gone + 0.5 <= onset - self._beginning - self._fade else None
        return None if self._ended and gone >= sure else start
