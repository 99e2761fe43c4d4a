"""The way of a render: the one place where the stages are chained."""

from __future__ import annotations

import logging
import tempfile
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from musetalk.backends.automatic import BackendChoice, Pace, choose_backend
from musetalk.backends.registry import BackendRegistry
from musetalk.enhancers.registry import EnhancerRegistry
from musetalk.faces.types import FaceDetector
from musetalk.media.damage import note_on_decoding
from musetalk.outputs import open_outputs, sound_of
from musetalk.pipeline.components import ComponentChoice, ComponentLoader
from musetalk.pipeline.file_uses import FileUses, input_files, output_files
from musetalk.pipeline.findings import Findings
from musetalk.pipeline.first_costs import BESIDE_NETWORKS, guessed_costs
from musetalk.pipeline.forecast import CostBook, RenderKind, Work, slowdown
from musetalk.pipeline.kept_findings import KeptFindings, kept_for
from musetalk.pipeline.leased_plan import plan_leased
from musetalk.pipeline.preflight import STEPS, Preflight, check_output, run_preflight
from musetalk.pipeline.render import output_frames
from musetalk.pipeline.report import PeakMemory, RenderReport
from musetalk.pipeline.report_builder import report_of
from musetalk.pipeline.request import RenderRequest
from musetalk.pipeline.speech import check_phonemes
from musetalk.pipeline.weight_sets import added_sets, weights_read
from musetalk.progress import CancelToken, ProgressCallback, RenderRun, noop
from musetalk.resume.identity import Identity, identity_of
from musetalk.resume.part_folder import PartFolder, open_part_folder, parts_of
from musetalk.resume.types import RenderParts, ResumeOptions, part_length
from musetalk.runtime.allocator import large_buffers_kept
from musetalk.runtime.speed import matmul_rate
from musetalk.runtime.threads import bound_threads
from musetalk.settings import ComponentSettings, EnhanceSettings, RenderSettings
from musetalk.streaming.shared_generators import SharedGenerators
from musetalk.utils.files import cache_folder, temporary_folder
from musetalk.utils.stopping import ends_by, left_alone

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RenderCall:
    """A request, with where its video goes and how.

    Attributes:
        request: What is asked for.
        out: The file to make.
        resume: How its parts are made.
        findings: What is known of the source; None: nothing.
        numbers: The parts that are made, which are not joined then; None: all, and they are.
    """

    request: RenderRequest
    out: Path
    resume: ResumeOptions
    findings: Findings | None = None
    numbers: range | None = None

    @property
    def settings(self) -> RenderSettings:
        """What it should look like."""
        return self.request.settings

    @property
    def place(self) -> Path:
        """The file beside which its parts lie."""
        return self.resume.beside or self.out

    @classmethod
    def of(
        cls, request: RenderRequest, out: Path, resume: ResumeOptions | None, numbers: range | None = None
    ) -> RenderCall:
        """Take what a caller gave, or what is usual; and what is known of an avatar."""
        avatar, settings = request.avatar, request.settings
        findings = None if avatar is None else avatar.findings(settings.network.seed, settings.face)
        return cls(request, Path(out), resume or ResumeOptions(), findings, numbers)


