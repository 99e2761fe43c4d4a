"""Cancellation deep inside of work: stop points that check for it, and threads that are abandoned.

Whoever begins work says once what ends it (`ends_by`), for the thread that does it. Deep inside, between the layers of
a network, the tensors of a checkpoint or the frames of a piece, `stop_point` asks; so no signature on the way there has
to know of it. What cannot ask, an import or a compiler, is waited for in `left_alone`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Generic, TypeVar

from musetalk.progress import never_stop

_T = TypeVar("_T")
_POLL_SECONDS = 0.1

# What a thread does is ended by this; each thread has its own, and none where nobody said.
_check: ContextVar[Callable[[], None]] = ContextVar("check", default=never_stop)


@contextmanager
def ends_by(check: Callable[[], None]) -> Iterator[None]:
    """Inside the `with` block, and in this thread, work ends by what `check` raises: `CancelToken.check`, mostly."""
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def stop_point() -> None:
    """End here if the work of this thread is to end; cheap enough for the inside of loops."""
    _check.get()()


def left_alone(work: Callable[[], _T]) -> _T:
    """Do work that does not look whether it is to end; where it is, end at once, and leave the work to itself.

    It is done in a thread of its own, where it goes on until it comes to a stop point or to its end; what it makes then
    is dropped. Nothing may depend on its having ended.

    Args:
        work: Its errors are raised here.
    """
    if _check.get() is never_stop:
        return work()
    done = _Done[_T]()
    context = copy_context()
    thread = threading.Thread(target=lambda: context.run(done.do, work), name="left-alone")
    thread.start()
    while thread.is_alive():
        thread.join(_POLL_SECONDS)
        stop_point()
    return done.result()


class _Done(Generic[_T]):
    """What came of work in another thread."""

    def __init__(self) -> None:
        self._made: list[_T] = []
        self._error: BaseException | None = None

    def do(self, work: Callable[[], _T]) -> None:
        try:
            self._made.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            self._error = error

    def result(self) -> _T:
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # else it would hold itself, and what its frames hold, in memory
        return self._made.pop()
