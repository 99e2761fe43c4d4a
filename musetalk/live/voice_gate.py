"""Tells a voice from a room's own sound: what a microphone hears that is always open becomes voices with an end."""

from __future__ import annotations

from collections import deque

import numpy as np

from musetalk.utils.arrays import Int16Array

_HOP_SECONDS = 0.02
_QUIET = 0.004  # of full scale: nobody speaks at a level below
_ABOVE_FLOOR = 3  # times the room's own level: the same
_MOST_FLOOR = 0.01  # of full scale: a room that is louder than that is not told from a voice
_FLOOR_RISES = 1.001  # a hop: a room that has become louder is learned within half a minute
_KEPT_BEFORE = 8  # hops before a voice, which begins more softly than it goes on
_KEPT_AFTER = 32  # hops in which it may draw breath


class VoiceGate:
    """Lets a voice pass, from 160 ms before it until 640 ms after; in real time, and without holding it back.

    Args:
        rate: Samples a second.
    """

    def __init__(self, rate: int) -> None:
        self._hop = round(rate * _HOP_SECONDS)
        self._rest: Int16Array = np.zeros(0, np.int16)  # less than a hop
        self._before: deque[Int16Array] = deque(maxlen=_KEPT_BEFORE)
        self._after = 0  # hops for which it stays open
        self._floor = 0.0

    def hear(self, samples: Int16Array) -> list[Int16Array | None]:
        """Return what passes of some more samples, in order; None: there a voice has ended.

        Args:
            samples: int16 [n], of any length.
        """
        known = np.concatenate([self._rest, samples])
        whole = len(known) - len(known) % self._hop
        self._rest = known[whole:]
        passed: list[Int16Array | None] = []
        for hop in np.split(known[:whole], range(self._hop, whole, self._hop)) if whole else []:
            passed += self._judge(hop)
        return passed

    def _judge(self, hop: Int16Array) -> list[Int16Array | None]:
        if self._speaks(hop):
            earlier, self._after = list(self._before), _KEPT_AFTER
            self._before.clear()
            return [*earlier, hop]
        if not self._after:
            self._before.append(hop)
            return []
        self._after -= 1
        return [hop] if self._after else [hop, None]

    def _speaks(self, hop: Int16Array) -> bool:
        level = float(np.sqrt(np.mean(np.square(hop / np.float32(32768)))))
        self._floor = min(level, _MOST_FLOOR, max(self._floor, _QUIET / _ABOVE_FLOOR) * _FLOOR_RISES)
        return level > max(_QUIET, _ABOVE_FLOOR * self._floor)
