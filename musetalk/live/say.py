"""Texts that a client types, read aloud into its live session."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from musetalk.errors import LiveError, MuseTalkError, SpeechError, VoiceError
from musetalk.streaming.session import StreamingSession
from musetalk.tts.sentences import says_something
from musetalk.tts.spans import read_aloud
from musetalk.tts.types import Speech, TextToSpeech

_log = logging.getLogger(__name__)
_MOST_LETTERS = 20_000  # of what waits to be read
_RETRY = 0.1  # seconds until there may be room for more of a voice


class Reader:
    """Reads texts aloud, one after another, part by part: the first is heard while the next is made.

    Safe between threads.

    Args:
        session: Speaks what is read.
        open_voice: Returns what reads; it is asked for once there is something to read.
        refuse: Is told what cannot be read, and why.
    """

    def __init__(
        self,
        session: StreamingSession,
        open_voice: Callable[[], TextToSpeech],
        refuse: Callable[[MuseTalkError], None],
    ) -> None:
        self._session, self._open_voice, self._refuse = session, open_voice, refuse
        self._changed = threading.Condition()
        self._texts: deque[str] = deque()
        self._epoch, self._closed = 0, False
        self._thread: threading.Thread | None = None

    def read(self, text: str) -> None:
        """Read a text, after those that wait.

        Raises:
            LiveError: Too much waits already.
        """
        with self._changed:
            if len(text) + sum(map(len, self._texts)) > _MOST_LETTERS:
                raise LiveError(f"more than {_MOST_LETTERS} letters wait to be read", "send them later")
            self._texts.append(text)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="reader", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def interrupt(self) -> None:
        """Read nothing more of what was asked for; what the session has of it, it drops itself."""
        with self._changed:
            self._texts.clear()
            self._epoch += 1
            self._changed.notify_all()

    def close(self) -> None:
        """End it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._texts or self._closed)
                if self._closed:
                    return
                text, epoch = self._texts.popleft(), self._epoch
            try:
                self._read(text, epoch)
            except MuseTalkError as error:
                self._refuse(error)
            except Exception:  # noqa: BLE001 - told, and what follows is read
                _log.exception("a text could not be read aloud")
                self._refuse(
                    LiveError("this could not be read aloud, and we did not foresee why", "see the server's log")
                )

    def _read(self, text: str, epoch: int) -> None:
        voice = self._open_voice()
        if not says_something(text):
            raise SpeechError("there is nothing to say in it", "write some words")
        try:
            for speech in read_aloud(voice, text):
                if not self._push(speech, epoch):
                    return
        finally:
            with self._changed:
                if epoch == self._epoch and not self._closed:
                    self._session.flush()  # also before a sentence that cannot be read

    def _push(self, speech: Speech, epoch: int) -> bool:
        """Hand a part to the session once it has room for it; return whether it is still wanted."""
        with self._changed:
            while epoch == self._epoch and not self._closed:
                try:
                    self._session.push(speech.samples, speech.rate, timeout=0)
                except VoiceError:  # a minute waits already
                    self._changed.wait(_RETRY)
                else:
                    return True
        return False
