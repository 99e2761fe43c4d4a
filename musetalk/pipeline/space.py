"""How much memory and disk a render should need, by what is known of it before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from musetalk.frame_steps.registry import FrameStepRegistry, size_after
from musetalk.media.kept_pictures import MOST_BYTES
from musetalk.media.playback import largest_spool
from musetalk.media.timing.timeline import Timeline, plan_timeline
from musetalk.media.types import Source
from musetalk.settings import FrameStepChoice, InputSettings

# Measured on renders of 0.1 to 2 megapixels: the program and its ffmpeg processes without a frame, and what queues,
# decoder and encoder hold, counted in decoded frames (120 with short clips, 150 with a video network's long pieces).
_BASE_BYTES = 160 * 2**20
_FRAMES_IN_FLIGHT = 150
_FRAMES_BEHIND_STEPS = 30  # of these behind frame steps, in what queues and encoder hold: a guess
_HEARD_BYTES = 225_000  # per second of a voice: its spectrum and its features, for backends that hear them
_LABEL_BYTES = 5_000  # per source frame whose face is parsed
_DECODED_AHEAD = 12  # pictures, by a decoder that is about to be ended
_BITS_PER_PIXEL = 0.15  # generous for H.264 at crf 18
_VOICE_BYTES = 3 * 4 * 48_000  # per second of a voice: both its channels and their mean, as float at the usual rate


@dataclass(frozen=True, slots=True)
class Space:
    """What a render should need while it runs, in bytes.

    Attributes:
        memory: Beside the backend's own.
        disk: Of results and temporary files.
        pictures: Of disk beside that, where there is room: decoded pictures that are kept for when they are shown.
    """

    memory: float
    disk: float
    pictures: float


def estimate_space(source: Source, timeline: Timeline, output: tuple[int, int]) -> Space:
    """Return what a render should need.

    Args:
        source: The video or picture.
        timeline: Which source frame each output frame shows.
        output: (width, height) of the output, after all frame steps.
    """
    larger = max(0, 3 * output[0] * output[1] - source.frame_bytes)
    memory = _BASE_BYTES + _FRAMES_IN_FLIGHT * source.frame_bytes + _FRAMES_BEHIND_STEPS * larger
    picture = timeline.frame_count * output[0] * output[1] * _BITS_PER_PIXEL / 8
    backwards = timeline.mode == "pingpong" and timeline.frame_count > source.frame_count > 1
    spool = largest_spool(source) if backwards else 0
    listening = timeline.spoken_count / source.fps * _HEARD_BYTES + timeline.sources_used * _LABEL_BYTES
    decoded = min(source.frame_count, timeline.sources_used + _DECODED_AHEAD) * source.frame_bytes
    # The encoder rewrites the file to move its index to the front; the voice is there already.
    return Space(memory, 2 * picture + spool + float(listening), decoded if decoded <= MOST_BYTES else 0)


def disk_of_render(
    source: Source, spoken: float, wanted: InputSettings, frame_steps: Sequence[FrameStepChoice] = ()
) -> int:
    """Return how many bytes of disk a render may take while it runs, its voice and kept pictures among them.

    Args:
        source: The video or picture.
        spoken: Seconds of the voice.
        wanted: How both are read.
        frame_steps: What will be done to finished frames.

    Raises:
        SettingsError: A frame step cannot work.
    """
    timeline = plan_timeline(source.frame_count, source.fps, Fraction(spoken), length=wanted.length, tail=wanted.tail)
    steps = FrameStepRegistry().chosen(frame_steps)
    output = size_after(steps, (source.width, source.height), wanted.source.limits)
    space = estimate_space(source, timeline, output)
    return round(space.disk + space.pictures + spoken * _VOICE_BYTES)
