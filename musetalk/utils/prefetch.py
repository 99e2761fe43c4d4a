"""Stages that overlap: an iterator worked ahead of its consumer by a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, TypeVar

from musetalk.utils.job_log import carried

T = TypeVar("T")
U = TypeVar("U")
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class _Item(Generic[T]):
    value: T


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


def map_closing(work: Callable[[T], U], items: Generator[T, None, None]) -> Generator[U, None, None]:
    """Apply `work` to each item; ending, failing or being closed closes `items` at once.

    A plain generator expression would leave that to the garbage collector, which a traceback can keep waiting.
    """
    with closing(items):
        for item in items:
            yield work(item)


def prefetch(items: Iterable[T], *, capacity: int, name: str) -> Generator[T, None, None]:
    """Run `items` in a thread, at most `capacity` finished items ahead of the consumer.

    An exception in `items` is raised at the consumer, after the items before it. Closing the result (or leaving the
    loop over it) stops the thread, closes `items`, and returns when both are done.

    Args:
        items: What to iterate; its work is done in the thread.
        capacity: Bound of the queue between the two.
        name: Of the thread, for debuggers.
    """
    passing: queue.Queue[_Item[T] | _End] = queue.Queue(capacity)
    closed = threading.Event()

    def hand_on(entry: _Item[T] | _End) -> bool:
        while not closed.is_set():
            try:
                passing.put(entry, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        failure: BaseException | None = None
        try:
            for value in items:
                if not hand_on(_Item(value)):
                    break
        except BaseException as error:  # noqa: BLE001 - handed to the consumer, who raises it
            failure = error
        finally:
            if isinstance(items, Generator):
                items.close()
            hand_on(_End(failure))
            failure = None  # its traceback holds this frame: the two would keep all that it refers to

    thread = threading.Thread(target=carried(work), name=name, daemon=True)
    thread.start()
    try:
        while True:
            entry = passing.get()
            if isinstance(entry, _End):
                if entry.error is not None:
                    raise entry.error
                return
            yield entry.value
    finally:
        entry = _End(None)  # see `failure`
        closed.set()
        thread.join()
