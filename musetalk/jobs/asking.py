"""What a job asks for, looked at before it is queued: what cannot work is refused here, in a moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from musetalk.backends.automatic import NOT_COMPARED
from musetalk.errors import JobError
from musetalk.media.types import Source
from musetalk.pipeline.engine import Engine
from musetalk.pipeline.forecast import seconds_made
from musetalk.pipeline.request import RenderRequest
from musetalk.pipeline.space import disk_of_render
from musetalk.settings import AUTO


@dataclass(frozen=True, slots=True)
class Asks:
    """What a job that can work comes to.

    Attributes:
        source: What is rendered.
        seconds: Of video that will be made.
        disk_bytes: That it should take beside its inputs while it runs.
    """

    source: Source
    seconds: float
    disk_bytes: int


def look_at(engine: Engine, request: RenderRequest, backends: Sequence[str]) -> Asks:
    """Refuse what cannot work; else say what it comes to.

    Args:
        engine: What checks it.
        request: A render, or the first backend's.
        backends: To compare; empty: none are.

    Raises:
        MuseTalkError: It cannot work.
    """
    source, settings = engine.check(request), request.settings
    for backend in backends[1:]:
        engine.check(request.with_backend(backend))
    spoken = engine.check_voice(request.voice, settings.limits, settings.voice_track)
    # Of a comparison, everybody's result is there before the video that shows them all is made.
    videos = len(backends) + 1 if backends else 1
    disk = disk_of_render(source, spoken, settings.inputs, settings.frame_steps)
    return Asks(source, seconds_made(source, spoken, settings.tail), videos * disk)


def compared(backends: Sequence[str], *, possible: bool) -> tuple[str, ...]:
    """Return the backends to compare; empty: none are.

    Args:
        backends: As they were asked for.
        possible: Whether anything compares here.

    Raises:
        JobError: They cannot be compared, whatever they are.
    """
    backends = tuple(backends)
    if backends and not possible:
        raise JobError("backends cannot be compared here", "render with one of them")
    if len(set(backends)) < len(backends):
        raise JobError("a backend is named more than once", "name each backend once")
    if AUTO in backends:
        raise JobError(*NOT_COMPARED)
    if len(backends) == 1:
        raise JobError("there is one backend to compare", "choose two or more")
    return backends
