"""The same engine on a Hugging Face Space whose GPU is lent by the second (ZeroGPU)."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import math
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from musetalk.backends.spec import ConfiguredBackend, GpuCost
from musetalk.errors import LimitError
from musetalk.faces.detection.registry import DetectorRegistry, name_without_torch
from musetalk.inspection.frame import with_reason
from musetalk.lipsync import LipSync
from musetalk.pipeline.file_uses import input_files, output_files
from musetalk.pipeline.first_costs import LENT_GPU_RATE
from musetalk.pipeline.forecast import RenderKind, Work
from musetalk.pipeline.preflight import Preflight, check_output
from musetalk.pipeline.report import RenderReport
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken, ProgressCallback, ProgressEvent, noop
from musetalk.resume.types import ResumeOptions
from musetalk.settings import AUTO, PARSED_SHAPES, DetectorSettings, EnhanceSettings, MaskSettings, RenderSettings
from musetalk.utils.files import put_in_place, temporary_folder
from musetalk.webui.zerogpu.worker import Gpu, LentGpu, PreviewOrder, RenderOrder

if TYPE_CHECKING:
    from musetalk.inspection.frame import FramePreview

MAX_GPU_SECONDS = 300
_MARGIN = 1.25  # a process that overruns the time asked for is killed; what it does not use costs nothing
_BEGINNING_SECONDS = 5.0  # until CUDA runs in a new process, and the inputs are looked at again there
_PREVIEW_FRAMES = 16  # the longest clip a backend paints at once
_PREVIEW_SECONDS = 10.0  # to look for the face and hear the voice
_ENHANCER_COST = GpuCost(start_seconds=5.0, seconds_per_frame=0.06)  # besides, a guess
_FACES_COST = GpuCost(start_seconds=5.0, seconds_per_frame=0.02)  # of S3FD or face parsing alone
_log = logging.getLogger(__name__)


class ZeroGpuEngine(LipSync):
    """An engine that borrows a GPU for the backends that need one, and is like any other for the rest.

    Call `make` and `preview_frame` in the context (`contextvars.copy_context()`) of whoever asked for them: GPU time
    is counted on the account found there.

    Args:
        engine: What renders.
        gpu: `spaces.GPU`, or a stand-in.
        max_seconds: Most GPU time that one render may ask for.
        refusals: Exceptions by which `gpu` says that there is no GPU, or that its process failed.
    """

    def __init__(
        self,
        engine: LipSync,
        gpu: Gpu,
        *,
        max_seconds: int = MAX_GPU_SECONDS,
        refusals: tuple[type[Exception], ...] = (),
    ) -> None:
        super().__init__(engine.registry, costs=engine.costs)
        self._engine = engine
        self._max_seconds = max_seconds
        self._lent = LentGpu(engine, gpu, refusals)

    def make(
        self,
        request: RenderRequest,
        out: Path,
        *,
        resume: ResumeOptions | None = None,
        on_progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> RenderReport:
        """See `LipSync.make`. A GPU is asked for after both inputs were found good.

        What is made on a lent GPU goes with its process where that fails: it is not resumed. Avatars speak here.

        Raises:
            LimitError: It would take more GPU time than may be asked for.
            BackendError: No GPU was lent, or its process failed.
            MuseTalkError: As `LipSync.make`.
        """
        if request.avatar is not None:
            return super().make(request, out, resume=resume, on_progress=on_progress, cancel=cancel)
        out, cancel = Path(out), cancel or CancelToken()
        choice = self.choose(request.settings)
        request = request.with_backend(choice.backend)
        settings = request.settings
        kind = RenderKind.of(settings, self.registry)
        here = settings.model_copy(update={"detector": _without_torch(settings.detector)})
        cost = _cost(self._loader.check(settings).backend, settings.detector, settings.mask, settings.enhance)
        if cost is None:
            with self._lent.not_forking(cancel):
                report = self._engine.make(
                    replace(request, settings=here), out, resume=resume, on_progress=on_progress, cancel=cancel
                )
            self.costs.share(RenderKind.of(here, self.registry), kind)
            return report.chosen(choice.reason())
        read = input_files(request.video, request.voice, captions=settings.captions)
        check_output(out, read + output_files(out, settings.folders), settings.output)
        tell = on_progress or noop
        tell(ProgressEvent("preflight", 0, 1))
        with self._lent.not_forking(cancel):
            preflight = self._engine.preflight(replace(request, settings=here))
        cancel.check()
        seconds = self._affordable(gpu_seconds(preflight, cost))
        tell(ProgressEvent("preflight", 1, 1, note=f"asking for {seconds} s of GPU time"))
        # A process that is killed leaves files behind: it writes into a folder that is removed here in any case.
        with temporary_folder(out.parent) as folder:
            coords_dir = settings.coords_dir or out.parent / "coords"  # where a render to `out` itself keeps them
            inner = settings.model_copy(update={"coords_dir": coords_dir})
            order = RenderOrder(seconds, folder / "lease", replace(request, settings=inner), folder / out.name)
            report = self._lent.do(order, tell, cancel)
            put_in_place(order.out, out)
        source, timeline = preflight.source, preflight.timeline
        work = Work.of(source, float(timeline.frame_count / source.fps))
        self.costs.learn(work, kind, report)
        report = replace(report, output=str(out), settings=settings.model_dump(mode="json"))
        return report.chosen(choice.reason())

    def release(self) -> None:
        """See `LipSync.release`. Nothing to do: networks lie in the process with the GPU, which keeps one at a time."""

    def preflight(self, request: RenderRequest) -> Preflight:
        """See `LipSync.preflight`; needs no GPU."""
        settings = request.settings.with_backend(self.choose(request.settings).backend)
        here = settings.model_copy(update={"detector": _without_torch(settings.detector)})
        with self._lent.not_forking(CancelToken()):
            return self._engine.preflight(replace(request, settings=here))

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
        """See `LipSync.preview_frame`.

        Raises:
            BackendError: No GPU was lent, or its process failed.
            MuseTalkError: As `LipSync.preview_frame`.
        """
        settings, cancel = settings or RenderSettings(), cancel or CancelToken()
        choice = self.choose(settings)
        settings = settings.with_backend(choice.backend)
        here = settings.model_copy(update={"detector": _without_torch(settings.detector)})
        cost = _cost(self._loader.check(settings).backend, settings.detector, settings.mask, settings.enhance)
        if cost is None:
            with self._lent.not_forking(cancel):
                found = self._engine.preview_frame(
                    video, voice, here, at=at, strict=strict, on_progress=on_progress, cancel=cancel
                )
            return with_reason(found, choice.reason())
        self._engine.check_source(video, settings.source)
        if voice is not None:
            self._engine.check_voice(voice, settings.limits, settings.voice_track)
        painting = cost.start_seconds + cost.seconds_per_frame * _PREVIEW_FRAMES
        seconds = self._affordable(math.ceil(_MARGIN * (_BEGINNING_SECONDS + painting + _PREVIEW_SECONDS)))
        with temporary_folder(Path(tempfile.gettempdir())) as folder:
            order = PreviewOrder(seconds, folder / "lease", video, voice, settings, at, strict)
            return with_reason(self._lent.do(order, on_progress or noop, cancel), choice.reason())

    def rate(self, device: str) -> float:
        """See `LipSync`: of the GPU that is lent, which cannot be measured before it is."""
        return LENT_GPU_RATE

    def _affordable(self, seconds: int) -> int:
        if seconds > self._max_seconds:
            raise LimitError(
                f"this would take some {seconds} s of GPU time, and {self._max_seconds} s are the most here",
                "use a shorter voice or a faster backend, or run it on a machine of your own",
            )
        return seconds


def make_engine(engine: LipSync, *, max_seconds: int = MAX_GPU_SECONDS) -> LipSync:
    """Return the engine to serve with: on ZeroGPU one that borrows its GPU, everywhere else the one given.

    To be called once, from the main thread, before CUDA is touched and before the app is launched: from then on
    `spaces` stands in for CUDA in the process that serves, and at launch it reports what was decorated.

    Args:
        engine: What renders.
        max_seconds: Most GPU time that one render may ask for.
    """
    if os.environ.get("SPACES_ZERO_GPU", "").lower() not in ("1", "t", "true"):  # as `spaces` reads it
        return engine
    if importlib.util.find_spec("spaces") is None:
        _log.warning("this is a ZeroGPU Space, but the package `spaces` is missing: backends will find no GPU")
        return engine
    spaces, gradio = importlib.import_module("spaces"), importlib.import_module("gradio")
    return ZeroGpuEngine(engine, spaces.GPU, max_seconds=max_seconds, refusals=(gradio.Error,))


def gpu_seconds(preflight: Preflight, cost: GpuCost) -> int:
    """Seconds of GPU time to ask for: the whole render, as faces are found and frames encoded while it is held.

    Args:
        preflight: What is known of the render.
        cost: What its backend takes.
    """
    painting = cost.start_seconds + cost.seconds_per_frame * preflight.timeline.spoken_count
    return math.ceil(_MARGIN * (_BEGINNING_SECONDS + painting + preflight.estimated_seconds))


def _cost(
    backend: ConfiguredBackend, detector: DetectorSettings, mask: MaskSettings, enhance: EnhanceSettings
) -> GpuCost | None:
    """Return what a render takes of a GPU; None: it runs here, without torch."""
    networks = _on_torch(detector) or mask.shape in PARSED_SHAPES or bool(mask.occlusion) or enhance.wanted
    own = backend.gpu or (_FACES_COST if networks else None)
    if own is None or not enhance.wanted:
        return own
    return replace(
        own,
        start_seconds=own.start_seconds + _ENHANCER_COST.start_seconds,
        seconds_per_frame=own.seconds_per_frame + _ENHANCER_COST.seconds_per_frame,
    )


def _without_torch(detector: DetectorSettings) -> DetectorSettings:
    """Return a detector that is no network of torch, where the settings leave that open.

    A process that has run torch's threads must not be forked, and what this one sees as a GPU is a stand-in.
    """
    if detector.name != AUTO and not _on_torch(detector):
        return detector
    return detector.model_copy(update={"name": name_without_torch()})


def _on_torch(detector: DetectorSettings) -> bool:
    return detector.name != AUTO and DetectorRegistry().get(detector.name).torch
