"""Previews under way: of each open page the newest one, and what was last shown there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from musetalk.progress import CancelToken, ProgressCallback
from musetalk.settings import RenderSettings
from musetalk.webui.drawing.shown_frame import ShownFrame
from musetalk.webui.tasks import Task, Tasks

Work: TypeAlias = Callable[[ProgressCallback, CancelToken], ShownFrame]


@dataclass(frozen=True, slots=True)
class Wish:
    """A request for a preview.

    Attributes:
        source: The video or picture.
        voice: The voice; None: only the faces are shown.
        settings: Of the render; they name what paints.
        at: Seconds into the output; None: wherever the mouth is wide open.
        said: What the page's inputs held, as the page tells it.
        remark: What is to be said beside it of the choice of a face.
        choice: Why `auto` took the backend, a sentence; empty: it was named.
    """

    source: Path
    voice: Path | None
    settings: RenderSettings
    at: float | None = None
    said: str = ""
    remark: str = ""
    choice: str = ""


Preview: TypeAlias = Task[Wish, ShownFrame]


class Previews(Tasks[Wish, ShownFrame]):
    """Makes previews, two at a time; each page has one at most. What it was last shown is kept for its overlays.

    Args:
        at_once: How many at a time; those that wait for a device do not count.
        now: A clock, in seconds.
    """

    def __init__(self, at_once: int = 2, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__("preview", at_once, now=now)
