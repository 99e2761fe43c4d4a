"""One frame of a render, in a second or two: where the faces are, which of them speaks, and how that looks.

It is made by what a render is made by, from a short stretch of the source and of the voice. What differs is what such a
stretch cannot know: the boxes are smoothed over half a second on either side, the face is chosen by what the stretch
shows of its shot, and of a voice of more than two minutes the loud parts are those around the frame.
"""

from __future__ import annotations

import math
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from musetalk.audio.envelope import EnvelopeTrack
from musetalk.audio.track import SpeechTrack
from musetalk.compositing.outline import mask_outline
from musetalk.errors import SettingsError, about
from musetalk.faces.crops.crop import CropTransform
from musetalk.faces.parsing.parsed_faces import ParsedFace, ParsedFaces
from musetalk.faces.tracking.tracker import smoothing_sigma
from musetalk.faces.types import FaceBox, FaceSample
from musetalk.inspection.notes import end_note, input_notes, notes_on, noticed
from musetalk.inspection.sampling import (
    PreviewVoice,
    hear,
    open_voice,
    segment_around,
)
from musetalk.inspection.window import Look, Scene, look_at, telling_look
from musetalk.media.probe import probe_wanted
from musetalk.media.timing.timeline import Timeline, plan_timeline
from musetalk.media.types import Source
from musetalk.pipeline.components import Components
from musetalk.pipeline.fallback import BackendSession, FallbackBackend
from musetalk.pipeline.generate import Batch, FaceSteps, GeneratedFace
from musetalk.pipeline.masking import FaceLayout
from musetalk.pipeline.parse import parse_pictures
from musetalk.pipeline.prepare import RenderPlan, presence_on
from musetalk.pipeline.render import paint
from musetalk.pipeline.speech import extract_features_around
from musetalk.progress import CancelToken, RenderRun
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import Float32Array, UInt8Array

_ROUNDING = 1e-6  # frames by which seconds, as floats, may fall short of a frame's start


@dataclass(frozen=True, slots=True)
class FramePreview:
    """One frame, and what a render would make of it.

    Attributes:
        number: Which output frame it is.
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
        crops: Of each chosen face what the generator sees, in source pixels.
        lines: The height at which each crop is halved, `bbox_shift` included, in source pixels; None where it is not.
        parsed: The labels of each chosen face; None where it was not parsed.
        shift_range: Lowest and highest `bbox_shift` of use; None where it moves no line.
        steps: How each chosen face came to look as in `result`; empty where none was painted.
    """

    number: int
    seconds: float
    source_frame: int
    frame: UInt8Array
    boxes: tuple[FaceBox, ...]
    chosen: tuple[FaceSample, ...]
    outlines: tuple[Float32Array, ...]
    result: UInt8Array | None
    notes: tuple[str, ...]
    crops: tuple[CropTransform, ...] = ()
    lines: tuple[float | None, ...] = ()
    parsed: tuple[ParsedFace | None, ...] = ()
    shift_range: tuple[int, int] | None = None
    steps: tuple[FaceSteps, ...] = ()


def preview_frame(
    video: Path,
    voice: Path | None,
    settings: RenderSettings,
    *,
    components: Components,
    folder: Path,
    at: float | None = None,
    strict: bool = False,
    run: RenderRun | None = None,
) -> FramePreview:
    """Show what a render would make of one frame, without rendering.

    Takes as long as decoding from the keyframe before the frame, and some tenths of a second.

    Args:
        video: The source.
        voice: The voice; None: only the faces are shown.
        settings: Of the render.
        components: What finds, reads, listens and paints.
        folder: An existing directory for temporary files.
        at: Seconds of the output, held inside its length; without a voice of the source. None: a moment near the
            beginning at which the mouth is wide open and a face is there, if there is one.
        strict: Refuse a moment outside the output, instead of showing the frame nearest to it.
        run: Progress and cancellation. What is painted is told as of the output frames [done, total) of "render".

    Raises:
        MediaError: An input cannot be used (see its subclasses).
        SettingsError: `at` is no number of seconds, or outside the output.
    """
    if at is not None and not math.isfinite(at):
        raise SettingsError(f"{at} is no moment", "give a number of seconds")
    run = run or RenderRun()
    cancel = run.cancel
    run.emit("plan", 0, 0)
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="frame-preview") as pool:
        limits, track = settings.limits, settings.voice_track
        opening = None if voice is None else pool.submit(open_voice, voice, folder, limits, cancel, track)
        with about("source"):
            source = probe_wanted(video, settings, cancel)
        with about("voice"):
            preview_voice = None if opening is None else opening.result()
        timeline = _timeline(source, preview_voice, settings)
        if at is not None and strict:
            _check_inside(at, timeline, source, preview_voice)
        scene = Scene(source, timeline, preview_voice, settings, components, folder, cancel, pool)
        wanted = 0 if at is None else math.floor(at * float(source.fps) + _ROUNDING)
        if at is None:
            envelope = _hear(scene, 0)
            look = telling_look(scene, envelope)
        else:
            frame = min(max(0, wanted), timeline.frame_count - 1)
            heard = pool.submit(_hear, scene, frame)
            look = look_at(scene, frame)
            envelope = heard.result()
    told = input_notes(source, None if preview_voice is None else preview_voice.voice, settings.fps)
    notes = (*told, *((end_note(scene),) if wanted >= timeline.frame_count else ()))
    return _show(scene, look, envelope, notes, run)


