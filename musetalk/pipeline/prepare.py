"""Everything that is known before the first frame is painted: source, voice, timeline, faces, speech.

The whole output is prepared for a render, and the surroundings of one frame for a preview: by the same steps, so that
what a preview shows is what a render paints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from musetalk.audio.envelope import EnvelopeTrack
from musetalk.audio.silence import find_presence
from musetalk.audio.track import SpeechTrack
from musetalk.backends.types import FaceGenerator
from musetalk.faces.parsing.parsed_faces import ParsedFaces
from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.faces.tracking.tracker import smoothing_sigma
from musetalk.faces.types import FaceDetector
from musetalk.frame_steps.registry import size_after
from musetalk.media.damage import note_on_shortening
from musetalk.media.frames import FrameLayout
from musetalk.media.sound.voice import Voice
from musetalk.media.timing.timeline import Timeline, plan_source, plan_timeline
from musetalk.media.types import Source
from musetalk.pipeline.backend_session import BackendSession, FallbackBackend
from musetalk.pipeline.components import Components
from musetalk.pipeline.cropping import FaceCropper
from musetalk.pipeline.find_faces import find_faces, find_faces_around
from musetalk.pipeline.findings import Findings
from musetalk.pipeline.kept_findings import KeptFindings, KeptSource
from musetalk.pipeline.masking import FaceMasker
from musetalk.pipeline.no_face_error import no_face_error
from musetalk.pipeline.parse import parse_faces
from musetalk.pipeline.segments import Segment, cut_segments, segment_limits
from musetalk.pipeline.speech import WHOLE_SECONDS, extract_features
from musetalk.progress import CancelToken, RenderRun
from musetalk.settings import (
    FinishSettings,
    InputSettings,
    Limits,
    PlanSettings,
    SilenceSettings,
    TrackerSettings,
)
from musetalk.utils.arrays import Float32Array


@dataclass(frozen=True, slots=True)
class Window:
    """What is prepared where one frame of an output is wanted.

    What a window cannot know differs from a whole output: the boxes are smoothed over what it holds, the face is chosen
    by what it shows of its shot, and of a long voice the loud parts are those around the frame.

    Attributes:
        frame: The output frame.
        clip: Output frames in a row, `frame` among them, that may be generated together.
        sources: Source frames in a row in which faces are looked for.
    """

    frame: int
    clip: range
    sources: range


class Presence(Protocol):
    """How much of the generated face each output frame shows: an array, or what learns of the voice as it arrives."""

    def __getitem__(self, frame: int, /) -> float:
        """Return it for one frame, 0 to 1."""
        ...


@dataclass(frozen=True, slots=True)
class RenderPlan:
    """Everything that is known of a render before it paints. Shared by threads.

    Attributes:
        source: The video or picture.
        voice: The voice; None: there is none, and nothing is painted.
        timeline: Which source frame each output frame shows.
        every_face: All faces that were found.
        face_plan: The chosen ones.
        envelope: The loudness of the voice.
        presence: How much of the generated face each spoken output frame shows, 0 to 1; None: all of it, always.
        segments: The output, cut into units of work.
        components: What it is rendered with.
        session: The backend, with the crops and the voice as it takes them.
        fallback: What generates faces that the backend cannot; None: nothing does, its errors end the work.
        finish: What is done to generated faces.
        folder: The job's temporary directory.
        keeps_sources: Whether frames are wanted as they were decoded, too, beside the result.
        output_layout: Of the frames that are written: the source's, but for what frame steps make of them.
    """

    source: Source
    voice: Voice | None
    timeline: Timeline
    every_face: FacePlan
    face_plan: FacePlan
    envelope: EnvelopeTrack
    presence: Presence | None
    segments: tuple[Segment, ...]
    components: Components
    session: BackendSession
    fallback: FallbackBackend | None
    finish: FinishSettings
    folder: Path
    output_layout: FrameLayout
    keeps_sources: bool = False

    def presence_of(self, frame: int) -> float:
        """Return how much of the generated face an output frame shows, 0 to 1."""
        return 1.0 if self.presence is None else float(self.presence[frame])


def prepare(
    source: Source,
    voice: Voice | None,
    timeline: Timeline,
    components: Components,
    wanted: PlanSettings,
    finish: FinishSettings,
    *,
    folder: Path,
    run: RenderRun,
    kept: KeptFindings | None = None,
    window: Window | None = None,
    findings: Findings | None = None,
) -> RenderPlan:
    """Find the faces, parse them, and measure the voice.

    Args:
        source: The video or picture.
        voice: The voice, if there is one; without one, nothing is said of pauses.
        timeline: Which source frame each output frame shows.
        components: What detects, parses, encodes and generates.
        wanted: What is to be decided, and how.
        finish: What is done to generated faces.
        folder: The job's temporary directory, of its own.
        run: Progress, cancellation, warnings.
        kept: What earlier renders found, where what is found now is kept, too; None: nothing is.
        window: The part of the output that will be rendered; None: all of it.
        findings: What is known of the whole source: nothing of that is looked for again. None: nothing is.

    Raises:
        FaceError: All of it is wanted, and there is no face to work on.
    """
    known = None if kept is None else kept.of(source, timeline.sources_used, run.cancel)
    faces, found = _find_faces(source, timeline, components.detector, wanted, known, run, window, folder, findings)
    face_plan = faces.select(wanted.face)
    source, timeline = _whole(source, voice, timeline, found, face_plan, wanted.inputs, components, window, run)
    shown = _shown_of(timeline, found, window)
    parsed = _parse(source, face_plan, components, wanted.tracker, shown, findings, known, folder, run)
    sessions = _Sessions(parsed, source, voice, timeline, wanted, window, findings)
    speech, envelope = sessions.hear(components, folder, run)
    presence = None if voice is None else _presence(envelope, wanted.silence, source, timeline)
    plan = RenderPlan(
        source=source,
        voice=voice,
        timeline=timeline,
        every_face=faces,
        face_plan=face_plan,
        envelope=envelope,
        presence=presence,
        segments=_cut(face_plan, source, timeline, components.generator, presence, window),
        components=components,
        session=sessions.lay_out(components, speech),
        fallback=sessions.fallback(components.fallback, folder),
        finish=finish,
        folder=folder,
        output_layout=_output_layout(source, components, wanted.inputs.source.limits),
        keeps_sources=finish.keep_sources or window is not None,
    )
    _warn(plan, run)
    return plan


def _cut(
    face_plan: FacePlan,
    source: Source,
    timeline: Timeline,
    generator: FaceGenerator,
    presence: Float32Array | None,
    window: Window | None,
) -> tuple[Segment, ...]:
    """Cut the output, or what the window shows of it, into units of work as long as the generator takes them."""
    limits = segment_limits(generator, source.frame_bytes, source.fps)
    return cut_segments(face_plan, timeline, limits, presence, None if window is None else window.clip)


def _output_layout(source: Source, components: Components, limits: Limits) -> FrameLayout:
    if not components.frame_steps:
        return source.layout
    steps = [each.chosen for each in components.frame_steps]
    return FrameLayout(*size_after(steps, (source.width, source.height), limits))


def _warn(plan: RenderPlan, run: RenderRun) -> None:
    """Say what the result will lack, and why."""
    size, *others = passing_notes(plan)
    for note in (size, *plan.components.notes, *others):
        if note:
            run.warn(note)


def passing_notes(plan: RenderPlan) -> tuple[str, str]:
    """Return what is said of a plan and its generator alone, which says nothing of another plan; may be empty."""
    return _note_on_size(plan), plan.components.generator.spec.note_on(plan.source.fps)


def _find_faces(
    source: Source,
    timeline: Timeline,
    detector: FaceDetector,
    settings: PlanSettings,
    kept: KeptSource | None,
    run: RenderRun,
    window: Window | None,
    keep_in: Path,
    findings: Findings | None,
) -> tuple[FacePlan, range]:
    """Return all faces in the frames that are wanted, and which of these could be decoded."""
    if findings is not None:
        findings.check(source)
        return findings.faces, range(min(timeline.sources_used, findings.faces.frame_count))
    with run.clock.measure("plan"):
        if window is None:
            wanted = range(timeline.sources_used)
            plan = find_faces(source, len(wanted), detector, settings.tracker, settings.face, kept, keep_in, run)
            return plan, wanted[: plan.frame_count]
        plan = find_faces_around(source, window.sources, detector, settings.tracker, settings.face, run)
        return plan.placed(window.sources.start, source.frame_count), window.sources[: plan.frame_count]


def _whole(
    source: Source,
    voice: Voice | None,
    timeline: Timeline,
    found: range,
    face_plan: FacePlan,
    wanted: InputSettings,
    components: Components,
    window: Window | None,
    run: RenderRun,
) -> tuple[Source, Timeline]:
    """Return source and timeline without what cannot be decoded, where all of it is wanted; as they are for a window.

    Raises:
        FaceError: All of it is wanted, and there is no face in what can be decoded.
    """
    if window is not None:
        return source, timeline
    if len(found) < timeline.sources_used:
        run.warn(note_on_shortening(source, len(found)))
        source = source.shortened(len(found))
        count, length, tail = source.frame_count, wanted.length, wanted.tail
        timeline = plan_source(count, length)
        if voice is not None:
            timeline = plan_timeline(count, source.fps, voice.seconds, length=length, tail=tail)
    if not (face_plan.frame < timeline.sources_used).any():
        raise no_face_error(source, timeline.sources_used, components.detector, run.cancel)
    return source, timeline


def _shown_of(timeline: Timeline, found: range, window: Window | None) -> range:
    """Return source frames in a row, of those that were found, that the output shows, or the window's part of it."""
    frames = range(timeline.spoken_count) if window is None else window.clip
    shown = sorted(set(map(timeline.source_frame, frames)) & set(found))
    return range(shown[0], shown[-1] + 1) if shown else range(0)


