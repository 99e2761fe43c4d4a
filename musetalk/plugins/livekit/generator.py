"""`FaceGenerator`: an avatar that speaks what LiveKit pushes, as frames and sound in real time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias, TypeVar

from livekit import rtc
from livekit.agents.voice.avatar import AudioSegmentEnd, VideoGenerator

from musetalk.errors import MuseTalkError
from musetalk.plugins.livekit.media import audio_frame, samples_of, video_frame
from musetalk.plugins.livekit.segments import Segment, Segments
from musetalk.streaming.pacing import next_frame
from musetalk.streaming.session import StreamingSession
from musetalk.streaming.types import LiveFrame

VOICE_AHEAD = 0.08  # seconds of sound that LiveKit has in hand beyond the frame that is shown: no gap is heard
_MOST_WAITING = 20.0  # seconds of voice that may wait here: less than the session takes, so that no push waits
_PUSH_TIMEOUT = 10.0  # seconds

Shown: TypeAlias = rtc.VideoFrame | rtc.AudioFrame | AudioSegmentEnd
_T = TypeVar("_T")


@dataclass(slots=True, eq=False)
class _Held:
    """A frame that was taken and not yet shown.

    Attributes:
        frame: As the session gave it.
        picture: The same for LiveKit.
        voice: The number of the voice that is heard in it; None: nobody is.
        segment: What it speaks; None: nothing that anybody waits for.
        heard_at: When its sound begins; None: that is not on its way.
    """

    frame: LiveFrame
    picture: rtc.VideoFrame
    voice: int | None
    segment: Segment | None
    heard_at: float | None = None


class FaceGenerator(VideoGenerator, rtc.EventEmitter[Literal["playback_started", "playback_finished", "closed"]]):
    """A live session as LiveKit's `VideoGenerator`. It sets the pace itself; where nobody speaks, the source moves.

    Sound goes out a few frames early, so that the queue behind always holds some, and each frame is shown when its
    sound begins there: the voice is the clock. Where frames come late, so does their sound, and all that follows is as
    late. The methods belong to the event loop, and never wait for the session, which two threads talk to.

    Events:
        playback_started(): The first frame of a segment is shown.
        playback_finished(position, interrupted): A segment was played to its end, or dropped, after so many seconds.
        closed(error): Nothing more comes; None: it was closed.

    Args:
        session: The session, which its owner closes.
        now: Seconds of a clock that never goes back.
        sleep: Waits so many seconds.

    Attributes:
        av_sync: What frames and sound go through; what it holds is dropped when the voice is interrupted. None: that
            is somebody else's.
    """

    def __init__(
        self,
        session: StreamingSession,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__()
        self.av_sync: rtc.AVSynchronizer | None = None
        self._session, self._now, self._sleep = session, now, sleep
        self._period = float(1 / session.fps)
        self._ahead = max(1, round(VOICE_AHEAD / self._period))
        self._segments = Segments(self._period, now)
        self._of_voice: dict[int, Segment] = {}
        self._naming = threading.Lock()  # a voice is known by its number before a frame of it is looked at
        self._held: deque[_Held] = deque()
        self._newest: _Held | None = None
        self._sound_ends = 0.0  # when what was sent of it was heard
        self._room = asyncio.Event()
        self._taking = ThreadPoolExecutor(1, "face-frames")
        self._telling = ThreadPoolExecutor(1, "face-voice")  # keeps what is told in order
        self._interrupting: Future[None] | None = None
        self._clearing: set[asyncio.Task[None]] = set()
        self._closed = False
        self._failure: BaseException | None = None

    async def push_audio(self, frame: rtc.AudioFrame | AudioSegmentEnd) -> None:
        """Take more of what the agent says, or that it ends; waits while much of it is waiting to be spoken."""
        if isinstance(frame, AudioSegmentEnd):
            if (ended := self._segments.end()) is not None:
                await self._tell(partial(self._end, ended))
            return
        segment = self._segments.push(frame.duration)
        while self._segments.unplayed > _MOST_WAITING + frame.duration and not (segment.dropped or self._closed):
            self._room.clear()
            await self._room.wait()
        if not segment.dropped:
            await self._tell(partial(self._push, segment, frame))

    def clear_buffer(self) -> None:
        """Drop all that was pushed: silence at once, and the mouth closes within 0.2 s."""
        dropped = self._segments.drop()
        positions = [self._segments.position(segment) for segment in dropped]
        if dropped and not self._closed:
            unshown = [held.frame for held in self._held]
            self._held.clear()
            self._interrupting = self._telling.submit(self._session.interrupt, unshown)
            if self.av_sync is not None:
                self._sound_ends = 0.0
                task = asyncio.get_running_loop().create_task(self.av_sync.clear_queue())
                self._clearing.add(task)
                task.add_done_callback(self._clearing.discard)
        self._room.set()
        for position in positions:
            self.emit("playback_finished", position, True)

    def close(self, error: BaseException | None = None) -> None:
        """Show nothing more; what is being said counts as interrupted. May be called twice.

        Args:
            error: Why; None: somebody wants it so.
        """
        if self._closed:
            return
        self._closed, self._failure = True, error
        self.clear_buffer()
        for pool in (self._taking, self._telling):
            pool.shutdown(wait=False)
        self.emit("closed", error)

    def __aiter__(self) -> AsyncIterator[Shown]:
        """Yield frames and sound when they are due, and `AudioSegmentEnd` where a segment was played to its end.

        Raises:
            MuseTalkError: The session has failed.
        """
        return self._play()

    async def _play(self) -> AsyncIterator[Shown]:
        due = self._now()
        try:
            while self._goes_on():
                await self._fill(due)
                if self._held and (early := (self._held[0].heard_at or due) - self._now()) > 0:
                    await self._sleep(early)
                if not self._held:  # nothing came, or it was interrupted
                    continue
                held = self._held.popleft()
                for segment in self._segments.played_before(held.segment):
                    self.emit("playback_finished", segment.pushed, False)
                    yield AudioSegmentEnd()
                self._note(held)
                yield held.picture
                due = self._next_due(due)
                for spoken in (held, *self._held):
                    if spoken.segment is not None and not spoken.segment.dropped and spoken.heard_at is None:
                        yield self._send(spoken)
                if held.heard_at is not None:
                    due = held.heard_at + self._period
        except Exception as error:
            self.close(error)
            raise
        self.close()

    def _goes_on(self) -> bool:
        if self._failure is not None:
            raise self._failure
        return not (self._closed or self._session.closed)

    def _next_due(self, due: float) -> float:
        """Return when the frame after one that is shown now and was due at a time is due."""
        now = self._now()
        return due + self._period if now < due + self._period / 2 else now + self._period

    def _note(self, held: _Held) -> None:
        """Note that a frame is shown now."""
        if held.segment is not None and not held.segment.dropped:
            if self._segments.show(held.segment, held.voice):
                self.emit("playback_started")
            self._room.set()

    def _send(self, held: _Held) -> rtc.AudioFrame:
        """Return the sound of a frame, which goes out now."""
        sound = audio_frame(held.frame.sound, self._session.options.rate)
        held.heard_at = max(self._now(), self._sound_ends)
        self._sound_ends = held.heard_at + sound.duration
        return sound

    async def _fill(self, due: float) -> None:
        """Hold the frame that is due, and while a voice speaks the next ones, as far as they come in time."""
        if not self._held:
            await self._take(partial(next_frame, self._session, max(0.0, due - self._now())))
        begins = bool(self._held) and self._held[0].heard_at is None
        until = due + (self._ahead * self._period if begins else 0.0)
        while self._held and self._held[-1].segment is not None and len(self._held) <= self._ahead:
            if not await self._take(partial(self._session.take, max(0.0, until - self._now()))):
                return

    async def _take(self, take: Callable[[], LiveFrame | None]) -> bool:
        """Take a frame if there is one, and return whether there was."""
        if self._interrupting is not None:  # nothing more of what it drops
            interrupting, self._interrupting = self._interrupting, None
            await asyncio.wrap_future(interrupting)
        if self._closed:
            return False
        held = await self._in(self._taking, partial(self._hold, take))
        if held is not None:
            self._held.append(held)
        return held is not None

    def _hold(self, take: Callable[[], LiveFrame | None]) -> _Held | None:
        frame = take()
        if frame is None:
            return None
        if frame.last or (self._session.waiting == 0 and self._session.at_rest):
            self._session.idle(1)  # is finished when it is due; a voice that goes on needs none
        before, voice = self._newest, frame.utterance
        if voice is None and before is not None and frame.sound.any():
            voice = before.voice  # the rest of it, less than a frame
        with self._naming:
            segment = None if voice is None else self._of_voice.get(voice)
            for other in [each for each in self._of_voice if voice is not None and each < voice]:
                del self._of_voice[other]
        self._newest = _Held(frame, video_frame(frame.picture), voice, segment)
        return self._newest

    def _push(self, segment: Segment, frame: rtc.AudioFrame) -> None:
        with self._naming:
            segment.voice = self._session.push(samples_of(frame), frame.sample_rate, _PUSH_TIMEOUT)
            self._of_voice[segment.voice] = segment

    def _end(self, segment: Segment) -> None:
        self._session.flush()
        segment.ended = True

    async def _tell(self, command: Callable[[], None]) -> None:
        """Let the session know something; what fails then ends the playing."""
        if self._closed:
            return
        try:
            await self._in(self._telling, command)
        except MuseTalkError as error:
            self.close(error)

    async def _in(self, pool: ThreadPoolExecutor, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(pool, work)
