"""`StreamingSession`: a voice is pushed as it arrives, frames with their sound are taken as soon as they are known."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import TracebackType

import numpy as np
import numpy.typing as npt

from musetalk.errors import Cancelled, VoiceError
from musetalk.media.frames import Frame
from musetalk.pipeline.prepare import RenderPlan
from musetalk.pipeline.segments import Segment
from musetalk.progress import RenderRun
from musetalk.streaming.backlog import Backlog
from musetalk.streaming.metrics import LiveMetrics, Meter
from musetalk.streaming.renderer import LiveRenderer
from musetalk.streaming.types import LiveFrame, LiveOptions, LiveSpeech
from musetalk.streaming.voice_timeline import VoiceTimeline
from musetalk.utils.arrays import Float32Array
from musetalk.utils.stopping import ends_by

_RATES = range(8_000, 192_001)
_LOUDEST = 4.0  # of full scale: more is no voice but an error
_MOST_UNSHOWN = 8  # frames that were taken and may come back
_FADE_SECONDS = 0.01  # of sound that is left of a voice that is interrupted: no click is heard
# Seconds of a voice that are heard beyond what is painted: a long one does not hold up its first frame.
_HEARD_AHEAD = 1


class StreamingSession:
    """An avatar that speaks live. Its methods may be called from any thread.

    Frames come in order and without end, as long as there is something to show: the voices that were pushed, and the
    silence that `idle` asks for between them. A frame and its sound belong together, so the two cannot drift.

    Attributes:
        options: How it speaks.
        fps: Frames a second.
        layout: Of the pictures.

    Args:
        plan: Of the whole source; what it knows of a voice does not count. Kept for as long as the session lasts.
        hear: Makes what hears a new voice for the plan's generator.
        options: How it speaks; None: as usual.
        run: Ends the session from outside, is told what is noticed.
        now: Seconds of a clock that never goes back.

    Raises:
        BackendError: The backend cannot paint live.
    """

    def __init__(
        self,
        plan: RenderPlan,
        hear: Callable[[], LiveSpeech],
        options: LiveOptions | None = None,
        run: RenderRun | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.options, self._run, self._now = options or LiveOptions(), (run or RenderRun()).branch(), now
        self.fps, self.layout = plan.source.fps, plan.source.layout
        self._voice = VoiceTimeline(self.fps, hear, self.options)
        self._renderer = LiveRenderer(plan, self._voice, self._run)
        self._changed = threading.Condition()
        self._inbox: deque[Callable[[], None]] = deque()
        self._ready: deque[LiveFrame] = deque()
        self._dropped: list[Frame] = []  # of the source, of frames that were made and are shown again
        self._cut: Callable[[], None] | None = None  # what comes before all else, once there was an interruption
        self._epoch = self._taken = 0
        self._backlog = Backlog(self.fps)
        self._speaking: int | None = None  # the rate of the voice that is pushed
        self._silent = True  # whether nothing of a voice is left that could be dropped
        self._voices = 0
        self._working = self._closed = False
        self._painting: RenderRun | None = None  # the part of the run that paints now
        self._failure: BaseException | None = None
        self._meter = Meter(now)
        self._thread = threading.Thread(target=self._work, name="live", daemon=True)
        self._thread.start()

    def __enter__(self) -> StreamingSession:
        """Return it; `close` follows."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self.close()

    def push(self, pcm: npt.ArrayLike, rate: int | None = None, timeout: float | None = None) -> int:
        """Take more of a voice; waits while more of it is waiting than `LiveOptions.most_waiting`.

        Args:
            pcm: int16 or float (-1 to 1), [n] or [n, channels], of any length.
            rate: Its samples a second; None: the session's.
            timeout: Most seconds to wait for room; None: as long as it takes.

        Returns:
            The number of the voice that it belongs to, as frames tell it.

        Raises:
            VoiceError: It is no sound, or there was no room in time.
            MuseTalkError: The session has failed.
        """
        samples, rate = _mono(pcm), self.options.rate if rate is None else rate
        if rate not in _RATES:
            raise VoiceError(f"a voice of {rate} samples a second cannot be spoken", "send 8,000 to 192,000")
        with self._changed:
            if not self._changed.wait_for(self._has_room, timeout):
                problem = f"the voice arrives quicker than it is spoken: {self._backlog.seconds:.0f} s are waiting"
                raise VoiceError(problem, "send it later")
            self._check()
            if self._speaking != rate:
                self._speaking, self._voices = rate, self._voices + 1
                self._meter.voice_begins(self._voices - 1)
            number, self._silent = self._voices - 1, False
            self._backlog.add(number, len(samples) / rate)
            pieces = range(0, max(1, len(samples)), rate * _HEARD_AHEAD)
            for start in pieces:
                self._tell(partial(self._voice.push, number, samples[start : start + pieces.step], rate))
            return number

    def flush(self) -> None:
        """The voice that was pushed has ended: what is left of it comes without waiting for more."""
        with self._changed:
            self._tell(self._voice.end)
            self._speaking = None

    def idle(self, frames: int) -> None:
        """Let so many frames follow in which nobody speaks, where no voice goes on."""
        self._tell(partial(self._voice.add_silence, frames))

    def interrupt(self, unshown: Sequence[LiveFrame] = ()) -> None:
        """Drop all that was pushed and not yet taken, sound and frames; the mouth closes, within 0.2 s.

        Args:
            unshown: The newest frames that were taken, as far as nobody has seen them, in order: they are dropped, too,
                and the source goes on from them. Where others were taken since, or they are more than 8, they are lost.
        """
        with self._changed:
            back, ready = self._unshown(unshown), list(self._ready)
            if self._silent and all(frame.utterance is None for frame in back):
                return  # frames in which nobody speaks go on as they are
            self._silent = True
            self._epoch += 1
            if self._painting is not None:
                self._painting.cancel.cancel()
            self._inbox.clear()
            self._taken -= len(back)
            self._ready.clear()
            self._dropped = [*_sources(back), *self._dropped, *_sources(ready)]
            sound = np.concatenate([np.zeros(0, np.float32), *(frame.sound for frame in back + ready)])
            if self._cut is None or back:  # else nothing was made since then
                self._cut = partial(self._voice.cut, self._taken, _faded_out(sound, self.options.rate))
            self._backlog.clear()
            self._speaking = None
            self._meter.interrupted()
            self._changed.notify_all()

    def take(self, timeout: float | None = None) -> LiveFrame | None:
        """Return the next frame; None: there is none in time, or the session was closed.

        Args:
            timeout: Most seconds to wait; None: as long as it takes.

        Raises:
            MuseTalkError: The session has failed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._closed or self._failure, timeout)
            if not self._ready:
                self._check()
                return None
            frame = self._ready.popleft()
            self._taken += 1
            if frame.last and frame.utterance == self._voices - 1:
                self._silent = self._speaking is None
            painted = frame.picture is not frame.source
            self._meter.taken(frame.utterance, rests=not painted)
            self._changed.notify_all()
            return frame

    def spoken(self) -> Iterator[LiveFrame]:
        """Yield the frames of all that was pushed, until nothing of it is left that can be painted."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ready or self.at_rest or self._closed or self._failure)
                if not self._ready:
                    self._check()
                    return
            frame = self.take()
            if frame is not None:
                yield frame

    @property
    def waiting(self) -> int:
        """Frames that are finished and were not taken."""
        return len(self._ready)

    @property
    def at_rest(self) -> bool:
        """Whether all is painted of what was pushed or asked for that can be."""
        return not self._working and not self._inbox and self._cut is None

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._closed

    @property
    def speaks(self) -> bool:
        """Whether a voice is being pushed that was not flushed."""
        return self._speaking is not None

    @property
    def metrics(self) -> LiveMetrics:
        """How quick it has been so far."""
        with self._changed:
            return self._meter.metrics

    def close(self) -> None:
        """End the session: nothing more is painted, and what it held is free. May be called twice."""
        with self._changed:
            self._closed = True
            self._inbox.clear()
            self._cut = None
            self._changed.notify_all()
        self._run.cancel.cancel()
        self._thread.join()

    def _unshown(self, frames: Sequence[LiveFrame]) -> list[LiveFrame]:
        """Return frames that were taken, if they can come back."""
        newest = bool(frames) and frames[-1].number == self._taken - 1
        return list(frames) if newest and len(frames) <= _MOST_UNSHOWN else []

    def _tell(self, command: Callable[[], None]) -> None:
        with self._changed:
            self._check()
            if not self._closed:
                self._inbox.append(command)
                self._changed.notify_all()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _has_room(self) -> bool:
        return self._closed or self._failure is not None or self._backlog.seconds <= self.options.most_waiting

    def _work(self) -> None:
        try:
            with ends_by(self._run.cancel.check):
                while (work := self._next_work()) is not None:
                    work()
        except Cancelled:
            self._closed = True  # by whoever opened it, where `close` was not called
        except BaseException as error:  # noqa: BLE001 - handed to whoever takes frames
            with self._changed:
                self._failure = error
        finally:
            self._renderer.close()
            self._voice.close()
            with self._changed:
                self._working = False
                self._changed.notify_all()

    def _next_work(self) -> Callable[[], None] | None:
        """Wait until there is something to do, and return it; None: the session was closed.

        What is heard and what is painted take turns, and neither holds up who pushes and who takes.
        """
        with self._changed:
            while not self._closed:
                self._working = True
                if self._cut is not None:
                    cut, dropped, self._cut, self._dropped = self._cut, self._dropped, None, []
                    return partial(self._go_back, self._taken, dropped, cut)
                made = self._taken + len(self._ready)
                if self._inbox and self._voice.frame_count - made < _HEARD_AHEAD * self.fps:
                    return self._inbox.popleft()
                full = len(self._ready) >= self.options.most_ahead
                segment = None if full else self._renderer.next_segment()
                if segment is not None:
                    return partial(self._paint, segment, self._epoch)
                if self._inbox and not full:
                    return self._inbox.popleft()
                self._working = full
                self._changed.notify_all()
                self._changed.wait()
        return None

    def _go_back(self, frame: int, sources: list[Frame], cut: Callable[[], None]) -> None:
        self._renderer.go_back(frame, sources)
        cut()
        if self._voice.frame_count <= frame:
            self._voice.add_silence(1)  # whoever waits for a frame that was dropped gets this one

    def _paint(self, segment: Segment, epoch: int) -> None:
        began, run = self._now(), self._run.branch()
        with self._changed:
            if epoch != self._epoch:
                return
            self._painting = run
        try:
            painted = self._renderer.paint(segment, run)
        except Cancelled:
            self._run.cancel.check()
            return  # only this was ended, by an interruption
        finally:
            self._painting = None
        seconds = self._now() - began
        with self._changed:
            if epoch != self._epoch:  # it was interrupted meanwhile
                self._dropped += [source for _, source in painted]
                return
            for number, (picture, source) in enumerate(painted, segment.first):
                utterance, last = self._voice.spoken(number)
                sound = self._voice.take_sound(number)
                self._ready.append(LiveFrame(number, picture, sound, utterance, last, source))
                if utterance is not None:
                    self._backlog.painted(utterance, last=last)
            if segment.tracks:
                self._meter.made(len(painted), seconds)
            self._voice.forget(self._taken - 1 - _MOST_UNSHOWN)
            self._changed.notify_all()


def _sources(frames: Sequence[LiveFrame]) -> list[Frame]:
    return [frame.source for frame in frames]


def _faded_out(sound: Float32Array, rate: int) -> Float32Array:
    fading = sound[: round(_FADE_SECONDS * rate)]
    return np.asarray(fading * np.linspace(1, 0, len(fading), dtype=np.float32), np.float32)


def _mono(pcm: npt.ArrayLike) -> Float32Array:
    """Return samples as float32 [n], -1 to 1, mono; what is no number is silence.

    Raises:
        VoiceError: They are of another type or shape.
    """
    given = np.asarray(pcm)
    if given.dtype == np.int16:
        samples = given.astype(np.float32) / np.float32(32768)
    elif np.issubdtype(given.dtype, np.floating):
        samples = given.astype(np.float32)
    else:
        raise VoiceError(f"sound of the type {given.dtype} cannot be spoken", "send int16, or float32 from -1 to 1")
    if samples.ndim == 2:
        samples = samples.mean(axis=1)
    if samples.ndim != 1:
        raise VoiceError("sound has to be [samples] or [samples, channels]", "send one of them")
    return np.asarray(np.clip(np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0), -_LOUDEST, _LOUDEST), np.float32)
