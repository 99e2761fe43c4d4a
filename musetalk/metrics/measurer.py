"""Measures a render while it is written: its frames as they are before encoding, each beside its source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from musetalk.audio.envelope import EnvelopeTrack
from musetalk.compositing.masks import FaceMask
from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.media.frames import Frame
from musetalk.media.timing.timeline import Timeline
from musetalk.metrics.face_metrics import FaceCurves, border_jump
from musetalk.metrics.mouth_region import MeasuredPlaces
from musetalk.metrics.outside import difference_outside
from musetalk.metrics.types import Curves, Figures, Measures, Outside, Series
from musetalk.metrics.voice_sync import voice_correlation
from musetalk.utils.arrays import Float32Array, Int64Array

MOST_BINS = 1500  # of a curve, however long the render
CURVES = 10  # that are kept of a part: five of the picture, five of the source
REMEMBERED = 2  # frames before a part that its measures rest on
_NOBODY = -1
_NOWHERE = Outside(0, 0, 0)


@dataclass(frozen=True, slots=True)
class _Last:
    """The frame that was measured last: its number, its source frame, how that moved on, whose face, what it joins."""

    frame: int
    source: int
    step: int
    track: int
    joined: int


@dataclass(frozen=True, slots=True)
class MeasuredPart:
    """What was measured of output frames in a row.

    Attributes:
        curves: float32 [CURVES, frames]. Unsteadiness is known of a frame once the next one was seen, so it is of the
            frames from the one before the first to the one before the last.
        tracks: int64 [frames], whose face; -1: nobody's.
        outside: What changed in them where nothing may.
    """

    curves: Float32Array
    tracks: Int64Array
    outside: Outside


class Measurer:
    """Measures a render's frames as they come. In frames with several faces, the first of the plan's is measured.

    Args:
        timeline: Which source frame each output frame shows.
        plan: The chosen faces.
        envelope: The voice's loudness, frame by frame.
    """

    def __init__(self, timeline: Timeline, plan: FacePlan, envelope: EnvelopeTrack) -> None:
        self._timeline = timeline
        count = timeline.frame_count
        self._voice = envelope.window(0, count)[:, 0]
        self._places = MeasuredPlaces(plan)
        self._picture, self._source = FaceCurves(count), FaceCurves(count)
        self._track = np.full(count, _NOBODY, np.int64)
        self._last: _Last | None = None
        self._outside, self._outside_before = _NOWHERE, _NOWHERE  # since the last part was taken, and before
        self._frames = 0

    def add(self, frame: int, picture: Frame, source: Frame, masks: Sequence[FaceMask], *, again: bool = False) -> None:
        """Measure one output frame; they come in order, from 0 or from `REMEMBERED` before the first of a part.

        Args:
            frame: Its number.
            picture: As it goes to the encoder. Not written to, nor kept.
            source: The source's frame that it shows, laid out as it. The same.
            masks: Of every face painted in it; none: it passed through.
            again: Whether it was measured before, so that it counts for those behind it alone.
        """
        if not again:
            self._frames += 1
            self._look_outside(picture, source, masks)
        shown = self._timeline.source_frame(frame)
        place = self._places.place(shown) if masks else None
        if place is None:
            return
        last = self._last = self._follow(frame, shown, place.track)
        self._track[frame] = place.track
        x0, y0, x1, y1 = place.surroundings(picture.size)
        here = place.moved(-x0, -y0)
        self._picture.add(frame, picture.read(x0, y0, x1, y1), here, last.joined)
        self._source.add(frame, source.read(x0, y0, x1, y1), here, last.joined)

    def part(self, frames: range) -> MeasuredPart:
        """Return what was measured of the output frames that came last."""
        outside, self._outside = self._outside, _NOWHERE
        self._outside_before = _both(self._outside_before, outside)
        rows = [
            values[frames.start : frames.stop] if not shift else _before(values, frames)
            for curves in (self._picture, self._source)
            for values, shift in _kept(curves)
        ]
        return MeasuredPart(np.stack(rows), self._track[frames.start : frames.stop].copy(), outside)

    def take(self, frames: range, part: MeasuredPart) -> None:
        """Take what was measured of output frames elsewhere."""
        kept = [each for curves in (self._picture, self._source) for each in _kept(curves)]
        for (values, shift), row in zip(kept, part.curves, strict=True):
            start = frames.start - shift
            values[max(0, start) : frames.stop - shift] = row[max(0, -start) :]
        self._track[frames.start : frames.stop] = part.tracks
        self._outside_before = _both(self._outside_before, part.outside)
        self._frames += len(frames)

    def result(self, borders: Sequence[int]) -> Measures:
        """Return what was measured so far.

        Args:
            borders: Output frames whose painting comes from another clip than the frame before, inside one shot.
        """
        at = np.array([frame for frame in borders if frame < len(self._voice)], np.int64)
        picture, source = self._figures(self._picture, at), self._figures(self._source, at)
        measured = self._track != _NOBODY
        return Measures(
            frames=self._frames,
            face_frames=int(np.count_nonzero(measured)),
            border_frames=int(np.count_nonzero(~np.isnan(self._picture.change[at]))),
            picture=picture,
            source=source,
            relative_sharpness=_ratio(picture.sharpness, source.sharpness),
            outside=_both(self._outside_before, self._outside),
            series=self._series(at),
        )

    def _follow(self, frame: int, source: int, track: int) -> _Last:
        """How a frame goes on from the one measured before: not at all, from that one, or steadily from that two."""
        last = self._last
        if last is None or (frame - 1, track) != (last.frame, last.track) or abs(source - last.source) > 1:
            return _Last(frame, source, 0, track, 0)
        step = source - last.source
        steady = last.joined > 0 and step == last.step  # where the source turns back, so does its motion
        return _Last(frame, source, step, track, 2 if steady else 1)

    def _look_outside(self, picture: Frame, source: Frame, masks: Sequence[FaceMask]) -> None:
        greatest, pixels = difference_outside(picture, source, masks)
        if greatest:
            self._outside = _both(self._outside, Outside(greatest, pixels, 1))

    def _figures(self, curves: FaceCurves, borders: Int64Array) -> Figures:
        kept = voice_correlation(self._voice, curves.opening, self._track)
        jump = border_jump(curves.change, self._track, borders)
        return Figures(
            sharpness=_mean(curves.sharpness),
            jitter=_mean(curves.jitter),
            jitter_around=_mean(curves.jitter_around),
            border_jump=_rounded(jump),
            correlation=None if kept is None else _rounded(kept[0]),
            lag=None if kept is None else kept[1],
        )

    def _series(self, borders: Int64Array) -> Series:
        count = max(1, -(-len(self._voice) // MOST_BINS))
        return Series(
            frames_per_bin=count,
            voice=_binned(self._voice, count),
            picture=_curves(self._picture, count),
            source=_curves(self._source, count),
            borders=tuple(np.unique(borders // count).tolist()),
        )


def _kept(curves: FaceCurves) -> tuple[tuple[Float32Array, int], ...]:
    """Return what is kept of a part: each curve, and by how many frames it lies before it."""
    return (
        *((curves.sharpness, 0), (curves.change, 0), (curves.opening, 0)),
        *((curves.jitter, 1), (curves.jitter_around, 1)),
    )


def _before(values: Float32Array, frames: range) -> Float32Array:
    """Return the values of the frame before the first to that before the last; NaN where there is none."""
    before = values[max(0, frames.start - 1) : frames.stop - 1]
    return np.concatenate([np.full(len(frames) - len(before), np.nan, np.float32), before])


def _both(one: Outside, other: Outside) -> Outside:
    return Outside(max(one.greatest, other.greatest), one.pixels + other.pixels, one.frames + other.frames)


def _curves(curves: FaceCurves, count: int) -> Curves:
    return Curves(
        sharpness=_binned(curves.sharpness, count),
        jitter=_binned(curves.jitter, count),
        jitter_around=_binned(curves.jitter_around, count),
        opening=_binned(curves.opening, count),
    )


def _binned(values: Float32Array, count: int) -> tuple[float | None, ...]:
    """Means of `count` values each; None where none of them is a number."""
    return tuple(_mean(values[start : start + count]) for start in range(0, len(values), count))


def _mean(values: Float32Array) -> float | None:
    known = values[~np.isnan(values)]
    return _rounded(float(known.mean(dtype=np.float64))) if len(known) else None


def _ratio(one: float | None, other: float | None) -> float | None:
    return None if one is None or not other else _rounded(one / other)


def _rounded(value: float | None) -> float | None:
    """To what the measures are good for: plain JSON stays short."""
    return None if value is None else round(value, 4)
