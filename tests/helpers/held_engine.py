"""An engine that renders when it is told to, for tests of whatever puts it to work."""

from __future__ import annotations

import contextvars
import threading
from pathlib import Path
from typing import Any

from musetalk.assets import PORTRAIT
from musetalk.backends.automatic import BackendChoice
from musetalk.backends.preview.spec import PREVIEW
from musetalk.backends.registry import BackendRegistry
from musetalk.errors import Cancelled, MediaError
from musetalk.jobs.job import Job
from musetalk.jobs.service import JobService
from musetalk.jobs.store import owner_digest
from musetalk.lipsync import LipSync
from musetalk.media.probe import probe_source
from musetalk.media.types import Source
from musetalk.pipeline.report import RenderReport
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken, ProgressCallback, ProgressEvent
from musetalk.resume.types import ResumeOptions
from musetalk.settings import Limits, RenderSettings
from tests.helpers.programs import HANG_SECONDS
from tests.helpers.reports import some_report

ANN, BOB = owner_digest("ann"), owner_digest("bob")
ASKED_BY: contextvars.ContextVar[str] = contextvars.ContextVar("asked_by", default="nobody")
LONGEST = HANG_SECONDS  # that a test waits for a thread; none is waited for when all is well


class Engine:
    """Renders when it is told to; says what it was asked."""

    def __init__(self) -> None:
        self.go = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.running = 0
        self.most_running = 0
        self.order: list[str] = []
        self.contexts: list[str] = []
        self.error: Exception | None = None
        self.spoke: list[str] = []  # ids of avatars

    def check(self, request: RenderRequest) -> Source:
        if not request.voice.read_bytes():
            raise MediaError("the voice is empty", "speak up")
        return probe_source(request.video, request.settings.limits, fps=request.settings.fps)

    def choose(self, settings: RenderSettings) -> BackendChoice:
        return LipSync(BackendRegistry([PREVIEW])).choose(settings)

    def check_voice(self, voice: Path, limits: Limits, track: int | None) -> float:
        return 1.5

    def make(
        self,
        request: RenderRequest,
        out: Path,
        *,
        resume: ResumeOptions | None = None,
        on_progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> RenderReport:
        assert on_progress is not None
        assert cancel is not None
        if request.avatar is not None:
            self.spoke.append(request.avatar.id)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.order.append(out.parent.name)
        self.contexts.append(ASKED_BY.get())
        try:
            on_progress(ProgressEvent("render", 0, 10, 0.0))
            on_progress(ProgressEvent("render", 5, 10, 2.0))
            self.begun.release()
            while not self.go.acquire(timeout=0.01):
                if cancel.cancelled:
                    raise Cancelled
            if self.error is not None:
                raise self.error
            out.write_bytes(b"mp4")
        finally:
            self.running -= 1
        return some_report(out, request.settings, frames=10)

    def release(self) -> None:
        self.order.append("release")


def written_voice(folder: Path) -> Path:
    """A file that passes for a voice where nobody listens."""
    path = folder / "hello.wav"
    path.write_bytes(b"RIFF")
    return path


def submit(service: JobService, voice: Path, owner: str = ANN, **options: Any) -> Job:  # noqa: ANN401 - as it takes them
    request = RenderRequest(PORTRAIT, voice, options.pop("settings", RenderSettings()))
    return service.submit(owner, request, **options)
