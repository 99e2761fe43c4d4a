"""An engine whose renders are made by workers."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from musetalk.backends.automatic import BackendChoice
from musetalk.batch.executor import RenderTask, SpeakTask, Task
from musetalk.dispatch.dispatcher import Dispatcher
from musetalk.errors import MuseTalkError
from musetalk.lipsync import LipSync
from musetalk.media.types import Source
from musetalk.pipeline.forecast import RenderKind, Work
from musetalk.pipeline.report import RenderReport
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken, ProgressCallback, noop
from musetalk.resume.types import ResumeOptions
from musetalk.settings import Limits, RenderSettings
from musetalk.utils.job_log import logged_job


class WorkersEngine:
    """An `Engine` that hands renders to workers, and checks here what they will be asked for. Safe between threads.

    Inputs, outputs and avatars are named by paths that have to be the same for all workers.

    Args:
        here: Checks, chooses, and learns what renders cost; loads no network for that.
        dispatcher: Has the workers.
    """

    def __init__(self, here: LipSync, dispatcher: Dispatcher) -> None:
        self._here, self._dispatcher = here, dispatcher

    def check(self, request: RenderRequest) -> Source:
        """See `LipSync.check`."""
        return self._here.check(request)

    def choose(self, settings: RenderSettings) -> BackendChoice:
        """See `LipSync.choose`: by what renders have cost the workers, else by this machine's pace."""
        return self._here.choose(settings)

    def check_voice(self, voice: Path, limits: Limits, track: int | None) -> float:
        """See `LipSync.check_voice`."""
        return self._here.check_voice(voice, limits, track)

    def make(
        self,
        request: RenderRequest,
        out: Path,
        *,
        resume: ResumeOptions | None = None,
        on_progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> RenderReport:
        """See `LipSync.make`.

        Raises:
            WorkerError: It ended its workers, or none is left.
            MuseTalkError: As `LipSync.make`.
        """
        task = _task_of(request, out, resume, pictures=on_progress is not None)
        report: RenderReport = self._dispatcher.do(task, on_progress or noop, cancel or CancelToken())
        if request.avatar is None:
            with suppress(MuseTalkError):  # it was rendered; only what it has cost is not known then
                self._learn(request, report)
        return report

    def release(self) -> None:
        """See `LipSync.release`. Nothing to do: each worker keeps what it used last, and lets go for what comes."""

    def _learn(self, request: RenderRequest, report: RenderReport) -> None:
        """Keep what a render has cost: forecasts are made here."""
        if report.resumed is None:
            source = self._here.check_source(request.video, request.settings.source)
            kind = RenderKind.of(request.settings.with_backend(report.backend), self._here.registry)
            self._here.costs.learn(Work.of(source, report.video_seconds), kind, report)


def _task_of(request: RenderRequest, out: Path, resume: ResumeOptions | None, *, pictures: bool) -> Task:
    """Return what a worker does for a request."""
    voice, out, settings, avatar = request.voice.absolute(), out.absolute(), request.settings, request.avatar
    task: RenderTask | SpeakTask
    if avatar is None:
        task = RenderTask("", request.video.absolute(), voice, out, settings, resume=resume)
    else:
        task = SpeakTask("", avatar.folder.absolute(), avatar.id, voice, out, settings, resume=resume)
    return replace(task, pictures=pictures, logged=logged_job())
