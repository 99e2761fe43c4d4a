"""Frames of a live session at the times when they are due; where nobody speaks, the source goes on moving."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from musetalk.streaming.session import StreamingSession
from musetalk.streaming.types import LiveFrame

_PATIENCE = 0.1  # seconds that a frame may be late before a voice that falters is taken to have ended


def paced(
    session: StreamingSession,
    *,
    ahead: float = 0.0,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[LiveFrame]:
    """Yield a session's frames in real time, one after the other, until it is closed.

    The voice is the clock: a frame goes out with its sound, and where one is late, all that follow are as late, so that
    nothing is stretched or skipped. Where nothing is pushed, or a voice arrives too slowly to be spoken, frames
    in which nobody speaks fill the time.

    Args:
        session: The session.
        ahead: Most seconds that frames of a voice come early, so that whoever plays them has some in hand. Those that
            follow when it has ended come at their times; when it is interrupted, at once: what is in hand is dropped.
        now: Seconds of a clock that never goes back.
        sleep: Waits so many seconds.

    Raises:
        MuseTalkError: The session has failed.
    """
    period = float(1 / session.fps)
    due = sent = now()
    goes_on = False  # whether the voice of the frame before does
    while not session.closed:
        frame = next_frame(session, max(0.0, due - now()))
        if frame is None:
            continue
        if session.waiting == 0 and session.at_rest:
            session.idle(1)  # is finished when it is due; a voice that goes on needs none
        speaks = frame.utterance is not None
        if ahead and goes_on and not speaks:
            due = min(due, sent)  # it was interrupted, and nothing is in hand
        if (early := due - now() - (ahead if speaks else 0.0)) > 0:
            sleep(early)
        sent, goes_on = now(), speaks and not frame.last
        yield frame
        due = max(due + period, now() - period / 2)


def next_frame(session: StreamingSession, time_left: float) -> LiveFrame | None:
    """Wait for the next frame; where none comes in time, ask for one in which nobody speaks.

    Args:
        session: The session.
        time_left: Seconds until it is due.

    Returns:
        The frame; None: the session was closed, or has nothing yet: ask again.

    Raises:
        MuseTalkError: The session has failed.
    """
    frame = session.take(timeout=time_left)
    if frame is None and session.at_rest:  # else one is being painted, and is only late
        session.idle(1)
        frame = session.take(timeout=_PATIENCE)
        if frame is None and session.speaks and session.at_rest:
            session.flush()  # what is known of the voice is spoken, the rest as another voice once it arrives
    return frame if frame is not None else session.take(timeout=_PATIENCE)
