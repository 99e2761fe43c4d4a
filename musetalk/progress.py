"""Progress events and cancellation, understood by the command line and the app alike."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Literal, TypeAlias

from musetalk.errors import Cancelled

_PICTURE_SECONDS = 2.0  # between pictures of the newest frame
_log = logging.getLogger(__name__)

Stage: TypeAlias = Literal["preflight", "plan", "parse", "speech", "render", "finish"]
STAGE_TITLES: dict[Stage, str] = {
    "preflight": "Checking inputs",
    "plan": "Finding faces",
    "parse": "Reading faces",
    "speech": "Listening",
    "render": "Rendering",
    "finish": "Finishing file",
}


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """How far one stage has come.

    Attributes:
        stage: The stage that reports.
        done: Units finished, mostly frames.
        total: Units expected; 0 while unknown. An estimate that may be corrected by later events.
        seconds: Seconds since the render began.
        note: A sentence for the user; mostly empty.
        part: Units beyond `done` that are under way, as far as they have come; counted in whole and parts.
        step: Of the loop that a backend goes through for each piece, the last one done.
        steps: How many it has; 0: there is none.
        turn: Which of several renders that are made one after the other, from 0; what shows all comes last.
        picture: The newest frame, now and then, as a small JPEG; mostly empty.
        before: How many others have their turn on the device before this render; 0: it does not wait for one.
    """

    stage: Stage
    done: int
    total: int
    seconds: float = 0.0
    note: str = ""
    part: float = 0.0
    step: int = 0
    steps: int = 0
    turn: int = 0
    picture: bytes = b""
    before: int = 0


@dataclass(frozen=True, slots=True)
class FallbackEvent:
    """Output frames [start, stop) in which another backend than the chosen one painted the face `track`, and why.

    `kind` is that of the error behind the reason; see `MuseTalkError`.
    """

    start: int
    stop: int
    track: int
    backend: str
    reason: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class EnhanceFailureEvent:
    """Output frames [start, stop) in which the face `track` stayed as it was painted, since an enhancer failed; why.

    `kind` is that of the error behind the reason; see `MuseTalkError`.
    """

    start: int
    stop: int
    track: int
    reason: str
    kind: str = ""


ProgressCallback: TypeAlias = Callable[[ProgressEvent], None]


def never_stop() -> None:
    """Do nothing: the check for cancellation where there is no token."""


def noop(*_told: object) -> None:
    """Do nothing: the callback where none was given."""


class CancelToken:
    """Cancels work: set once, from any thread; polled by the work itself.

    Args:
        whole: Of the work that this is a part of: what ends it, ends the part.
    """

    def __init__(self, whole: CancelToken | None = None) -> None:
        self._event, self._whole = threading.Event(), whole

    def cancel(self) -> None:
        """Ask the work to end."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._event.is_set() or (self._whole is not None and self._whole.cancelled)

    def check(self) -> None:
        """Raise `Cancelled` if `cancel` was called."""
        if self.cancelled:
            raise Cancelled


