"""Speech that waits for its pictures, and what came after it and must not overtake it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from fractions import Fraction

from pipecat.frames.frames import Frame, TTSAudioRawFrame

_SAMPLE_BYTES = 2


@dataclass(slots=True)
class HeldFrame:
    """A frame that waits.

    Attributes:
        frame: The frame.
        speech: Whether it is sound that pictures belong to; else it follows what is before it.
        voice: Of sound the number of the session's voice; None: the session was not given it yet.
        sent: Bytes of its sound that have gone on.
    """

    frame: Frame
    speech: bool = False
    voice: int | None = None
    sent: int = 0

    @property
    def seconds(self) -> float:
        """How much of its sound waits."""
        if not isinstance(self.frame, TTSAudioRawFrame) or not self.speech:
            return 0.0
        return (len(self.frame.audio) - self.sent) / (sample_bytes(self.frame) * int(self.frame.sample_rate))


class HeldSpeech:
    """Frames in the order in which they came. Sound goes on with its pictures, the same bytes; the rest follows it.

    Args:
        fps: Pictures a second.
    """

    def __init__(self, fps: Fraction) -> None:
        self._fps = fps
        self._line: deque[HeldFrame] = deque()
        self._voice: int | None = None  # that was spoken last
        self._pictures = self._samples = 0  # of it

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._line)

    @property
    def seconds(self) -> float:
        """How much sound waits."""
        return sum(held.seconds for held in self._line)

    def add(self, frame: Frame, *, speech: bool = False) -> HeldFrame:
        """Let a frame wait.

        Args:
            frame: The frame.
            speech: Whether it is sound that pictures belong to.
        """
        held = HeldFrame(frame, speech)
        self._line.append(held)
        return held

    def spoken(self, voice: int) -> list[Frame]:
        """Return what goes on with the next picture of a voice: sound of as long as it is shown, what follows it.

        What is left of the voices before goes first.
        """
        if voice != self._voice:
            self._voice, self._pictures, self._samples = voice, 0, 0
        self._pictures += 1
        return self._go_on(self._pictures / self._fps)

    def ended(self) -> list[Frame]:
        """Return what is left of the voice that was spoken last: the sound beyond its last picture, what follows it."""
        return self._go_on(None)

    def interrupt(self) -> bool:
        """Drop what an interruption may drop; whether speech goes on as if there was none."""
        spoken = [held for held in self._line if held.speech]
        self._line = deque(held for held in self._line if not held.frame.interruptible)
        return bool(spoken) and not any(held.frame.interruptible for held in spoken)

    def begin_anew(self) -> list[HeldFrame]:
        """Return the sound that waits, to be given to the session once more: what it was given is dropped."""
        for held in self._line:
            held.frame, held.sent, held.voice = _rest_of(held), 0, None
        return [held for held in self._line if held.speech]

    def drain(self) -> list[Frame]:
        """Let nothing wait any more; return what did."""
        gone = [_rest_of(held) for held in self._line]
        self._line.clear()
        return gone

    def _go_on(self, until: Fraction | None) -> list[Frame]:
        """Take from the line: of the voice spoken last until a time from its first sample on; None: all."""
        gone: list[Frame] = []
        while self._line:
            held = self._line[0]
            frame = held.frame
            if held.speech and isinstance(frame, TTSAudioRawFrame):
                if held.voice is None or self._voice is None or held.voice > self._voice:
                    break
                wanted = (len(frame.audio) - held.sent) // sample_bytes(frame)
                if until is not None and held.voice == self._voice:
                    wanted = min(wanted, round(until * frame.sample_rate) - self._samples)
                if wanted <= 0 < len(frame.audio) - held.sent:
                    break
                if held.voice == self._voice:
                    self._samples += wanted
                start, held.sent = held.sent, held.sent + wanted * sample_bytes(frame)
                gone.append(_piece(frame, start, held.sent))
                if len(frame.audio) - held.sent >= sample_bytes(frame):
                    break
            else:
                gone.append(frame)
            self._line.popleft()
        return gone


def sample_bytes(frame: TTSAudioRawFrame) -> int:
    """Return the bytes of a sample of all channels."""
    return _SAMPLE_BYTES * max(1, int(frame.num_channels))


def _rest_of(held: HeldFrame) -> Frame:
    frame = held.frame
    return _piece(frame, held.sent, len(frame.audio)) if isinstance(frame, TTSAudioRawFrame) else frame


def _piece(frame: TTSAudioRawFrame, start: int, stop: int) -> TTSAudioRawFrame:
    """Return a part of a frame, in bytes, that is marked as the frame is; all of it is the frame itself."""
    if start == 0 and len(frame.audio) - stop < sample_bytes(frame):
        return frame
    piece = replace(frame, audio=frame.audio[start:stop])
    piece.pts = frame.pts if start == 0 else None
    piece.metadata, piece.interruptible = frame.metadata, frame.interruptible
    piece.transport_source, piece.transport_destination = frame.transport_source, frame.transport_destination
    return piece
