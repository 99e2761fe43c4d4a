"""Where the encoder's window lies while a voice goes on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from musetalk.audio.seams import fade_of, overlap_of
from musetalk.utils.arrays import Float32Array

_SEARCHED = 6  # the passage is looked for in the last sixth of a window: 5 s of Whisper's 30


class SlidingWindow:
    """A window of fixed length over a voice of any: it stays where it is until it is full, and then moves on at once.

    It moves by half its length or more, so that a step is rarely at another position than the one before. A third of
    it, 10 s of Whisper's 30, are context before the first step that is taken from it at its new place, and for the
    length of the fade, steps pass evenly from the one place to the other. That begins in the last sixth before it must,
    as soon as it is as quiet as at no time in the sixth before.

    Args:
        length: Steps in a window.
        hop: Steps between two uses of it.
        lookahead: Steps that are known beyond those that are taken.

    Raises:
        ValueError: It is too short for them.
    """

    def __init__(self, length: int, hop: int, lookahead: int) -> None:
        self._overlap, self._fade = overlap_of(length), fade_of(length)
        self._latest = length - lookahead - hop * -(-self._fade // hop)  # at which it is full when the passage ends
        if hop < 1 or lookahead < 0 or self._latest - hop < length // 2:
            raise ValueError(f"windows of {length} steps are too short for {hop} steps at once and {lookahead} beyond")
        self._searched = length // _SEARCHED
        self._earliest = length - self._searched
        self._hop = hop
        self.start = 0
        self.following: int | None = None  # where the next one lies, during the passage to it
        self._seam = 0

    def settle(self, first: int, loudness: Callable[[int, int], Float32Array]) -> None:
        """Decide, before steps from `first` on are taken, whether the passage to the next window begins.

        Args:
            first: A hop's first step.
            loudness: Of steps [start, stop): float32 [stop - start].
        """
        if self.following is not None:
            return
        place = first - self.start
        must = place + self._hop > self._latest
        if must or (place >= self._earliest and self._is_quiet(loudness(first - self._searched, first + self._fade))):
            self.following, self._seam = first - self._overlap, first

    def shares(self, first: int, stop: int) -> npt.NDArray[np.float64]:
        """Return how much of steps [first, stop), float64 [stop - first], is the following window's: 0 to 1."""
        return np.clip(np.arange(first - self._seam + 1, stop - self._seam + 1) / (self._fade + 1), 0, 1)

    def took(self, stop: int) -> None:
        """Say that steps before `stop` were taken; moves on once the passage is over."""
        if self.following is not None and stop >= self._seam + self._fade:
            self.start, self.following = self.following, None

    def _is_quiet(self, loudness: Float32Array) -> bool:
        """Tell whether no passage among these steps would be quieter than one over the last of them."""
        loudest = np.lib.stride_tricks.sliding_window_view(loudness, self._fade).max(axis=1)
        return bool(loudest[-1] <= loudest.min())
