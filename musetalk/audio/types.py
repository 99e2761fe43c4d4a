"""Interfaces for audio features: the encoder, and which features each family of networks takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from musetalk.utils.arrays import Float32Array

STEPS_PER_SECOND = 50  # encoder steps: two hops of 10 ms each
SAMPLES_PER_STEP = 320  # at 16 kHz
FRAMES_PER_STEP = 2  # of the log-mel

WholeSeams: TypeAlias = Literal["smooth", "upstream"]
Seams: TypeAlias = WholeSeams | Literal["live"]


@dataclass(frozen=True, slots=True)
class AudioFeatureSpec:
    """The audio features that a family of networks takes, as its project's inference code computes them.

    Attributes:
        closing_norm: Whether the last hidden state is taken after the encoder's closing layer norm (as transformers
            gives it) or before it (where LatentSync and MuseTalk 1.0 tap OpenAI's own code).
        after_voice: What fills the encoder's window after the voice: "silence" (as the log-mel of zero samples has it)
            or "zero" (the number 0 in the scaled log-mel, a medium loudness).
        floor: What upstream judges 80 dB below the loudest by: each 30 s "segment" on its own, or the whole "voice".
        edges: What windows hold beyond the voice: "zeros", or its first and last step again ("clamp").
    """

    closing_norm: bool
    after_voice: Literal["silence", "zero"]
    floor: Literal["segment", "voice"]
    edges: Literal["zeros", "clamp"]


MUSETALK_FEATURES = AudioFeatureSpec(closing_norm=True, after_voice="silence", floor="segment", edges="zeros")
# MuseTalk 1.0 came with a Whisper of its own, an edition of OpenAI's; with 1.5 its project moved to transformers' and
# runs both versions so. LatentSync took over the first way.
MUSETALK_V1_FEATURES = AudioFeatureSpec(closing_norm=False, after_voice="zero", floor="voice", edges="clamp")
LATENTSYNC_FEATURES = AudioFeatureSpec(closing_norm=False, after_voice="zero", floor="voice", edges="clamp")


class SpeechEncoder(Protocol):
    """Turns a log-mel spectrum into hidden states, one window at a time."""

    @property
    def audio_spec(self) -> AudioFeatureSpec:
        """Whose habits it follows."""
        ...

    @property
    def filters(self) -> npt.NDArray[np.float64]:
        """The mel filters: [201, bands], from power spectrum to bands."""
        ...

    @property
    def window_steps(self) -> int:
        """Steps W in one window: 1500 (30 s) for Whisper."""
        ...

    @property
    def states(self) -> int:
        """Hidden states per step: 5 for Whisper tiny."""
        ...

    @property
    def width(self) -> int:
        """Size of a hidden state: 384 for Whisper tiny."""
        ...

    @property
    def fingerprint(self) -> str:
        """Digest of all that its results depend on."""
        ...

    def encode(self, mel: Float32Array) -> Float32Array:
        """Return the hidden states, float32 [W, states, width], of a scaled log-mel spectrum, float32 [bands, 2 W]."""
        ...


class HiddenStates(Protocol):
    """A voice's hidden states, of which any part can be read."""

    @property
    def steps(self) -> int:
        """Encoder steps T, 50 a second."""
        ...

    @property
    def states(self) -> int:
        """Hidden states per step."""
        ...

    @property
    def width(self) -> int:
        """Size of a hidden state."""
        ...

    def read(self, start: int, stop: int) -> Float32Array:
        """Return steps [start, stop), 0 <= start <= stop <= steps: float32 [stop - start, states, width]."""
        ...
