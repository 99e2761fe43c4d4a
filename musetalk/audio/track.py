"""The encoded voice by output frames, as generators get it."""

from __future__ import annotations

from typing import Protocol

from musetalk.utils.arrays import Float32Array


class SpeechTrack(Protocol):
    """A voice, cut into one piece per output frame, handed out by range so that it need not lie in memory whole."""

    @property
    def frame_count(self) -> int:
        """Output frames that the voice covers."""
        ...

    def window(self, start: int, stop: int) -> Float32Array:
        """Return the voice of output frames [start, stop): float32 [stop - start, ...]. Beyond the voice: silence.

        Envelope tracks give [N, 2]: openness 0 to 1, spread -1 (rounded, "oo") to 1 (wide, "ee").
        Feature tracks give [N, 50, 384] (Whisper hidden states).
        """
        ...
