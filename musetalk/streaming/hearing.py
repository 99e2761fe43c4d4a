"""What hears a voice while it arrives: its envelope, or Whisper's features, as the generator takes them; and pauses."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from musetalk.audio.envelope import EnvelopeMeter, EnvelopeTrack
from musetalk.audio.live_features import LiveFeatures
from musetalk.audio.live_silence import LivePresence, SpeechFinder, SpeechFrames
from musetalk.audio.live_voice import HOP_STEPS
from musetalk.audio.silero import SileroFinder, load_silero
from musetalk.audio.types import SAMPLES_PER_STEP, SpeechEncoder
from musetalk.audio.windows import steps_beyond
from musetalk.settings import SilenceSettings, SpeechSettings
from musetalk.streaming.types import LiveOptions, LiveSpeech, LiveTrack
from musetalk.utils.arrays import Float32Array


def hear_voice(
    encoder: SpeechEncoder | None,
    wanted: SpeechSettings,
    silence: SilenceSettings,
    fps: Fraction,
    options: LiveOptions,
) -> LiveSpeech:
    """Return what hears a new voice.

    Args:
        encoder: What the generator's features come from; None: it takes the envelope.
        wanted: How features are made.
        silence: What the mouth does in pauses.
        fps: Output frames a second.
        options: Of the session.

    Raises:
        PackageError: What is to tell speech from noise is missing.
    """
    meter = EnvelopeMeter(fps)
    finder = meter if options.vad == "level" else SileroFinder(fps, load_silero())
    pauses = _pauses(silence, finder, fps, options)
    if encoder is None:
        if finder is meter and pauses is not None:  # which hears all for both
            return PausingVoice(LiveEnvelope(meter, pauses.push), pauses)
        return PausingVoice(LiveEnvelope(meter), pauses, finder)
    left, right = wanted.audio_padding_length_left, wanted.audio_padding_length_right
    seams, lookahead, hop = wanted.seams, wanted.lookahead, None
    if options.lookahead is not None:
        seams, lookahead, hop = "live", options.lookahead, HOP_STEPS * SAMPLES_PER_STEP
    ahead = steps_beyond(lookahead, right)
    features = LiveFeatures(encoder, fps, seams=seams, lookahead_steps=ahead, left=left, right=right)
    return PausingVoice(features, pauses, finder, hop)


def _pauses(silence: SilenceSettings, finder: SpeechFinder, fps: Fraction, options: LiveOptions) -> LivePresence | None:
    """Return what tells where the mouth rests while a voice goes on; None: nowhere."""
    asked = silence.mode != "generate"
    if not asked:
        if options.rest_after is None:
            return None
        silence = silence.model_copy(update={"mode": "rest", "min_pause_seconds": options.rest_after})
    ahead = None
    if options.lookahead is not None:
        ahead = max(0, math.floor((options.lookahead - finder.lookahead) * fps))
    return LivePresence(silence, fps, ahead, soon=finder.soon, rests_first=asked)


class PausingVoice:
    """A voice as a generator hears it, with pauses in which nothing of what that makes is seen. A `LiveSpeech`.

    Args:
        track: What the generator hears.
        pauses: Where the mouth rests; None: nowhere.
        finder: Tells the pauses where there is speech; None: the track does.
        hop: Samples after each of which it is looked whether the track may rest; None: it never does.
    """

    def __init__(
        self,
        track: LiveTrack,
        pauses: LivePresence | None,
        finder: SpeechFinder | None = None,
        hop: int | None = None,
    ) -> None:
        self._track, self._pauses, self._finder, self._hop = track, pauses, finder, hop
        self._waiting = np.zeros(0, np.float32)  # less than a hop
        self._seen = self._painted = 0  # frames that were looked at, and the one after the last that shows any face
        self._rests = False  # whether the track does

    @property
    def ready(self) -> int:
        """Output frames that are known."""
        return self._track.ready if self._pauses is None else min(self._track.ready, self._pauses.ready)

    def push(self, samples: Float32Array) -> None:
        """Take more of the voice."""
        if self._hop is None:
            self._hear(samples)
            return
        samples = np.concatenate([self._waiting, samples])
        whole = len(samples) - len(samples) % self._hop
        for start in range(0, whole, self._hop):
            self._hear(samples[start : start + self._hop])
        self._waiting = samples[whole:].copy()

    def end(self, frame_count: int) -> None:
        """The voice has ended."""
        self._hear(self._waiting)
        if self._pauses is not None and self._finder is not None:
            self._pauses.push(self._finder.finish(frame_count))
            self._pauses.end()
            self._let_rest()
        self._track.end(frame_count)
        if self._pauses is not None:
            self._pauses.end()

    def window(self, start: int, stop: int) -> Float32Array:
        """Return the voice of output frames [start, stop)."""
        return self._track.window(start, stop)

    def presence(self, frame: int) -> float:
        """Return how much of the painted faces an output frame shows."""
        return 1.0 if self._pauses is None else self._pauses[frame]

    def forget(self, frame: int) -> None:
        """Keep nothing of what comes before a frame."""
        self._track.forget(frame)
        if self._pauses is not None:
            self._pauses.forget(frame)

    def close(self) -> None:
        """Hold nothing more."""
        self._track.close()

    def _hear(self, samples: Float32Array) -> None:
        if self._pauses is not None and self._finder is not None:
            self._pauses.push(self._finder.push(samples))
            self._let_rest()
        self._track.push(samples)

    def _let_rest(self) -> None:
        """Let the track rest while nothing shows of what is made of it, and go on in time."""
        if self._hop is None or self._pauses is None:
            return
        unseen, self._seen = range(self._seen, self._pauses.ready), self._pauses.ready
        painted = [frame for frame in unseen if self._pauses[frame] > 0]
        if painted:
            self._painted = painted[-1] + 1
            if self._rests:
                self._track.go_on(painted[0])
                self._rests = False
        elif not self._rests and self._painted < self._seen and self._painted <= self._track.ready:
            self._track.rest()
            self._rests = True


class LiveEnvelope:
    """A voice's openness and spread, [N, 2], as they become known. A `LiveTrack`.

    Args:
        meter: Measures them.
        told: Is handed where there is speech, as it becomes known; None: nobody wants to know.
    """

    def __init__(self, meter: EnvelopeMeter, told: Callable[[SpeechFrames], None] | None = None) -> None:
        self._meter, self._told = meter, told
        self._values = np.zeros((0, 2), np.float32)
        self._first = 0  # the frame that they begin with

    @property
    def ready(self) -> int:
        """Output frames that are known."""
        return self._first + len(self._values)

    def push(self, samples: Float32Array) -> None:
        """Take more of the voice."""
        self._add(self._meter.push(samples))

    def rest(self) -> None:
        """Go on as ever, which costs little."""

    def go_on(self, frame: int) -> None:
        """Go on as ever."""

    def end(self, frame_count: int) -> None:
        """The voice has ended."""
        self._add(self._meter.finish(frame_count))

    def window(self, start: int, stop: int) -> Float32Array:
        """Return the voice of output frames [start, stop)."""
        return self._values[start - self._first : stop - self._first]

    def forget(self, frame: int) -> None:
        """Keep nothing of what comes before a frame."""
        dropped = max(0, frame - self._first)
        self._values, self._first = self._values[dropped:], self._first + dropped

    def close(self) -> None:
        """Hold nothing more."""
        self._values = self._values[:0]

    def _add(self, track: EnvelopeTrack) -> None:
        self._values = np.concatenate([self._values, track.window(0, track.frame_count)])
        if self._told is not None:
            self._told(track)
