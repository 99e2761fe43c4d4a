"""Which features a frame of the video hears."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from musetalk.audio.feature_store import FeatureFile
from musetalk.audio.types import LATENTSYNC_FEATURES, MUSETALK_FEATURES
from musetalk.audio.windows import FeatureTrack, step_numbers


def test_frames_at_24_and_29_97_fps_hear_their_own_moment() -> None:
    assert step_numbers(24, 25, Fraction(24))[0].tolist() == list(range(46, 56))  # one second: step 50
    assert step_numbers(11, 12, Fraction(24))[0, 4] == 22  # 50 x 11 / 24 = 22.9
    ntsc = Fraction(30000, 1001)
    assert step_numbers(30_000, 30_001, ntsc)[0, 4] == 50 * 1001  # after 1001 s, to the step
    assert step_numbers(29_999, 30_000, ntsc)[0, 4] == 50 * 1001 - 2


@given(
    fps=st.fractions(5, 120, max_denominator=1001),
    frame=st.integers(0, 2_000_000),
    left=st.integers(0, 4),
    right=st.integers(0, 4),
)
def test_a_frame_hears_what_is_around_it(fps: Fraction, frame: int, left: int, right: int) -> None:
    numbers = step_numbers(frame, frame + 2, fps, left, right)
    assert numbers.shape == (2, 2 * (left + right + 1))
    own = numbers[:, 2 * left]
    moments = [50 * Fraction(k) / fps for k in (frame, frame + 1)]
    assert all(0 <= moment - int(step) < 1 for moment, step in zip(moments, own, strict=True))
    assert (np.diff(numbers, axis=1) == 1).all()


@given(
    fps=st.sampled_from([Fraction(5), Fraction(24000, 1001), Fraction(25), Fraction(60), Fraction(120)]),
    start=st.integers(0, 120),
    count=st.integers(0, 9),
    clamp=st.booleans(),
)
def test_any_range_is_part_of_the_whole(
    numbered: FeatureFile, fps: Fraction, start: int, count: int, clamp: bool
) -> None:
    audio_spec = LATENTSYNC_FEATURES if clamp else MUSETALK_FEATURES
    track = FeatureTrack(numbered, fps=fps, frame_count=20, audio_spec=audio_spec)
    window = track.window(start, start + count)
    assert window.dtype == np.float32
    assert np.array_equal(window, track.window(0, 130)[start : start + count])
    numbers = np.repeat(step_numbers(start, start + count, fps), 5, axis=1)
    wanted = np.clip(numbers, 0, 39) + 1 if clamp else np.where((numbers >= 0) & (numbers < 40), numbers + 1, 0)
    assert np.array_equal(window[..., 0], wanted)
