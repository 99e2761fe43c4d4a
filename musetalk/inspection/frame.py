"""One frame of a render, in a second or two: where the faces are, which of them speaks, and how that looks.

It is made as a render makes it, from what is around it in the source and in the voice; for what that cannot know see
`pipeline.prepare.prepare`.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from musetalk.compositing.outline import mask_outline
from musetalk.errors import SettingsError, about
from musetalk.faces.crops.crop import CropTransform
from musetalk.faces.parsing.parsed_faces import ParsedFace
from musetalk.faces.tracking.following import ANY_FACE, search_frames
from musetalk.faces.types import FaceBox, FaceDetector, FaceSample
from musetalk.inspection.notes import end_note, frame_notes, input_notes, run_notes, sentences
from musetalk.inspection.sampling import open_voice, sampled_places, telling_places, window_around
from musetalk.media.inputs import open_inputs
from musetalk.media.probe import probe_wanted
from musetalk.media.reader import read_frames
from musetalk.media.sound.voice import Voice
from musetalk.media.timing.timeline import Timeline, plan_timeline
from musetalk.media.types import Source
from musetalk.pipeline.components import Components
from musetalk.pipeline.generate import FaceSteps
from musetalk.pipeline.prepare import RenderPlan, prepare
from musetalk.pipeline.render import output_frames
from musetalk.pipeline.speech import measure_around
from musetalk.progress import CancelToken, RenderRun
from musetalk.settings import FinishSettings, InputSettings, PlanSettings
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
        finished: What the frame steps make of the result: uint8 RGB [H', W', 3]; None: there are none, or no voice.
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
    finished: UInt8Array | None = None

    @property
    def output(self) -> UInt8Array | None:
        """The result as it is written: what the frame steps make of it; None without a voice."""
        return self.result if self.finished is None else self.finished


def with_reason(preview: FramePreview, reason: str) -> FramePreview:
    """Return a preview with why its backend was chosen, before its other notes; empty: it was named."""
    return replace(preview, notes=(*sentences([reason]), *preview.notes)) if reason else preview


def preview_frame(
    video: Path,
    voice: Path | None,
    wanted: PlanSettings,
    finish: FinishSettings,
    *,
    backend: str,
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
        wanted: What is decided before painting, and how.
        finish: What is done to generated faces.
        backend: What is asked to paint.
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
    run.emit("plan", 0, 0)
    source, sound = _open(video, voice, wanted.inputs, folder, run.cancel)
    timeline = _timeline(source, sound, wanted.inputs)
    if at is not None and strict:
        _check_inside(at, timeline, source, sound)
    asked = 0 if at is None else math.floor(at * float(source.fps) + _ROUNDING)
    notes = input_notes(source, sound, wanted.inputs.source.fps)
    notes += (end_note(source, timeline, sound),) if asked >= timeline.frame_count else ()

    prepare_around = partial(_prepare_around, folder, run, source, sound, timeline, components, wanted, finish)
    frame = min(max(0, asked), timeline.frame_count - 1)
    if at is not None:
        return _show(prepare_around(frame), frame, notes, backend, run)
    frame, *others = _telling_frames(source, sound, timeline, folder, run.cancel)
    plan = prepare_around(frame)
    if not plan.face_plan.faces(timeline.source_frame(frame)):
        for other in _with_face(others, source, timeline, components.detector, run.cancel):
            found = prepare_around(other)
            if found.face_plan.faces(timeline.source_frame(other)):
                return _show(found, other, notes, backend, run)
    return _show(plan, frame, notes, backend, run)


def _prepare_around(
    folder: Path,
    run: RenderRun,
    source: Source,
    voice: Voice | None,
    timeline: Timeline,
    components: Components,
    wanted: PlanSettings,
    finish: FinishSettings,
    frame: int,
) -> RenderPlan:
    """Prepare what one output frame is rendered of, in a folder of its own."""
    window = window_around(frame, source, timeline, components.generator)
    own = Path(tempfile.mkdtemp(prefix="frame-", dir=folder))
    return prepare(source, voice, timeline, components, wanted, finish, folder=own, run=run, window=window)


def _open(
    video: Path, voice: Path | None, wanted: InputSettings, folder: Path, cancel: CancelToken
) -> tuple[Source, Voice | None]:
    """Open the source, and the voice where there is one."""
    if voice is None:
        with about("source"):
            return probe_wanted(video, wanted.source, cancel), None
    opening = partial(open_voice, voice, folder, wanted.source.limits, track=wanted.voice_track)
    return open_inputs(video, wanted.source, opening, cancel)


def _timeline(source: Source, voice: Voice | None, wanted: InputSettings) -> Timeline:
    """Return the output's timeline; without a voice the source's as it is."""
    if voice is None:
        return Timeline(source.frame_count, 0, source.frame_count, wanted.length)
    return plan_timeline(source.frame_count, source.fps, voice.seconds, length=wanted.length, tail=wanted.tail)


def _check_inside(at: float, timeline: Timeline, source: Source, voice: Voice | None) -> None:
    """Refuse a moment that is not within the output; without a voice, the source."""
    frame = math.floor(at * float(source.fps) + _ROUNDING)
    if 0 <= frame < timeline.frame_count:
        return
    what = "source" if voice is None else "output"
    seconds, last = timeline.frame_count / float(source.fps), (timeline.frame_count - 1) / float(source.fps)
    raise SettingsError(
        f"there is no frame at {_plain(at)} s: the {what} is {seconds:.2f} s long",
        f"give a moment from 0 to {last:.2f} s" if last else "give 0, or nothing",
    )


def _plain(seconds: float) -> str:
    return f"{seconds:.2f}".rstrip("0").rstrip(".")


def _telling_frames(
    source: Source, voice: Voice | None, timeline: Timeline, folder: Path, cancel: CancelToken
) -> tuple[int, ...]:
    """Return output frames that may show what a render does, the best first."""
    places: tuple[int, ...] = ()
    if voice is not None:
        envelope = measure_around(voice, source.fps, timeline.spoken_count, 0, folder, cancel)
        places = telling_places(envelope, source.fps)
    return places or sampled_places(source, timeline.sources_used or source.frame_count)


def _with_face(
    frames: list[int], source: Source, timeline: Timeline, detector: FaceDetector, cancel: CancelToken
) -> Iterator[int]:
    """Yield those output frames that, looked at alone, show a face: that costs a fraction of preparing one."""
    for frame in frames:
        place = timeline.source_frame(frame)
        with closing(read_frames(source, place, place + 1, max_side=detector.max_side, cancel=cancel)) as pictures:
            if any(search_frames(detector, list(pictures), ANY_FACE)):
                yield frame


def _show(plan: RenderPlan, frame: int, notes: tuple[str, ...], backend: str, run: RenderRun) -> FramePreview:
    """Render one output frame, and say what is to be known of it."""
    place, cropper, masker = plan.timeline.source_frame(frame), plan.session.cropper, plan.session.masker
    spoken = plan.voice is None or frame < plan.timeline.spoken_count
    chosen = plan.face_plan.faces(place) if spoken else ()
    boxes = sorted((face.box for face in plan.every_face.faces(place)), key=lambda box: box.center)
    crops = [cropper.own_crop(place, face) for face in chosen]
    masks = [masker.mask(place, face, crop) for face, crop in zip(chosen, crops, strict=True)]
    segment = next(each for each in plan.segments if each.start <= frame < each.stop)
    run.emit("render", segment.start, segment.stop)
    with closing(output_frames(plan, frame, frame + 1, run)) as frames:
        output = next(frames)
    picture = (output.picture if output.source is None else output.source).rgb()
    further = run_notes(run, backend) if chosen else ()
    return FramePreview(
        number=frame,
        seconds=float(place / plan.source.fps),
        source_frame=place,
        frame=picture,
        boxes=tuple(boxes),
        chosen=chosen,
        outlines=tuple(mask_outline(mask) for mask in masks),
        result=None if plan.voice is None else output.picture.rgb(),
        notes=(*notes, *frame_notes(plan, frame, picture, chosen, run.cancel), *further),
        crops=tuple(crops),
        lines=tuple(cropper.line(place, face) for face in chosen),
        parsed=tuple(cropper.parsed.parsed(place, face) for face in chosen),
        shift_range=cropper.shift_range([place] * len(chosen), chosen),
        steps=tuple(_with_input(steps, plan, picture, run.cancel) for steps in output.steps),
        finished=None if plan.voice is None or output.finished is None else output.finished.rgb(),
    )


def _with_input(steps: FaceSteps, plan: RenderPlan, picture: UInt8Array, cancel: CancelToken) -> FaceSteps:
    """Return how a face came about with what its generator was shown of the crop, where that hides something."""
    session = plan.session
    if plan.fallback is not None and steps.backend != session.backend:
        session = plan.fallback.session(cancel)
    mask = session.generator.spec.masked_input
    return steps if mask is None else replace(steps, masked=mask(steps.transform.crop(picture)))
