"""Looks at a source before a render keep to their time, by a clock that the tests hand in."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from musetalk.assets import PORTRAIT
from musetalk.errors import Cancelled
from musetalk.faces.types import FaceBox
from musetalk.media.probe import probe_source
from musetalk.media.timing.timeline import Timeline, plan_timeline
from musetalk.media.types import Source
from musetalk.pipeline.face_sampling import (
    MAX_SAMPLES,
    SAMPLING_SECONDS,
    sample_faces,
)
from musetalk.progress import CancelToken
from musetalk.settings import Limits
from musetalk.utils.arrays import UInt8Array
from tests.helpers.green_faces import draw, green, tight
from tests.helpers.media import write_video

WIDTH, HEIGHT = 640, 360


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Costly:
    """Takes so many seconds for a frame of 640 x 360, others by their pixels; sees a face from so many pixels on."""

    fingerprint = "costly"
    max_side = 640

    def __init__(self, clock: Clock, seconds: float, sees_from: int = 160) -> None:
        self.clock, self.seconds, self.sees_from = clock, seconds, sees_from
        self.sides: list[int] = []

    def detect(self, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        for frame in frames:
            self.clock.seconds += self.seconds * frame.shape[0] * frame.shape[1] / (WIDTH * HEIGHT)
            self.sides.append(frame.shape[1])
        return [[FaceBox(1, 1, 9, 9, 1.0)] if frame.shape[1] >= self.sees_from else [] for frame in frames]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Source, Timeline]:
    """Sixty frames, each a keyframe."""
    boxes = [tight(30 + 52 * (n % 12), 40 + 66 * (n // 12), 40) for n in range(60)]
    frames = np.stack([draw((WIDTH, HEIGHT), boxes)] * 60)
    path = write_video(tmp_path_factory.mktemp("crowd") / "crowd.mp4", frames, 25, "-g", "1")
    source = probe_source(path, Limits(), fps=None)
    return source, plan_timeline(60, Fraction(25), Fraction(2), length="pingpong", tail="cut")


def test_what_is_cheap_is_looked_at_everywhere_and_no_larger_than_needed(clip: tuple[Source, Timeline]) -> None:
    clock = Clock()
    detector = Costly(clock, 0.01)
    sampling = sample_faces(*clip, detector, CancelToken(), clock)
    assert sampling.frames == sampling.with_face == 3
    assert detector.sides == [160] * 3
    small = Costly(clock, 0.01, sees_from=640)
    assert sample_faces(*clip, small, CancelToken(), clock).with_face == 3
    assert small.sides == [160, 320, 640] * 3


def test_what_is_dear_is_looked_at_once_and_small(clip: tuple[Source, Timeline]) -> None:
    clock = Clock()
    detector = Costly(clock, 30.0, sees_from=640)
    sampling = sample_faces(*clip, detector, CancelToken(), clock)
    assert (sampling.frames, sampling.with_face, detector.sides) == (1, 0, [160])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Source, Timeline]:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(3):
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / f"{number}.bmp")
    return probe_source(folder, Limits(), fps=None), plan_timeline(
        3, Fraction(25), Fraction(2), length="pingpong", tail="cut"
    )


@settings(max_examples=40, deadline=None)
@given(seconds=st.floats(0, 16), sees_from=st.sampled_from([160, 320, 640, 5000]))
def test_looks_keep_to_their_time(pictures: tuple[Source, Timeline], seconds: float, sees_from: int) -> None:
    """Sixteen seconds for a whole frame are one for the smallest look, which is always taken."""
    clock = Clock()
    detector = Costly(clock, seconds, sees_from)
    sampling = sample_faces(*pictures, detector, CancelToken(), clock)
    assert 1 <= sampling.frames <= MAX_SAMPLES
    assert clock.seconds <= SAMPLING_SECONDS


def test_a_crowd_is_looked_at_like_one_face(clip: tuple[Source, Timeline]) -> None:
    detector, network = green()
    sampling = sample_faces(*clip, detector, CancelToken(), Clock())
    assert sampling.with_face == 3
    assert sum(height * width for height, width in network.shown) <= 3 * 384 * 640 * (1 + 1 / 4 + 1 / 16)


def test_a_dark_source_says_so(pictures: tuple[Source, Timeline], clip: tuple[Source, Timeline]) -> None:
    dark = sample_faces(*pictures, Costly(Clock(), 0.01), CancelToken(), Clock())
    assert dark.oddity.startswith("the source is very dark: ")
    assert sample_faces(*clip, Costly(Clock(), 0.01), CancelToken(), Clock()).oddity == ""


def test_a_film_that_begins_black_is_not_called_dark(tmp_path: Path) -> None:
    frames = np.full((20, 64, 64, 3), 140, np.uint8)
    frames[:5] = 0
    source = probe_source(write_video(tmp_path / "fades in.mp4", frames, 25), Limits(), fps=None)
    timeline = plan_timeline(20, Fraction(25), Fraction(1), length="pingpong", tail="cut")
    sampling = sample_faces(source, timeline, Costly(Clock(), 0.01, sees_from=0), CancelToken(), Clock())
    assert (sampling.frames, sampling.oddity) == (2, "")


@pytest.mark.slow
def test_a_source_upside_down_says_so(tmp_path: Path) -> None:
    with Image.open(PORTRAIT) as portrait:
        picture = portrait.convert("RGB").rotate(180)
    picture.save(tmp_path / "turned.png")
    source = probe_source(tmp_path / "turned.png", Limits(), fps=None)
    timeline = plan_timeline(source.frame_count, source.fps, Fraction(1), length="pingpong", tail="cut")
    sampling = sample_faces(source, timeline, Costly(Clock(), 0.01), CancelToken(), Clock())
    assert sampling.with_face == 1
    assert sampling.oddity == "the faces in the source look upside down: turn it by 180 degrees"


def test_a_frame_that_does_not_come_in_time_is_left_out(clip: tuple[Source, Timeline]) -> None:
    readings = iter([0.0])
    detector = Costly(Clock(), 0.01)
    sampling = sample_faces(*clip, detector, CancelToken(), lambda: next(readings, 100.0))
    assert (sampling.frames, detector.sides) == (0, [])


def test_a_stop_is_heeded(clip: tuple[Source, Timeline]) -> None:
    cancel = CancelToken()
    cancel.cancel()
    detector = Costly(Clock(), 0.01)
    with pytest.raises(Cancelled):
        sample_faces(*clip, detector, cancel, Clock())
    assert detector.sides == []