def _check_inside(at: float, timeline: Timeline, source: Source, preview_voice: PreviewVoice | None) -> None:
    """Refuse a moment that is not within the output; without a voice, the source."""
    frame = math.floor(at * float(source.fps) + _ROUNDING)
    if 0 <= frame < timeline.frame_count:
        return
    what = "source" if preview_voice is None else "output"
    seconds, last = timeline.frame_count / float(source.fps), (timeline.frame_count - 1) / float(source.fps)
    raise SettingsError(
        f"there is no frame at {_plain(at)} s: the {what} is {seconds:.2f} s long",
        f"give a moment from 0 to {last:.2f} s" if last else "give 0, or nothing",
    )


def _plain(seconds: float) -> str:
    return f"{seconds:.2f}".rstrip("0").rstrip(".")


def _timeline(source: Source, preview_voice: PreviewVoice | None, settings: RenderSettings) -> Timeline:
    """The output's; without a voice the source as it is."""
    if preview_voice is None:
        return Timeline(source.frame_count, 0, source.frame_count, settings.length)
    seconds = preview_voice.voice.seconds
    return plan_timeline(source.frame_count, source.fps, seconds, length=settings.length, tail=settings.tail)


def _hear(scene: Scene, frame: int) -> EnvelopeTrack | None:
    if scene.preview_voice is None:
        return None
    return hear(scene.preview_voice, scene.source.fps, scene.timeline.spoken_count, frame, scene.cancel)


def _show(
    scene: Scene, look: Look, envelope: EnvelopeTrack | None, notes: tuple[str, ...], run: RenderRun
) -> FramePreview:
    frame = look.pictures[look.frame - look.clip.start]
    spoken = scene.preview_voice is None or look.frame < scene.timeline.spoken_count
    chosen = look.plan.faces(look.place) if spoken else ()
    boxes = sorted((face.box for face in look.every.faces(look.place)), key=lambda box: box.center)
    fps, settings = scene.source.fps, scene.settings
    presence = None if envelope is None else presence_on(scene.timeline, envelope, settings, fps)
    at_rest = spoken and presence is not None and presence[look.frame] == 0
    layout = FaceLayout(_read_faces(scene, look, run), scene.components.generator, scene.settings, fps=scene.source.fps)
    crops = [layout.crops([look.place], [face])[0] for face in chosen]
    masks = [layout.mask(look.place, face, crop) for face, crop in zip(chosen, crops, strict=True)]
    result: UInt8Array | None = None
    steps: tuple[FaceSteps, ...] = ()
    if scene.preview_voice is not None and envelope is not None:
        result = frame
        if chosen and not at_rest:
            result, steps = _paint(scene, look, layout, scene.preview_voice, envelope, presence, run)
    further = noticed(scene, run) if chosen else ()
    return FramePreview(
        number=look.frame,
        seconds=float(look.place / scene.source.fps),
        source_frame=look.place,
        frame=frame,
        boxes=tuple(boxes),
        chosen=chosen,
        outlines=tuple(mask_outline(mask) for mask in masks),
        result=result,
        notes=(*notes, *notes_on(scene, look, chosen, crops, envelope, at_rest=at_rest), *further),
        crops=tuple(crops),
        lines=tuple(layout.line(look.place, face) for face in chosen),
        parsed=tuple(layout.shapes.parsed(look.place, face) for face in chosen),
        shift_range=layout.shift_range([look.place] * len(chosen), chosen),
        steps=steps,
    )


