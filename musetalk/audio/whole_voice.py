"""One voice's hidden states, measured when it has ended, as those of a file are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from musetalk.audio.feature_store import FeatureFile
from musetalk.audio.features import measure_features
from musetalk.audio.mel import numbers_only
from musetalk.audio.spool import Spool
from musetalk.audio.types import SpeechEncoder, WholeSeams
from musetalk.utils.arrays import Float32Array

_READ = 2**16  # samples at once


class WholeVoice:
    """A voice of which nothing is known before it has ended. A `LiveVoice`.

    Its samples wait on disk (64 kB a second), where its states come to lie, too: memory does not grow with it.

    Args:
        encoder: Makes the states.
        path: The file for them, in an existing folder.
        seams: How the encoder's windows are joined.

    Raises:
        OutputError: The disk is full or cannot be written to; so do `push` and `end`.
    """

    def __init__(self, encoder: SpeechEncoder, path: Path, seams: WholeSeams) -> None:
        self._encoder = encoder
        self._path = path
        self._seams = seams
        self._spool = Spool(path.parent, 1, "the voice")
        self._samples = 0
        self._features: FeatureFile | None = None
        self._steps = 0

    @property
    def states(self) -> int:
        """Hidden states per step."""
        return self._encoder.states

    @property
    def width(self) -> int:
        """Size of a hidden state."""
        return self._encoder.width

    @property
    def steps(self) -> int:
        """Steps that are known for good: none before the voice has ended."""
        return self._steps

    @property
    def held_bytes(self) -> int:
        """What its arrays take in memory: nothing."""
        return 0

    def push(self, samples: Float32Array) -> None:
        """Hear more."""
        self._spool.append(numbers_only(samples))
        self._samples += len(samples)

    def rest(self) -> None:
        """Go on as ever: all of it is measured at once."""

    def go_on(self, step: int) -> None:
        """Go on as ever."""

    def end(self) -> None:
        """Measure all of it."""
        if self._features is None:
            self._features = measure_features(self._blocks(), self._encoder, self._path, seams=self._seams)
            self._steps = self._features.steps
            self._spool.close()

    def read(self, start: int, stop: int) -> Float32Array:
        """Return steps [start, stop) of those known: float32 [stop - start, states, width]."""
        if self._features is None:
            raise ValueError("the voice has not ended")
        return self._features.read(start, stop)

    def forget(self, step: int) -> None:
        """Keep all: it is on disk."""

    def close(self) -> None:
        """Remove the files."""
        self._spool.close()
        self._path.unlink(missing_ok=True)

    def _blocks(self) -> Iterator[Float32Array]:
        for start in range(0, self._samples, _READ):
            yield self._spool.read(start, min(_READ, self._samples - start))[:, 0]
