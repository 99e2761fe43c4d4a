"""Which output frame a preview shows, and the window of source frames around it."""

from __future__ import annotations

import bisect
import math
from fractions import Fraction
from pathlib import Path

import numpy as np

from musetalk.audio.envelope import EnvelopeTrack
from musetalk.backends.types import FaceGenerator
from musetalk.faces.tracking.planner import LOOK_SECONDS
from musetalk.media.probe import probe_voice
from musetalk.media.sound.voice import Voice, extract_probed, unextracted_voice
from musetalk.media.timing.timeline import Timeline
from musetalk.media.types import Source
from musetalk.pipeline.prepare import Window
from musetalk.pipeline.segments import segment_limits
from musetalk.pipeline.speech import WHOLE_SECONDS
from musetalk.progress import CancelToken
from musetalk.settings import Limits

_LOOKS = 3  # how many times that is looked at around a frame: 0.4 to 0.8 s on either side
_STRETCH_SECONDS = 10  # at the beginning, in which a telling moment is looked for
_MOST_PLACES = 3
_WIDE = 0.85  # of the widest opening in the stretch
_SILENT = 0.05  # openness below which nothing is told


def open_voice(path: Path, folder: Path, limits: Limits, cancel: CancelToken, track: int | None = None) -> Voice:
    """Extract a voice into `folder`; of a long one, the file itself is returned, with its length as its packets say.

    Raises:
        MediaError: It cannot be used; as for a render, but that what is damaged in a long one shows where it is heard.
    """
    facts = probe_voice(path, limits, cancel, track=track)
    if facts.seconds <= WHOLE_SECONDS:
        return extract_probed(facts, folder, limits, cancel)
    return unextracted_voice(facts)


def window_around(frame: int, source: Source, timeline: Timeline, generator: FaceGenerator) -> Window:
    """Return what has to be prepared so that one output frame comes out as a render would make it.

    Args:
        frame: The output frame.
        source: The source.
        timeline: Of the output.
        generator: What will generate the faces: the longer its clips, the more frames are needed.
    """
    spoken = frame < timeline.spoken_count
    limits = segment_limits(generator, source.frame_bytes, source.fps)
    # Of a video network one clip around the frame will do: a whole segment would take several times as long.
    longest = limits.longest if limits.shortest == 1 else limits.shortest
    length = longest if spoken and not generator.spec.per_frame else 1
    start = frame - frame % length
    clip = range(start, min(start + length, timeline.spoken_count if spoken else frame + 1))
    place, used = timeline.source_frame(frame), timeline.sources_used
    return Window(frame, clip, stretch_around(place, used if place < used else source.frame_count, source))


def telling_places(envelope: EnvelopeTrack, fps: Fraction) -> tuple[int, ...]:
    """Output frames near the beginning at which the mouth is wide open, well apart; empty where it never opens."""
    stretch = max(1, min(envelope.frame_count, round(_STRETCH_SECONDS * fps)))
    openness = envelope.window(0, stretch)[:, 0]
    if openness.max() < _SILENT:
        return ()
    wide = np.concatenate([[False], openness >= _WIDE * openness.max(), [False]])
    edges = np.flatnonzero(np.diff(wide.astype(np.int8)))
    places: list[int] = []
    for start, stop in edges.reshape(-1, 2).tolist():
        widest = start + int(openness[start:stop].argmax())
        if not places or widest >= places[-1] + stretch // _MOST_PLACES:
            places.append(widest)
    return tuple(places[:_MOST_PLACES])


def sampled_places(source: Source, count: int) -> tuple[int, ...]:
    """Frames of a source in which to look for a face: the first one, and some that cost little decoding.

    Args:
        source: The source.
        count: Of its frames, those that are used.
    """
    keys = source.clock.keyframes
    if not source.seekable or not keys:
        return (0,)
    wanted = (count * index // _MOST_PLACES for index in range(1, _MOST_PLACES))
    nearest = {keys[max(0, bisect.bisect_right(keys, frame) - 1)] for frame in wanted} - {0}
    margin = _LOOKS * _look_length(source.fps)  # so that the stretch to look at begins behind the keyframe
    return (0, *sorted(min(key + margin, count - 1) for key in nearest))


def stretch_around(frame: int, count: int, source: Source) -> range:
    """Frames of a source in which to look for the faces of one of them.

    They begin where a render, too, would search a whole frame, as far as the shot's beginning can be told: then all
    faces are measured as there.

    Args:
        frame: The frame.
        count: Frames that may be looked at: [0, count).
        source: The source.
    """
    length, shot = _look_length(source.fps), _likely_cut(frame, source.clock.keyframes)
    last = math.ceil((count - 1 - shot) / length) - _LOOKS  # of the places to begin at: near the end, look back further
    start = shot + max(0, min(round((frame - shot) / length - _LOOKS / 2), last)) * length
    return range(start, min(count, start + _LOOKS * length + 1))


def _likely_cut(frame: int, keyframes: tuple[int, ...]) -> int:
    """Return the last frame up to `frame` at which a shot seems to begin; 0 if there is none.

    Encoders set a keyframe at a cut, and others at regular distances.
    """
    gaps = np.diff(keyframes, prepend=0)
    distances, times = np.unique(gaps, return_counts=True)
    irregular = np.asarray(keyframes)[np.isin(gaps, distances[times == 1])]
    return int(irregular[irregular <= frame].max(initial=0))


def _look_length(fps: Fraction) -> int:
    return max(1, round(LOOK_SECONDS * fps))
