"""An engine whose videos are the same on machines of every size."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from musetalk.batch.executor import Parts
from musetalk.lipsync import LipSync
from musetalk.pipeline.report import RenderReport
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken, ProgressCallback
from musetalk.resume.types import ResumeOptions


class SameThreads:
    """Renders with a fixed number of the encoder's threads, on which its bits depend. An `Engine`.

    Args:
        engine: What renders.
        threads: How many.
    """

    def __init__(self, engine: LipSync, threads: int) -> None:
        self._engine, self._threads = engine, threads
        self._options = ResumeOptions(encoder_threads=threads)

    def make(
        self,
        request: RenderRequest,
        out: Path,
        *,
        resume: ResumeOptions | None = None,
        on_progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> RenderReport:
        """See `LipSync.make`."""
        options = replace(resume or self._options, encoder_threads=self._threads)
        return self._engine.make(request, out, resume=options, on_progress=on_progress, cancel=cancel)

    def parts_of(self, request: RenderRequest, out: Path) -> Parts:
        """See `LipSync.parts`."""
        return self._engine.parts_of(request, out, resume=self._options)

    def make_parts(
        self,
        request: RenderRequest,
        out: Path,
        *,
        numbers: range,
        on_progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> Parts:
        """See `LipSync.render_parts`."""
        make = partial(self._engine.make_parts, request, out, numbers=numbers, resume=self._options)
        return make(on_progress=on_progress, cancel=cancel)

    def release(self) -> None:
        """See `LipSync.release`."""
        self._engine.release()
