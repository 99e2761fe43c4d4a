"""LipSync.render: the one place where the stages are chained."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from musetalk.backends.automatic import BackendChoice, Pace, choose_backend
from musetalk.backends.registry import BackendRegistry
from musetalk.enhancers.registry import EnhancerRegistry
from musetalk.errors import VoiceError, about
from musetalk.faces.types import FaceDetector
from musetalk.frame_steps.registry import FrameStepRegistry, size_after
from musetalk.inspection.debug_videos import DebugVideos
from musetalk.inspection.frame import FramePreview, preview_frame, with_reason
from musetalk.media.damage import note_on_decoding
from musetalk.media.ffmpeg_commands import SoundTrack
from musetalk.media.probe import probe_voice, probe_wanted
from musetalk.media.sound.voice import Voice, extract_sound_of
from musetalk.media.types import Source
from musetalk.media.writer import VideoWriter
from musetalk.metrics.measurer import Measurer
from musetalk.metrics.types import Measures
from musetalk.pipeline.borders import borders_in
from musetalk.pipeline.components import ComponentLoader, Components
from musetalk.pipeline.file_uses import FileUses, input_files, output_files
from musetalk.pipeline.first_costs import BESIDE_NETWORKS, guessed_costs
from musetalk.pipeline.forecast import CostBook, Costs, RenderKind, Work, slowdown
from musetalk.pipeline.newest_frame import small_jpeg
from musetalk.pipeline.preflight import STEPS, Preflight, check_output, run_preflight
from musetalk.pipeline.prepare import RenderPlan, prepare
from musetalk.pipeline.render import OutputFrame, output_frames
from musetalk.pipeline.report import PeakMemory, RenderReport
from musetalk.pipeline.report_builder import report_of
from musetalk.pipeline.weight_sets import added_sets
from musetalk.progress import CancelToken, ProgressCallback, RenderRun
from musetalk.runtime.allocator import give_memory_back, keep_large_buffers
from musetalk.runtime.speed import matmul_rate
from musetalk.settings import (
    FinishSettings,
    FrameStepChoice,
    InputSettings,
    Limits,
    OutputSettings,
    PlanSettings,
    RenderSettings,
    SourceSettings,
)
from musetalk.utils.files import cache_folder, temporary_folder
from musetalk.utils.stopping import ends_by, left_alone

_log = logging.getLogger(__name__)


class LipSync:
    """Video and voice in, lip-synced video out. Safe to share between threads; backends are loaded once.

    Args:
        registry: The backends that settings may name.
        detector: What finds faces; None: as the settings say.
        costs: What renders have cost here; None: what this user's programs keep of it.
        own_process: Whether the process is there for this, so that it may keep memory as networks need it: see
            `keep_large_buffers`.
    """

    def __init__(
        self,
        registry: BackendRegistry | None = None,
        detector: FaceDetector | None = None,
        costs: CostBook | None = None,
        *,
        own_process: bool = False,
    ) -> None:
        self.registry = registry or BackendRegistry()
        self._own_process = own_process
        self.costs = costs or CostBook(cache_folder() / "costs.json", _guess)
        self._loader = ComponentLoader(self.registry, detector)

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
        with ends_by(run.cancel.check):
            choice = self.choose(settings)
            _tell_why(choice, run)
            settings = settings.with_backend(choice.backend)
            self._loader.check(settings)
        kind = RenderKind.of(settings, self.registry)
        with self._network_memory(settings.backend), PeakMemory() as memory, temporary_folder(out.parent) as folder:
            # 1. Probe the inputs.  2. Wait until no other render has the device.
            preflight = self._preflight(video, voice, settings.inputs, settings.frame_steps, kind, folder, run)
            with self._loader.turn(settings, run):
                report = self._render_in_turn(preflight, out, settings, folder, run, memory)
        return report.chosen(choice.reason())

    @contextmanager
    def _network_memory(self, backend: str) -> Iterator[None]:
        """Keep large buffers while a backend's networks run, where the process may be changed so."""
        kept = self._own_process and self.registry.get(backend).gpu is not None and keep_large_buffers()
        try:
            yield
        finally:
            if kept:
                give_memory_back()

    def _render_in_turn(
        self,
        preflight: Preflight,
        out: Path,
        settings: RenderSettings,
        folder: Path,
        run: RenderRun,
        memory: PeakMemory,
    ) -> RenderReport:
        """Render what was probed; on return nothing is left of what it was rendered with but what the loader keeps."""
        # 3. Load the components.  4. Plan the faces.  5. Parse them.  6. Encode the speech.
        lease, coords_dir = self._loader.lease(settings, run), settings.coords_in(out.parent)
        with self._preparing(preflight, lease, settings.plan, settings.finish, folder, coords_dir, run) as plan:
            source, timeline = plan.source, plan.timeline
            backend = self.registry.get(settings.backend)
            sound = _sound(plan, preflight.voice, settings.limits, run)
            with (
                _open_outputs(plan, out, settings.output, sound, backend.notice, run) as outputs,
                # 7. Generate the faces.  8. Composite them.  9. Enhance them.
                closing(output_frames(plan, 0, timeline.frame_count, run)) as frames,
            ):
                run.emit("render", 0, timeline.frame_count)
                for done, frame in enumerate(frames, 1):
                    outputs.add(frame)  # 10. Encode the frames and the voice.
                    run.emit("render", done, timeline.frame_count)
                outputs.finish()
            peak = memory.mb
        if note := note_on_decoding(source.experience):
            run.warn(note)
        # 11. Report what was done, and what was noticed.
        report = report_of(
            plan, preflight.voice, out, backend, settings.model_dump(mode="json"), run, peak, outputs.measures
        )
        work = Work.of(source, float(timeline.frame_count / source.fps))
        self.costs.learn(work, RenderKind.of(settings, self.registry), report, planned=not plan.saved)
        return report

    def choose(self, settings: RenderSettings) -> BackendChoice:
        """Name the backend that paints with these settings: theirs, or where that is `auto`, the best for this machine.

        Which one does not depend on the inputs: with the same settings, a preview gets the same as a render.

        Raises:
            BackendError: There is none that `auto` may take.
        """

        def pace(backend: str) -> Pace:
            return self._pace(RenderKind.of(settings.with_backend(backend), self.registry))

        return left_alone(lambda: choose_backend(self.registry, settings, pace))

    def inputs(self, video: Path, voice: Path, settings: RenderSettings) -> FileUses:
        """Return which files a render reads, for callers that write files, too."""
        models_dir, model = settings.models_dir, settings.enhance.model
        added = [models_dir / file.path for files in added_sets().values() for file in files]
        enhancer = EnhancerRegistry().files(model, models_dir) if settings.enhance.wanted else ()
        return input_files(video, voice, (*self.registry.files(models_dir), *added, *enhancer))

    def files(self, video: Path, voice: Path, out: Path, settings: RenderSettings) -> FileUses:
        """Return which files a render reads and writes, for callers that write files, too, such as a report."""
        written = output_files(video, out, settings.debug_dir, settings.coords_in(out.parent))
        return self.inputs(video, voice, settings) + written

    def release(self) -> None:
        """Free the memory of loaded components; they are loaded again when needed.

        What somebody works with goes as soon as they are done.
        """
        self._loader.release()

    def check_source(self, video: Path, wanted: SourceSettings) -> Source:
        """Look at a source alone, in a moment.

        Args:
            video: The source.
            wanted: How it is read: the `source` of settings.

        Raises:
            MediaError: It cannot be used.
        """
        return probe_wanted(video, wanted)

    def check_voice(self, voice: Path, limits: Limits, track: int | None) -> float:
        """Look at a voice alone, in a moment; how many seconds it lasts, as its packets say.

        Args:
            voice: Any file with sound.
            limits: What it may ask of the machine.
            track: Which of its sound tracks is heard; None: its default one.

        Raises:
            MediaError: It cannot be used.
        """
        return float(probe_voice(voice, limits, track=track).seconds)

    def check(self, video: Path, voice: Path, settings: RenderSettings) -> Source:
        """Refuse, in a moment, what cannot be rendered: a backend that lacks something, inputs beyond the limits.

        Returns:
            What the source is.

        Raises:
            MuseTalkError: The render cannot work.
        """
        self._loader.check(settings.with_backend(self.choose(settings).backend))
        with about("source"):
            source = self.check_source(video, settings.source)
        with about("voice"):
            self.check_voice(voice, settings.limits, settings.voice_track)
        size_after(FrameStepRegistry().chosen(settings.frame_steps), (source.width, source.height), settings.limits)
        return source

    def preflight(self, video: Path, voice: Path, settings: RenderSettings | None = None) -> Preflight:
        """Look at both inputs and estimate what a render will take, without rendering.

        Raises:
            MuseTalkError: The render cannot work.
        """
        settings = settings or RenderSettings()
        settings = settings.with_backend(self.choose(settings).backend)
        self._loader.check(settings)
        kind, device = RenderKind.of(settings, self.registry), settings.network.device
        with (
            temporary_folder(Path(tempfile.gettempdir())) as folder,
            self._loader.detector(settings.detector, device, settings.models_dir) as detector,
        ):
            return run_preflight(
                video,
                voice,
                settings.inputs,
                detector,
                kind,
                self.costs.known(kind) or BESIDE_NETWORKS,
                folder=folder,
                run=RenderRun(),
                frame_steps=settings.frame_steps,
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
            choice = self.choose(settings)
            settings = settings.with_backend(choice.backend)
            with self._network_memory(settings.backend), self._loader.turn(settings, run):
                show = partial(preview_frame, video, voice, settings.plan, settings.finish, backend=settings.backend)
                look = partial(show, folder=folder, at=at, strict=strict, run=run)
                found = _leased(self._loader.lease(settings, run), look)
        return with_reason(found, choice.reason())

    @contextmanager
    def preparing(
        self, video: Path, voice: Path, settings: RenderSettings, folder: Path, run: RenderRun | None = None
    ) -> Iterator[RenderPlan]:
        """Do all that comes before painting; inside the `with` block any range of frames can be rendered.

        Args:
            video: The source.
            voice: The voice.
            settings: Of the render.
            folder: An existing folder; a temporary one is made inside it and removed at the end.
            run: Progress, cancellation, timing, warnings.
        """
        run = run or RenderRun()
        with ends_by(run.cancel.check):
            choice = self.choose(settings)
            _tell_why(choice, run)
            settings = settings.with_backend(choice.backend)
            self._loader.check(settings)
        kind = RenderKind.of(settings, self.registry)
        with temporary_folder(folder) as job:
            preflight = self._preflight(video, voice, settings.inputs, settings.frame_steps, kind, job, run)
            lease, coords_dir = self._loader.lease(settings, run), settings.coords_in(folder)
            with (
                self._loader.turn(settings, run),
                self._preparing(preflight, lease, settings.plan, settings.finish, job, coords_dir, run) as plan,
            ):
                yield plan

    def _pace(self, kind: RenderKind) -> Pace:
        """Return how quickly renders of a kind run here: as was learned, else by their work."""
        costs = self.costs.known(kind) or guessed_costs(kind, lambda: self.rate(kind.device))
        return Pace(slowdown(kind, costs), learned=costs.frames > 0)

    def rate(self, device: str) -> float:
        """Return the GFLOP/s of what networks run on."""
        return matmul_rate(device)

    def _preflight(
        self,
        video: Path,
        voice: Path,
        wanted: InputSettings,
        frame_steps: tuple[FrameStepChoice, ...],
        kind: RenderKind,
        folder: Path,
        run: RenderRun,
    ) -> Preflight:
        """Probe the inputs; the voice is extracted into `folder`."""
        with ends_by(run.cancel.check), run.clock.measure("preflight"):
            run.emit("preflight", 0, STEPS)
            costs = self.costs.known(kind) or BESIDE_NETWORKS
            return run_preflight(
                video, voice, wanted, None, kind, costs, folder=folder, run=run, frame_steps=frame_steps
            )

    @contextmanager
    def _preparing(
        self,
        preflight: Preflight,
        lease: AbstractContextManager[Components],
        wanted: PlanSettings,
        finish: FinishSettings,
        folder: Path,
        coords_dir: Path | None,
        run: RenderRun,
    ) -> Iterator[RenderPlan]:
        """Do all that comes before the first frame is generated; what it is rendered with is lent to the block."""
        with ExitStack() as leases:
            with ends_by(run.cancel.check):
                with run.clock.measure("load"):
                    components = leases.enter_context(lease)
                run.emit("preflight", STEPS, STEPS)
                plan = prepare(
                    preflight.source,
                    preflight.voice,
                    preflight.timeline,
                    components,
                    wanted,
                    finish,
                    folder=folder,
                    run=run,
                    coords_dir=coords_dir,
                )
            yield plan


def _tell_why(choice: BackendChoice, run: RenderRun) -> None:
    """Tell why a run has the backend that was chosen for it."""
    if reason := choice.reason():
        _log.info("%s", reason)
        run.emit("preflight", 0, STEPS, note=reason)


def _guess(kind: RenderKind) -> Costs:
    """Return what renders of a kind should cost on this machine."""
    return guessed_costs(kind, lambda: matmul_rate(kind.device))


def _leased(lease: AbstractContextManager[Components], work: Callable[..., FramePreview]) -> FramePreview:
    """Return what comes of work with components; of these, nothing is left here then."""
    with lease as components:
        return work(components=components)


@contextmanager
def _open_outputs(
    plan: RenderPlan, out: Path, wanted: OutputSettings, sound: SoundTrack, notice: str, run: RenderRun
) -> Iterator[_Outputs]:
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
        size=plan.output_size,
        fps=source.fps,
        sound=sound,
        color=source.output_color,
        settings=wanted.encoder,
        comment=f"MuseTalk Hybrid. {notice}".strip(),
        cancel=run.cancel,
    )
    measurer = Measurer(plan.timeline, plan.face_plan, plan.envelope) if wanted.measure else None
    with writer, _open_debug_videos(plan, wanted.debug_dir, out, sound, run) as debug_videos:
        yield _Outputs(plan, run, writer, debug_videos, measurer)


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


@dataclass(frozen=True, slots=True)
class _Outputs:
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
        self.run.show(partial(small_jpeg, frame.output))

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


def _sound(plan: RenderPlan, voice: Voice, limits: Limits, run: RenderRun) -> SoundTrack:
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
