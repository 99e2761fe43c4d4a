"""What a render writes: the video with its sound, and measures and debug videos where they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from musetalk.errors import VoiceError
from musetalk.inspection.debug_videos import DebugVideos
from musetalk.media.ffmpeg_commands import SoundTrack
from musetalk.media.sound.voice import Voice, extract_sound_of
from musetalk.media.writer import VideoWriter
from musetalk.metrics.measurer import Measurer
from musetalk.metrics.types import Measures
from musetalk.pipeline.borders import borders_in
from musetalk.pipeline.newest_frame import small_jpeg
from musetalk.pipeline.prepare import RenderPlan
from musetalk.pipeline.render import OutputFrame
from musetalk.progress import RenderRun
from musetalk.settings import Limits, OutputSettings


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a render writes: the video, and measures and debug videos where the settings ask for them."""

    plan: RenderPlan
    run: RenderRun
    writer: VideoWriter
    debug_videos: DebugVideos | None
    measurer: Measurer | None

    def add(self, frame: OutputFrame) -> None:
        """Write the next frame."""
        with self.run.clock.measure("encode"):
            self.writer.write(frame.output)
        if self.measurer is not None and frame.source is not None:
            with self.run.clock.measure("measure"):
                self.measurer.add(frame.number, frame.picture, frame.source, frame.masks)
        if self.debug_videos is not None:
            self.debug_videos.add(frame)
        self.run.show(lambda: small_jpeg(frame.output.rgb()))

    def finish(self) -> None:
        """Let the files appear, whole."""
        with self.run.clock.measure("finish"):
            self.run.emit("finish", 0, 1)
            if self.debug_videos is not None:
                self.debug_videos.finish()
            self.writer.finish()
        self.run.emit("finish", 1, 1)

    @property
    def measures(self) -> Measures | None:
        """Of the result; None: nobody asked for them."""
        return None if self.measurer is None else self.measurer.result(borders_in(self.plan, self.run.fallbacks))


@contextmanager
def open_outputs(
    plan: RenderPlan, out: Path, wanted: OutputSettings, sound: SoundTrack, notice: str, run: RenderRun
) -> Iterator[Outputs]:
    """Open what a render writes; left without `finish`, no file appears.

    Args:
        plan: Of the render.
        out: The file to make.
        wanted: What is to be made of the frames.
        sound: What is heard.
        notice: What the result has to be labelled with; empty: nothing.
        run: Progress, timing, warnings.
    """
    source = plan.source
    writer = VideoWriter(
        out,
        folder=plan.folder,
        layout=plan.output_layout,
        fps=source.fps,
        sound=sound,
        color=source.output_color,
        settings=wanted.encoder,
        captions=wanted.captions,
        comment=f"MuseTalk Hybrid. {notice}".strip(),
        cancel=run.cancel,
    )
    measurer = Measurer(plan.timeline, plan.face_plan, plan.envelope) if wanted.measure else None
    with writer, _open_debug_videos(plan, wanted.debug_dir, out, sound, run) as debug_videos:
        yield Outputs(plan, run, writer, debug_videos, measurer)


@contextmanager
def _open_debug_videos(
    plan: RenderPlan, folder: Path | None, out: Path, sound: SoundTrack, run: RenderRun
) -> Iterator[DebugVideos | None]:
    """Open what shows crops and masks of the whole render in a folder, if there is one."""
    if folder is None:
        yield None
        return
    faces = max((len(segment.tracks) for segment in plan.segments), default=0)
    with DebugVideos(folder, out.stem, source=plan.source, faces=faces, sound=sound, cancel=run.cancel) as videos:
        yield videos


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
