"""Pauses of a voice: where they are, how the painted face fades there, and which samples are silenced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from musetalk.audio.envelope import EnvelopeTrack
from musetalk.settings import SilenceSettings
from musetalk.utils.arrays import Float32Array
from musetalk.utils.easing import smoothstep

_RATE = 16_000  # Hz
MARGIN = 0.1  # seconds of a pause at either end that belong to the words: lips close after a sound, and open before it
CLOSING = 0.15  # seconds more until a mouth has closed: the envelope's release, and what windows hear around a frame
SLOWER = 2.5  # how many times longer a mouth at rest is cross-faded: the two mouths differ less, and nothing hurries
_MUTING = 80  # samples, 5 ms, over which the sound of a pause is faded out and in: no click is heard
ROUNDING = 1e-6  # frames by which seconds, as floats, may miss a whole number of frames


def find_presence(
    envelope: EnvelopeTrack,
    settings: SilenceSettings,
    fps: Fraction,
    frame_count: int | None = None,
    *,
    goes_on: bool = False,
) -> Float32Array | None:
    """Find out how much of the painted faces shows, frame by frame.

    It is 1 wherever speech is heard and 0.1 s around it, and goes to exactly 0 and back inside pauses that leave room
    for both. Before the first and after the last word, where there is nothing to come from or to go to, it is 0 from
    the first frame on, and to the last. In a voice that never speaks it is 0 throughout.

    Args:
        envelope: Of the whole voice; after it, nothing is heard.
        settings: What the mouth does in pauses.
        fps: Output frames a second.
        frame_count: Output frames N that the voice covers, if the envelope knows fewer; beyond it, nothing is heard.
        goes_on: Whether the source goes on after the voice: then the faces have faded out when it ends, if need be
            during the last word.

    Returns:
        float32 [N], 1: the face as it was painted, 0: the source's own. None where pauses are painted as all else is.
    """
    if settings.mode == "generate":
        return None
    count = envelope.frame_count if frame_count is None else frame_count
    heard = _padded(envelope.heard, count)
    values = np.ones(count, np.float32)
    for pause in _pauses(heard, settings, fps):
        curve = _presence_over(pause, count, settings, float(fps))
        if curve.min() == 0:
            values[pause.start : pause.stop] = curve
    if goes_on:
        fade = settings.fade_seconds * float(fps)
        values = np.minimum(values, smoothstep((count - np.arange(count) - 0.5) / fade))
    return values


def silent_samples(
    envelope: EnvelopeTrack, settings: SilenceSettings, fps: Fraction, frame_count: int
) -> tuple[range, ...]:
    """Find the samples at 16 kHz in which networks are to hear nothing: those of pauses, where mouths come to rest.

    Args:
        envelope: Of the voice, or of the stretch of it that is listened to.
        settings: What the mouth does in pauses; only in "rest" is anything silenced.
        fps: Output frames a second.
        frame_count: Output frames that the voice covers.

    Returns:
        In order, apart from each other; the first may begin before the voice, and the last end after it.
    """
    if settings.mode != "rest":
        return ()
    found = []
    for pause in _pauses(envelope.heard, settings, fps):
        start, stop = (round(frame / fps * _RATE) for frame in (pause.start, pause.stop))
        start += round(MARGIN * _RATE) if pause.start > 0 else -_MUTING
        # A voice may end half a frame after its last frame.
        stop += round(_RATE / fps) + _MUTING if pause.stop >= frame_count else -round(MARGIN * _RATE)
        if stop - start > 2 * _MUTING:
            found.append(range(start, stop))
    return tuple(found)


def silence_samples(
    blocks: Iterable[Float32Array], silent: tuple[range, ...], first: int = 0
) -> Iterator[Float32Array]:
    """Silence parts of a voice, with a short fade inside them at either end. What lies outside stays as it is.

    How the samples are cut into blocks changes nothing.

    Args:
        blocks: float32 [n] each, 16 kHz mono, of any lengths.
        silent: Samples to silence, see `silent_samples`.
        first: The number of the first sample.
    """
    if not silent:
        yield from blocks
        return
    corners = [place for part in silent for place in (part.start, part.start + _MUTING, part.stop - _MUTING, part.stop)]
    gains = np.tile([1.0, 0.0, 0.0, 1.0], len(silent))
    for block in blocks:
        numbers = np.arange(first, first + len(block))
        yield np.asarray(block * np.interp(numbers, corners, gains), np.float32)
        first += len(block)


def _padded(heard: npt.NDArray[np.bool_], frame_count: int) -> npt.NDArray[np.bool_]:
    known = heard[:frame_count]
    return np.pad(known, (0, frame_count - len(known)))


def _pauses(heard: npt.NDArray[np.bool_], settings: SilenceSettings, fps: Fraction) -> tuple[range, ...]:
    """Return the frames of each pause that is long enough; of a voice that never speaks all of them, however few."""
    edges = np.flatnonzero(np.diff(heard, prepend=True, append=True)).reshape(-1, 2).tolist()
    least = settings.min_pause_seconds * float(fps) - ROUNDING if heard.any() else 0
    return tuple(range(start, stop) for start, stop in edges if stop - start >= least)


def _presence_over(pause: range, frame_count: int, settings: SilenceSettings, fps: float) -> Float32Array:
    """How much of a painted face would show over a pause: float32 [len(pause)], judged at the middle of each frame."""
    resting = settings.mode == "rest"
    fade = settings.fade_seconds * fps * (SLOWER if resting else 1)
    ending, beginning = (MARGIN + CLOSING if resting else MARGIN) * fps, MARGIN * fps
    middle = np.arange(pause.start, pause.stop) + 0.5
    before = (pause.start + ending + fade - middle) / fade if pause.start > 0 else np.zeros(len(pause))
    after = (middle - (pause.stop - beginning - fade)) / fade if pause.stop < frame_count else np.zeros(len(pause))
    return smoothstep(np.maximum(before, after))
