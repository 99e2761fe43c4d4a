"""Interfaces of what renders and what compares, for the queue and comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from musetalk.backends.automatic import BackendChoice
from musetalk.media.types import Source
from musetalk.pipeline.report import RenderReport
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken, ProgressCallback
from musetalk.settings import Limits, RenderSettings

if TYPE_CHECKING:
    from musetalk.resume.types import ResumeOptions


class Renderer(Protocol):
    """What renders, and no more."""

    def make(
        self,
        request: RenderRequest,
        out: Path,
        *,
        resume: ResumeOptions | None = None,
        on_progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> RenderReport:
        """Make the video that is asked for; see `LipSync.make`."""
        ...

    def release(self) -> None:
        """Free the memory of what is loaded; see `LipSync.release`."""
        ...


class Chooser(Protocol):
    """What names backends."""

    def choose(self, settings: RenderSettings) -> BackendChoice:
        """Name the backend that paints with these settings; see `LipSync.choose`."""
        ...


class Engine(Renderer, Chooser, Protocol):
    """What the app and comparisons ask for renders; `LipSync` is one."""

    def check(self, request: RenderRequest) -> Source:
        """Refuse, in a moment, what cannot be rendered; else say what the source is."""
        ...

    def check_voice(self, voice: Path, limits: Limits, track: int | None) -> float:
        """Return how many seconds a voice lasts; refuses, in a moment, what is none."""
        ...


class Comparer(Protocol):
    """What compares; `musetalk.comparison.compare` is one."""

    def __call__(
        self,
        engine: Engine,
        request: RenderRequest,
        folder: Path,
        backends: Sequence[str],
        *,
        on_progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> object:
        """Let an engine render with each backend; leave videos and `COMPARISON` in the folder."""
        ...
