"""An engine whose renders are made by workers."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from musetalk.backends.automatic import BackendChoice
from musetalk.batch.executor import RenderTask, SpeakTask
from musetalk.dispatch.dispatcher import Dispatcher
from musetalk.errors import MuseTalkError
from musetalk.lipsync import LipSync
from musetalk.media.types import Source
from musetalk.pipeline.forecast import RenderKind, Work
from musetalk.pipeline.report import RenderReport
from musetalk.progress import CancelToken, ProgressCallback, noop
from musetalk.resume.types import ResumeOptions
from musetalk.settings import Limits, RenderSettings
from musetalk.utils.job_log import logged_job

if TYPE_CHECKING:
    from musetalk.avatars.bundle import Avatar


class WorkersEngine:
    """An `Engine` that hands renders to workers, and checks here what they will be asked for. Safe between threads.

    Inputs, outputs and avatars are named by paths that have to be the same for all workers.

    Args:
        here: Checks, chooses, and learns what renders cost; loads no network for that.
        dispatcher: Has the workers.
    """

    def __init__(self, here: LipSync, dispatcher: Dispatcher) -> None:
        self._here, self._dispatcher = here, dispatcher

    def check(self, video: Path, voice: Path, settings: RenderSettings) -> Source:
        """See `LipSync.check`."""
        return self._here.check(video, voice, settings)

    def choose(self, settings: RenderSettings) -> BackendChoice:
        """See `LipSync.choose`: by what renders have cost the workers, else by this machine's pace."""
        return self._here.choose(settings)

    def check_voice(self, voice: Path, limits: Limits, track: int | None) -> float:
        """See `LipSync.check_voice`."""
        return self._here.check_voice(voice, limits, track)

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
        """See `LipSync.render`.

        Raises:
            WorkerError: It ended its workers, or none is left.
            MuseTalkError: As `LipSync.render`.
        """
        video, voice, out = (Path(path).absolute() for path in (video, voice, out))
        settings = settings or RenderSettings()
        pictures = on_progress is not None
        task = RenderTask("", video, voice, out, settings, resume=resume, pictures=pictures, logged=logged_job())
        report = self._done(task, on_progress, cancel)
        with suppress(MuseTalkError):  # it was rendered; only what it has cost is not known then
            self._learn(video, settings, report)
        return report

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
        """See `LipSync.speak`.

        Raises:
            WorkerError: It ended its workers, or none is left.
            MuseTalkError: As `LipSync.speak`.
        """
        folder, voice, out = (Path(path).absolute() for path in (avatar.folder, voice, out))
        settings = settings or avatar.settings
        avatar.check(settings)
        pictures = on_progress is not None
        task = SpeakTask("", folder, avatar.id, voice, out, settings, pictures=pictures, logged=logged_job())
        return self._done(task, on_progress, cancel)

    def release(self) -> None:
        """See `LipSync.release`. Nothing to do: each worker keeps what it used last, and lets go for what comes."""

    def _done(
        self, task: RenderTask | SpeakTask, on_progress: ProgressCallback | None, cancel: CancelToken | None
    ) -> RenderReport:
        report: RenderReport = self._dispatcher.do(task, on_progress or noop, cancel or CancelToken())
        return report

    def _learn(self, video: Path, settings: RenderSettings, report: RenderReport) -> None:
        """Keep what a render has cost: forecasts are made here."""
        if report.resumed is None:
            work = Work.of(self._here.check_source(video, settings.source), report.video_seconds)
            kind = RenderKind.of(settings.with_backend(report.backend), self._here.registry)
            self._here.costs.learn(work, kind, report)
