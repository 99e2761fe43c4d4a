"""An avatar's live session played in threads, for an event loop that must never wait."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from fractions import Fraction
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from musetalk.errors import Cancelled
from musetalk.progress import CancelToken
from musetalk.streaming.pacing import paced
from musetalk.streaming.session import StreamingSession
from musetalk.streaming.types import LiveFrame

_AHEAD = 0.12  # seconds of a voice that transports have in hand, so that no silence gets between two frames of it
_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class AvatarPlayer:
    """Opens a session, hands out its frames in real time, and closes it.

    What is asked of the session is done in the order in which it was asked for. Its own thread opens and closes it and
    waits for frames; another one carries out what the loop asks.

    Args:
        open_session: Opens it; a context manager, so that what it holds goes with it.
        show: Is given each frame at its time, and its pixels: uint8 RGB, row by row. The next waits until it is done.
        fail: Is told of what ended the session.
    """

    def __init__(
        self,
        open_session: Callable[[CancelToken], AbstractContextManager[StreamingSession]],
        show: Callable[[LiveFrame, bytes], Coroutine[Any, Any, None]],
        fail: Callable[[Exception], Coroutine[Any, Any, None]],
    ) -> None:
        self._open_session, self._show, self._fail = open_session, show, fail
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[Fraction] = self._loop.create_future()
        self._commands = ThreadPoolExecutor(1, thread_name_prefix="avatar")
        self._thread = threading.Thread(target=self._play, name="avatar", daemon=True)
        self._lock = threading.Lock()
        self._session: StreamingSession | None = None
        self._cancel, self._playing, self._closing = CancelToken(), threading.Event(), False

    async def open(self) -> Fraction:
        """Open the session; its frames a second.

        Raises:
            MuseTalkError: It cannot be opened.
        """
        self._thread.start()
        return await self._opened

    def play(self) -> None:
        """Begin to hand out frames; may be called again."""
        self._playing.set()

    async def push(self, pcm: npt.NDArray[np.int16], rate: int) -> int:
        """Take more of a voice: [n, channels]; the number of the voice that it belongs to.

        Raises:
            MuseTalkError: It is no sound, or the session has failed.
        """
        return await self._ask(lambda session: session.push(pcm, rate, timeout=0))

    async def flush(self) -> None:
        """The voice has ended."""
        await self._ask(StreamingSession.flush)

    def interrupt(self, kept: Sequence[tuple[npt.NDArray[np.int16], int]]) -> Awaitable[list[int]]:
        """Drop all that was pushed and not yet handed out; the mouth closes. In its turn already on return.

        Args:
            kept: Sound, and its rate, that is spoken nevertheless, after that.

        Returns:
            The numbers of the voices that it belongs to.
        """

        def speak_kept(session: StreamingSession) -> list[int]:
            session.interrupt()
            return [session.push(pcm, rate, timeout=0) for pcm, rate in kept]

        return self._ask(speak_kept)

    async def close(self) -> None:
        """End the session and both threads; may be called again, and while it opens."""
        with self._lock:
            self._closing = True
        self._cancel.cancel()
        self._playing.set()
        await asyncio.to_thread(self._end)

    def _ask(self, call: Callable[[StreamingSession], _Result]) -> Awaitable[_Result]:
        if self._session is None:
            raise Cancelled
        return self._loop.run_in_executor(self._commands, call, self._session)

    def _end(self) -> None:
        if self._session is not None:
            self._session.close()
        if self._thread.ident is not None:
            self._thread.join()
        self._commands.shutdown()

    def _play(self) -> None:
        try:
            with self._open_session(self._cancel) as session:
                if self._publish(session):
                    self._playing.wait()
                    for frame in paced(session, ahead=_AHEAD):
                        pixels = frame.picture.rgb().tobytes()
                        asyncio.run_coroutine_threadsafe(self._show(frame, pixels), self._loop).result()
        except Exception as error:  # noqa: BLE001 - told to whoever plays it
            self._ended_by(error)
        finally:
            self._tell(self._opened.cancel)

    def _publish(self, session: StreamingSession) -> bool:
        with self._lock:
            if self._closing:
                return False
            self._session = session
        self._tell(partial(_resolve, self._opened, session.fps))
        return True

    def _ended_by(self, error: Exception) -> None:
        if self._closing:
            if not isinstance(error, Cancelled):
                _log.warning("the session was closed, which failed: %s", error)
        elif self._session is None:
            self._tell(partial(_reject, self._opened, error))
        else:
            asyncio.run_coroutine_threadsafe(self._fail(error), self._loop).result()

    def _tell(self, call: Callable[[], object]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call)


def _resolve(future: asyncio.Future[Fraction], fps: Fraction) -> None:
    if not future.done():
        future.set_result(fps)


def _reject(future: asyncio.Future[Fraction], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
