"""LipSync: everything that can be done with a source and a voice, by one class."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from musetalk.errors import about
from musetalk.frame_steps.registry import FrameStepRegistry, size_after
from musetalk.inspection.frame import FramePreview, preview_frame, with_reason
from musetalk.media.probe import probe_voice, probe_wanted
from musetalk.media.types import Source
from musetalk.pipeline.first_costs import BESIDE_NETWORKS
from musetalk.pipeline.forecast import RenderKind
from musetalk.pipeline.kept_findings import kept_for
from musetalk.pipeline.leased_plan import plan_leased
from musetalk.pipeline.preflight import Preflight, run_preflight
from musetalk.pipeline.prepare import RenderPlan
from musetalk.pipeline.report import RenderReport
from musetalk.pipeline.request import RenderRequest
from musetalk.pipeline.speech import check_phonemes
from musetalk.progress import CancelToken, ProgressCallback, RenderRun
from musetalk.rendering import Rendering
from musetalk.resume.types import RenderParts, ResumeOptions
from musetalk.settings import Limits, RenderSettings, SourceSettings
from musetalk.utils.files import temporary_folder
from musetalk.utils.stopping import ends_by

if TYPE_CHECKING:
    from musetalk.avatars.bundle import Avatar
    from musetalk.streaming.session import StreamingSession
    from musetalk.streaming.types import LiveOptions


class LipSync(Rendering):
    """Video and voice in, lip-synced video out. Safe to share between threads; backends are loaded once."""

    def render(
        self,
        video: Path,
        voice: Path,
        out: Path,
        settings: RenderSettings | None = None,
        *,
        on_progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
        resume: ResumeOptions | None = None,
    ) -> RenderReport:
        """Make `video` speak `voice`, and write it to `out`; go on where the same was stopped before.

        Args:
            video: A video, a picture, or a folder of pictures.
            voice: Any file with sound.
            out: The file to make (.mp4, .mov, .m4v, .mkv); appears whole or not at all.
            settings: What it should look like.
            on_progress: Called as work goes on, from this thread and from the one that paints; never from both at once.
            cancel: Ends the work within two seconds, wherever it is.
            resume: Whether to begin anew, and how parts are made; None: as usual.

        Raises:
            MuseTalkError: It cannot be done; the subclass and the text say why and what to do.
        """
        request = RenderRequest(Path(video), Path(voice), settings or RenderSettings())
        return self.make(request, out, resume=resume, on_progress=on_progress, cancel=cancel)

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
        from musetalk.avatars.settings import kept_values  # noqa: PLC0415

        settings, run = settings or RenderSettings(), RenderRun(on_progress, cancel)
        name = manifest.check_name(Path(folder).name if name is None else name)
        each = (settings.with_backend(backend) for backend in dict.fromkeys(backends or (settings.backend,)))
        wanted = [self._chosen(one, run)[0] for one in each]
        with create.create_folder(Path(folder)) as made:
            with ends_by(run.cancel.check), run.clock.measure("preflight"), about("source"):
                probed = probe_wanted(Path(source), settings.source, run.cancel)
            draft = create.AvatarDraft(probed, made, run)
            for one in wanted:
                with ends_by(run.cancel.check):  # what was found for one before it is known by now
                    components = self._loader.check(one, draft.findings)
                with self._buffers_kept(one.backend), self._loader.turn(components, run), ends_by(run.cancel.check):
                    add = partial(
                        draft.add, backend=one.backend, wanted=one.plan, finish=one.finish, seed=one.network.seed
                    )
                    self._loader.work(add, components, run)
            draft.finish(name, kept_values(wanted[0]))
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
        resume: ResumeOptions | None = None,
    ) -> RenderReport:
        """Make an avatar speak `voice`, and write it to `out`: as `render` with its source, which it knows already.

        Args:
            avatar: From `create_avatar` or `open_avatar`.
            voice: Any file with sound.
            out: The file to make; see `render`.
            settings: What it should look like, from `Avatar.settings_with`; None: its own.
            on_progress: See `render`.
            cancel: See `render`.
            resume: See `render`.

        Raises:
            MuseTalkError: It cannot be done; the subclass and the text say why and what to do.
        """
        request = RenderRequest.of_avatar(avatar, Path(voice), settings)
        return self.make(request, out, resume=resume, on_progress=on_progress, cancel=cancel)

    def parts(
        self,
        video: Path,
        voice: Path,
        out: Path,
        settings: RenderSettings | None = None,
        *,
        resume: ResumeOptions | None = None,
    ) -> RenderParts:
        """Say of which parts a render is, so that several processes can each make some by `render_parts`.

        Args:
            video: See `render`.
            voice: See `render`.
            out: See `render`.
            settings: See `render`.
            resume: The same for all who make parts of one render.

        Raises:
            MuseTalkError: The render cannot work.
        """
        request = RenderRequest(Path(video), Path(voice), settings or RenderSettings())
        return self.parts_of(request, out, resume=resume)

    def render_parts(
        self,
        video: Path,
        voice: Path,
        out: Path,
        settings: RenderSettings | None = None,
        *,
        numbers: range,
        resume: ResumeOptions | None = None,
        on_progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> RenderParts:
        """Make some parts of a render, as far as they are not there; `render` then makes what is missing, and joins.

        Any number of processes may do so at the same time, if they see the same folder and come to the same key.

        Args:
            video: See `render`.
            voice: See `render`.
            out: The file that `render` will make; the parts lie beside it.
            settings: See `render`.
            numbers: The parts, from 0; those beyond the last one are passed over.
            resume: The same for all who make parts of one render.
            on_progress: See `render`; counts the frames of these parts.
            cancel: See `render`.

        Returns:
            All parts of the render, as they were found to be once the source was decoded.

        Raises:
            MuseTalkError: It cannot be done; the subclass and the text say why and what to do.
        """
        request = RenderRequest(Path(video), Path(voice), settings or RenderSettings())
        return self.make_parts(request, out, numbers=numbers, resume=resume, on_progress=on_progress, cancel=cancel)

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

    def check(self, request: RenderRequest) -> Source:
        """Refuse, in a moment, what cannot be rendered: a backend that lacks something, inputs beyond the limits.

        Returns:
            What the source is.

        Raises:
            MuseTalkError: The render cannot work.
        """
        settings = request.settings
        self._loader.check(settings.with_backend(self.choose(settings).backend))
        with about("source"):
            source = self.check_source(request.video, settings.source)
        with about("voice"):
            seconds = self.check_voice(request.voice, settings.limits, settings.voice_track)
        check_phonemes(settings.speech.phonemes, seconds)
        size_after(FrameStepRegistry().chosen(settings.all_frame_steps), (source.width, source.height), settings.limits)
        return source

    def preflight(self, request: RenderRequest) -> Preflight:
        """Look at both inputs and estimate what a render will take, without rendering.

        Raises:
            MuseTalkError: The render cannot work.
        """
        settings, _, _ = self._chosen(request.settings, RenderRun())
        kind, device = RenderKind.of(settings, self.registry), settings.network.device
        with (
            temporary_folder(Path(tempfile.gettempdir())) as folder,
            self._loader.detector(settings.detector, device, settings.models_dir) as detector,
        ):
            return run_preflight(
                request.video,
                request.voice,
                settings.inputs,
                detector,
                kind,
                self.costs.known(kind) or BESIDE_NETWORKS,
                folder=folder,
                run=RenderRun(),
                frame_steps=settings.all_frame_steps,
                kept=kept_for(settings.folders.coords_in(Path()), reuse=settings.reuse_findings),
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
            components = self._loader.check(settings)
            with self._buffers_kept(settings.backend), self._loader.turn(components, run):
                show = partial(preview_frame, video, voice, settings.plan, settings.finish, backend=settings.backend)
                look = partial(show, folder=folder, at=at, strict=strict, run=run)
                found = self._loader.work(look, components, run)
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
        settings, components, _ = self._chosen(settings, run)
        with temporary_folder(folder) as job:
            preflight = self._preflight(RenderRequest(video, voice, settings), job, run)
            lease = self._loader.lease(components, run)
            plan_of = partial(plan_leased, preflight, lease, settings.plan, settings.finish)
            with self._loader.turn(components, run), plan_of(job, run) as plan:
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
        findings = avatar.findings(settings.network.seed, settings.face)
        settings, chosen, _ = self._chosen(settings, run, findings)
        wanted, finish = settings.plan, settings.finish
        with temporary_folder(folder) as job, ExitStack() as leases:  # no turn on the device: live sessions share it
            with ends_by(run.cancel.check):
                components = leases.enter_context(self._loader.lease(chosen, run))
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
            self._buffers_kept(plan.session.backend),
            open_session(plan, settings.speech, settings.silence, options, run, self.shared_generators) as session,
        ):
            yield session
