"""`LiveHost`: lets clients speak with the avatars of a store, each in a session of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from musetalk.avatars.bundle import open_avatar
from musetalk.avatars.store import AvatarStore
from musetalk.errors import LiveError, MuseTalkError
from musetalk.lipsync import LipSync
from musetalk.live.conversation import Conversation
from musetalk.live.inbox import Inbox
from musetalk.live.limits import LiveLimits
from musetalk.live.messages import Start, Stop, error_event, event
from musetalk.live.outbox import Outbox
from musetalk.live.sinks import EncodedSink, OpenSink
from musetalk.live.slots import Slots
from musetalk.live.socket import Socket
from musetalk.media.ffmpeg_commands import LIVE_RATE
from musetalk.settings import CHUNK_SECONDS
from musetalk.streaming.types import LiveOptions
from musetalk.tts.registry import SharedVoice
from musetalk.weights.part_spec import Place

TOLD_SECONDS = 10.0  # at most, in which clients hear that their server ends: a busy machine takes a while
_log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


class LiveHost:
    """Serves live sessions. For one event loop.

    Args:
        engine: Speaks.
        avatars: Who may be asked for, by name.
        limits: What clients may ask for; None: as usual.
        voice: What reads texts aloud that they type; None: the voice that comes with the program.
        models_dir: Where weights are on this machine.
    """

    def __init__(
        self,
        engine: LipSync,
        avatars: AvatarStore,
        limits: LiveLimits | None = None,
        voice: SharedVoice | None = None,
        models_dir: Path = Path("models"),
    ) -> None:
        self.limits = limits or LiveLimits()
        self._voice = voice or SharedVoice(Place(models_dir))
        self._models_dir = models_dir
        self._engine, self._avatars = engine, avatars
        self._slots = Slots(self.limits.sessions, self.limits.waiting)
        self._sessions: set[ExitStack] = set()
        self._queued: set[Outbox] = set()  # of those whose session is still to begin
        self._outboxes: set[Outbox] = set()  # of those who are in one
        self._begun, self._draining = 0, False
        self._speaking: list[str] = []  # by name, who is spoken with
        self._ending, self._closed = threading.Lock(), False
        # Each session opens, hears and ends in threads of these, so that none waits for another.
        self._threads = ThreadPoolExecutor(2 * self.limits.sessions, thread_name_prefix="live")

    async def serve(self, socket: Socket, show: OpenSink = EncodedSink) -> None:
        """Converse with a client until it leaves, or cannot be served any longer; what it held is free then.

        Args:
            socket: Of the client.
            show: Opens what shows it the frames; called in another thread than the loop's.
        """
        try:
            inbox = Inbox(socket, self.limits)
            start = await self._greet(inbox)
            reason = "" if start is None else await self._converse(socket, inbox, start, show)
        except ConnectionError:
            _log.info("a client of live speech has gone")
            return
        except MuseTalkError as error:
            reason = await _tell(socket, error)
        await _try(socket.close(reason))

    @property
    def free(self) -> int:
        """Sessions that could begin now."""
        return 0 if self._draining else self._slots.free

    def speaking(self, name: str) -> bool:
        """Return whether somebody speaks with the avatar of that name, or is about to."""
        return name in self._speaking

    @property
    def sessions(self) -> int:
        """Sessions that go on now."""
        return len(self._sessions)

    @property
    def begun(self) -> int:
        """Sessions that have begun since the host was made."""
        return self._begun

    def drain(self, seconds: float) -> None:
        """Begin no more sessions: who waits is told that it is over, and who speaks, how many seconds it has left.

        From any thread.
        """
        self._draining = True
        for outbox in tuple(self._queued):
            outbox.put(_ending())
        for outbox in tuple(self._outboxes):
            outbox.put(event("ending", seconds=seconds))

    def dismiss(self) -> None:
        """Tell whoever still speaks or waits that it is over, which ends their sessions. From any thread."""
        self._draining = True
        for outbox in (*self._queued, *self._outboxes):
            outbox.put(_ending())

    def close(self) -> None:
        """End all sessions, and let go of their threads."""
        self._closed = True
        while self._sessions:
            self._end(next(iter(self._sessions)))
        self._threads.shutdown()

    async def _greet(self, inbox: Inbox) -> Start | None:
        """Return what a client wants; None: nothing, it has left.

        Raises:
            LiveError: It does not say.
        """
        try:
            first = await asyncio.wait_for(inbox.next(), self.limits.start_seconds)
        except asyncio.TimeoutError as error:
            raise LiveError("nothing was asked for", 'send {"type": "start", "avatar": NAME} first') from error
        if first is None:
            return None
        if not isinstance(first, Start):
            raise LiveError("the first message has to say who speaks", 'send {"type": "start", "avatar": NAME} first')
        return first

    async def _converse(self, socket: Socket, inbox: Inbox, start: Start, show: OpenSink) -> str:
        """Converse until one of both ends it; returns why it had to end, which the client knows; empty: it is done.

        Raises:
            LiveError: This server is about to end.
        """
        if self._draining:
            raise _ending()
        outbox = Outbox(self.limits.unread_seconds)

        def tell(before: int) -> None:
            outbox.put(event("waiting", before=before))

        async with AsyncExitStack() as held:

            async def enter() -> Conversation:
                await held.enter_async_context(self._slots.place(tell))
                return await held.enter_async_context(self._open(partial(self._enter, start, show, outbox)))

            async def converse() -> None:
                conversation = await inbox.until(enter())
                if conversation is not None:
                    self._outboxes.add(outbox)
                    self._queued.discard(outbox)
                    self._begun += 1
                    _log.info("a session of live speech begins with %r", start.avatar)
                    await self._hear(inbox, conversation)

            self._queued.add(outbox)
            held.callback(self._outboxes.discard, outbox)
            held.callback(self._queued.discard, outbox)
            try:
                await _first_to_end(converse(), outbox.send_to(socket), outbox.watch())
            except MuseTalkError as error:  # told before the session ends, with which its server may
                return await _tell(socket, error)
            return ""

    @asynccontextmanager
    async def _open(self, enter: Callable[[ExitStack], Conversation]) -> AsyncIterator[Conversation]:
        """Open a session and show it; loading and ending hold up nobody else."""
        opened = ExitStack()
        opening = self._in_thread(self._begin, enter, opened)
        try:
            yield await asyncio.shield(opening)
        finally:
            await asyncio.wait([opening])
            if opened in self._sessions:  # else it did not begin, or all were ended
                await asyncio.shield(self._in_thread(self._end, opened))

    def _begin(self, enter: Callable[[ExitStack], Conversation], opened: ExitStack) -> Conversation:
        self._sessions.add(opened)
        try:
            conversation = enter(opened)
        except BaseException:
            opened.close()
            raise
        with self._ending:
            if opened in self._sessions and not (self._closed or self._draining):
                return conversation
        opened.close()  # all were ended while it opened
        raise _ending()

    def _enter(self, start: Start, show: OpenSink, outbox: Outbox, opened: ExitStack) -> Conversation:
        self._speaking.append(start.avatar)
        opened.callback(self._speaking.remove, start.avatar)
        avatar = open_avatar(self._avatars.named(start.avatar))
        options = LiveOptions(LIVE_RATE, Fraction(start.lookahead_chunks) * CHUNK_SECONDS, vad=start.vad)
        settings = avatar.settings_with({"models_dir": self._models_dir})
        session = opened.enter_context(self._engine.live(avatar, settings, options))
        sink = show(session, start, outbox.put)
        return opened.enter_context(
            Conversation(session, start.rate, sink, self.limits, self._voice, outbox.put, outbox.put)
        )

    def _end(self, opened: ExitStack) -> None:
        """End a session, once."""
        with self._ending:
            known = opened in self._sessions
            self._sessions.discard(opened)
        if known:
            opened.close()

    def _in_thread(self, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> asyncio.Future[T]:
        """Begin to do in a thread what others are not to wait for.

        Raises:
            LiveError: The host was closed.
        """
        if self._closed:
            raise _ending()
        return asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *given, **named))

    async def _hear(self, inbox: Inbox, conversation: Conversation) -> None:
        """Take what a client sends, until it stops or leaves.

        Raises:
            MuseTalkError: It cannot be taken.
        """
        loop = asyncio.get_running_loop()
        due = loop.time() - 1
        while (message := await inbox.next()) is not None and not isinstance(message, Stop):
            if isinstance(message, bytes):
                await self._in_thread(conversation.hear, message)
            else:
                conversation.obey(message)
            due = max(due, loop.time() - 1) + 1 / self.limits.messages
            await asyncio.sleep(due - loop.time())  # a storm of them leaves the others their time


def _ending() -> LiveError:
    return LiveError("this server is about to be restarted", "try again in a few minutes")


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


async def _tell(socket: Socket, error: MuseTalkError) -> str:
    """Tell a client why it is served no longer, and return that in short."""
    _log.info("a session of live speech ends: %s", error)
    told = error if error.path is None else error.called(error.path.name)  # it is nobody's business where
    await _try(socket.send(error_event(told)))
    return told.problem


async def _try(sending: Awaitable[None]) -> None:
    """Send something to a client who may be gone, or not read: it is not waited for long."""
    try:
        await asyncio.wait_for(sending, 1.0)
    except (ConnectionError, asyncio.TimeoutError):
        _log.info("a client of live speech has gone")
