"""One client's live session: the voice that it sends goes in, video and what happens come out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

import numpy as np

from musetalk.errors import LiveError
from musetalk.live.limits import LiveLimits
from musetalk.live.messages import ClientMessage, Flush, Interrupt, Say, event, refused_event
from musetalk.live.say import Reader
from musetalk.live.sinks import FrameSink, Send
from musetalk.streaming.pacing import paced
from musetalk.streaming.session import StreamingSession
from musetalk.streaming.types import LiveFrame
from musetalk.tts.types import TextToSpeech

_SAMPLE_BYTES = 2
_METRICS_SECONDS = 5  # between two accounts of how quick it is
_PATIENCE = 10.0  # seconds that a voice may wait for room before its sender is taken to be broken


class Conversation:
    """Shows a session to a client, until it is closed or cannot go on. Safe between threads; a context manager.

    Args:
        session: The session; whoever opened it closes it, after this.
        rate: Samples a second of the voice that is sent.
        sink: Shows the frames; closed with the conversation.
        limits: What the client may ask for.
        open_voice: Returns what reads texts aloud.
        send: Is handed the events that are to be sent, in order; must not wait.
        ended: Is told why, once, where the conversation ends by itself; must not wait.
    """

    def __init__(
        self,
        session: StreamingSession,
        rate: int,
        sink: FrameSink,
        limits: LiveLimits,
        open_voice: Callable[[], TextToSpeech],
        send: Send,
        ended: Callable[[Exception], None],
    ) -> None:
        self._session, self._rate, self._sink, self._limits = session, rate, sink, limits
        self._send, self._ended = send, ended
        self._reader = Reader(session, open_voice, lambda error: send(refused_event(error)))
        self._half = b""  # of a sample whose other half is still to come
        self._spoken: int | None = None  # the voice that is shown
        self._last_spoken = 0  # the newest frame that speaks
        self._thread = threading.Thread(target=self._show, name="conversation", daemon=True)

    def __enter__(self) -> Conversation:
        """Begin to show it."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it, and the session with it."""
        self._session.close()
        self._reader.close()
        self._sink.close()
        self._thread.join()

    def hear(self, data: bytes) -> None:
        """Take more of the voice: int16, little-endian, mono; cut anywhere. Waits for room.

        Raises:
            MuseTalkError: It arrives much quicker than it is spoken, or the session has failed.
        """
        data = self._half + data
        whole = len(data) - len(data) % _SAMPLE_BYTES
        self._half = data[whole:]
        if whole:
            self._session.push(np.frombuffer(data[:whole], "<i2").astype(np.int16), self._rate, timeout=_PATIENCE)

    def obey(self, message: ClientMessage) -> None:
        """Do what a client asks for.

        Raises:
            MuseTalkError: It cannot be asked for now, or the session has failed.
        """
        if isinstance(message, Flush):
            self._session.flush()
        elif isinstance(message, Interrupt):
            self._half = b""
            self._reader.interrupt()
            self._session.interrupt()
            self._send(event("interrupted"))
        elif isinstance(message, Say):
            self._say(message.text)
        else:
            raise LiveError(f'"{message.type}" was not expected now', "send a voice, flush, interrupt, say or stop")

    def _say(self, text: str) -> None:
        try:
            self._reader.read(text)
        except LiveError as error:
            self._send(refused_event(error))

    def _show(self) -> None:
        try:
            for frame in paced(self._session):
                self._tell(frame)
                self._sink.push(frame)
                self._check(frame.number)
        except Exception as error:  # noqa: BLE001 - told to whoever serves the client, who would wait for ever
            if not self._session.closed:
                self._ended(error)

    def _tell(self, frame: LiveFrame) -> None:
        """Tell the client what it is about to see."""
        time = float(frame.number / self._session.fps)
        if self._spoken is not None and frame.utterance != self._spoken:
            self._send(event("spoken", utterance=self._spoken, time=time))
        if frame.utterance is not None:
            self._last_spoken = frame.number
            if frame.utterance != self._spoken:
                self._send(event("speaking", utterance=frame.utterance, time=time))
        self._spoken = frame.utterance
        if frame.number % round(_METRICS_SECONDS * self._session.fps) == 0 and frame.number:
            self._send(event("metrics", time=time, **self._session.metrics.model_dump()))

    def _check(self, number: int) -> None:
        """Make sure that a session has not become too long.

        Raises:
            LiveError: It has.
        """
        limits, fps = self._limits, self._session.fps
        if number >= limits.seconds * fps:
            raise LiveError(f"a session lasts {limits.seconds:g} s at most", "begin another one")
        if number - self._last_spoken >= limits.idle_seconds * fps:
            raise LiveError(f"nothing was said for {limits.idle_seconds:g} s", "begin another session")
