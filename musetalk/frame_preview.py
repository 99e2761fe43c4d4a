"""One frame of a render, in a second or two: where the faces are, which of them speaks, and how that looks.

It is made by what a render is made by, from a short stretch of the source and of the voice. What differs is what such a
stretch cannot know: the boxes are smoothed over half a second on either side, the face is chosen by what the stretch
shows of its shot, and of a voice of more than two minutes the loud parts are those around the frame.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from musetalk.arrays import Float32Array, UInt8Array
from musetalk.compositing.masks import face_mask
from musetalk.compositing.outline import mask_outline
from musetalk.errors import SettingsError
from musetalk.faces.plan import FacePlan
from musetalk.faces.planner import plan_faces
from musetalk.faces.types import FaceBox, FaceDetector, FaceSample
from musetalk.frame_places import (
    Hearing,
    hear,
    open_voice,
    sampled_places,
    segment_around,
    stretch_around,
    telling_places,
)
from musetalk.generators.types import FaceGenerator
from musetalk.media.playback import play
from musetalk.media.probe import probe_source
from musetalk.media.reader import read_frames
from musetalk.media.types import Source
from musetalk.preparation import Preparation
from musetalk.progress import CancelToken, RenderRun
from musetalk.rendering import Batch, paint
from musetalk.settings import RenderSettings
from musetalk.speech.envelope import EnvelopeTrack
from musetalk.timeline import Timeline, plan_timeline

_SMALL_FACE = 64  # pixels; a smaller face shows little of its mouth
_AT_REST = 0.02  # openness below which a mouth hardly moves
_ROUNDING = 1e-6  # frames by which seconds, as floats, may fall short of a frame's start


@dataclass(frozen=True, slots=True)
class FramePreview:
    """One frame, and what a render would make of it.

    Attributes:
        seconds: Its place in the source, in seconds.
        source_frame: The same as a frame of the source.
        frame: The source's frame: uint8 RGB [H, W, 3].
        boxes: Every face found in it, from left to right, in source pixels.
        chosen: The faces that are painted; the box of each is one of `boxes`. Empty also where the voice has ended.
        outlines: Of each chosen face the line on which source and generated face are mixed half and half: float32
            [N, 2] as (x, y), closed, in source pixels; may leave the frame.
        result: The frame speaking: uint8 RGB [H, W, 3]. Equal to `frame` where no face is chosen, as in a render;
            None without a voice.
        notes: What the user should know, a sentence each.
    """

    seconds: float
    source_frame: int
    frame: UInt8Array
    boxes: tuple[FaceBox, ...]
    chosen: tuple[FaceSample, ...]
    outlines: tuple[Float32Array, ...]
    result: UInt8Array | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Scene:
    """What all frames of one job share."""

    source: Source
    timeline: Timeline
    hearing: Hearing | None
    settings: RenderSettings
    detector: FaceDetector
    generator: FaceGenerator
    folder: Path
    cancel: CancelToken
    pool: ThreadPoolExecutor


@dataclass(frozen=True, slots=True)
class _Look:
    """What was found around one output frame.

    Attributes:
        frame: The output frame.
        place: The source frame that it shows.
        clip: Output frames that a render might hand to the generator together with it.
        pictures: What the source shows in these: uint8 RGB [H, W, 3] each.
        stretch: Source frames that were looked at.
        every: All faces in these.
        plan: The chosen ones.
    """

    frame: int
    place: int
    clip: range
    pictures: list[UInt8Array]
    stretch: range
    every: FacePlan
    plan: FacePlan


def preview_frame(
    video: Path,
    voice: Path | None,
    settings: RenderSettings,
    *,
    detector: FaceDetector,
    generator: FaceGenerator,
    folder: Path,
    at: float | None = None,
    cancel: CancelToken | None = None,
) -> FramePreview:
    """Show what a render would make of one frame, without rendering.

    Takes as long as decoding from the keyframe before the frame, and some tenths of a second.

    Args:
        video: The source.
        voice: The voice; None: only the faces are shown.
        settings: Of the render.
        detector: Finds the faces.
        generator: Paints the mouth.
        folder: An existing directory for temporary files.
        at: Seconds of the output, held inside its length; without a voice of the source. None: a moment near the
            beginning at which the mouth is wide open and a face is there, if there is one.
        cancel: Ends the work.

    Raises:
        MediaError: An input cannot be used (see its subclasses).
        SettingsError: `at` is no number of seconds.
    """
    if at is not None and not math.isfinite(at):
        raise SettingsError(f"{at} is no moment", "give a number of seconds")
    cancel = cancel or CancelToken()
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="frame-preview") as pool:
        opening = None if voice is None else pool.submit(open_voice, voice, folder, settings.limits, cancel)
        source = probe_source(video, settings.limits, image_fps=settings.image_fps, cancel=cancel)
        hearing = None if opening is None else opening.result()
        timeline = _timeline(source, hearing, settings)
        scene = _Scene(source, timeline, hearing, settings, detector, generator, folder, cancel, pool)
        if at is None:
            envelope = _hear(scene, 0)
            look = _telling_look(scene, envelope)
        else:
            frame = min(max(0, math.floor(at * float(source.fps) + _ROUNDING)), timeline.frame_count - 1)
            heard = pool.submit(_hear, scene, frame)
            look = _look(scene, frame)
            envelope = heard.result()
    beyond = at is not None and at * source.fps > timeline.frame_count
    return _show(scene, look, envelope, (_end_note(scene),) if beyond else ())


def _timeline(source: Source, hearing: Hearing | None, settings: RenderSettings) -> Timeline:
    """The output's; without a voice the source as it is."""
    if hearing is None:
        return Timeline(source.frame_count, 0, source.frame_count, settings.length)
    seconds = hearing.voice.seconds
    return plan_timeline(source.frame_count, source.fps, seconds, length=settings.length, tail=settings.tail)


