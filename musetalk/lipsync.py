"""LipSync.render: the one place where the stages are chained."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from musetalk.backends.registry import BackendRegistry
from musetalk.enhancers.registry import restorer_file
from musetalk.errors import VoiceError, about
from musetalk.faces.types import FaceDetector
from musetalk.inspection.debug_videos import DebugVideos
from musetalk.inspection.frame import FramePreview, preview_frame
from musetalk.media.damage import note_on_decoding
from musetalk.media.ffmpeg_commands import SoundTrack
from musetalk.media.probe import probe_voice, probe_wanted
from musetalk.media.sound.voice import Voice, extract_sound_of
from musetalk.media.types import Source
from musetalk.media.writer import VideoWriter
from musetalk.metrics.measurer import Measurer
from musetalk.metrics.types import Measures
from musetalk.pipeline.borders import painted_borders
from musetalk.pipeline.components import Workshop
from musetalk.pipeline.file_uses import FileUses, input_files, output_files
from musetalk.pipeline.newest_frame import small_jpeg
from musetalk.pipeline.preflight import STEPS, Preflight, check_output, run_preflight
from musetalk.pipeline.prepare import Preparation, prepare
from musetalk.pipeline.render import finished_frames
from musetalk.pipeline.report import PeakMemory, RenderReport
from musetalk.pipeline.report_builder import report_of
from musetalk.progress import CancelToken, ProgressCallback, RenderRun
from musetalk.settings import RenderSettings
from musetalk.utils.files import temporary_folder
from musetalk.utils.stopping import ends_by


class LipSync:
    """Video and voice in, lip-synced video out. Safe to share between threads; backends are loaded once.

    Args:
        registry: The backends that settings may name.
        detector: What finds faces; None: as the settings say.
    """

    def __init__(self, registry: BackendRegistry | None = None, detector: FaceDetector | None = None) -> None:
        self.registry = registry or BackendRegistry()
        self._workshop = Workshop(self.registry, detector)

    def render(
        self,
        video: Path,
        voice: Path,
        out: Path,
        settings: RenderSettings | None = None,
        *,
        on_progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> RenderReport:
        """Make `video` speak `voice`, and write it to `out`.

        Args:
            video: A video, a picture, or a folder of pictures.
            voice: Any file with sound.
            out: The file to make (.mp4, .mov, .m4v, .mkv); appears whole or not at all.
            settings: What it should look like.
            on_progress: Called as work goes on, from this thread and from the one that paints; never from both at once.
            cancel: Ends the work within two seconds, wherever it is.

        Raises:
            MuseTalkError: It cannot be done; the subclass and the text say why and what to do.
        """
        settings = settings or RenderSettings()
        run = RenderRun(on_progress, cancel)
        video, voice, out = Path(video), Path(voice), Path(out)
        check_output(out, self.files(video, voice, out, settings), settings.encoder)
        with PeakMemory() as memory, self.preparing(video, voice, settings, out.parent, run) as preparation:
            measures = self._write(preparation, out, run)
            peak = memory.mb
        if note := note_on_decoding(preparation.source.experience):
            run.warn(note)
        return report_of(preparation, out, self.registry.get(settings.backend), run, peak, measures)

    def inputs(self, video: Path, voice: Path, settings: RenderSettings) -> FileUses:
        """Which files a render reads, for whoever writes beside it."""
        restorer = [restorer_file(settings)] if settings.enhance.wanted else []
        return input_files(video, voice, (*self.registry.files(settings.models_dir), *restorer))

    def files(self, video: Path, voice: Path, out: Path, settings: RenderSettings) -> FileUses:
        """Which files a render reads and writes, for whoever writes beside it: a report, for instance."""
        return self.inputs(video, voice, settings) + output_files(video, out, settings)

    def release(self) -> None:
        """Let go of what renders were made with, for others to have the memory; it is loaded again when needed."""
        self._workshop.release()

    def check_source(self, video: Path, settings: RenderSettings) -> Source:
        """Look at a source alone, in a moment.

        Raises:
            MediaError: It cannot be used.
        """
        return probe_wanted(video, settings)

    def check_voice(self, voice: Path, settings: RenderSettings) -> float:
        """Look at a voice alone, in a moment; how many seconds it lasts, as its packets say.

        Raises:
            MediaError: It cannot be used.
        """
        return float(probe_voice(voice, settings.limits, track=settings.voice_track).seconds)

    def check(self, video: Path, voice: Path, settings: RenderSettings) -> Source:
        """Refuse, in a moment, what cannot be rendered: a backend that lacks something, inputs beyond the limits.

        Returns:
            What the source is.

        Raises:
            MuseTalkError: The render cannot work.
        """
        self._workshop.ready(settings)
        with about("source"):
            source = self.check_source(video, settings)
        with about("voice"):
            self.check_voice(voice, settings)
        return source

    def preflight(self, video: Path, voice: Path, settings: RenderSettings | None = None) -> Preflight:
        """Look at both inputs and estimate what a render will take, without rendering.

        Raises:
            MuseTalkError: The render cannot work.
        """
        settings = settings or RenderSettings()
        self._workshop.ready(settings)
        with temporary_folder(Path(tempfile.gettempdir())) as folder:
            return run_preflight(
                video, voice, settings, self._workshop.detector(settings), folder=folder, run=RenderRun()
            )

    def preview_frame(
        self,
        video: Path,
        voice: Path | None,
        settings: RenderSettings | None = None,
        *,
        at: float | None = None,
        strict: bool = False,
        on_progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> FramePreview:
        """Show what a render would make of one frame; see `frame_preview.preview_frame`.

        Raises:
            MuseTalkError: The render cannot work.
        """
        settings, run = settings or RenderSettings(), RenderRun(on_progress, cancel)
        with ends_by(run.cancel.check), temporary_folder(Path(tempfile.gettempdir())) as folder:
            run.emit("preflight", 0, 0)
            self._workshop.ready(settings)
            equipment = self._workshop.equip(settings)
            return preview_frame(
                video, voice, settings, equipment=equipment, folder=folder, at=at, strict=strict, run=run
            )

    @contextmanager
    def preparing(
        self, video: Path, voice: Path, settings: RenderSettings, folder: Path, run: RenderRun | None = None
    ) -> Iterator[Preparation]:
        """Do all that comes before painting; inside the `with` block any range of frames can be rendered.

        Args:
            video: The source.
            voice: The voice.
            settings: Of the render.
            folder: An existing folder; a temporary one is made inside it and removed at the end.
            run: Progress, cancellation, timing, warnings.
        """
        run = run or RenderRun()
        coords_dir = settings.coords_dir or folder / "coords"
        with ends_by(run.cancel.check):
            self._workshop.ready(settings)
            detector = self._workshop.detector(settings)
        with temporary_folder(folder) as job:
            with ends_by(run.cancel.check):
                with run.clock.measure("preflight"):
                    run.emit("preflight", 0, STEPS)
                    preflight = run_preflight(video, voice, settings, detector, folder=job, run=run)
                with run.clock.measure("load"):
                    equipment = self._workshop.equip(settings)
                run.emit("preflight", STEPS, STEPS)
                preparation = prepare(preflight, equipment, settings, folder=job, coords_dir=coords_dir, run=run)
            yield preparation

    def _write(self, preparation: Preparation, out: Path, run: RenderRun) -> Measures | None:
        source, timeline, settings = preparation.source, preparation.timeline, preparation.settings
        measurer = Measurer(timeline, preparation.plan, preparation.envelope) if settings.measure else None
        sound = _sound(preparation, run)
        writer = VideoWriter(
            out,
            folder=preparation.folder,
            size=(source.width, source.height),
            fps=source.fps,
            sound=sound,
            color=source.output_color,
            settings=preparation.settings.encoder,
            comment=f"MuseTalk Hybrid. {self.registry.get(preparation.settings.backend).notice}".strip(),
            cancel=run.cancel,
        )
        run.emit("render", 0, timeline.frame_count)
        with (
            writer,
            _debugging(preparation, out, sound, run) as debugging,
            closing(finished_frames(preparation, 0, timeline.frame_count, run)) as frames,
        ):
            for done, frame in enumerate(frames, 1):
                with run.clock.measure("encode"):
                    writer.write(frame.picture)
                if measurer is not None and frame.source is not None:
                    with run.clock.measure("measure"):
                        measurer.add(frame.number, frame.picture, frame.source, frame.masks)
                if debugging is not None:
                    debugging.add(frame)
                run.show(partial(small_jpeg, frame.picture))
                run.emit("render", done, timeline.frame_count)
            with run.clock.measure("finish"):
                run.emit("finish", 0, 1)
                if debugging is not None:
                    debugging.finish()
                writer.finish()
        run.emit("finish", 1, 1)
        if measurer is None:
            return None
        spec = preparation.generator.spec
        stride = spec.stride_at(source.fps)
        return measurer.result(painted_borders(preparation.segments, spec, stride, run.fallbacks))


@contextmanager
def _debugging(preparation: Preparation, out: Path, sound: SoundTrack, run: RenderRun) -> Iterator[DebugVideos | None]:
    """What shows crops and masks of the whole render, where the settings ask for it."""
    folder = preparation.settings.debug_dir
    if folder is None:
        yield None
        return
    source = preparation.source
    faces = max((len(segment.tracks) for segment in preparation.segments), default=0)
    with DebugVideos(folder, out.stem, source=source, faces=faces, sound=sound, cancel=run.cancel) as videos:
        yield videos


def _sound(preparation: Preparation, run: RenderRun) -> SoundTrack:
    """What is heard: the voice, and behind it the source's own sound, if the source goes on there."""
    source, timeline, voice = preparation.source, preparation.timeline, preparation.voice
    spoken = float(voice.seconds)
    if timeline.frame_count <= timeline.spoken_count:
        return SoundTrack(voice.path, voice.rate, None, spoken, 0.0, spoken)
    own: Voice | None = None
    try:
        own = extract_sound_of(source, preparation.folder, preparation.settings.limits, run.cancel)
    except VoiceError as error:
        run.warn(f"the source's own sound is not heard behind the voice: {error.problem}")
    for note in () if own is None else own.notes:
        run.warn(note)
    whole, rest = float(timeline.frame_count / source.fps), None if own is None else own.path
    return SoundTrack(voice.path, voice.rate, rest, spoken, spoken + source.picture_start, whole)
