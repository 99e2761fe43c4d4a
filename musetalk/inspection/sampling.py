"""What a preview of one frame looks at and listens to: short stretches, cut as a render would cut them."""

from __future__ import annotations

import bisect
import math
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from musetalk.audio.envelope import EnvelopeTrack, measure_envelope
from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.faces.tracking.planner import LOOK_SECONDS
from musetalk.media.probe import probe_voice
from musetalk.media.sound.voice import Voice, extract_probed, read_excerpt, read_speech, unextracted_voice
from musetalk.media.timing.timeline import Timeline
from musetalk.media.types import Source
from musetalk.pipeline.segments import Segment
from musetalk.progress import CancelToken
from musetalk.settings import Limits
from musetalk.utils.arrays import Float32Array

_HEARD_BEFORE, _HEARD_AFTER = 100, 20  # seconds of a long voice around a frame
_LOOKS = 3  # how many times that is looked at around a frame: 0.4 to 0.8 s on either side
_STRETCH_SECONDS = 10  # at the beginning, in which a telling moment is looked for
_MOST_PLACES = 3
_WIDE = 0.85  # of the widest opening in the stretch
_SILENT = 0.05  # openness below which nothing is told


@dataclass(frozen=True, slots=True)
class PreviewVoice:
    """A voice, ready to be listened to.

    Attributes:
        voice: The voice: extracted; or, if it is long, the file itself, with its length as its packets say.
        whole: Whether it was extracted, and is heard as a render hears it.
        folder: For temporary files.
    """

    voice: Voice
    whole: bool
    folder: Path


def open_voice(path: Path, folder: Path, limits: Limits, cancel: CancelToken, track: int | None = None) -> PreviewVoice:
    """Extract a voice into `folder`, unless it is long.

    Raises:
        MediaError: It cannot be used; as for a render, but that what is damaged in a long one shows where it is heard.
    """
    facts = probe_voice(path, limits, cancel, track=track)
    if facts.seconds <= _HEARD_BEFORE + _HEARD_AFTER:
        return PreviewVoice(extract_probed(facts, folder, limits, cancel), whole=True, folder=folder)
    return PreviewVoice(unextracted_voice(facts), whole=False, folder=folder)


def hear(preview_voice: PreviewVoice, fps: Fraction, spoken: int, frame: int, cancel: CancelToken) -> EnvelopeTrack:
    """Measure the envelope of a voice around an output frame.

    Args:
        preview_voice: The voice.
        fps: Output frames a second.
        spoken: Output frames that the voice covers.
        frame: Where it matters.
        cancel: Ends the decoder.

    Returns:
        The envelope of a whole voice; of a long one that of some 100 seconds before the frame to 20 after it, judged
        against its own loud parts, and silence elsewhere.

    Raises:
        VoiceError: It cannot be decoded.
    """
    if preview_voice.whole:
        return measure_envelope(read_speech(preview_voice.voice, cancel), fps=fps, frame_count=spoken)
    first = max(0, frame - round(_HEARD_BEFORE * fps))
    stop = max(first, min(spoken, frame + round(_HEARD_AFTER * fps)))
    start, seconds = float(first / fps), float((stop - first) / fps)
    with closing(read_excerpt(preview_voice.voice, start, seconds, preview_voice.folder, cancel)) as blocks:
        heard = measure_envelope(blocks, fps=fps, frame_count=stop - first)
    values = np.pad(heard.window(0, stop - first), ((first, 0), (0, 0)))
    return EnvelopeTrack(values, np.pad(heard.activity, (first, 0)), np.pad(heard.heard, (first, 0)))


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
    """The last frame up to `frame` at which a shot seems to begin; 0 if there is none.

    Encoders set a keyframe at a cut, and others at regular distances.
    """
    gaps = np.diff(keyframes, prepend=0)
    distances, times = np.unique(gaps, return_counts=True)
    irregular = np.asarray(keyframes)[np.isin(gaps, distances[times == 1])]
    return int(irregular[irregular <= frame].max(initial=0))


def segment_around(
    frame: int, clip: range, plan: FacePlan, timeline: Timeline, known: range, presence: Float32Array | None = None
) -> Segment:
    """The unit of work that an output frame lies in, as `cut_segments` cuts it where faces come at whole clips.

    Args:
        frame: The output frame.
        clip: Output frames that may be in one unit with it.
        plan: The chosen faces.
        timeline: Of the output.
        known: Source frames that the plan knows.
        presence: float32 [N], how much of the painted faces each spoken output frame shows; None: all of it, always.
    """

    def key(other: int) -> tuple[int, tuple[int, ...]] | None:
        place = timeline.source_frame(other)
        if place not in known:
            return None
        painted = presence is None or presence[other] > 0
        return plan.shot(place), tuple(face.track for face in plan.faces(place)) if painted else ()

    def together(other: int) -> bool:
        """Whether a frame and the next one belong together."""
        jump = timeline.source_frame(other + 1) - timeline.source_frame(other)
        return abs(jump) <= 1 and key(other) == key(other + 1) == wanted

    wanted, start, stop = key(frame), frame, frame + 1
    while start > clip.start and together(start - 1):
        start -= 1
    while stop < clip.stop and together(stop - 1):
        stop += 1
    return Segment(start, stop, () if wanted is None else wanted[1])


def _look_length(fps: Fraction) -> int:
    return max(1, round(LOOK_SECONDS * fps))
