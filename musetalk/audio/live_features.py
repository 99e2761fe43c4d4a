"""Whisper features of voices that follow each other live, by output frames, known while they are heard."""

from __future__ import annotations

import tempfile
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from musetalk.audio.live_voice import LiveVoice, SlidingVoice
from musetalk.audio.sliding import SlidingWindow
from musetalk.audio.types import SAMPLES_PER_STEP, STEPS_PER_SECOND, Seams, SpeechEncoder
from musetalk.audio.whole_voice import WholeVoice
from musetalk.audio.windows import PADDING_LEFT, PADDING_RIGHT, FeatureTrack, step_numbers
from musetalk.utils.arrays import Float32Array

LOOKAHEAD_STEPS = 8  # 160 ms
HOP_STEPS = 4  # 80 ms
_RATE = SAMPLES_PER_STEP * STEPS_PER_SECOND


@dataclass(frozen=True, slots=True, eq=False)
class _Turn:
    """One voice on the timeline.

    Attributes:
        first: The output frame that it begins with.
        voice: What is known of it.
        track: The same by output frames, of which 0 is `first`.
    """

    first: int
    voice: LiveVoice
    track: FeatureTrack


class LiveFeatures:
    """Voices' hidden states, one window per output frame, on one timeline. A `SpeechTrack` that grows.

    Each voice begins with an output frame and is heard by itself: its features are those of a file with that voice
    alone, as far as a bounded look-ahead can tell, and the same however its samples are cut. What was given out never
    changes. For one thread at a time; a context manager.

    Memory is bounded if `forget` is called; the encoder is called once for each hop of a voice (twice in the rare
    passages from one of its windows to the next), and not between voices.

    Args:
        encoder: Makes the hidden states.
        fps: Output frames a second.
        lookahead_steps: Steps, 20 ms each, that are heard beyond those that a frame hears before it is known. None: all
            of a voice, which then has the features that `measure_features` gives it, by way of files.
        hop_steps: Steps between two calls of the encoder; a frame waits for the next one.
        left: Context before each frame, in frames at 25 fps.
        right: Context after it, in frames at 25 fps.
        seams: How the encoder's windows are joined where `lookahead_steps` is None.
        folder: For temporary files then; None: the system's.

    Raises:
        ValueError: The encoder's window is too short for the look-ahead and the hop.
    """

    def __init__(
        self,
        encoder: SpeechEncoder,
        fps: Fraction,
        *,
        lookahead_steps: int | None = LOOKAHEAD_STEPS,
        hop_steps: int = HOP_STEPS,
        left: int = PADDING_LEFT,
        right: int = PADDING_RIGHT,
        seams: Seams = "smooth",
        folder: Path | None = None,
    ) -> None:
        self._encoder = encoder
        self._fps = fps
        self._hop, self._lookahead = hop_steps, lookahead_steps or 0
        self._left, self._right = left, right
        self._seams: Seams = seams
        self._turns: deque[_Turn] = deque()
        self._speaking = False  # whether the last turn goes on
        self._next = 0  # else: the frame that the next one begins with
        self._forgotten = 0  # frames
        self._files = tempfile.TemporaryDirectory(dir=folder) if lookahead_steps is None else None
        self._made = 0  # turns
        if lookahead_steps is not None:
            SlidingWindow(encoder.window_steps, hop_steps, lookahead_steps)  # tells at once whether it is long enough

    def __enter__(self) -> LiveFeatures:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def frames_ready(self) -> int:
        """Output frames whose voice is known for good, from the timeline's beginning."""
        if not self._speaking:
            return self._next
        turn = self._turns[-1]
        # Frame k of the turn hears steps before floor(50 k / fps) + beyond.
        beyond = 1 + int(step_numbers(0, 1, self._fps, self._left, self._right).max())
        within = turn.voice.steps - beyond
        return turn.first + max(-(-(within + 1) * self._fps.numerator // (STEPS_PER_SECOND * self._fps.denominator)), 0)

    @property
    def frame_count(self) -> int:
        """Output frames that are known: those that are ready."""
        return self.frames_ready

    @property
    def held_bytes(self) -> int:
        """What the voices' arrays take in memory."""
        return sum(turn.voice.held_bytes for turn in self._turns)

    def begin(self, frame: int) -> None:
        """Let the next voice begin with output frame `frame`, and not with the first one after the last voice.

        The frames before it are ready then.

        Raises:
            ValueError: A voice goes on, or the frame lies before the end of the last one.
        """
        if self._speaking or frame < self._next:
            raise ValueError(f"no voice can begin with frame {frame}: {self._state()}")
        self._next = frame

    def push(self, samples: Float32Array) -> None:
        """Hear more of a voice, or the beginning of one.

        Args:
            samples: float32 [n], 16 kHz mono, about -1 to 1, of any length; what is no finite number is silence.
        """
        if not len(samples):
            return
        if not self._speaking:
            self._turns.append(self._new_turn())
            self._speaking = True
        self._turns[-1].voice.push(samples)

    def end(self) -> None:
        """End the voice: silence follows, and all its frames are ready."""
        if self._speaking:
            turn = self._turns[-1]
            turn.voice.end()
            self._speaking = False
            self._next = turn.first + self._frame_after(turn.voice.samples)

    def cut(self, sample: int) -> None:
        """Drop what follows a sample of the timeline, on which output frame k begins with sample 16000 k / fps.

        The voice ends there, if it still goes on, and voices that begin later are as if they had never been. Frames
        before it that were ready stay as they are, up to what they heard beyond it. The next voice begins with the
        first frame after it.

        Args:
            sample: At 16 kHz, 0 or more.
        """
        self._speaking = False
        self._next = self._frame_after(sample)
        while self._turns and self._turns[-1].first >= self._next:
            self._turns.pop().voice.close()
        if self._turns:
            turn = self._turns[-1]
            begins = -(-turn.first * _RATE * self._fps.denominator // self._fps.numerator)
            # Frames before what was forgotten are made anew without it: as if nothing had been said before them.
            turn.voice.cut(sample - begins if self._next >= self._forgotten else 0)
        self._forgotten = min(self._forgotten, self._next)

    def window(self, start: int, stop: int) -> Float32Array:
        """Return the voice of output frames [start, stop), not beyond `frames_ready`: as `FeatureTrack.window` does.

        Between two voices the end of the first one goes on; before the first one, there is nothing.

        Raises:
            ValueError: Some of the frames are not ready, or were forgotten.
        """
        if not self._forgotten <= start <= stop <= self.frames_ready:
            raise ValueError(f"the voice of frames {start} to {stop} cannot be given out: {self._state()}")
        rows = 2 * (self._left + self._right + 1) * self._encoder.states
        found = np.zeros((stop - start, rows, self._encoder.width), np.float32)
        limit = stop
        for turn in reversed(self._turns):
            first = max(turn.first, start)
            if first < limit:
                found[first - start : limit - start] = turn.track.window(first - turn.first, limit - turn.first)
            limit = min(limit, turn.first)
        return found

    def forget(self, frame: int) -> None:
        """Let go of what only frames before `frame` hear: they will not be asked for again."""
        self._forgotten = max(self._forgotten, frame)
        while len(self._turns) > 1 and self._turns[1].first <= frame:
            self._turns.popleft().voice.close()
        for turn in self._turns:
            within = max(frame - turn.first, 0)
            turn.voice.forget(int(step_numbers(within, within + 1, self._fps, self._left, 0).min()))

    def close(self) -> None:
        """Let go of everything."""
        while self._turns:
            self._turns.pop().voice.close()
        if self._files is not None:
            self._files.cleanup()

    def _new_turn(self) -> _Turn:
        voice: LiveVoice
        if self._files is not None:
            voice = WholeVoice(self._encoder, Path(self._files.name) / f"voice-{self._made}.npy", self._seams)
        else:
            voice = SlidingVoice(self._encoder, self._hop, self._lookahead)
        self._made += 1
        spec = self._encoder.audio_spec
        track = FeatureTrack(voice, fps=self._fps, frame_count=0, audio_spec=spec, left=self._left, right=self._right)
        return _Turn(self._next, voice, track)

    def _frame_after(self, samples: int) -> int:
        """Return the first output frame that begins after so many samples."""
        return -(-samples * self._fps.numerator // (_RATE * self._fps.denominator))

    def _state(self) -> str:
        going = "a voice goes on" if self._speaking else f"the next voice begins with {self._next}"
        return f"frames {self._forgotten} to {self.frames_ready} are ready, {going}"
