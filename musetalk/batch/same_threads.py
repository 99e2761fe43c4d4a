"""An engine whose videos are the same on machines of every size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from musetalk.batch.executor import Parts
from musetalk.lipsync import LipSync
from musetalk.pipeline.report import RenderReport
from musetalk.progress import CancelToken, ProgressCallback
from musetalk.resume.types import ResumeOptions
from musetalk.settings import RenderSettings

if TYPE_CHECKING:
    from musetalk.avatars.bundle import Avatar


class SameThreads:
    """Renders with a fixed number of the encoder's threads, on which its bits depend. An `Engine`.

    Args:
        engine: What renders.
        threads: How many.
    """

    def __init__(self, engine: LipSync, threads: int) -> None:
        self._engine, self._threads = engine, threads
        self._options = ResumeOptions(encoder_threads=threads)

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
        """See `LipSync.render`."""
        options = replace(resume or self._options, encoder_threads=self._threads)
        return self._engine.render(video, voice, out, settings, on_progress=on_progress, cancel=cancel, resume=options)

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
        """See `LipSync.speak`."""
        return self._engine.speak(
            avatar, voice, out, settings, on_progress=on_progress, cancel=cancel, resume=self._options
        )

    def parts(self, video: Path, voice: Path, out: Path, settings: RenderSettings | None = None) -> Parts:
        """See `LipSync.parts`."""
        return self._engine.parts(video, voice, out, settings, resume=self._options)

    def render_parts(
        self,
        video: Path,
        voice: Path,
        out: Path,
        settings: RenderSettings | None = None,
        *,
        numbers: range,
        on_progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> Parts:
        """See `LipSync.render_parts`."""
        return self._engine.render_parts(
            video,
            voice,
            out,
            settings,
            numbers=numbers,
            resume=self._options,
            on_progress=on_progress,
            cancel=cancel,
        )

    def release(self) -> None:
        """See `LipSync.release`."""
        self._engine.release()
