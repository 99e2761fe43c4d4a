"""Everything that is known before the first frame is painted: source, voice, timeline, faces, speech."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from musetalk.audio.envelope import EnvelopeTrack
from musetalk.audio.silence import find_presence
from musetalk.audio.track import SpeechTrack
from musetalk.backends.types import FaceGenerator
from musetalk.enhancers.types import FaceEnhancer
from musetalk.errors import CoordsError
from musetalk.faces.parsing.parsed_faces import ParsedFaces
from musetalk.faces.tracking.face_plan import FacePlan, plan_key
from musetalk.faces.tracking.planner import plan_faces
from musetalk.faces.tracking.tracker import smoothing_sigma
from musetalk.faces.types import FaceDetector
from musetalk.media.damage import note_on_shortening
from musetalk.media.digest import content_digest
from musetalk.media.reader import read_frames
from musetalk.media.sound.voice import Voice
from musetalk.media.timing.timeline import Timeline, plan_timeline
from musetalk.media.types import Source
from musetalk.pipeline.components import Components
from musetalk.pipeline.fallback import BackendSession, FallbackBackend
from musetalk.pipeline.file_uses import coords_file
from musetalk.pipeline.masking import FaceLayout
from musetalk.pipeline.no_face import no_face_error
from musetalk.pipeline.parse import parse_faces
from musetalk.pipeline.preflight import Preflight
from musetalk.pipeline.segments import Segment, cut_segments, segment_limits
from musetalk.pipeline.speech import extract_features
from musetalk.progress import CancelToken, RenderRun
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import Float32Array


@dataclass(frozen=True, slots=True)
class RenderPlan:
    """What rendering needs; any range of output frames can be made from it, on its own, with the same pixels.

    Attributes:
        source: The video or picture.
        voice: The voice, as WAV in `folder`.
        timeline: Which source frame each output frame shows.
        face_plan: The chosen faces.
        speech: The voice, as the generator hears it.
        envelope: The voice's loudness, frame by frame.
        segments: The output cut into units of work.
        layout: Where crops and masks of the chosen faces lie.
        generator: What paints.
        detector: The fingerprint of what found the faces.
        settings: As given.
        folder: Temporary directory of the job.
        backend: The name of what paints.
        instead: Why that is another backend than the settings name; empty: it is that one.
        fallback: Who paints what the generator cannot; None: nobody, its errors end the work.
        enhancer: What restores painted faces; None: nothing does.
        presence: How much of the generated face each spoken output frame shows, 0 to 1; None: all of it, always.
    """

    source: Source
    voice: Voice
    timeline: Timeline
    face_plan: FacePlan
    speech: SpeechTrack
    envelope: EnvelopeTrack
    segments: tuple[Segment, ...]
    layout: FaceLayout
    generator: FaceGenerator
    detector: str
    settings: RenderSettings
    folder: Path
    backend: str = ""
    instead: str = ""
    fallback: FallbackBackend | None = None
    enhancer: FaceEnhancer | None = None
    presence: Float32Array | None = None

    @property
    def keeps_sources(self) -> bool:
        """Whether somebody wants to see frames as they were decoded, beside the result."""
        return self.settings.measure or self.settings.debug_dir is not None

    def presence_of(self, frame: int) -> float:
        """How much of the generated face an output frame shows, 0 to 1."""
        return 1.0 if self.presence is None else float(self.presence[frame])

    @property
    def session(self) -> BackendSession:
        """Who paints."""
        return BackendSession(self.backend, self.generator, self.layout, self.speech)


def prepare(
    preflight: Preflight,
    components: Components,
    settings: RenderSettings,
    *,
    folder: Path,
    coords_dir: Path,
    run: RenderRun,
) -> RenderPlan:
    """Find the faces, read them, and measure the voice.

    Args:
        preflight: What is known already.
        components: What finds, reads, listens and paints.
        settings: Of the render.
        folder: The job's temporary directory.
        coords_dir: Where face plans are kept, if the settings ask for it.
        run: Progress, cancellation, warnings.

    Raises:
        FaceError: There is no face to work on.
    """
    source, timeline, face_plan = _plan(preflight, components.detector, settings, coords_dir, run)
    generator, voice = components.generator, preflight.voice
    shapes = _read_faces(source, timeline, face_plan, components, settings, folder, run)
    layout = FaceLayout(shapes, generator, settings, fps=source.fps)
    with run.clock.measure("speech"):
        heard = settings.speech, source.fps, timeline.spoken_count
        speech, envelope = extract_features(voice, components, *heard, folder=folder, run=run, silence=settings.silence)
    if not envelope.heard.any() and not voice.silent:
        run.warn("no speech is heard in the voice: it is noise, or hardly louder than silence")
    presence = presence_on(timeline, envelope, settings, source.fps)
    segments = cut_segments(face_plan, timeline, segment_limits(generator, source.frame_bytes, source.fps), presence)
    _note_size(layout, segments, timeline, face_plan, generator, run)
    for note in (*components.notes, generator.traits.note_on(source.fps)):
        if note:
            run.warn(note)
    return RenderPlan(
        source=source,
        voice=voice,
        timeline=timeline,
        face_plan=face_plan,
        speech=speech,
        envelope=envelope,
        segments=segments,
        layout=layout,
        generator=generator,
        detector=components.detector.fingerprint,
        settings=settings,
        folder=folder,
        backend=components.backend,
        instead=components.instead,
        fallback=_fallback(components, shapes, voice, settings, source.fps, timeline.spoken_count, folder),
        enhancer=components.enhancer,
        presence=presence,
    )


def presence_on(
    timeline: Timeline, envelope: EnvelopeTrack, settings: RenderSettings, fps: Fraction
) -> Float32Array | None:
    """How much of the painted faces each spoken frame of a timeline shows; see `find_presence`."""
    spoken, goes_on = timeline.spoken_count, timeline.frame_count > timeline.spoken_count
    return find_presence(envelope, settings.silence, fps, spoken, goes_on=goes_on)


def _plan(
    preflight: Preflight, detector: FaceDetector, settings: RenderSettings, coords_dir: Path, run: RenderRun
) -> tuple[Source, Timeline, FacePlan]:
    """The chosen faces; source and timeline, shortened to what can be decoded.

    Raises:
        FaceError: There is no face to work on.
    """
    source, timeline = preflight.source, preflight.timeline
    with run.clock.measure("plan"):
        every_face = _find_faces(source, timeline.sources_used, detector, settings, coords_dir, run)
        face_plan = every_face.select(settings.face)
    if face_plan.frame_count < timeline.sources_used:
        run.warn(note_on_shortening(source, face_plan.frame_count))
        source = source.shortened(face_plan.frame_count)
        timeline = plan_timeline(
            source.frame_count, source.fps, preflight.voice.seconds, length=settings.length, tail=settings.tail
        )
    if face_plan.face_frames == 0:
        raise no_face_error(source, timeline.sources_used, detector, run.cancel)
    return source, timeline, face_plan


def _fallback(
    components: Components,
    shapes: ParsedFaces,
    voice: Voice,
    settings: RenderSettings,
    fps: Fraction,
    spoken: int,
    folder: Path,
) -> FallbackBackend | None:
    """Who paints what the chosen generator cannot: sees the same faces, and listens once more, in its own way."""
    equip = components.fallback
    if equip is None:
        return None

    def make(cancel: CancelToken) -> BackendSession:
        own, place = equip(), folder / "fallback"
        place.mkdir()
        layout, quiet = FaceLayout(shapes, own.generator, settings, fps=fps), RenderRun(cancel=cancel)
        heard, silence = settings.speech, settings.silence
        speech, _ = extract_features(voice, own, heard, fps, spoken, folder=place, run=quiet, silence=silence)
        return BackendSession(own.backend, own.generator, layout, speech)

    return FallbackBackend(make)


def _find_faces(
    source: Source, used: int, detector: FaceDetector, settings: RenderSettings, coords_dir: Path, run: RenderRun
) -> FacePlan:
    saved: Path | None = None
    key = ""
    if settings.use_saved_coords:
        digest = content_digest(source, run.cancel)
        key = plan_key(digest, detector, settings.tracker, used, source.fps, settings.face)
        saved = coords_file(coords_dir, source.path, key)
        if saved.is_file():
            try:
                face_plan = FacePlan.load(saved, key)
            except CoordsError as error:
                run.warn(f"saved coords were not used: {error}")
            else:
                run.emit("plan", used, used)
                return face_plan
    with closing(read_frames(source, 0, used, max_side=detector.max_side, cancel=run.cancel)) as frames:
        face_plan = plan_faces(
            frames,
            frame_size=(source.width, source.height),
            fps=source.fps,
            detector=detector,
            settings=settings.tracker,
            choice=settings.face,
            on_frame=lambda done: run.emit("plan", done, used),
            cancel=run.cancel,
        )
    if saved is not None:
        face_plan.save(saved, key)
    return face_plan


def _read_faces(
    source: Source,
    timeline: Timeline,
    face_plan: FacePlan,
    components: Components,
    settings: RenderSettings,
    folder: Path,
    run: RenderRun,
) -> ParsedFaces:
    """Look at the faces that will be painted, as far as anybody asks for what is seen."""
    shown = 1 + max(map(timeline.source_frame, range(timeline.spoken_count)), default=-1)
    sigma = smoothing_sigma(settings.tracker, source.fps)
    with run.clock.measure("parse"):
        return parse_faces(source, face_plan, range(shown), components.readers, sigma, folder=folder, run=run)


def _note_size(
    layout: FaceLayout,
    segments: Sequence[Segment],
    timeline: Timeline,
    face_plan: FacePlan,
    generator: FaceGenerator,
    run: RenderRun,
) -> None:
    sources = [timeline.source_frame(segment.start) for segment in segments if segment.tracks]
    crops = (layout.crops([source], [face])[0] for source in sources for face in face_plan.faces(source))
    largest = max((crop.side for crop in crops), default=0)
    if generator.crop_size is not None and largest > generator.crop_size:
        run.warn(
            f"the face takes up to {largest} pixels and the backend paints {generator.crop_size}: "
            "it will look softer than the rest"
        )
