"""Whisper features of a voice by output frames, known while it is heard."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path

from musetalk.audio.live_voice import HOP_STEPS, LOOKAHEAD_STEPS, LiveVoice, SlidingVoice
from musetalk.audio.types import STEPS_PER_SECOND, Seams, SpeechEncoder
from musetalk.audio.whole_voice import WholeVoice
from musetalk.audio.windows import PADDING_LEFT, PADDING_RIGHT, FeatureTrack, step_numbers
from musetalk.utils.arrays import Float32Array


class LiveFeatures:
    """A voice's hidden states, one window per output frame, while it is heard. A `SpeechTrack` that grows.

    Its features are those that `measure_features` gives a file with that voice and these seams, however its samples are
    cut. What was given out never changes. For one thread at a time; a context manager.

    Memory is bounded if `forget` is called; the encoder is called once for each hop of the voice, twice in the rare
    passages from one of its windows to the next.

    Args:
        encoder: Makes the hidden states.
        fps: Output frames a second.
        seams: How the encoder's windows are joined. "live": as the voice is known so far; else nothing is known before
            it has ended, and all of it goes by way of files.
        lookahead_steps: Steps, 20 ms each, that are heard with "live" beyond those that a frame hears.
        hop_steps: Steps between two calls of the encoder with "live"; a frame waits for the next one.
        left: Context before each frame, in frames at 25 fps.
        right: Context after it, in frames at 25 fps.
        folder: For temporary files; None: the system's.

    Raises:
        ValueError: The encoder's window is too short for the look-ahead and the hop.
    """

    def __init__(
        self,
        encoder: SpeechEncoder,
        fps: Fraction,
        *,
        seams: Seams = "live",
        lookahead_steps: int = LOOKAHEAD_STEPS,
        hop_steps: int = HOP_STEPS,
        left: int = PADDING_LEFT,
        right: int = PADDING_RIGHT,
        folder: Path | None = None,
    ) -> None:
        self._fps = fps
        self._left, self._right = left, right
        self._files: tempfile.TemporaryDirectory[str] | None = None
        self._voice: LiveVoice
        if seams == "live":
            self._voice = SlidingVoice(encoder, hop_steps, lookahead_steps)
        else:
            self._files = tempfile.TemporaryDirectory(dir=folder)
            self._voice = WholeVoice(encoder, Path(self._files.name) / "voice.npy", seams)
        spec = encoder.audio_spec
        self._track = FeatureTrack(self._voice, fps=fps, frame_count=0, audio_spec=spec, left=left, right=right)
        self._frame_count: int | None = None  # once it has ended
        self._forgotten = 0  # frames

    def __enter__(self) -> LiveFeatures:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def ready(self) -> int:
        """Output frames that are known for good."""
        if self._frame_count is not None:
            return self._frame_count
        # Frame k hears steps before floor(50 k / fps) + beyond.
        beyond = 1 + int(step_numbers(0, 1, self._fps, self._left, self._right).max())
        within = self._voice.steps - beyond
        return max(-(-(within + 1) * self._fps.numerator // (STEPS_PER_SECOND * self._fps.denominator)), 0)

    @property
    def frame_count(self) -> int:
        """Output frames that are known: those that are ready."""
        return self.ready

    @property
    def held_bytes(self) -> int:
        """What the voice's arrays take in memory."""
        return self._voice.held_bytes

    def push(self, samples: Float32Array) -> None:
        """Hear more of the voice.

        Args:
            samples: float32 [n], 16 kHz mono, about -1 to 1, of any length; what is no finite number is silence.
        """
        self._voice.push(samples)

    def rest(self) -> None:
        """Go on without the encoder: frames that become ready are not asked for, but for those that `go_on` names."""
        self._voice.rest()

    def go_on(self, frame: int) -> None:
        """Know frames as before; those from `frame` on are asked for, also where they became ready meanwhile."""
        self._voice.go_on(max(0, int(step_numbers(frame, frame + 1, self._fps, self._left, 0).min())))

    def end(self, frame_count: int) -> None:
        """End the voice, which covers so many output frames: silence follows, and all of them are ready."""
        self._voice.end()
        self._frame_count = frame_count

    def window(self, start: int, stop: int) -> Float32Array:
        """Return the voice of output frames [start, stop), not beyond `ready`: as `FeatureTrack.window` does.

        Raises:
            ValueError: Some of the frames are not ready, or were forgotten.
        """
        if not self._forgotten <= start <= stop <= self.ready:
            there = f"{self._forgotten} to {self.ready} are there"
            raise ValueError(f"the voice of frames {start} to {stop} cannot be given out: {there}")
        return self._track.window(start, stop)

    def forget(self, frame: int) -> None:
        """Let go of what only frames before `frame` hear: they will not be asked for again."""
        self._forgotten = max(self._forgotten, frame)
        self._voice.forget(int(step_numbers(frame, frame + 1, self._fps, self._left, 0).min()))

    def close(self) -> None:
        """Let go of everything."""
        self._voice.close()
        if self._files is not None:
            self._files.cleanup()
