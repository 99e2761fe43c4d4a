"""A stand-in for the engine that a Space lends its GPU to."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from musetalk.backends.preview.spec import PREVIEW
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import GpuCost
from musetalk.errors import FaceError
from musetalk.lipsync import LipSync
from musetalk.media.ffmpeg_process import Child
from musetalk.media.timing.timeline import plan_timeline
from musetalk.media.types import Source
from musetalk.pipeline.preflight import Preflight
from musetalk.pipeline.report import RenderReport
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken, ProgressCallback, ProgressEvent
from musetalk.resume.types import ResumeOptions
from musetalk.settings import RenderSettings, SourceSettings
from tests.helpers.reports import some_report

if TYPE_CHECKING:
    from musetalk.inspection.frame import FramePreview

FAST = GpuCost(start_seconds=10, seconds_per_frame=0.05)


class FakeEngine(LipSync):
    """Renders nothing, the way its settings' `models_dir` says."""

    def __init__(self, *, cost: GpuCost = FAST, frames: int = 100, broken_input: bool = False) -> None:
        neural = replace(PREVIEW, name="neural", summary="", notice="", gpu=cost)
        super().__init__(BackendRegistry((PREVIEW, neural)))
        self.frames = frames
        self.broken_input = broken_input

    def preflight(self, request: RenderRequest) -> Preflight:
        if self.broken_input:
            raise FaceError("the input is broken", "mend it")
        timeline = plan_timeline(9, Fraction(25), Fraction(self.frames, 25), length="loop", tail="cut")
        source = SimpleNamespace(fps=Fraction(25), frame_count=9, width=64, height=48)
        return SimpleNamespace(source=source, timeline=timeline, estimated_seconds=5.0)  # type: ignore[return-value]

    def make(
        self,
        request: RenderRequest,
        out: Path,
        *,
        resume: ResumeOptions | None = None,
        on_progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> RenderReport:
        assert on_progress is not None and cancel is not None
        out.write_text("half")
        for done in range(1, 4):
            on_progress(ProgressEvent("render", done, 3))
        how = request.settings.models_dir.name
        if how == "faceless":
            raise FaceError("no face", "show one")
        if how == "buggy":
            raise ZeroDivisionError
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "long":
            arguments = ["-loglevel", "error", "-re", "-f", "lavfi", "-i", "anullsrc", "-t", "20", "-f", "null", "-"]
            with Child(arguments, cancel=cancel) as child:
                child.finish()
        out.write_text("whole")
        return some_report(out, request.settings, frames=3)

    def check_source(self, video: Path, wanted: SourceSettings) -> Source:
        if self.broken_input:
            raise FaceError("the input is broken", "mend it")
        return None  # type: ignore[return-value]

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
        assert settings is not None and cancel is not None
        if settings.models_dir.name == "faceless":
            raise FaceError("no face", "show one")
        return (os.getpid(), at)  # type: ignore[return-value]


def neural(how: str = "well") -> RenderSettings:
    return RenderSettings(backend="neural", models_dir=Path(how))


def render(
    engine: LipSync,
    folder: Path,
    settings: RenderSettings,
    on_progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> RenderReport:
    return engine.render(
        folder / "a.mp4", folder / "a.wav", folder / "out.mp4", settings, on_progress=on_progress, cancel=cancel
    )