def _hear(scene: _Scene, frame: int) -> EnvelopeTrack | None:
    if scene.hearing is None:
        return None
    return hear(scene.hearing, scene.source.fps, scene.timeline.spoken_count, frame, scene.cancel)


def _telling_look(scene: _Scene, envelope: EnvelopeTrack | None) -> _Look:
    """Of a few places the first one that has a face; if none has, simply the first one."""
    source, used = scene.source, scene.timeline.sources_used or scene.source.frame_count
    places = () if envelope is None else telling_places(envelope, source.fps)
    first, *others = places or sampled_places(source, used)
    look = _look(scene, first)
    if not look.plan.faces(look.place):
        for frame in others:
            if _has_face(scene, frame) and (other := _look(scene, frame)).plan.faces(other.place):
                return other
    return look


def _has_face(scene: _Scene, frame: int) -> bool:
    """Whether one frame alone shows a face: a fraction of the cost of a look."""
    place, side = scene.timeline.source_frame(frame), scene.settings.detector.max_side
    pictures = list(read_frames(scene.source, place, place + 1, max_side=side, cancel=scene.cancel))
    return any(scene.detector.detect(pictures))


def _look(scene: _Scene, frame: int) -> _Look:
    """Decode the clip that an output frame lies in, and meanwhile look for faces around it."""
    source, timeline = scene.source, scene.timeline
    spoken = frame < timeline.spoken_count
    length = scene.generator.clip_length if spoken else 1
    start = frame - frame % length
    clip = range(start, min(start + length, timeline.spoken_count if spoken else frame + 1))
    decoding = scene.pool.submit(_decode, scene, clip)
    place, used = timeline.source_frame(frame), timeline.sources_used
    stretch = stretch_around(place, used if place < used else source.frame_count, source)
    side, size = scene.settings.detector.max_side, (source.width, source.height)
    with closing(read_frames(source, stretch.start, stretch.stop, max_side=side, cancel=scene.cancel)) as frames:
        plan = plan_faces(
            frames,
            frame_size=size,
            fps=source.fps,
            detector=scene.detector,
            settings=scene.settings.tracker,
            cancel=scene.cancel,
        )
    every = plan.placed(stretch.start, source.frame_count)
    stretch = stretch[: plan.frame_count]
    return _Look(frame, place, clip, decoding.result(), stretch, every, every.select(scene.settings.face))


