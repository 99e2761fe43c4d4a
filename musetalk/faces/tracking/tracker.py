"""Detections of one shot become tracks: linked, doubted, bridged, smoothed."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, nan

import numpy as np

from musetalk.faces.smoothing import running_rank, sigma_of, smooth
from musetalk.faces.tracking.face_plan import TrackSummary, choose
from musetalk.faces.types import FaceBox, MouthShape
from musetalk.settings import FaceChoice, TrackerSettings
from musetalk.utils.arrays import Float32Array, Float64Array, Int64Array

_STEP = 0.5  # how far a face may move from one frame to the next, as a fraction of its size
_DRIFT = 0.04  # how much farther for each frame it was missing
_FARTHEST = 1.5  # but never farther than this
_GROWTH = 1.6  # how much larger or smaller it may be when it is seen again
_LEAST_SECONDS = 0.2  # faces seen for less are taken for false alarms, unless the shot itself is about as short
_LEAST_SHARE = 0.25  # share of a stretch in which the face has to be seen, the rest being bridged
_LEAST_SCORE = 0.1  # score of a track, as a share of the best one seen at the same time
_LEAST_LOCATED = 0.1  # share of frames whose mouth has to be located before any of it is believed
_STRAY_MOUTH = 0.2  # how far a mouth may lie from its usual place in the box, as a fraction of the box
_UNSURE = 0.05  # trust in a value that was filled in, against one that was seen
_STEADY_FRAMES = 9  # located mouths that a filled-in one is the median of
_SIZE_CALM = 3.0  # how much longer sizes are smoothed than places: faces grow slowly, and sizes are measured worse
_PLACE_NOISE = 0.01  # how far detected places scatter, as a fraction of the face size
_SIZE_NOISE = 0.04  # the same of sizes, whose errors last several frames
_LEAST_AREA = 1e-9  # square pixels: what an empty box counts as
_FIRST_TRAILS = 16  # for which there is room at first
_ROW = 9  # x0, y0, x1, y1, score; cx, cy, half width and angle of the mouth, NaN where it was not located

MouthPrior = Callable[[FaceBox], MouthShape]


@dataclass(frozen=True, slots=True)
class Seen:
    """A detected face and its mouth, in source pixels; `mouth` is None where it could not be located."""

    box: FaceBox
    mouth: MouthShape | None


@dataclass(frozen=True, slots=True)
class Track:
    """One face over one shot, only in the frames that have it.

    Attributes:
        frames: int64 [n], increasing; a jump is a stretch without the face.
        boxes: float32 [n, 5] as (x0, y0, x1, y1, score).
        mouths: float32 [n, 4] as (cx, cy, half_width, angle).
    """

    frames: Int64Array
    boxes: Float32Array
    mouths: Float32Array


@dataclass(slots=True)
class _Trail:
    """What was seen of one face so far: flat rows, so that long shots stay small in memory."""

    last: FaceBox
    frames: array[int]
    rows: array[float]
    total: tuple[float, ...] = (0.0,) * 5  # x0, y0, x1, y1, score, summed

    def add(self, frame: int, face: Seen) -> None:
        """Take in the face as it is in one more frame."""
        row = _row(face)
        self.last = face.box
        self.frames.append(frame)
        self.rows.extend(row)
        self.total = tuple(a + b for a, b in zip(self.total, row[:5], strict=True))

    def summary(self, number: int) -> TrackSummary:
        """Return the trail at a glance, before anything is doubted or bridged."""
        count = len(self.frames)
        x0, y0, x1, y1, score = (value / count for value in self.total)
        mean = FaceBox(x0, y0, x1, y1, score)
        return TrackSummary(number, 0, self.frames[0], self.frames[-1], count, mean)


class ShotTracker:
    """Links the faces of one shot's frames, given in order, into tracks."""

    def __init__(self) -> None:
        self._trails: list[_Trail] = []
        self._ends: Float64Array = np.zeros((_FIRST_TRAILS, 4))  # per trail: x and y of its middle, area, frame
        self._newest = 0

    def add(self, frame: int, faces: Sequence[Seen]) -> None:
        """Take in the faces of the next frame; frames without a face may be left out."""
        taken: dict[int, int] = {}  # face -> trail, the nearest pairs first
        used = set[int]()
        for _, row, column in self._pairs(frame, faces):
            if column not in taken and row not in used:
                taken[column] = row
                used.add(row)
        for column, face in enumerate(faces):
            number = taken.get(column, len(self._trails))
            if number == len(self._trails):
                self._trails.append(_Trail(face.box, array("q"), array("d")))
            self._trails[number].add(frame, face)
            self._end(number, frame, face.box)
        if faces:
            self._newest = frame

    def leader(self, choice: FaceChoice) -> FaceBox | None:
        """Of the faces seen last that which a choice would mean if the shot ended here, as it was there; None: none.

        Args:
            choice: Any but "all".
        """
        newest = np.flatnonzero(self._ends[: len(self._trails), 3] == self._newest).tolist()
        summaries = [self._trails[number].summary(number) for number in newest]
        return self._trails[choose(summaries, choice).track].last if summaries else None

    def _pairs(self, frame: int, faces: Sequence[Seen]) -> list[tuple[float, int, int]]:
        """Trails and faces that may be one: (distance in face sizes, trail, face), the nearest first."""
        if not faces or not self._trails:
            return []
        ends = self._ends[: len(self._trails)]
        boxes = np.array([(*face.box.center, max(face.box.area, _LEAST_AREA)) for face in faces])
        growth = boxes[None, :, 2] / ends[:, None, 2]  # [trails, faces]
        size = (boxes[None, :, 2] * ends[:, None, 2]) ** 0.25
        distance = np.hypot(boxes[None, :, 0] - ends[:, None, 0], boxes[None, :, 1] - ends[:, None, 1]) / size
        reach = np.minimum(_STEP + _DRIFT * (frame - ends[:, 3] - 1), _FARTHEST)
        alike = (growth >= _GROWTH**-2) & (growth <= _GROWTH**2) & (distance <= reach[:, None])
        return sorted((float(distance[row, column]), row, column) for row, column in np.argwhere(alike).tolist())

    def _end(self, number: int, frame: int, box: FaceBox) -> None:
        """Note where a trail ends now."""
        if number >= len(self._ends):
            self._ends = np.concatenate([self._ends, np.zeros_like(self._ends)])
        self._ends[number] = (*box.center, max(box.area, _LEAST_AREA), frame)

    def finish(self, length: int, *, fps: Fraction, settings: TrackerSettings, prior: MouthPrior) -> list[Track]:
        """Return the shot's tracks, smoothed, by first frame.

        Args:
            length: Frames in the shot.
            fps: Frame rate of the source.
            settings: Bridging and smoothing.
            prior: Where a mouth lies in a box if nothing better is known.
        """
        least = min(max(2, round(_LEAST_SECONDS * fps)), ceil(length / 2))
        sigma = smoothing_sigma(settings, fps)
        trails = [_stretches(trail, settings.bridge_frames, least) for trail in self._trails]
        kept = _believed([trail for trail in trails if trail])
        tracks = [_finish_track(stretches, sigma, prior) for stretches in kept]
        return sorted(tracks, key=lambda track: (int(track.frames[0]), float(track.boxes[0, 0])))


