"""Previews under way: of each open page the newest one, and what was last shown there.

A preview runs in a thread of its own, like a job, and is watched. So nothing that it takes holds up the page, and the
next click ends it, as does closing the page. One that waits for its turn on a device holds up none that needs none.
"""

from __future__ import annotations

import contextvars
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Condition
from typing import Literal, TypeAlias

from musetalk.errors import Cancelled, MuseTalkError
from musetalk.progress import CancelToken, ProgressCallback, ProgressEvent, Stage
from musetalk.settings import RenderSettings
from musetalk.utils.lru_cache import LRUCache
from musetalk.webui.drawing.shown_frame import ShownFrame

State: TypeAlias = Literal["waiting", "running", "done", "failed", "stopped"]
Work: TypeAlias = Callable[[ProgressCallback, CancelToken], ShownFrame]
_AT_ONCE = 2  # previews that are made at the same time, everybody's together
_THREADS = 64  # of those, and of those that wait
_VISITS = 16  # whose last preview is kept, so that overlays are drawn without another one; some 10 MiB each
_log = logging.getLogger(__name__)


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


class Preview:
    """One preview. Written to by `Previews` alone; may be read from any thread.

    Attributes:
        wish: What it is of.
        state: How far it is.
        stage: What it is at; None: nothing yet.
        share: How much of that is done, 0 to 1; None while its length is unknown.
        before: How many others have their turn on the device before it; 0: it does not wait for one.
        found: What came of it; None until it is done.
        error: Why it failed; None: it did not.
    """

    def __init__(self, wish: Wish, now: Callable[[], float]) -> None:
        self.wish = wish
        self.state: State = "waiting"
        self.stage: Stage | None = None
        self.share: float | None = None
        self.before = 0
        self.found: ShownFrame | None = None
        self.error: MuseTalkError | None = None
        self._now = now
        self._began = now()
        self._seconds: float | None = None
        self._first = 0.0

    @property
    def active(self) -> bool:
        """Whether it is under way still."""
        return self.state in ("waiting", "running")

    @property
    def seconds(self) -> float:
        """How long it has been under way, or was."""
        return self._now() - self._began if self._seconds is None else self._seconds

    def note(self, event: ProgressEvent) -> None:
        """Take note of an event of its work."""
        come = event.done + event.part
        if event.stage != self.stage:
            self.stage, self._first = event.stage, float(event.done)
        span = event.total - self._first
        self.before = event.before
        self.share = min(max((come - self._first) / span, 0.0), 1.0) if span > 0 else None

    def end(self, state: State, found: ShownFrame | None = None, error: MuseTalkError | None = None) -> None:
        """It is over; what it found or why it failed is there before anybody can see that."""
        self.found, self.error, self._seconds = found, error, self.seconds
        self.state = state


class Previews:
    """Makes previews, two at a time; each page has one at most. Safe to share between threads.

    Args:
        at_once: How many at a time; those that wait for a device do not count.
        now: A clock, in seconds.
    """

    def __init__(self, at_once: int = _AT_ONCE, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._at_once = at_once
        self._pool = ThreadPoolExecutor(_THREADS, "preview")
        self._lock = Condition()
        self._at_work: set[Preview] = set()
        self._under_way: dict[str, tuple[Preview, CancelToken, Future[None]]] = {}
        self._kept: LRUCache[str, Preview] = LRUCache(_VISITS)
        self._shown: LRUCache[str, Preview] = LRUCache(_VISITS)

    def start(self, visit: str, wish: Wish, work: Work) -> Preview:
        """Begin a preview, and end the one before it on the same page; if that is of the same, it goes on instead.

        Args:
            visit: Which page.
            wish: What it is of.
            work: What makes it; it is called in the context of whoever calls this, in another thread.
        """
        preview, cancel, context = Preview(wish, self._now), CancelToken(), contextvars.copy_context()
        with self._lock:
            under_way = self._under_way.get(visit)
            if under_way is not None and under_way[0].wish == wish:
                return under_way[0]
            self._end(visit)
            future = self._pool.submit(context.run, self._make, visit, preview, work, cancel)
            self._under_way[visit] = (preview, cancel, future)
        return preview

    def newest(self, visit: str) -> Preview | None:
        """Return the newest preview of a page; None: there is none, or it was long ago."""
        with self._lock:
            under_way = self._under_way.get(visit)
        return under_way[0] if under_way else self._kept.get(visit)

    def shown(self, visit: str) -> Preview | None:
        """Return the last preview of a page that came to its end; None: there is none, or it was long ago."""
        return self._shown.get(visit)

    def place(self, preview: Preview) -> int:
        """Return how many others are before it."""
        with self._lock:
            order = [other for other, _, _ in self._under_way.values() if other.state == "waiting"]
        return order.index(preview) if preview in order else 0

    def stop(self, visit: str, seconds: float = 0.0) -> bool:
        """End what is under way on a page, and give it some seconds to; whether there was anything."""
        with self._lock:
            future = self._end(visit)
        if future is not None:
            wait([future], seconds)
        return future is not None

    def forget(self, visit: str) -> None:
        """Cancel a page's preview, and forget what was shown there."""
        self.stop(visit)
        self._kept.drop(visit)
        self._shown.drop(visit)

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            for visit in list(self._under_way):
                self._end(visit)
        self._pool.shutdown(cancel_futures=True)

    def _end(self, visit: str) -> Future[None] | None:
        preview, cancel, future = self._under_way.pop(visit, (None, None, None))
        if preview is None or cancel is None:
            return None
        cancel.cancel()
        preview.end("stopped")
        self._kept.keep(visit, preview)
        self._lock.notify_all()
        return future

    def _make(self, visit: str, preview: Preview, work: Work, cancel: CancelToken) -> None:
        with self._lock:
            self._lock.wait_for(lambda: cancel.cancelled or self._is_next(preview))
            if cancel.cancelled:
                return
            preview.state = "running"
            self._at_work.add(preview)
            self._lock.notify_all()
        found, error = None, None
        try:
            found = work(partial(self._note, preview), cancel)
        except Cancelled:
            return
        except MuseTalkError as failure:
            error = failure
        except Exception:  # noqa: BLE001 - whatever a backend throws, the page is told and the log says what happened
            _log.exception("a preview failed")
            error = MuseTalkError("an error that we did not foresee", "please report it, with the server's log")
        finally:
            self._rest(preview)
        with self._lock:
            if cancel.cancelled:
                return
            del self._under_way[visit]
            preview.end("done" if error is None else "failed", found, error)
            self._kept.keep(visit, preview)
            if error is None:
                self._shown.keep(visit, preview)

    def _is_next(self, preview: Preview) -> bool:
        """Return whether there is room for one more, and none waits that came before."""
        waiting = (other for other, _, _ in self._under_way.values() if other.state == "waiting")
        return len(self._at_work) < self._at_once and next(waiting, None) is preview

    def _note(self, preview: Preview, event: ProgressEvent) -> None:
        """Take note of an event; while a preview waits for a device, others are made."""
        preview.note(event)
        if event.before:
            self._rest(preview)
        elif preview not in self._at_work:
            with self._lock:
                self._at_work.add(preview)

    def _rest(self, preview: Preview) -> None:
        with self._lock:
            self._at_work.discard(preview)
            self._lock.notify_all()