class Rendering:
    """What renders work with: backends, what they load, what they have cost. Safe to share between threads.

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
        self._loader = ComponentLoader(self.registry, detector, bound_threads if own_process else noop)
        self.shared_generators = SharedGenerators()  # between live sessions

    def make(
        self,
        request: RenderRequest,
        out: Path,
        *,
        resume: ResumeOptions | None = None,
        on_progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> RenderReport:
        """Make the video that is asked for; go on where the same was stopped before.

        Args:
            request: What is asked for.
            out: The file to make (.mp4, .mov, .m4v, .mkv); appears whole or not at all.
            resume: Whether to begin anew, and how parts are made; None: as usual.
            on_progress: Called as work goes on, from this thread and from the one that paints; never from both at once.
            cancel: Ends the work within two seconds, wherever it is.

        Raises:
            MuseTalkError: It cannot be done; the subclass and the text say why and what to do.
        """
        _, report = self._render(RenderCall.of(request, out, resume), RenderRun(on_progress, cancel))
        assert report is not None  # noqa: S101 - all of it was wanted
        avatar = request.avatar
        return report if avatar is None else replace(report, avatar=avatar.name, avatar_id=avatar.id)

    def make_parts(
        self,
        request: RenderRequest,
        out: Path,
        *,
        numbers: range,
        resume: ResumeOptions | None = None,
        on_progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> RenderParts:
        """Make some parts of a video, as far as they are not there; see `LipSync.render_parts`."""
        return self._render(RenderCall.of(request, out, resume, numbers), RenderRun(on_progress, cancel))[0]

    def parts_of(self, request: RenderRequest, out: Path, *, resume: ResumeOptions | None = None) -> RenderParts:
        """Say of which parts a video is; see `LipSync.parts`."""
        call, run = RenderCall.of(request, out, resume), RenderRun()
        call, _, _ = self._chosen_for(call, run)
        with temporary_folder(Path(tempfile.gettempdir())) as folder:
            preflight = self._preflight(call.request, folder, run)
        return self._parts_of(call, preflight, run)[0]

    def _render(self, call: RenderCall, run: RenderRun) -> tuple[RenderParts, RenderReport | None]:
        """Render what is at hand, with what is known of the source already; no report where only parts are made."""
        out, known = call.out, call.findings is not None
        check_output(out, self.files(call.request, out), call.settings.output)
        call, components, choice = self._chosen_for(call, run)
        with self._buffers_kept(call.settings.backend), PeakMemory() as memory, temporary_folder(out.parent) as folder:
            # 1. Probe the inputs.  2. Wait until no other render has the device.
            preflight = self._preflight(call.request, folder, run, known=known)
            parts, identity = self._parts_of(call, preflight, run)
            with (
                open_part_folder(
                    call.place,
                    parts,
                    identity,
                    shared=call.numbers is not None,
                    fresh=call.resume.fresh,
                    keep=call.resume.keep,
                ) as kept,
                self._loader.turn(components, run),
            ):
                report = self._render_in_turn(call, components, preflight, kept, folder, run, memory)
        return kept.parts, None if report is None else report.chosen(choice.reason())

    def _render_in_turn(
        self,
        call: RenderCall,
        components: ComponentChoice,
        preflight: Preflight,
        kept: PartFolder,
        folder: Path,
        run: RenderRun,
        memory: PeakMemory,
    ) -> RenderReport | None:
        """Render what was probed; on return nothing is left of what it was rendered with but what the loader keeps."""
        out, settings, findings = call.out, call.settings, call.findings
        backend = self.registry.get(settings.backend)
        # 3. Load the components.  4. Plan the faces.  5. Parse them.  6. Encode the speech.
        lease = self._loader.lease(components, run)
        preflight = replace(preflight, kept=preflight.kept or KeptFindings(kept.folder))
        with plan_leased(preflight, lease, settings.plan, settings.finish, folder, run, findings) as plan:
            sound = None if call.numbers is not None else sound_of(plan, preflight.voice, settings.limits, run)
            opened = partial(open_outputs, sound=sound, threads=call.resume.threads, numbers=call.numbers)
            with opened(plan, out, settings.output, backend.notice, kept, run, peak_mb=lambda: memory.mb) as outputs:
                for stretch in outputs.parts.stretches():  # all of it, unless parts are there
                    # 7. Generate the faces.  8. Composite them.  9. Enhance them.
                    with closing(output_frames(plan, stretch.first, stretch.stop, run)) as frames:
                        outputs.parts.write(frames, stretch)  # 10. Encode them, in parts.
                if call.numbers is not None:
                    return None
                outputs.parts.join()  # 11. Join the parts and the voice.
            peak = memory.mb
        for note in filter(None, (note_on_decoding(plan.source.experience), *(findings.notes() if findings else ()))):
            run.warn(note)
        # 12. Report what was done, and what was noticed.
        report = report_of(
            plan, preflight.voice, out, backend, settings.model_dump(mode="json"), run, peak, outputs.measures
        ).with_resumed(outputs.parts.resumed)
        if findings is None and report.resumed is None:  # what was known already tells nothing of what renders cost
            work = Work.of(plan.source, float(plan.timeline.frame_count / plan.source.fps))
            self.costs.learn(work, RenderKind.of(settings, self.registry), report)
        return report

    def _parts_of(self, call: RenderCall, preflight: Preflight, run: RenderRun) -> tuple[RenderParts, Identity]:
        """Say of which parts a render is, and what decides what they hold; its backend is chosen."""
        source, options, settings = preflight.source, call.resume, call.settings
        length = part_length(options.part_frames, source.fps, settings.encoder)
        weights = self._weights(settings.models_dir, settings.enhance)
        facts = partial(identity_of, weights=weights, part_frames=length, threads=options.threads, cancel=run.cancel)
        identity = facts(source, call.request, call.place)
        return parts_of(call.place, identity, preflight.timeline.frame_count, length), identity

    def choose(self, settings: RenderSettings) -> BackendChoice:
        """Name the backend that paints with these settings: theirs, or where that is `auto`, the best for this machine.

        Which one does not depend on the inputs: with the same settings, a preview gets the same as a render.

        Raises:
            BackendError: There is none that `auto` may take.
        """

        def pace(backend: str) -> Pace:
            return self._pace(RenderKind.of(settings.with_backend(backend), self.registry))

        return left_alone(lambda: choose_backend(self.registry, settings, pace))

    def inputs(self, request: RenderRequest) -> FileUses:
        """Return which files a render reads, for callers that write files, too."""
        settings = request.settings
        weights, phonemes = self._weights(settings.models_dir, settings.enhance), settings.speech.phonemes
        read = input_files(request.video, request.voice, weights, settings.captions).reading(phonemes, "the phonemes")
        return read if request.avatar is None else read + request.avatar.uses

    def files(self, request: RenderRequest, out: Path) -> FileUses:
        """Return which files a render reads and writes, for callers that write files, too, such as a report."""
        return self.inputs(request) + output_files(out, request.settings.folders)

    def weights(self, backend: str, wanted: ComponentSettings) -> tuple[Path, ...]:
        """Return the files of weights that are here and that a render may load.

        Args:
            backend: What paints.
            wanted: What else is loaded: the `components` of settings.

        Raises:
            MuseTalkError: They name what is not there.
        """
        return weights_read(self.registry, backend, wanted)

    def _weights(self, models_dir: Path, enhance: EnhanceSettings) -> tuple[Path, ...]:
        """Return all files of weights that renders may read, whether they are there or not."""
        added = [models_dir / file.path for files in added_sets().values() for file in files]
        enhancer = EnhancerRegistry().files(enhance.model, models_dir) if enhance.wanted else ()
        return (*self.registry.files(models_dir), *added, *enhancer)

    def _chosen_for(self, call: RenderCall, run: RenderRun) -> tuple[RenderCall, ComponentChoice, BackendChoice]:
        """Name the backend of a call; see `_chosen`."""
        settings, components, choice = self._chosen(call.settings, run, call.findings)
        return replace(call, request=replace(call.request, settings=settings)), components, choice

    def _chosen(
        self, settings: RenderSettings, run: RenderRun, findings: Findings | None = None
    ) -> tuple[RenderSettings, ComponentChoice, BackendChoice]:
        """Name the backend of a run, tell why it is that one, and make sure that all of it can work."""
        with ends_by(run.cancel.check):
            choice = self.choose(settings)
            if reason := choice.reason():
                _log.info("%s", reason)
                run.emit("preflight", 0, STEPS, note=reason)
            settings = settings.with_backend(choice.backend)
            components = self._loader.check(settings, findings)
        return settings, components, choice

    def _pace(self, kind: RenderKind) -> Pace:
        """Return how quickly renders of a kind run here: as was learned, else by their work."""
        costs = self.costs.known(kind) or guessed_costs(kind, lambda: self.rate(kind.device))
        return Pace(slowdown(kind, costs), learned=costs.frames > 0)

    def rate(self, device: str) -> float:
        """Return the GFLOP/s of what networks run on."""
        return matmul_rate(device)

    def _preflight(self, request: RenderRequest, folder: Path, run: RenderRun, *, known: bool = False) -> Preflight:
        """Probe the inputs; the voice is extracted into `folder`. `known`: faces are neither looked for nor parsed."""
        settings = request.settings
        kind, place = RenderKind.of(settings, self.registry), settings.folders.coords_in(folder.parent)
        kept = None if known else kept_for(place, reuse=settings.reuse_findings)
        with ends_by(run.cancel.check), run.clock.measure("preflight"):
            run.emit("preflight", 0, STEPS)
            costs = self.costs.known(kind) or BESIDE_NETWORKS
            costs = costs.spared(1, 1) if known else costs
            look = partial(run_preflight, request.video, request.voice, settings.inputs, None, kind, costs)
            found = look(folder=folder, run=run, frame_steps=settings.all_frame_steps, kept=kept)
            check_phonemes(settings.speech.phonemes, float(found.voice.seconds))
        return found

    def _buffers_kept(self, backend: str) -> AbstractContextManager[None]:
        return large_buffers_kept(wanted=self._own_process and self.registry.get(backend).gpu is not None)
