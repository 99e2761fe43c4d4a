from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from musetalk.errors import BackendError
from musetalk.plugins.live_thread import live_in_thread
from musetalk.progress import CancelToken
from tests.helpers.programs import HANG_SECONDS


class Opened:
    """Stands for a live session; remembers which threads opened and closed it."""

    def __init__(self, failure: Exception | None = None, *, slowly: bool = False) -> None:
        self.opening, self.failure, self.slowly = threading.Event(), failure, slowly
        self.threads: list[str] = []

    @contextmanager
    def __call__(self, cancel: CancelToken) -> Iterator[Any]:
        self.opening.set()
        while self.slowly:
            cancel.check()
        if self.failure is not None:
            raise self.failure
        self.threads.append(threading.current_thread().name)
        yield self
        self.threads.append(threading.current_thread().name)


def test_a_session_is_opened_and_closed_by_one_thread_of_its_own() -> None:
    opened = Opened()

    async def use() -> None:
        async with live_in_thread(opened) as session:
            assert session is opened

    asyncio.run(use())
    assert opened.threads == ["live-host", "live-host"]


def test_what_fails_as_it_opens_is_raised_where_it_is_awaited() -> None:
    async def use() -> None:
        with pytest.raises(BackendError):
            async with live_in_thread(Opened(BackendError("there is none"))):
                raise AssertionError

    asyncio.run(use())


def test_a_session_that_nobody_waits_for_any_more_is_not_opened() -> None:
    opened = Opened(slowly=True)

    async def use() -> None:
        async with live_in_thread(opened):
            raise AssertionError

    async def give_up() -> None:
        task = asyncio.create_task(use())
        await asyncio.to_thread(opened.opening.wait, HANG_SECONDS)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(give_up())
    assert opened.threads == []
