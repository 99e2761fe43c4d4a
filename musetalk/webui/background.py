"""Work that visitors start: one piece at a time, in the background, the same progress for everybody."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Generic, Literal, TypeAlias, TypeVar

from musetalk.errors import Cancelled, MuseTalkError
from musetalk.progress import CancelToken

Phase: TypeAlias = Literal["idle", "running", "stopping", "done", "stopped", "failed"]
_CLOSE_SECONDS = 15.0  # work that waits for a server that has fallen silent notices after ten
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkState:
    """How the present or the last piece of work stands.

    Attributes:
        name: What it is about; empty: there was none yet.
        phase: "stopping": it was cancelled, and has yet to notice.
        error: Why it failed: problem and remedy.
    """

    name: str = ""
    phase: Phase = "idle"
    error: str = field(default="", kw_only=True)

    @property
    def active(self) -> bool:
        """Whether it is under way."""
        return self.phase in ("running", "stopping")


State = TypeVar("State", bound=WorkState)


class Background(Generic[State]):
    """Does one piece of work at a time. Safe to share between threads.

    Args:
        idle: The state before there was any.
        called: What the work is, for the log and for errors that nobody foresaw: "the download".
    """

    def __init__(self, idle: State, called: str) -> None:
        self._called = called
        self._changed = threading.Condition()
        self._state = idle
        self._errors: dict[str, str] = {}
        self._token = CancelToken()
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> State:
        """How the present or the last piece of work stands."""
        with self._changed:
            return self._state

    @property
    def errors(self) -> dict[str, str]:
        """By name, why the last work on it failed: problem and remedy."""
        with self._changed:
            return dict(self._errors)

    def begin(self, begun: State, work: Callable[[Callable[..., None], CancelToken], State]) -> State | None:
        """Begin a piece of work, unless one is under way; returns the state of that one, None: there is none.

        Args:
            begun: The state that it begins with.
            work: Does it, and returns the state that it ends with. It is given what it tells changes of its state to,
                by name, and what may end it.
        """
        with self._changed:
            if self._state.active:
                return self._state
            self._token, self._state = CancelToken(), begun
            self._errors.pop(begun.name, None)
            # A daemon: at worst the process ends in the middle, and what is half done is no result.
            run = threading.Thread(target=self._run, args=(begun, work, self._token), name=self._called, daemon=True)
            self._thread = run
            run.start()
            self._changed.notify_all()
        return None

    def cancel(self, name: str) -> None:
        """End the work on that; nothing happens where it is not under way."""
        with self._changed:
            if self._state.phase == "running" and self._state.name == name:
                self._token.cancel()
                self._change(phase="stopping")

    def wait(self, until: Callable[[State], bool], seconds: float) -> State:
        """Wait until the state is a certain one, but not longer than some seconds; returns the state then."""
        with self._changed:
            self._changed.wait_for(lambda: until(self._state), seconds)
            return self._state

    def close(self) -> None:
        """End what is under way, and wait for it."""
        with self._changed:
            thread = self._thread
            self._token.cancel()
        if thread is not None:
            thread.join(_CLOSE_SECONDS)

    def _run(
        self, begun: State, work: Callable[[Callable[..., None], CancelToken], State], cancel: CancelToken
    ) -> None:
        ended = replace(begun, phase="failed", error=f"{self._called} failed unexpectedly: see the server's log")
        try:
            ended = work(self._change, cancel)
        except Cancelled:
            ended = replace(begun, phase="stopped")
        except MuseTalkError as error:
            _log.warning("%s of %s failed: %s", self._called, begun.name, error)
            ended = replace(begun, phase="failed", error=str(error))
        finally:
            with self._changed:
                self._state = ended
                if ended.error:
                    self._errors[begun.name] = ended.error
                self._changed.notify_all()

    def _change(self, **changes: object) -> None:
        with self._changed:
            self._state = replace(self._state, **changes)  # type: ignore[arg-type]
            self._changed.notify_all()
