"""The way of a render: the one place where the stages are chained."""

from __future__ import annotations

import logging
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
from musetalk.pipeline.components import ComponentLoader
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
from musetalk.pipeline.speech import check_phonemes
from musetalk.pipeline.weight_sets import added_sets, weights_read
from musetalk.progress import RenderRun
from musetalk.resume.identity import Identity, identity_of
from musetalk.resume.part_folder import PartFolder, open_part_folder, parts_of
from musetalk.resume.types import RenderParts, ResumeOptions, part_length
from musetalk.runtime.allocator import large_buffers_kept
from musetalk.runtime.speed import matmul_rate
from musetalk.runtime.threads import bound_threads
from musetalk.settings import RenderSettings
from musetalk.streaming.shared_generators import SharedGenerators
from musetalk.utils.files import cache_folder, temporary_folder
from musetalk.utils.stopping import ends_by, left_alone

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A render as it was asked for.

    Attributes:
        video, voice, out, settings: See `LipSync.render`.
        resume: How its parts are made.
        findings: What is known of the source; None: nothing.
        avatar: The id of the avatar that speaks; empty: a source is rendered.
        numbers: The parts that are made, which are not joined then; None: all, and they are.
    """

    video: Path
    voice: Path
    out: Path
    settings: RenderSettings
    resume: ResumeOptions
    findings: Findings | None = None
    avatar: str = ""
    numbers: range | None = None

    @property
    def place(self) -> Path:
        """The file beside which its parts lie."""
        return self.resume.beside or self.out

    @classmethod
    def of(
        cls, video: Path, voice: Path, out: Path, settings: RenderSettings | None, resume: ResumeOptions | None
    ) -> Wanted:
        """Take what a caller gave, or what is usual."""
        return cls(Path(video), Path(voice), Path(out), settings or RenderSettings(), resume or ResumeOptions())


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
        self._loader = ComponentLoader(self.registry, detector)
        self.shared_generators = SharedGenerators()  # between live sessions

    def _render(self, wanted: Wanted, uses: FileUses, run: RenderRun) -> tuple[RenderParts, RenderReport | None]:
        """Render what is at hand, with what is known of the source already; no report where only parts are made."""
        out, findings = wanted.out, wanted.findings
        check_output(out, uses, wanted.settings.output)
        settings, choice = self._chosen(wanted.settings, run, findings)
        kind = RenderKind.of(settings, self.registry)
        with self._process_tuned(settings.backend), PeakMemory() as memory, temporary_folder(out.parent) as folder:
            # 1. Probe the inputs.  2. Wait until no other render has the device.
            preflight = self._preflight(
                wanted.video, wanted.voice, settings, kind, folder, run, known=findings is not None
            )
            parts, identity = self._parts_of(wanted, settings, preflight, run)
            with (
                open_part_folder(
                    wanted.place,
                    parts,
                    identity,
                    shared=wanted.numbers is not None,
                    fresh=wanted.resume.fresh,
                    keep=wanted.resume.keep,
                ) as kept,
                self._loader.turn(settings, run, findings),
            ):
                report = self._render_in_turn(preflight, wanted, settings, kept, folder, run, memory)
        return kept.parts, None if report is None else report.chosen(choice.reason())

    def _render_in_turn(
        self,
        preflight: Preflight,
        wanted: Wanted,
        settings: RenderSettings,
        kept: PartFolder,
        folder: Path,
        run: RenderRun,
        memory: PeakMemory,
    ) -> RenderReport | None:
        """Render what was probed; on return nothing is left of what it was rendered with but what the loader keeps."""
        out, findings, backend = wanted.out, wanted.findings, self.registry.get(settings.backend)
        # 3. Load the components.  4. Plan the faces.  5. Parse them.  6. Encode the speech.
        lease = self._loader.lease(settings, run, findings)
        preflight = replace(preflight, kept=preflight.kept or KeptFindings(kept.folder))
        with plan_leased(preflight, lease, settings.plan, settings.finish, folder, run, findings) as plan:
            sound = None if wanted.numbers is not None else sound_of(plan, preflight.voice, settings.limits, run)
            opened = partial(open_outputs, sound=sound, threads=wanted.resume.threads, numbers=wanted.numbers)
            with opened(plan, out, settings.output, backend.notice, kept, run, peak_mb=lambda: memory.mb) as outputs:
                for stretch in outputs.parts.stretches():  # all of it, unless parts are there
                    # 7. Generate the faces.  8. Composite them.  9. Enhance them.
                    with closing(output_frames(plan, stretch.first, stretch.stop, run)) as frames:
                        outputs.parts.write(frames, stretch)  # 10. Encode them, in parts.
                if wanted.numbers is not None:
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

    def _parts_of(
        self, wanted: Wanted, settings: RenderSettings, preflight: Preflight, run: RenderRun
    ) -> tuple[RenderParts, Identity]:
        """Say of which parts a render is, and what decides what they hold; its backend is chosen."""
        options, source, voice, out = wanted.resume, preflight.source, wanted.voice, wanted.place
        length = part_length(options.part_frames, source.fps, settings.encoder)
        facts = partial(identity_of, weights=self._weights(settings), avatar=wanted.avatar, cancel=run.cancel)
        identity = facts(source, voice, out, settings, part_frames=length, threads=options.threads)
        return parts_of(out, identity, preflight.timeline.frame_count, length), identity

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
        weights, phonemes = self._weights(settings), settings.speech.phonemes
        return input_files(video, voice, weights, settings.captions).reading(phonemes, "the phonemes")

    def files(self, video: Path, voice: Path, out: Path, settings: RenderSettings) -> FileUses:
        """Return which files a render reads and writes, for callers that write files, too, such as a report."""
        written = output_files(out, settings.folders)
        return self.inputs(video, voice, settings) + written

    def weights(self, settings: RenderSettings) -> tuple[Path, ...]:
        """Return the files of weights that are here and that a render may load; its backend is named.

        Raises:
            MuseTalkError: The settings name what is not there.
        """
        return weights_read(self.registry, settings.backend, settings.components)

    def _weights(self, settings: RenderSettings) -> tuple[Path, ...]:
        """Return all files of weights that renders may read, whether they are there or not."""
        models_dir, model = settings.models_dir, settings.enhance.model
        added = [models_dir / file.path for files in added_sets().values() for file in files]
        enhancer = EnhancerRegistry().files(model, models_dir) if settings.enhance.wanted else ()
        return (*self.registry.files(models_dir), *added, *enhancer)

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
        wanted, steps, place = settings.inputs, settings.all_frame_steps, settings.folders.coords_in(folder.parent)
        kept = None if known else kept_for(place, reuse=settings.reuse_findings)
        with ends_by(run.cancel.check), run.clock.measure("preflight"):
            run.emit("preflight", 0, STEPS)
            costs = self.costs.known(kind) or BESIDE_NETWORKS
            look = partial(run_preflight, video, voice, wanted, None, kind, costs.spared(1, 1) if known else costs)
            found = look(folder=folder, run=run, frame_steps=steps, kept=kept)
            check_phonemes(settings.speech.phonemes, float(found.voice.seconds))
        return found

    def _process_tuned(self, backend: str) -> AbstractContextManager[None]:
        if self._own_process:
            bound_threads()
        return large_buffers_kept(wanted=self._own_process and self.registry.get(backend).gpu is not None)