def _parse(
    source: Source,
    face_plan: FacePlan,
    components: Components,
    tracker: TrackerSettings,
    sources: range,
    findings: Findings | None,
    kept: KeptSource | None,
    folder: Path,
    run: RenderRun,
) -> ParsedFaces:
    """Parse the faces that will be painted, as far as anybody asks for what is seen, and nobody knows it."""
    if findings is not None:
        if findings.covers(components.backend, components.reading):
            with run.clock.measure("parse"):
                return findings.parsed(components.backend, components.reading)
        findings.lacked(components.backend)
    sigma, readers = smoothing_sigma(tracker, source.fps), components.readers
    known = None if kept is None or readers.idle else kept.readings(readers.fingerprint)
    with run.clock.measure("parse"):
        return parse_faces(source, face_plan, sources, readers, sigma, folder=folder, run=run, kept=known)


@dataclass(frozen=True, slots=True)
class _Sessions:
    """The same faces and the same voice, for one backend after another: each sees and hears in its own way.

    Attributes:
        parsed: The faces.
        source, voice, timeline: As in the plan.
        wanted: How faces are cropped and masked, and how the voice is heard.
        window: The part of the output that will be rendered; None: all of it.
        findings: What is known of the whole source; None: nothing is.
    """

    parsed: ParsedFaces
    source: Source
    voice: Voice | None
    timeline: Timeline
    wanted: PlanSettings
    window: Window | None
    findings: Findings | None

    def hear(self, components: Components, folder: Path, run: RenderRun) -> tuple[SpeechTrack, EnvelopeTrack]:
        """Encode the voice as a generator takes it, and measure its envelope: whole, or around the window's frame."""
        voice, window = self.voice, self.window
        with run.clock.measure("speech"):
            speech, envelope = extract_features(
                voice,
                components,
                self.wanted.speech,
                self.source.fps,
                self.timeline.spoken_count,
                folder=folder,
                run=run,
                silence=self.wanted.silence,
                around=None if window is None else window.frame,
                wanted=None if window is None else window.clip,
            )
        whole = window is None or (voice is not None and voice.seconds <= WHOLE_SECONDS)
        if voice is not None and not voice.silent and whole and not envelope.speaks:
            run.warn("no speech is heard in the voice: it is noise, or hardly louder than silence")
        return speech, envelope

    def lay_out(self, components: Components, speech: SpeechTrack) -> BackendSession:
        """Return a backend with the crops and masks of the faces, and the voice, as it takes them."""
        backend, generator, known = components.backend, components.generator, self.findings
        cropper = FaceCropper(self.parsed, generator, self.wanted.crop, None if known is None else known.crops(backend))
        masker = FaceMasker(cropper, generator.spec, self.wanted.mask, fps=self.source.fps)
        latents = None if known is None else known.latents(backend)
        return BackendSession(backend, generator, cropper, masker, speech, latents)

    def fallback(self, load: Callable[[], Components] | None, folder: Path) -> FallbackBackend | None:
        """Return what generates faces that the backend cannot: it is loaded, and hears the voice, once it is needed."""
        if load is None:
            return None

        def start(cancel: CancelToken) -> BackendSession:
            own, place = load(), folder / "fallback"
            place.mkdir()
            speech, _ = self.hear(own, place, RenderRun(cancel=cancel))
            return self.lay_out(own, speech)

        return FallbackBackend(start)


def _presence(
    envelope: EnvelopeTrack, silence: SilenceSettings, source: Source, timeline: Timeline
) -> Float32Array | None:
    """Return how much of the generated face each spoken output frame shows."""
    goes_on = timeline.frame_count > timeline.spoken_count
    return find_presence(envelope, silence, source.fps, timeline.spoken_count, goes_on=goes_on)


def _note_on_size(plan: RenderPlan) -> str:
    """That a face is larger than what the backend paints; empty: none is."""
    size, cropper = plan.session.generator.crop_size, plan.session.cropper
    sources = [plan.timeline.source_frame(segment.start) for segment in plan.segments if segment.tracks]
    crops = (cropper.own_crop(source, face) for source in sources for face in plan.face_plan.faces(source))
    largest = max((crop.side for crop in crops), default=0)
    if size is None or largest <= size:
        return ""
    return f"the face takes up to {largest} pixels and the backend paints {size}: it will look softer than the rest"
