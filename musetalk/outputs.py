"""What a render writes: the video with its sound, and measures and debug videos where they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from musetalk.errors import VoiceError
from musetalk.inspection.debug_videos import DebugPictures
from musetalk.media.ffmpeg_commands import SoundTrack
from musetalk.media.frames import Frame
from musetalk.media.part_writer import SoundWriter
from musetalk.media.sound.voice import Voice, extract_sound_of
from musetalk.media.types import ColorTags
from musetalk.metrics.measurer import Measurer
from musetalk.metrics.types import Measures
from musetalk.pipeline.borders import borders_in
from musetalk.pipeline.file_uses import debug_files
from musetalk.pipeline.prepare import RenderPlan
from musetalk.pipeline.render import OutputFrame
from musetalk.progress import RenderRun
from musetalk.resume.account import Bookkeeper
from musetalk.resume.decisions import decided_in
from musetalk.resume.part_folder import PartFolder
from musetalk.resume.parted_render import PartedRender, Video
from musetalk.settings import EncoderSettings, Limits, OutputSettings
from musetalk.utils.files import make_room_for


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a render writes: its parts, which are joined in the end, and measures of all of them."""

    plan: RenderPlan
    run: RenderRun
    parts: PartedRender
    measurer: Measurer | None

    @property
    def measures(self) -> Measures | None:
        """Of the result; None: nobody asked for them."""
        return None if self.measurer is None else self.measurer.result(borders_in(self.plan, self.run.fallbacks))


@contextmanager
def open_outputs(
    plan: RenderPlan,
    out: Path,
    wanted: OutputSettings,
    notice: str,
    kept: PartFolder,
    run: RenderRun,
    *,
    sound: SoundTrack | None,
    threads: int,
    peak_mb: Callable[[], float],
    numbers: range | None = None,
) -> Iterator[Outputs]:
    """Open what a render writes: what an earlier one left is taken over.

    Args:
        plan: Of the render.
        out: The file to make.
        wanted: What is to be made of the frames.
        notice: What the result has to be labelled with; empty: nothing.
        kept: Where its parts are kept.
        run: Progress, timing, warnings.
        sound: What is heard; None: parts are made, and not joined.
        threads: Of x264.
        peak_mb: Says how much memory was taken at most so far, in MiB.
        numbers: The parts that are wanted; None: all.

    Raises:
        OutputError: It cannot be written.
    """
    source = plan.source
    videos = (
        Video(
            "",
            out,
            plan.output_layout,
            source.output_color,
            wanted.encoder,
            f"MuseTalk Hybrid. {notice}".strip(),
            _finished,
            wanted.captions,
        ),
        *_debug_videos(plan, wanted.debug_dir, out),
    )
    measurer = Measurer(plan.timeline, plan.face_plan, plan.envelope) if wanted.measure else None
    note = kept.begin(
        plan.timeline.frame_count, decided_in(plan), tuple(video.name for video in videos), run.cancel, numbers
    )
    if note:
        run.warn(note)
    with ExitStack() as stack:
        heard = None
        if sound is not None:
            kbps = wanted.encoder.audio_kbps
            heard = stack.enter_context(SoundWriter(plan.folder, out, sound=sound, kbps=kbps, cancel=run.cancel))
        books = Bookkeeper(run, source.experience, peak_mb)
        parts = PartedRender(videos, source.fps, kept, heard, measurer, books, run, threads, numbers)
        yield Outputs(plan, run, parts, measurer)


def _finished(frame: OutputFrame) -> Frame:
    return frame.output


def _debug_videos(plan: RenderPlan, folder: Path | None, out: Path) -> tuple[Video, ...]:
    """Return what shows crops and masks of the whole render in a folder, if there is one.

    Raises:
        OutputError: Nothing can be written there.
    """
    if folder is None:
        return ()
    places = debug_files(folder, out.stem)
    for place in places:
        make_room_for(place)
    faces = max((len(segment.tracks) for segment in plan.segments), default=0)
    drawn = DebugPictures(plan.source, faces)
    kinds = (("crops", drawn.crops_layout, drawn.crops), ("masks", drawn.masks_layout, drawn.masks))
    return tuple(
        Video(name, place, layout, ColorTags(), EncoderSettings(), "MuseTalk Hybrid, for debugging", picture)
        for place, (name, layout, picture) in zip(places, kinds, strict=True)
    )


def sound_of(plan: RenderPlan, voice: Voice, limits: Limits, run: RenderRun) -> SoundTrack:
    """Return what is heard: the voice, and behind it the source's own sound, if the source goes on there."""
    source, timeline = plan.source, plan.timeline
    spoken = float(voice.seconds)
    if timeline.frame_count <= timeline.spoken_count:
        return SoundTrack(voice.path, voice.rate, None, spoken, 0.0, spoken)
    own: Voice | None = None
    try:
        own = extract_sound_of(source, plan.folder, limits, run.cancel)
    except VoiceError as error:
        run.warn(f"the source's own sound is not heard behind the voice: {error.problem}")
    for note in () if own is None else own.notes:
        run.warn(note)
    whole, rest = float(timeline.frame_count / source.fps), None if own is None else own.path
    return SoundTrack(voice.path, voice.rate, rest, spoken, spoken + source.picture_start, whole)