def _decode(scene: _Scene, clip: range) -> list[UInt8Array]:
    return list(play(scene.source, scene.timeline, clip.start, clip.stop, spool_dir=scene.folder, cancel=scene.cancel))


def _show(scene: _Scene, look: _Look, envelope: EnvelopeTrack | None, notes: tuple[str, ...]) -> FramePreview:
    frame = look.pictures[look.frame - look.clip.start]
    spoken = scene.hearing is None or look.frame < scene.timeline.spoken_count
    chosen = look.plan.faces(look.place) if spoken else ()
    boxes = sorted((face.box for face in look.every.faces(look.place)), key=lambda box: box.center)
    result: UInt8Array | None = None
    if scene.hearing is not None and envelope is not None:
        result = _paint(scene, look, scene.hearing, envelope) if chosen else frame
    return FramePreview(
        seconds=float(look.place / scene.source.fps),
        source_frame=look.place,
        frame=frame,
        boxes=tuple(boxes),
        chosen=chosen,
        outlines=tuple(mask_outline(face_mask(face.box, scene.settings.mask)) for face in chosen),
        result=result,
        notes=(*notes, *_notes(scene, look, chosen, envelope)),
    )


def _paint(scene: _Scene, look: _Look, hearing: Hearing, envelope: EnvelopeTrack) -> UInt8Array:
    """The frame as a render paints it."""
    segment = segment_around(look.frame, look.clip, look.plan, scene.timeline, look.stretch)
    source, timeline, settings, speech, segments = scene.source, scene.timeline, scene.settings, envelope, (segment,)
    preparation = Preparation(
        source, hearing.voice, timeline, look.plan, speech, envelope, segments, scene.generator, settings, scene.folder
    )
    run = RenderRun(cancel=scene.cancel)
    pictures = [look.pictures[frame - look.clip.start].copy() for frame in range(segment.start, segment.stop)]
    painted = paint(preparation, Batch(segment, pictures), run)
    return painted.frames[look.frame - segment.start]


def _end_note(scene: _Scene) -> str:
    what = "source" if scene.hearing is None else "output"
    return (
        f"The {what} ends after {scene.timeline.frame_count / float(scene.source.fps):.2f} s: this is its last frame."
    )


def _notes(
    scene: _Scene, look: _Look, chosen: tuple[FaceSample, ...], envelope: EnvelopeTrack | None
) -> tuple[str, ...]:
    notes = []
    if envelope is not None and look.frame >= scene.timeline.spoken_count:
        return ("The voice has ended here: the source goes on untouched.",)
    if not look.every.faces(look.place):
        notes.append("No face was found in this frame: it stays as it is.")
    elif not chosen:
        notes.append("The chosen face is not in this frame: it stays as it is.")
    elif envelope is not None and np.abs(envelope.window(look.frame, look.frame + 1)).max() < _AT_REST:
        notes.append("The voice is silent here.")
    largest = max((max(face.box.width, face.box.height) for face in chosen), default=0.0)
    smallest = min((face.box.width for face in chosen), default=math.inf)
    if smallest < _SMALL_FACE:
        notes.append(f"The face is only {smallest:.0f} pixels wide: little will be seen of its mouth.")
    crop = scene.generator.crop_size
    if crop is not None and largest > crop:
        notes.append(
            f"The face is {largest:.0f} pixels large and the backend paints {crop}: it will look softer than the rest."
        )
    return tuple(notes)