def _read_faces(scene: Scene, look: Look, run: RenderRun) -> ParsedFaces:
    """Look at the chosen faces of the clip's frames, as far as anybody asks for what is seen."""
    readers = scene.components.readers
    if readers.idle:
        return ParsedFaces()
    places = (scene.timeline.source_frame(frame) for frame in look.clip)
    pictures = sorted(dict(zip(places, look.pictures, strict=False)).items())
    known = [(place, picture) for place, picture in pictures if place in look.stretch]
    sigma = smoothing_sigma(scene.settings.tracker, scene.source.fps)
    folder = Path(tempfile.mkdtemp(prefix="labels-", dir=scene.folder))
    return parse_pictures(known, look.plan, readers, sigma, folder=folder, run=run, total=len(known))


def _paint(
    scene: Scene,
    look: Look,
    layout: FaceLayout,
    preview_voice: PreviewVoice,
    envelope: EnvelopeTrack,
    presence: Float32Array | None,
    run: RenderRun,
) -> tuple[UInt8Array, tuple[FaceSteps, ...]]:
    """The frame as a render paints it, and how each face in it came about."""
    segment = segment_around(look.frame, look.clip, look.plan, scene.timeline, look.stretch, presence)
    components = scene.components
    run.emit("speech", 0, 0)
    plan = RenderPlan(
        source=scene.source,
        voice=preview_voice.voice,
        timeline=scene.timeline,
        face_plan=look.plan,
        speech=_extract_features(scene, look, preview_voice, envelope, components),
        envelope=envelope,
        segments=(segment,),
        layout=layout,
        generator=components.generator,
        detector=components.detector.fingerprint,
        settings=scene.settings,
        folder=scene.folder,
        backend=components.backend,
        instead=components.instead,
        fallback=_fallback(scene, look, layout, preview_voice, envelope),
        enhancer=components.enhancer,
        presence=presence,
    )
    run.emit("render", segment.start, segment.stop)
    pictures = [look.pictures[frame - look.clip.start].copy() for frame in range(segment.start, segment.stop)]
    batch, place = paint(plan, Batch(segment, pictures), run), look.frame - segment.start
    frame = look.pictures[look.frame - look.clip.start]
    return batch.frames[place], tuple(_steps(painted, place, frame) for painted in batch.painted)


def _steps(painted: GeneratedFace, place: int, frame: UInt8Array) -> FaceSteps:
    """How a face in one frame of its piece came about, with what its session was shown."""
    steps = painted.steps()[place]
    return steps if painted.masked is None else replace(steps, masked=painted.masked(steps.transform.crop(frame)))


def _fallback(
    scene: Scene, look: Look, layout: FaceLayout, preview_voice: PreviewVoice, envelope: EnvelopeTrack
) -> FallbackBackend | None:
    """Who paints the frame if the chosen backend cannot."""
    equip = scene.components.fallback
    if equip is None:
        return None

    def make(_cancel: CancelToken) -> BackendSession:
        own = equip()
        speech = _extract_features(scene, look, preview_voice, envelope, own)
        own_layout = FaceLayout(layout.shapes, own.generator, scene.settings, fps=scene.source.fps)
        return BackendSession(own.backend, own.generator, own_layout, speech)

    return FallbackBackend(make)


def _extract_features(
    scene: Scene, look: Look, preview_voice: PreviewVoice, envelope: EnvelopeTrack, components: Components
) -> SpeechTrack:
    """The voice around the frame as a generator hears it."""
    settings = scene.settings
    heard = extract_features_around(
        look.frame,
        preview_voice.voice,
        components,
        settings.speech,
        scene.source.fps,
        scene.timeline.spoken_count,
        folder=Path(tempfile.mkdtemp(prefix="heard-", dir=scene.folder)),
        cancel=scene.cancel,
        silence=settings.silence,
        envelope=envelope,
    )
    return envelope if heard is None else heard
