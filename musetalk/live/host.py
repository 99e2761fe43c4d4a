"""`LiveHost`: lets clients speak with the avatars of a store, each in a session of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from fractions import Fraction

from musetalk.avatars.bundle import open_avatar
from musetalk.avatars.store import AvatarStore
from musetalk.errors import LiveError, MuseTalkError
from musetalk.lipsync import LipSync
from musetalk.live.conversation import Conversation
from musetalk.live.limits import LiveLimits
from musetalk.live.messages import Start, Stop, error_event, event, read_message
from musetalk.live.slots import Slots
from musetalk.live.socket import Socket
from musetalk.media.ffmpeg_commands import LIVE_RATE, LiveQuality
from musetalk.streaming.types import CHUNK_SECONDS, LiveOptions

_log = logging.getLogger(__name__)


class LiveHost:
    """Serves live sessions. For one event loop.

    Args:
        engine: Speaks.
        avatars: Who may be asked for, by name.
        limits: What clients may ask for; None: as usual.
    """

    def __init__(self, engine: LipSync, avatars: AvatarStore, limits: LiveLimits | None = None) -> None:
        self.limits = limits or LiveLimits()
        self._engine, self._avatars = engine, avatars
        self._slots = Slots(self.limits.sessions, self.limits.waiting)
        self._sessions: set[ExitStack] = set()
        self._ending = threading.Lock()
        # Each session opens, hears and ends in threads of these, so that none waits for another.
        self._threads = ThreadPoolExecutor(2 * self.limits.sessions, thread_name_prefix="live")

    async def serve(self, socket: Socket) -> None:
        """Converse with a client until it leaves, or cannot be served any longer; what it held is free then."""
        reason = ""
        try:
            start = await self._greet(socket)
            if start is not None:
                await self._converse(socket, start)
        except ConnectionError:
            _log.info("a client of live speech has gone")
            return
        except MuseTalkError as error:
            reason = error.problem
            await _try(socket.send(error_event(error)))
        await _try(socket.close(reason))

    def close(self) -> None:
        """End all sessions, and let go of their threads."""
        while self._sessions:
            self._end(next(iter(self._sessions)))
        self._threads.shutdown()

    async def _greet(self, socket: Socket) -> Start | None:
        """Return what a client wants; None: nothing, it has left.

        Raises:
            LiveError: It does not say.
        """
        try:
            first = await asyncio.wait_for(socket.receive(), self.limits.start_seconds)
        except asyncio.TimeoutError as error:
            raise LiveError("nothing was asked for", 'send {"type": "start", "avatar": NAME} first') from error
        if first is None:
            return None
        message = read_message(first) if isinstance(first, str) else None
        if not isinstance(message, Start):
            raise LiveError("the first message has to say who speaks", 'send {"type": "start", "avatar": NAME} first')
        return message

    async def _converse(self, socket: Socket, start: Start) -> None:
        outbox = _Outbox(self.limits.unread_seconds)

        async def tell(before: int) -> None:
            await socket.send(event("waiting", before=before))

        async with self._slots.place(tell), self._open(start, outbox) as conversation:
            await _first_to_end(self._hear(socket, conversation), outbox.send_to(socket), outbox.watch())

    @asynccontextmanager
    async def _open(self, start: Start, outbox: _Outbox) -> AsyncIterator[Conversation]:
        """Open a session and show it; loading and ending hold up nobody else."""
        loop, opened = asyncio.get_running_loop(), ExitStack()
        opening = loop.run_in_executor(self._threads, self._begin, start, outbox, opened)
        try:
            yield await asyncio.shield(opening)
        finally:
            await asyncio.wait([opening])
            await asyncio.shield(loop.run_in_executor(self._threads, self._end, opened))

    def _begin(self, start: Start, outbox: _Outbox, opened: ExitStack) -> Conversation:
        self._sessions.add(opened)
        avatar = open_avatar(self._avatars.place(start.avatar))
        options = LiveOptions(LIVE_RATE, Fraction(start.lookahead_chunks) * CHUNK_SECONDS)
        session = opened.enter_context(self._engine.live(avatar, options=options))
        quality = replace(LiveQuality(), max_height=start.max_height)
        return opened.enter_context(Conversation(session, start.rate, quality, self.limits, outbox.put, outbox.put))

    def _end(self, opened: ExitStack) -> None:
        """End a session, once."""
        with self._ending:
            known = opened in self._sessions
            self._sessions.discard(opened)
        if known:
            opened.close()

    async def _hear(self, socket: Socket, conversation: Conversation) -> None:
        """Take what a client sends, until it stops or leaves.

        Raises:
            MuseTalkError: It cannot be taken.
        """
        loop = asyncio.get_running_loop()
        while (data := await socket.receive()) is not None:
            if isinstance(data, bytes):
                await loop.run_in_executor(self._threads, conversation.hear, data)
                continue
            message = read_message(data)
            if isinstance(message, Stop):
                return
            conversation.obey(message)


class _Outbox:
    """What waits to be sent to a client, in order, put there by other threads.

    Args:
        most_seconds: Longest that anything may wait.
    """

    def __init__(self, most_seconds: float) -> None:
        self._most_seconds = most_seconds
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Queue[tuple[float, bytes | str | MuseTalkError]] = asyncio.Queue()
        self._since: float | None = None  # when that was put there which is being sent

    def put(self, message: bytes | str | MuseTalkError) -> None:
        """Add a message, or why there are no more."""
        self._loop.call_soon_threadsafe(self._waiting.put_nowait, (self._loop.time(), message))

    async def send_to(self, socket: Socket) -> None:
        """Send what comes.

        Raises:
            MuseTalkError: Why there is no more.
        """
        while True:
            self._since, message = await self._waiting.get()
            if isinstance(message, MuseTalkError):
                raise message
            await socket.send(message)
            self._since = None

    async def watch(self) -> None:
        """Look whether the client reads.

        Raises:
            LiveError: It does not.
        """
        while self._since is None or self._loop.time() - self._since < self._most_seconds:
            await asyncio.sleep(self._most_seconds / 4)
        raise LiveError("the video is not read as quickly as it is shown", "ask for a smaller one")


async def _first_to_end(*works: Awaitable[None]) -> None:
    """Do several things until the first of them ends, and end the others then."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _try(sending: Awaitable[None]) -> None:
    """Send something to a client who may be gone, or not read: it is not waited for long."""
    try:
        await asyncio.wait_for(sending, 1.0)
    except (ConnectionError, asyncio.TimeoutError):
        _log.info("a client of live speech has gone")