class Deadline(CancelToken):
    """A token of a part that also ends at a moment.

    Args:
        whole: What it is a part of.
        seconds: How long it may go on from now.
        now: A clock, in seconds.
    """

    def __init__(self, whole: CancelToken, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(whole)
        self._now = now
        self._end = now() + seconds

    @property
    def left(self) -> float:
        """Seconds until its moment; less than 0 after it."""
        return self._end - self._now()

    @property
    def cancelled(self) -> bool:
        """Whether its moment has come, or it or the whole was cancelled."""
        return super().cancelled or self.left <= 0


class StageClock:
    """Adds up the seconds of work of each stage, from any thread."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Count the time inside the `with` block towards a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - start)

    def add(self, stage: str, seconds: float) -> None:
        """Count seconds towards a stage."""
        with self._lock:
            self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds per stage, in the order in which they first ended."""
        with self._lock:
            return {stage: round(seconds, 4) for stage, seconds in self._seconds.items()}


@dataclass(slots=True)
class _Reached:
    """How far a render has come: output frames finished, of how many; painted; steps of the loop, of how many."""

    stage: tuple[Stage, int, int] = ("preflight", 0, 0)
    rendered: tuple[int, int] = (0, 0)
    painted: float = 0.0
    loop: tuple[int, int] = (0, 0)
    picture: bytes = b""
    next_picture: float = 0.0


@dataclass(slots=True)
class Reused:
    """What a render took over from earlier ones.

    Attributes:
        frames: Source frames in which it did not look for faces.
        faces: Faces that it did not parse.
    """

    frames: int = 0
    faces: int = 0


class RenderRun:
    """One render while it runs: where it reports to, what ends it, what it has noticed.

    Args:
        on_progress: Called from the rendering thread, and from the one that paints; never from both at once.
        cancel: Set by whoever wants it to end.
    """

    def __init__(self, on_progress: ProgressCallback | None = None, cancel: CancelToken | None = None) -> None:
        self.cancel = cancel or CancelToken()
        self.clock = StageClock()
        self.reused = Reused()
        self._on_progress = on_progress
        self._started = time.perf_counter()
        self._warnings: list[str] = []
        self._fallback_events: set[FallbackEvent] = set()
        self._enhance_failures: set[EnhanceFailureEvent] = set()
        self._lock, self._telling = threading.Lock(), threading.Lock()
        self._reached = _Reached()

    def branch(self) -> RenderRun:
        """Return a part of this run that can be ended on its own; all else is shared."""
        part = copy(self)
        part.cancel = CancelToken(self.cancel)
        return part

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self._started

    def emit(self, stage: Stage, done: int, total: int, note: str = "") -> None:
        """Report progress, and end here if the work was cancelled."""
        self.cancel.check()
        with self._telling:
            if stage == "render":
                self._reached.rendered = (done, total)
            self._tell(stage, done, total, note)

    def painting(self, frames: float, loop: tuple[int, int] = (0, 0)) -> None:
        """Report how far painting has come, in output frames; it runs ahead of what `emit` counts as rendered.

        `loop`: steps of a backend's loop that are done, and how many there are.
        """
        self.cancel.check()
        with self._telling:
            self._reached.painted = max(self._reached.painted, frames)
            self._reached.loop = loop
            self._tell("render", *self._reached.rendered)

    def show(self, jpeg: Callable[[], bytes]) -> None:
        """Send the newest frame with the next event; now and then only, so that it costs next to nothing.

        `jpeg` makes it, small; it is not called where nobody watches, or a moment after the last one.
        """
        if self._on_progress is None or self.elapsed < self._reached.next_picture:
            return
        picture = jpeg()
        with self._telling:
            self._reached.picture, self._reached.next_picture = picture, self.elapsed + _PICTURE_SECONDS

    def say(self, note: str) -> None:
        """Tell the user something, wherever the work is; end here if it was cancelled."""
        self.cancel.check()
        with self._telling:
            self._tell(*self._reached.stage, note)

    def wait(self, before: int) -> None:
        """Report how many others have their turn on the device before this render; 0: it waits no longer."""
        with self._telling:
            self._tell(*self._reached.stage, before=before)

    def _tell(self, stage: Stage, done: int, total: int, note: str = "", before: int = 0) -> None:
        self._reached.stage = (stage, done, total)
        if self._on_progress is not None:
            part, loop = 0.0, (0, 0)
            if stage == "render":
                part, loop = max(0.0, self._reached.painted - done), self._reached.loop
            picture, self._reached.picture = self._reached.picture, b""
            told = ProgressEvent(stage, done, total, self.elapsed, note, part, *loop, picture=picture, before=before)
            self._on_progress(told)

    def warn(self, sentence: str) -> None:
        """Note something the user should know; once, however often it is noticed."""
        if sentence not in self._warnings:
            self._warnings.append(sentence)
            _log.warning(sentence)

    def record_fallback(self, start: int, stop: int, track: int, backend: str, reason: str, kind: str = "") -> None:
        """Note that another backend than the chosen one painted a face in output frames [start, stop), and why."""
        with self._lock:
            self._fallback_events.add(FallbackEvent(start, stop, track, backend, reason, kind))

    @property
    def fallbacks(self) -> tuple[FallbackEvent, ...]:
        """What others painted so far, in the output's order."""
        with self._lock:
            return tuple(sorted(self._fallback_events, key=lambda each: (each.start, each.stop, each.track)))

    def record_enhance_failure(self, start: int, stop: int, track: int, reason: str, kind: str = "") -> None:
        """Note that a face in output frames [start, stop) was to be enhanced and was not, and why."""
        with self._lock:
            self._enhance_failures.add(EnhanceFailureEvent(start, stop, track, reason, kind))

    @property
    def enhance_failures(self) -> tuple[EnhanceFailureEvent, ...]:
        """What was not enhanced so far, in the output's order."""
        with self._lock:
            return tuple(sorted(self._enhance_failures, key=lambda each: (each.start, each.stop, each.track)))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was noticed so far."""
        return tuple(self._warnings)
