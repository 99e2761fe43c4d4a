"""How much voice was pushed and is not yet painted."""

from __future__ import annotations

from fractions import Fraction


class Backlog:
    """Counts it, voice by voice, so that what a voice lacks to whole frames does not pile up. Not thread-safe.

    Args:
        fps: Output frames a second.
    """

    def __init__(self, fps: Fraction) -> None:
        self._frame = float(1 / fps)
        self._of: dict[int, float] = {}
        self.seconds = 0.0

    def add(self, voice: int, seconds: float) -> None:
        """So much more of a voice was pushed. The shortest one lasts for a frame."""
        self._change(voice, self._of.get(voice, self._frame) + seconds)

    def painted(self, voice: int, *, last: bool) -> None:
        """A frame of a voice was painted; after the last one nothing of it is left."""
        self._change(voice, 0.0 if last else max(0.0, self._of.get(voice, 0.0) - self._frame))
        if last:
            self._of.pop(voice, None)

    def clear(self) -> None:
        """Nothing is left of any voice."""
        self._of.clear()
        self.seconds = 0.0

    def _change(self, voice: int, seconds: float) -> None:
        self.seconds = max(0.0, self.seconds + seconds - self._of.get(voice, 0.0))
        self._of[voice] = seconds
