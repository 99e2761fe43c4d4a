"""LipSync.render: the one place where the stages are chained."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from musetalk.backends.automatic import BackendChoice, Pace, choose_backend
from musetalk.backends.registry import BackendRegistry
from musetalk.enhancers.registry import EnhancerRegistry
from musetalk.errors import about
from musetalk.faces.types import FaceDetector
from musetalk.frame_steps.registry import FrameStepRegistry, size_after
from musetalk.inspection.frame import FramePreview, preview_frame, with_reason
from musetalk.media.damage import note_on_decoding
from musetalk.media.probe import probe_voice, probe_wanted
from musetalk.media.types import Source
from musetalk.outputs import open_outputs, sound_of
from musetalk.pipeline.components import ComponentLoader
from musetalk.pipeline.file_uses import FileUses, input_files, output_files
from musetalk.pipeline.findings import Findings
from musetalk.pipeline.first_costs import BESIDE_NETWORKS, guessed_costs
from musetalk.pipeline.forecast import CostBook, RenderKind, Work, slowdown
from musetalk.pipeline.leased_plan import plan_leased
from musetalk.pipeline.preflight import STEPS, Preflight, check_output, run_preflight
from musetalk.pipeline.prepare import RenderPlan
from musetalk.pipeline.render import output_frames
from musetalk.pipeline.report import PeakMemory, RenderReport
from musetalk.pipeline.report_builder import report_of
from musetalk.pipeline.speech import check_phonemes
from musetalk.pipeline.weight_sets import added_sets
from musetalk.progress import CancelToken, ProgressCallback, RenderRun
from musetalk.runtime.allocator import large_buffers_kept
from musetalk.runtime.speed import matmul_rate
from musetalk.runtime.threads import bound_threads
from musetalk.settings import Limits, RenderSettings, SourceSettings
from musetalk.streaming.shared_generators import SharedGenerators
from musetalk.utils.files import cache_folder, temporary_folder
from musetalk.utils.stopping import ends_by, left_alone

if TYPE_CHECKING:
    from musetalk.avatars.bundle import Avatar
    from musetalk.streaming.session import StreamingSession
    from musetalk.streaming.types import LiveOptions

_log = logging.getLogger(__name__)


class LipSync:
    """Video and voice in, lip-synced video out. Safe to share between threads; backends are loaded once.

    Args:
        registry: The backends that settings may name.
        detector: What finds faces; None: as the settings say.
        costs: What renders have cost here; None: what this user's programs keep of it.
        own_process: Whether the process is there for this, so that it may keep memory as networks need it, and bound
            its libraries' threads: see `keep_large_buffers` and `bound_threads`.
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
        self.costs = costs or CostBook(
            cache_folder() / "costs.json", lambda kind: guessed_costs(kind, lambda: matmul_rate(kind.device))
        )
        self._loader = ComponentLoader(self.registry, detector)
        self.shared_generators = SharedGenerators()  # between live sessions

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
        settings, video, voice, out = settings or RenderSettings(), Path(video), Path(voice), Path(out)
        uses = self.files(video, voice, out, settings)
        return self._render(video, voice, out, settings, None, uses, RenderRun(on_progress, cancel))

    def create_avatar(
        self,
        source: Path,
        folder: Path,
        settings: RenderSettings | None = None,
        *,
        name: str | None = None,
        backends: Sequence[str] = (),
        on_progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> Avatar:
        """Prepare a source once, for all that it will ever speak.

        Args:
            source: A video, a picture, or a folder of pictures.
            folder: The folder to make; appears whole or not at all.
            settings: How faces are found, and the look that speaking starts from.
            name: What the avatar is called; None: as its folder.
            backends: What it is prepared for, the one first that speaks where none is named; none: that of the
                settings.
            on_progress: See `render`.
            cancel: See `render`.

        Raises:
            MuseTalkError: It cannot be done; the subclass and the text say why and what to do.
        """
        from musetalk.avatars import bundle, create, manifest  # noqa: PLC0415 - no render needs them

        settings, run = settings or RenderSettings(), RenderRun(on_progress, cancel)
        name = manifest.check_name(Path(folder).name if name is None else name)
        each = (settings.with_backend(backend) for backend in dict.fromkeys(backends or (settings.backend,)))
        wanted = [self._chosen(one, run)[0] for one in each]
        with create.create_folder(Path(folder)) as made:
            with ends_by(run.cancel.check), run.clock.measure("preflight"), about("source"):
                probed = probe_wanted(Path(source), settings.source, run.cancel)
            draft = create.AvatarDraft(probed, made, run)
            for one in wanted:
                with self._process_tuned(one.backend), self._loader.turn(one, run), ends_by(run.cancel.check):
                    self._loader.work(partial(draft.add, settings=one), one, run, draft.findings)
            draft.finish(name, wanted[0])
        return bundle.open_avatar(Path(folder))  # it is there: nothing takes it back any more

    def speak(
        self,
        avatar: Avatar,
        voice: Path,
        out: Path,
        settings: RenderSettings | None = None,
        *,
        on_progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> RenderReport:
        """Make an avatar speak `voice`, and write it to `out`: as `render` with its source, which it knows already.

        Args:
            avatar: From `create_avatar` or `open_avatar`.
            voice: Any file with sound.
            out: The file to make; see `render`.
            settings: What it should look like, from `Avatar.settings_with`; None: its own.
            on_progress: See `render`.
            cancel: See `render`.

        Raises:
            MuseTalkError: It cannot be done; the subclass and the text say why and what to do.
        """
        settings, voice, out = settings or avatar.settings, Path(voice), Path(out)
        avatar.check(settings)
        uses, run = self.files(avatar.source, voice, out, settings) + avatar.uses, RenderRun(on_progress, cancel)
        report = self._render(avatar.source, voice, out, settings, avatar.findings(settings), uses, run)
        return replace(report, avatar=avatar.name, avatar_id=avatar.id)

    def _render(
        self,
        video: Path,
        voice: Path,
        out: Path,
        settings: RenderSettings,
        findings: Findings | None,
        uses: FileUses,
        run: RenderRun,
    ) -> RenderReport:
        """Render what is at hand, with what is known of the source already."""
        check_output(out, uses, settings.output)
        settings, choice = self._chosen(settings, run, findings)
        kind = RenderKind.of(settings, self.registry)
        with self._process_tuned(settings.backend), PeakMemory() as memory, temporary_folder(out.parent) as folder:
            # 1. Probe the inputs.  2. Wait until no other render has the device.
            preflight = self._preflight(video, voice, settings, kind, folder, run, known=findings is not None)
            with self._loader.turn(settings, run, findings):
                report = self._render_in_turn(preflight, out, settings, findings, folder, run, memory)
        return report.chosen(choice.reason())

    def _render_in_turn(
        self,
        preflight: Preflight,
        out: Path,
        settings: RenderSettings,
        findings: Findings | None,
        folder: Path,
        run: RenderRun,
        memory: PeakMemory,
    ) -> RenderReport:
        """Render what was probed; on return nothing is left of what it was rendered with but what the loader keeps."""
        # 3. Load the components.  4. Plan the faces.  5. Parse them.  6. Encode the speech.
        lease, coords_dir = self._loader.lease(settings, run, findings), settings.coords_in(out.parent)
        plan_of = partial(plan_leased, preflight, lease, settings.plan, settings.finish)
        with plan_of(folder, coords_dir, run, findings) as plan:
            source, timeline = plan.source, plan.timeline
            backend = self.registry.get(settings.backend)
            sound = sound_of(plan, preflight.voice, settings.limits, run)
            with (
                open_outputs(plan, out, settings.output, sound, backend.notice, run) as outputs,
                # 7. Generate the faces.  8. Composite them.  9. Enhance them.
                closing(output_frames(plan, 0, timeline.frame_count, run)) as frames,
            ):
                run.emit("render", 0, timeline.frame_count)
                for done, frame in enumerate(frames, 1):
                    outputs.add(frame)  # 10. Encode the frames and the voice.
                    run.emit("render", done, timeline.frame_count)
                outputs.finish()
            peak = memory.mb
        for note in filter(None, (note_on_decoding(source.experience), *(findings.notes() if findings else ()))):
            run.warn(note)
        # 11. Report what was done, and what was noticed.
        report = report_of(
            plan, preflight.voice, out, backend, settings.model_dump(mode="json"), run, peak, outputs.measures
        )
        if findings is None:  # what was known already tells nothing of what renders cost
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
        weights = (*self.registry.files(models_dir), *added, *enhancer)
        return input_files(video, voice, weights, settings.captions).reading(settings.speech.phonemes, "the phonemes")

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
            seconds = self.check_voice(voice, settings.limits, settings.voice_track)
        check_phonemes(settings.speech.phonemes, seconds)
        size_after(FrameStepRegistry().chosen(settings.all_frame_steps), (source.width, source.height), settings.limits)
        return source

    def preflight(self, video: Path, voice: Path, settings: RenderSettings | None = None) -> Preflight:
        """Look at both inputs and estimate what a render will take, without rendering.

        Raises:
            MuseTalkError: The render cannot work.
        """
        settings = settings or RenderSettings()
        video, voice = Path(video), Path(voice)
        settings, _ = self._chosen(settings, RenderRun())
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
                frame_steps=settings.all_frame_steps,
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
        video, voice = Path(video), None if voice is None else Path(voice)
        with ends_by(run.cancel.check), temporary_folder(Path(tempfile.gettempdir())) as folder:
            run.emit("preflight", 0, 0)
            choice = self.choose(settings)
            settings = settings.with_backend(choice.backend)
            with self._process_tuned(settings.backend), self._loader.turn(settings, run):
                show = partial(preview_frame, video, voice, settings.plan, settings.finish, backend=settings.backend)
                look = partial(show, folder=folder, at=at, strict=strict, run=run)
                found = self._loader.work(look, settings, run)
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
        settings, _ = self._chosen(settings, run)
        kind = RenderKind.of(settings, self.registry)
        with temporary_folder(folder) as job:
            preflight = self._preflight(video, voice, settings, kind, job, run)
            lease, coords_dir = self._loader.lease(settings, run), settings.coords_in(folder)
            with (
                self._loader.turn(settings, run),
                plan_leased(preflight, lease, settings.plan, settings.finish, job, coords_dir, run) as plan,
            ):
                yield plan

    @contextmanager
    def preparing_avatar(
        self, avatar: Avatar, settings: RenderSettings, folder: Path, run: RenderRun | None = None
    ) -> Iterator[RenderPlan]:
        """Do all that comes before an avatar is given a voice: inside the `with` block it can be spoken with live.

        Args:
            avatar: The avatar.
            settings: From `Avatar.settings_with`.
            folder: An existing folder; a temporary one is made inside it and removed at the end.
            run: Progress, cancellation, timing, warnings.
        """
        from musetalk.avatars.plan import plan_avatar  # noqa: PLC0415 - no render needs it

        run = run or RenderRun()
        avatar.check(settings)
        findings = avatar.findings(settings)
        settings, _ = self._chosen(settings, run, findings)
        wanted, finish = settings.plan, settings.finish
        with temporary_folder(folder) as job, ExitStack() as leases:  # no turn on the device: live sessions share it
            with ends_by(run.cancel.check):
                components = leases.enter_context(self._loader.lease(settings, run, findings))
                plan = plan_avatar(avatar, findings, components, wanted, finish, folder=job, run=run)
            yield plan

    @contextmanager
    def live(
        self,
        avatar: Avatar,
        settings: RenderSettings | None = None,
        options: LiveOptions | None = None,
        *,
        cancel: CancelToken | None = None,
    ) -> Iterator[StreamingSession]:
        """Let an avatar speak live: inside the `with` block a voice is pushed as it arrives, and frames are taken.

        Args:
            avatar: From `create_avatar` or `open_avatar`.
            settings: What it should look like, from `Avatar.settings_with`; None: its own.
            options: Rate of the sound, look-ahead, limits; None: as usual.
            cancel: Ends the session.

        Raises:
            MuseTalkError: It cannot be done; the subclass and the text say why and what to do.
        """
        from musetalk.streaming.opening import open_session  # noqa: PLC0415 - no render needs it

        settings, run = settings or avatar.settings, RenderRun(None, cancel)
        with (
            temporary_folder(Path(tempfile.gettempdir())) as folder,
            self.preparing_avatar(avatar, settings, folder, run) as plan,
            self._process_tuned(plan.session.backend),
            open_session(plan, settings.speech, settings.silence, options, run, self.shared_generators) as session,
        ):
            yield session

    def _chosen(
        self, settings: RenderSettings, run: RenderRun, findings: Findings | None = None
    ) -> tuple[RenderSettings, BackendChoice]:
        """Name the backend of a run, tell why it is that one, and make sure that it can work."""
        with ends_by(run.cancel.check):
            choice = self.choose(settings)
            if reason := choice.reason():
                _log.info("%s", reason)
                run.emit("preflight", 0, STEPS, note=reason)
            settings = settings.with_backend(choice.backend)
            self._loader.check(settings, findings)
        return settings, choice

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
        settings: RenderSettings,
        kind: RenderKind,
        folder: Path,
        run: RenderRun,
        *,
        known: bool = False,
    ) -> Preflight:
        """Probe the inputs; the voice is extracted into `folder`. `known`: faces are neither looked for nor parsed."""
        wanted, steps = settings.inputs, settings.all_frame_steps
        with ends_by(run.cancel.check), run.clock.measure("preflight"):
            run.emit("preflight", 0, STEPS)
            costs = self.costs.known(kind) or BESIDE_NETWORKS
            if known:
                costs = costs.model_copy(update={"plan": 0.0, "parse": 0.0})
            found = run_preflight(video, voice, wanted, None, kind, costs, folder=folder, run=run, frame_steps=steps)
            check_phonemes(settings.speech.phonemes, float(found.voice.seconds))
        return found

    def _process_tuned(self, backend: str) -> AbstractContextManager[None]:
        if self._own_process:
            bound_threads()
        return large_buffers_kept(wanted=self._own_process and self.registry.get(backend).gpu is not None)
