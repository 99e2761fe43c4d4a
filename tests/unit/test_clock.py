from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetalk.media.clock import STANDARD_RATES, build_clock


def ticks_of(fps: Fraction, count: int, tick: Fraction) -> list[int]:
    return [round(k / fps / tick) for k in range(count)]


@pytest.mark.parametrize("fps", STANDARD_RATES)
def test_rate_is_exact_when_the_time_base_is(fps: Fraction) -> None:
    tick = Fraction(1, fps.numerator)
    clock = build_clock(ticks_of(fps, 40, tick), [True] * 40, tick, None)
    assert clock.fps == fps
    assert not clock.variable


@pytest.mark.parametrize("fps", STANDARD_RATES)
def test_stated_rate_survives_milliseconds(fps: Fraction) -> None:
    """Matroska rounds times to milliseconds; 29.97 must not become 30."""
    clock = build_clock(ticks_of(fps, 100, Fraction(1, 1000)), [True] * 100, Fraction(1, 1000), fps)
    assert clock.fps == fps
    assert not clock.variable


def test_a_stated_rate_that_the_times_contradict_is_not_believed() -> None:
    tick = Fraction(1, 12800)
    clock = build_clock(ticks_of(Fraction(25), 50, tick), [True] * 50, tick, Fraction(30))
    assert clock.fps == 25


def test_an_odd_rate_is_kept() -> None:
    tick = Fraction(1, 1798)
    clock = build_clock(ticks_of(Fraction(899, 50), 80, tick), [True] * 80, tick, None)
    assert clock.fps == Fraction(899, 50)


def test_variable_rate_shows_every_frame_the_picture_of_its_moment() -> None:
    seconds = [0.0, 0.04, 0.08, 0.5, 0.9, 0.94, 1.3, 1.7, 1.74, 1.96]
    clock = build_clock([round(s * 1000) for s in seconds], [True] + [False] * 9, Fraction(1, 1000), None)
    assert clock.variable
    assert clock.fps in STANDARD_RATES
    assert clock.frame_count == pytest.approx(float(clock.fps) * (1.96 + 1.96 / 9), abs=1)
    for frame in range(clock.frame_count):
        moment = (frame + 0.5) / float(clock.fps)
        expected = max(i for i, s in enumerate(seconds) if s <= moment)
        assert clock.picture(frame) == expected


def test_seeking_lands_between_two_pictures() -> None:
    clock = build_clock(ticks_of(Fraction(30000, 1001), 9, Fraction(1, 30000)), [True] * 9, Fraction(1, 30000), None)
    assert clock.seek_seconds(0) is None
    seek = clock.seek_seconds(5)
    assert seek is not None
    assert clock.picture_times[4] < seek < clock.picture_times[5]


@given(
    gaps=st.lists(st.integers(1, 400), min_size=2, max_size=60),
    keys=st.data(),
)
def test_frames_never_run_backwards_or_beyond_the_pictures(gaps: list[int], keys: st.DataObject) -> None:
    times = [0]
    for gap in gaps:
        times.append(times[-1] + gap)
    flags = [True, *keys.draw(st.lists(st.booleans(), min_size=len(gaps), max_size=len(gaps)))]
    clock = build_clock(times, flags, Fraction(1, 1000), None)
    shown = [clock.picture(k) for k in range(clock.frame_count)]
    assert shown == sorted(shown)
    assert all(0 <= picture < len(times) for picture in shown)
    assert clock.keyframes == tuple(sorted(set(clock.keyframes)))
    assert all(0 <= key < clock.frame_count for key in clock.keyframes)