def at_rest(track: Track, pictures: Int64Array) -> Track:
    """Hold a face still while one picture is shown: smoothing lets it glide on towards the next one.

    Args:
        track: One face over one shot.
        pictures: int64 [n], ascending: of each of its frames a number that frames of the same picture share.
    """
    starts = np.flatnonzero(np.diff(pictures, prepend=pictures[0] - 1))
    lengths = np.diff(starts, append=len(pictures))
    if (lengths == 1).all():
        return track
    low, high = starts + (lengths - 1) // 2, starts + lengths // 2  # the middle one, or the two in the middle
    boxes, mouths = (((rows[low] + rows[high]) / 2).repeat(lengths, axis=0) for rows in (track.boxes, track.mouths))
    return Track(track.frames, boxes, mouths)


def smoothing_sigma(settings: TrackerSettings, fps: Fraction) -> float:
    """Standard deviation of the smoothing in time, in frames."""
    return sigma_of(settings.smoothing_seconds, fps)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Frames of one track without a long gap: int64 [n] and float64 [n, _ROW], only frames with a detection."""

    frames: Int64Array
    rows: Float64Array

    @property
    def score(self) -> float:
        """Typical score."""
        return float(np.median(self.rows[:, 4]))


def _row(face: Seen) -> tuple[float, ...]:
    box, mouth = face.box, face.mouth
    shape = (nan,) * 4 if mouth is None else (mouth.cx, mouth.cy, mouth.half_width, mouth.angle)
    return (box.x0, box.y0, box.x1, box.y1, box.score, *shape)


def _stretches(trail: _Trail, bridge: int, least: int) -> list[_Stretch]:
    """Split a trail at gaps longer than `bridge` frames, and drop what was seen too briefly or too rarely."""
    frames = np.frombuffer(trail.frames, dtype=np.int64)
    rows = np.frombuffer(trail.rows, dtype=np.float64).reshape(-1, _ROW)
    cuts = np.flatnonzero(np.diff(frames) > bridge + 1) + 1
    stretches = [_Stretch(f, r) for f, r in zip(np.split(frames, cuts), np.split(rows, cuts), strict=True)]
    return [part for part in stretches if len(part.frames) >= max(least, _LEAST_SHARE * _span(part))]


def _span(stretch: _Stretch) -> int:
    return int(stretch.frames[-1] - stretch.frames[0]) + 1


def _believed(trails: list[list[_Stretch]]) -> list[list[_Stretch]]:
    """Drop trails whose score is far below that of another one seen at the same time."""
    scores = [max(part.score for part in trail) for trail in trails]
    kept = []
    for trail, score in zip(trails, scores, strict=True):
        rivals = [s for other, s in zip(trails, scores, strict=True) if _together(trail, other)]
        if score >= _LEAST_SCORE * max(rivals):
            kept.append(trail)
    return kept


def _together(a: list[_Stretch], b: list[_Stretch]) -> bool:
    """Return whether two trails share a moment; each shares one with itself."""
    return any(p.frames[0] <= q.frames[-1] and q.frames[0] <= p.frames[-1] for p in a for q in b)


def _finish_track(stretches: list[_Stretch], sigma: float, prior: MouthPrior) -> Track:
    smoothed = [_smooth_boxes(stretch, sigma) for stretch in stretches]
    relative = [_relative(stretch, *boxes) for stretch, boxes in zip(stretches, smoothed, strict=True)]
    usual = _usual_mouth(np.concatenate(relative))
    parts = []
    for stretch, (frames, boxes), places in zip(stretches, smoothed, relative, strict=True):
        mouths = (
            _prior_mouths(boxes, prior)
            if usual is None
            else _smooth_mouths(stretch, frames, boxes, places, usual, sigma)
        )
        parts.append((frames, boxes, mouths))
    frames, boxes, mouths = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Track(frames, boxes.astype(np.float32), mouths.astype(np.float32))


def _smooth_boxes(stretch: _Stretch, sigma: float) -> tuple[Int64Array, Float64Array]:
    """Bridge and smooth the boxes of one stretch: every frame from first to last, and float64 [n, 5]."""
    frames = np.arange(stretch.frames[0], stretch.frames[-1] + 1, dtype=np.int64)
    raw = _interpolated(frames, stretch.frames, stretch.rows[:, :5])
    trust = np.where(np.isin(frames, stretch.frames), 1.0, _UNSURE)
    half = (raw[:, 2:4] - raw[:, :2]) / 2
    sizes = np.maximum(np.sqrt(half[:, 0] * half[:, 1]), 1e-6) * 2
    centers = smooth(raw[:, :2] + half, trust, sizes, sigma, _PLACE_NOISE)
    half = smooth(half, trust, sizes / 2, sigma * _SIZE_CALM, _SIZE_NOISE)
    return frames, np.concatenate([centers - half, centers + half, raw[:, 4:]], axis=1)


def _prior_mouths(boxes: Float64Array, prior: MouthPrior) -> Float64Array:
    mouths = (prior(FaceBox(*box)) for box in boxes.tolist())
    return np.array([(mouth.cx, mouth.cy, mouth.half_width, mouth.angle) for mouth in mouths])


def _smooth_mouths(
    stretch: _Stretch,
    frames: Int64Array,
    boxes: Float64Array,
    relative: Float64Array,
    usual: Float64Array,
    sigma: float,
) -> Float64Array:
    """Fill in and smooth the mouths of one stretch in its smoothed boxes: float64 [n, 4]."""
    located = (np.abs(relative[:, :3] - usual[:3]) <= _STRAY_MOUTH).all(axis=1)  # not where it is NaN either
    places = stretch.frames[located]
    known = np.isin(frames, places)
    if known.any():
        filled = _interpolated(frames, places, running_rank(relative[located], _STEADY_FRAMES))
        filled[known] = relative[located]
    else:
        filled = np.tile(usual, (len(frames), 1))
    calm = smooth(filled, np.where(known, 1.0, _UNSURE), np.ones(len(frames)), sigma, _PLACE_NOISE)
    scale = boxes[:, 2:4] - boxes[:, :2]
    return np.concatenate([boxes[:, :2] + calm[:, :2] * scale, calm[:, 2:3] * scale[:, :1], calm[:, 3:]], axis=1)


def _relative(stretch: _Stretch, frames: Int64Array, boxes: Float64Array) -> Float64Array:
    """Mouths in their smoothed boxes as (x, y, half width) in fractions of the box, and the angle.

    Returns:
        float64 [n, 4], one row per frame of the stretch, NaN where the mouth was not located.
    """
    box = boxes[np.isin(frames, stretch.frames)]
    scale = box[:, 2:4] - box[:, :2]
    mouths = stretch.rows[:, 5:]
    return np.concatenate([(mouths[:, :2] - box[:, :2]) / scale, mouths[:, 2:3] / scale[:, :1], mouths[:, 3:]], axis=1)


def _usual_mouth(relative: Float64Array) -> Float64Array | None:
    """Median place of the mouth in the box, float64 [4]; None where too few mouths were located to tell."""
    located = np.isfinite(relative).all(axis=1)
    if not located.any() or located.mean() < _LEAST_LOCATED:
        return None
    return np.asarray(np.median(relative[located], axis=0), dtype=np.float64)


def _interpolated(frames: Int64Array, known: Int64Array, values: Float64Array) -> Float64Array:
    """Columns known at some frames, in straight lines between them and level beyond: float64 [n, k]."""
    return np.stack([np.interp(frames, known, column) for column in values.T], axis=1)
