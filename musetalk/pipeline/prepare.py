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
from musetalk.faces.parsing.parsed_faces import FaceShapes
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
from musetalk.pipeline.components import Equipment
from musetalk.pipeline.fallback import Painter, Understudy
from musetalk.pipeline.file_uses import coords_file
from musetalk.pipeline.masking import FaceLayout
from musetalk.pipeline.no_face import no_face_error
from musetalk.pipeline.parse import read_shapes
from musetalk.pipeline.preflight import Preflight
from musetalk.pipeline.segments import Segment, cut_segments, piece_lengths
from musetalk.pipeline.speech import listen
from musetalk.progress import CancelToken, RenderRun
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import Float32Array


@dataclass(frozen=True, slots=True)
class Preparation:
    """What rendering needs; any range of output frames can be made from it, on its own, with the same pixels.

    Attributes:
        source: The video or picture.
        voice: The voice, as WAV in `folder`.
        timeline: Which source frame each output frame shows.
        plan: The chosen faces.
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
        understudy: Who paints what the generator cannot; None: nobody, its errors end the work.
        enhancer: What restores painted faces; None: nothing does.
        presence: How much of the generated face each spoken output frame shows, 0 to 1; None: all of it, always.
    """

    source: Source
    voice: Voice
    timeline: Timeline
    plan: FacePlan
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
    understudy: Understudy | None = None
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
    def painter(self) -> Painter:
        """Who paints."""
        return Painter(self.backend, self.generator, self.layout, self.speech)


def prepare(
    preflight: Preflight,
    equipment: Equipment,
    settings: RenderSettings,
    *,
    folder: Path,
    coords_dir: Path,
    run: RenderRun,
) -> Preparation:
    """Find the faces, read them, and measure the voice.

    Args:
        preflight: What is known already.
        equipment: What finds, reads, listens and paints.
        settings: Of the render.
        folder: The job's temporary directory.
        coords_dir: Where face plans are kept, if the settings ask for it.
        run: Progress, cancellation, warnings.

    Raises:
        FaceError: There is no face to work on.
    """
    source, timeline, plan = _plan(preflight, equipment.detector, settings, coords_dir, run)
    generator, voice = equipment.generator, preflight.voice
    shapes = _read_faces(source, timeline, plan, equipment, settings, folder, run)
    layout = FaceLayout(shapes, generator, settings, fps=source.fps)
    with run.clock.measure("speech"):
        heard = settings.speech, source.fps, timeline.spoken_count
        speech, envelope = listen(voice, equipment, *heard, folder=folder, run=run, silence=settings.silence)
    if not envelope.heard.any() and not voice.silent:
        run.warn("no speech is heard in the voice: it is noise, or hardly louder than silence")
    presence = presence_on(timeline, envelope, settings, source.fps)
    segments = cut_segments(plan, timeline, piece_lengths(generator, source.frame_bytes, source.fps), presence)
    _note_size(layout, segments, timeline, plan, generator, run)
    for note in (*equipment.notes, generator.spec.note_on(source.fps)):
        if note:
            run.warn(note)
    return Preparation(
        source=source,
        voice=voice,
        timeline=timeline,
        plan=plan,
        speech=speech,
        envelope=envelope,
        segments=segments,
        layout=layout,
        generator=generator,
        detector=equipment.detector.fingerprint,
        settings=settings,
        folder=folder,
        backend=equipment.backend,
        instead=equipment.instead,
        understudy=_understudy(equipment, shapes, voice, settings, source.fps, timeline.spoken_count, folder),
        enhancer=equipment.enhancer,
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
        plan = every_face.select(settings.face)
    if plan.frame_count < timeline.sources_used:
        run.warn(note_on_shortening(source, plan.frame_count))
        source = source.shortened(plan.frame_count)
        timeline = plan_timeline(
            source.frame_count, source.fps, preflight.voice.seconds, length=settings.length, tail=settings.tail
        )
    if plan.face_frames == 0:
        raise no_face_error(source, timeline.sources_used, detector, run.cancel)
    return source, timeline, plan


def _understudy(
    equipment: Equipment,
    shapes: FaceShapes,
    voice: Voice,
    settings: RenderSettings,
    fps: Fraction,
    spoken: int,
    folder: Path,
) -> Understudy | None:
    """Who paints what the chosen generator cannot: sees the same faces, and listens once more, in its own way."""
    equip = equipment.understudy
    if equip is None:
        return None

    def make(cancel: CancelToken) -> Painter:
        own, place = equip(), folder / "understudy"
        place.mkdir()
        layout, quiet = FaceLayout(shapes, own.generator, settings, fps=fps), RenderRun(cancel=cancel)
        heard, silence = settings.speech, settings.silence
        speech, _ = listen(voice, own, heard, fps, spoken, folder=place, run=quiet, silence=silence)
        return Painter(own.backend, own.generator, layout, speech)

    return Understudy(make)


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
                plan = FacePlan.load(saved, key)
            except CoordsError as error:
                run.warn(f"saved coords were not used: {error}")
            else:
                run.emit("plan", used, used)
                return plan
    with closing(read_frames(source, 0, used, max_side=detector.max_side, cancel=run.cancel)) as frames:
        plan = plan_faces(
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
        plan.save(saved, key)
    return plan


def _read_faces(
    source: Source,
    timeline: Timeline,
    plan: FacePlan,
    equipment: Equipment,
    settings: RenderSettings,
    folder: Path,
    run: RenderRun,
) -> FaceShapes:
    """Look at the faces that will be painted, as far as anybody asks for what is seen."""
    shown = 1 + max(map(timeline.source_frame, range(timeline.spoken_count)), default=-1)
    sigma = smoothing_sigma(settings.tracker, source.fps)
    with run.clock.measure("parse"):
        return read_shapes(source, plan, range(shown), equipment.readers, sigma, folder=folder, run=run)


def _note_size(
    layout: FaceLayout,
    segments: Sequence[Segment],
    timeline: Timeline,
    plan: FacePlan,
    generator: FaceGenerator,
    run: RenderRun,
) -> None:
    sources = [timeline.source_frame(segment.start) for segment in segments if segment.tracks]
    crops = (layout.crops([source], [face])[0] for source in sources for face in plan.faces(source))
    largest = max((crop.side for crop in crops), default=0)
    if generator.crop_size is not None and largest > generator.crop_size:
        run.warn(
            f"the face takes up to {largest} pixels and the backend paints {generator.crop_size}: "
            "it will look softer than the rest"
        )
