"""What the frames of a live session show, one stretch after the other: a voice, a mouth that closes, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np

from musetalk.streaming.utterance import Utterance
from musetalk.utils.arrays import Float32Array
from musetalk.utils.easing import smoothstep

_CLOSING = 0.12  # seconds from the last frame that is spoken to the source's own mouth
_OPENING = 0.12  # seconds in which the painted mouth comes in where the source's own was shown before


@dataclass(slots=True)
class Spoken:
    """Frames that speak a voice.

    Attributes:
        start: The first of them.
        fps: Frames a second.
        utterance: The voice.
        opens: Whether the painted mouth comes in gently: before it, the source's own was shown.
        cut: Where it was interrupted; None: it was not.
    """

    start: int
    fps: Fraction
    utterance: Utterance
    opens: bool
    cut: int | None = None

    @property
    def stop(self) -> int | None:
        """The frame after the last; None: the voice goes on."""
        count = self.utterance.frame_count
        return self.cut if count is None or self.cut is not None else self.start + count

    @property
    def known(self) -> int:
        """The frame after the last that can be painted."""
        ready = self.start + self.utterance.ready
        return ready if self.cut is None else min(ready, self.cut)

    def window(self, start: int, stop: int) -> Float32Array:
        """Return what the generator hears in some of them."""
        return self.utterance.window(start - self.start, stop - self.start)

    def presence(self, frame: int) -> float:
        """Return how much of the painted faces one of them shows."""
        own = self.utterance.presence(frame - self.start)
        return min(own, _eased(frame - self.start, self.fps, _OPENING)) if self.opens else own


@dataclass(slots=True)
class Closing:
    """Frames in which a mouth closes after it spoke.

    Attributes:
        start: The first of them.
        fps: Frames a second.
        heard: float32 [1, ...], what the generator heard in the last frame that was spoken.
        shown: How much of the painted faces that frame shows.
    """

    start: int
    fps: Fraction
    heard: Float32Array
    shown: float

    @property
    def stop(self) -> int:
        """The frame after the last."""
        return self.start + max(1, round(_CLOSING * self.fps))

    @property
    def known(self) -> int:
        """The frame after the last that can be painted."""
        return self.stop

    def window(self, start: int, stop: int) -> Float32Array:
        """Return what the generator hears in some of them: it fades to silence."""
        left = [1 - _eased(frame - self.start, self.fps, _CLOSING) for frame in range(start, stop)]
        return np.asarray(self.heard * np.reshape(left, (-1, *([1] * (self.heard.ndim - 1)))), np.float32)

    def presence(self, frame: int) -> float:
        """Return how much of the painted faces one of them shows."""
        return self.shown * (1 - _eased(frame - self.start, self.fps, _CLOSING))


@dataclass(slots=True)
class Silent:
    """Frames in which nobody speaks and nothing is painted.

    Attributes:
        start, stop: Frames [start, stop).
    """

    start: int
    stop: int

    @property
    def known(self) -> int:
        """The frame after the last."""
        return self.stop


Span: TypeAlias = Spoken | Closing | Silent


def _eased(place: int, fps: Fraction, seconds: float) -> float:
    """Return how far a passage of some seconds has come in the middle of its frame at a place, 0 to 1."""
    return float(smoothstep(np.array([(place + 0.5) / (seconds * float(fps))]))[0])
