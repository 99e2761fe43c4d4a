"""The output cut into segments: which faces are painted in each, and which pass through untouched.

Always at the same places, so that any range comes out the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from musetalk.backends.types import FaceGenerator
from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.media.timing.timeline import Timeline
from musetalk.utils.arrays import Float32Array

PASSTHROUGH_LENGTH = 4  # frames handed on together where there is nothing to paint
_SEGMENT_BYTES = 192 * 2**20  # of frames in one piece: every stage holds one or two


@dataclass(frozen=True, slots=True)
class Segment:
    """Output frames [start, stop) that show the same faces of one shot, or none.

    Attributes:
        start, stop: Output frames. Each frame lies in one segment.
        tracks: The faces in them; empty: the frames pass through.
        lead: Frames before `start` that are painted with these, too: they are cross-faded with what the segment
            before made of them, so that no jump shows.
        joined: Whether it goes on with what the segment before it shows: the same faces of the same shot, with no jump
            in the source.
        handed_on: Frames before `first` that belong to it, and were handed on already: where they are painted as the
            voice arrives, in parts.
    """

    start: int
    stop: int
    tracks: tuple[int, ...]
    lead: int = 0
    joined: bool = False
    handed_on: int = 0

    @property
    def first(self) -> int:
        """The first output frame that is painted."""
        return self.start - self.lead


@dataclass(frozen=True, slots=True)
class SegmentLimits:
    """How long the pieces are that a generator is given.

    Attributes:
        longest: Most frames.
        overlap: Frames that a piece at least shares with the one before it, at most half of `longest`.
        shortest: Where a stretch's last piece has fewer frames, it takes more of those before it.
    """

    longest: int
    overlap: int = 0
    shortest: int = 1


def segment_limits(generator: FaceGenerator, frame_bytes: int, fps: Fraction) -> SegmentLimits:
    """Return how long pieces with a face are: as long as the generator takes them, shorter where frames are large.

    Args:
        generator: What paints.
        frame_bytes: Size of a decoded frame.
        fps: Frames a second: where its clips are of every n-th frame, pieces are n times as long.
    """
    spec, stride = generator.spec, generator.spec.stride_at(fps)
    shortest, overlap = stride * spec.min_clip, stride * spec.clip_overlap
    fitting = min(stride * generator.clip_length, max(shortest, _SEGMENT_BYTES // frame_bytes))
    if spec.min_clip > 1 and fitting > shortest:  # whole clips: more frames would cost another one
        step = shortest - overlap
        fitting = shortest + (fitting - shortest) // step * step
    return SegmentLimits(fitting, min(overlap, fitting // 2), min(shortest, fitting))


def cut_segments(
    plan: FacePlan,
    timeline: Timeline,
    limits: SegmentLimits,
    presence: Float32Array | None = None,
    frames: range | None = None,
) -> tuple[Segment, ...]:
    """Cut where the shot, the faces in view or the voice's cover changes, where the source jumps, and by length.

    Args:
        plan: The chosen faces.
        timeline: Of the output.
        limits: Of segments with a face.
        presence: float32 [N, at least the spoken frames], how much of the painted faces each output frame shows, see
            `audio.silence.find_presence`; frames that show nothing of them pass through. None: all of it, always.
        frames: Output frames, in a row, that are cut; None: all.
    """
    passed = SegmentLimits(PASSTHROUGH_LENGTH)
    wanted = range(timeline.frame_count) if frames is None else frames
    shots = ((shot, limits if shot.tracks else passed) for shot in _uncut(plan, timeline, presence, wanted))
    return tuple(segment for shot, fitting in shots for segment in _cut(shot, fitting))


def _uncut(plan: FacePlan, timeline: Timeline, presence: Float32Array | None, frames: range) -> Iterator[Segment]:
    """Frames that could be one segment each, had segments no longest length."""
    start, last_source = frames.start, 0
    key: tuple[int, tuple[int, ...]] | None = None
    for frame in frames:
        source = timeline.source_frame(frame)
        spoken = frame < timeline.spoken_count
        painted = spoken and (presence is None or presence[frame] > 0)
        tracks = tuple(face.track for face in plan.faces(source)) if painted else ()
        this = (plan.shot(source) if spoken else -1, tracks)
        if key is not None and (this != key or abs(source - last_source) > 1):
            yield Segment(start, frame, key[1])
            start = frame
        key, last_source = this, source
    if key is not None:
        yield Segment(start, frames.stop, key[1])


def _cut(whole: Segment, limits: SegmentLimits) -> Iterator[Segment]:
    start, before = whole.start, 0  # `before`: frames of the segment before, as far as they are its own
    while start < whole.stop:
        lead = min(limits.overlap, before)
        stop = min(start + limits.longest - lead, whole.stop)
        lead = min(before, max(lead, limits.shortest - (stop - start)))
        yield Segment(start, stop, whole.tracks, lead, joined=start > whole.start)
        start, before = stop, stop - start
