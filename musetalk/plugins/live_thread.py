"""A live session for programs that run on an event loop: opened, kept and closed in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, asynccontextmanager

from musetalk.errors import Cancelled
from musetalk.progress import CancelToken
from musetalk.streaming.session import StreamingSession


@asynccontextmanager
async def live_in_thread(
    open_live: Callable[[CancelToken], AbstractContextManager[StreamingSession]],
) -> AsyncIterator[StreamingSession]:
    """Lend a live session; the event loop waits for nothing.

    Args:
        open_live: Opens it: `LipSync.live` with an avatar. The token that it is given ends the opening.

    Raises:
        MuseTalkError: It cannot be opened.
    """
    hosted = _Hosted(open_live)
    try:
        yield await asyncio.wrap_future(hosted.session)
    finally:
        hosted.stop()
        await asyncio.shield(asyncio.wrap_future(hosted.ended))


class _Hosted:
    """A thread with a session: what is taken for a thread is given back in the same one."""

    def __init__(self, open_live: Callable[[CancelToken], AbstractContextManager[StreamingSession]]) -> None:
        self.session, self.ended = Future[StreamingSession](), Future[None]()
        self._open, self._cancel, self._stopped = open_live, CancelToken(), threading.Event()
        threading.Thread(target=self._run, name="live-host", daemon=True).start()

    def stop(self) -> None:
        """End the session, or the opening of it."""
        self._stopped.set()
        self._cancel.cancel()

    def _run(self) -> None:
        self.session.set_running_or_notify_cancel()
        try:
            with self._open(self._cancel) as session:
                self.session.set_result(session)
                self._stopped.wait()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            self._tell(error)
        else:
            self.ended.set_result(None)

    def _tell(self, error: BaseException) -> None:
        opened = self.session.done()
        if not opened:
            self.session.set_exception(error)
        if opened and not isinstance(error, Cancelled):
            self.ended.set_exception(error)
        else:
            self.ended.set_result(None)
