"""What a live session takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Protocol, TypeAlias

from musetalk.media.frames import Frame
from musetalk.settings import CHUNK_SECONDS, LOOKAHEAD_CHUNKS
from musetalk.utils.arrays import Float32Array

SpeechDetection: TypeAlias = Literal["level", "silero"]


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """How a live session speaks.

    Attributes:
        rate: Samples a second of the sound that goes out with the frames; voices of other rates are brought to it.
        lookahead: Seconds of a voice that have to be known beyond a frame before speech begins with it. What arrives
            later than that makes the speech falter. None: nothing is painted before a voice has ended.
        most_ahead: Most frames that are finished and not yet taken: the source does not run further ahead.
        most_waiting: Most seconds of voice that may wait to be painted; beyond it, `push` waits.
        rest_after: Seconds of silence within a voice after which the mouth comes to rest, and nothing is painted until
            speech is in sight again; where the settings keep or rest the mouth in pauses, they say after how many.
            None: only they do.
        vad: What tells speech from all else for that: how loud it is against what lies behind it ("level"), or Silero's
            network ("silero", extra `vad`), which knows a noisy room by its sound.
    """

    rate: int = 16_000
    lookahead: Fraction | None = LOOKAHEAD_CHUNKS * CHUNK_SECONDS
    most_ahead: int = 8
    most_waiting: float = 60.0
    rest_after: float | None = 3.0
    vad: SpeechDetection = "level"


@dataclass(frozen=True, slots=True)
class LiveFrame:
    """One frame of a live session with its sound.

    Attributes:
        number: Which, from 0 on.
        picture: As large as the source, and laid out as it.
        sound: float32 [n], mono, at the session's rate, of as long as the frame is shown.
        utterance: The number of the voice that is spoken in it, from 0 on; None: nobody speaks.
        last: Whether that voice ends with it.
        source: The picture as it was decoded; where nothing was painted, the same.
    """

    number: int
    picture: Frame
    sound: Float32Array
    utterance: int | None
    last: bool
    source: Frame


class Hearing(Protocol):
    """A voice as a generator hears it, while it arrives. Its frames are counted from its first one."""

    @property
    def ready(self) -> int:
        """Output frames that are known: what is pushed from now on does not change them."""
        ...

    def push(self, samples: Float32Array) -> None:
        """Take more of the voice: float32 [n], 16 kHz mono, about -1 to 1."""
        ...

    def end(self, frame_count: int) -> None:
        """The voice has ended, and covers so many output frames."""
        ...

    def window(self, start: int, stop: int) -> Float32Array:
        """Return the voice of output frames [start, stop), all of them known: float32 [stop - start, ...]."""
        ...

    def forget(self, frame: int) -> None:
        """Keep nothing of what only output frames before one hear: they are not asked for again."""
        ...

    def close(self) -> None:
        """Hold nothing more."""
        ...


class LiveTrack(Hearing, Protocol):
    """The same, where nothing has to be known of some frames."""

    def rest(self) -> None:
        """Do as little as can be: frames that become known are not asked for, but for those that `go_on` names."""
        ...

    def go_on(self, frame: int) -> None:
        """Know frames as before; those from one on are asked for, also where they became known meanwhile."""
        ...


class LiveSpeech(Hearing, Protocol):
    """The same, and how much is to be seen of what the generator makes of it."""

    def presence(self, frame: int) -> float:
        """Return how much of the painted faces an output frame shows that is known: 0 to 1; 0 is not painted."""
        ...
