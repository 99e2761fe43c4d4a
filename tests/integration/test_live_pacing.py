"""A live session in real time, where painting is slower than that."""

from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from musetalk.streaming.pacing import paced
from musetalk.streaming.session import StreamingSession
from tests.helpers.loud_speech import LoudSpeech
from tests.helpers.media import write_video
from tests.helpers.programs import HANG_SECONDS
from tests.integration.test_live import SIDE, Painter, plan_for, words

pytestmark = pytest.mark.integration


class OneByOne(Painter):
    clip_length = 1


def test_frames_that_come_late_are_followed_by_no_silence_of_their_own(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", np.full((4, SIDE, SIDE, 3), 99, np.uint8), Fraction(25))
    painted = threading.Semaphore(0)
    painter = OneByOne(lambda: painted.acquire(timeout=HANG_SECONDS))

    def now() -> float:
        painted.release()  # the next frame is finished no sooner than somebody waits for it
        return 0.0

    shown: list[int | None] = []
    with (
        plan_for(film, tmp_path, painter) as plan,
        StreamingSession(plan, lambda: LoudSpeech(plan.source.fps)) as session,
    ):
        session.push(words(1))
        session.flush()
        for frame in paced(session, now=now, sleep=lambda _: None):
            shown.append(frame.utterance)
            if frame.last and frame.utterance == 0:
                session.push(words(1))
                session.flush()
            if frame.last and frame.utterance == 1:
                break
    first, second = shown.index(0), shown.index(1)
    assert shown[first : first + 25] == [0] * 25
    assert second - first - 25 <= 4  # the mouth closes, and a frame was laid before the second voice came
