from __future__ import annotations

from collections import deque
from fractions import Fraction
from itertools import islice, pairwise
from typing import cast

import numpy as np
import pytest

from musetalk.media.frames import Frame, FrameLayout
from musetalk.streaming.pacing import paced
from musetalk.streaming.session import StreamingSession
from musetalk.streaming.types import LiveFrame

PERIOD, AHEAD = 0.04, 0.1
PICTURE = Frame(FrameLayout(2, 2))


class Session:
    """Frames of one voice are there at once, all others where they are asked for. Its clock goes where one waits."""

    fps, closed, speaks, at_rest = Fraction(25), False, False, True

    def __init__(self, spoken: int) -> None:
        self.time = 0.0
        self._ready = deque(LiveFrame(at, PICTURE, np.zeros(0, np.float32), 0, False, PICTURE) for at in range(spoken))

    @property
    def waiting(self) -> int:
        return len(self._ready)

    def take(self, timeout: float) -> LiveFrame | None:
        if not self._ready:
            self.sleep(timeout)
        return self._ready.popleft() if self._ready else None

    def idle(self, frames: int) -> None:
        self._ready.extend([LiveFrame(0, PICTURE, np.zeros(0, np.float32), None, False, PICTURE)] * frames)

    def interrupt(self) -> None:
        self._ready.clear()
        self.idle(3)  # the mouth closes

    def ends_with(self, spoken: int) -> Session:
        """The voice ends behind so many frames."""
        frame = self._ready[spoken - 1]
        self._ready[spoken - 1] = LiveFrame(frame.number, PICTURE, frame.sound, 0, True, PICTURE)
        return self

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class Hearing(Session):
    """It is hearing something whenever somebody looks for the first time."""

    looks = 0

    @property
    def at_rest(self) -> bool:  # type: ignore[override]
        self.looks += 1
        return self.looks % 2 == 0


def times(session: Session, count: int, ahead: float = AHEAD, interrupted: int | None = None) -> list[float]:
    """When frames come."""
    found = []
    frames = paced(cast(StreamingSession, session), ahead=ahead, now=lambda: session.time, sleep=session.sleep)
    for number, _ in enumerate(islice(frames, count)):
        found.append(session.time)
        if number == interrupted:
            session.interrupt()
    return found


@pytest.mark.parametrize("spoken", [0, 20])
def test_frames_come_in_real_time(spoken: int) -> None:
    assert np.allclose(times(Session(spoken), 30, ahead=0.0), PERIOD * np.arange(30))
    assert np.allclose(times(Session(spoken), 30, ahead=0.0, interrupted=10), PERIOD * np.arange(30))


def test_a_voice_comes_ahead_and_what_follows_it_in_time() -> None:
    found = times(Session(20).ends_with(20), 30)
    wanted = np.maximum(0, PERIOD * np.arange(20) - AHEAD)
    assert np.allclose(found[:20], wanted)
    assert np.allclose(found[20:], PERIOD * np.arange(20, 30))


def test_an_interrupted_mouth_closes_at_once() -> None:
    found = times(Session(20), 30, interrupted=10)
    assert found[11] == found[10]
    assert np.allclose([after - before for before, after in pairwise(found[11:])], PERIOD)


def test_who_trickles_in_holds_up_no_frame_for_long() -> None:
    found = times(Hearing(0), 10, ahead=0.0)
    assert max(after - before for before, after in pairwise(found)) < PERIOD + 0.2
