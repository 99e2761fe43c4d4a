from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetalk.errors import LimitError
from musetalk.media.timing.clock import FrameClock, build_clock
from musetalk.media.timing.jumps import Witness
from musetalk.media.timing.rates import STANDARD_RATES
from musetalk.media.timing.timestamps import NO_TIME
from tests.helpers.errors import raises_kind


def ticks_of(fps: Fraction, count: int, tick: Fraction) -> list[int]:
    return [round(k / fps / tick) for k in range(count)]


@pytest.mark.parametrize("fps", STANDARD_RATES)
def test_rate_is_exact_when_the_time_base_is(fps: Fraction) -> None:
    tick = Fraction(1, fps.numerator)
    clock = build_clock(ticks_of(fps, 40, tick), [True] * 40, tick, None)
    assert clock.own_fps == fps
    assert not clock.variable
    assert not clock.repaired


@pytest.mark.parametrize("fps", STANDARD_RATES)
def test_stated_rate_survives_milliseconds(fps: Fraction) -> None:
    """Matroska rounds times to milliseconds; 29.97 must not become 30."""
    clock = build_clock(ticks_of(fps, 100, Fraction(1, 1000)), [True] * 100, Fraction(1, 1000), fps)
    assert clock.own_fps == fps
    assert not clock.variable
    assert not clock.repaired


def test_a_stated_rate_that_the_times_contradict_is_not_believed() -> None:
    tick = Fraction(1, 12800)
    clock = build_clock(ticks_of(Fraction(25), 50, tick), [True] * 50, tick, Fraction(30))
    assert clock.fps == 25


def test_an_odd_rate_is_kept() -> None:
    tick = Fraction(1, 1798)
    clock = build_clock(ticks_of(Fraction(899, 50), 80, tick), [True] * 80, tick, None)
    assert clock.own_fps == Fraction(899, 50)


def test_variable_rate_shows_every_frame_the_picture_of_its_moment() -> None:
    seconds = [0.0, 0.04, 0.08, 0.5, 0.9, 0.94, 1.3, 1.7, 1.74, 1.96]
    clock = build_clock([round(s * 1000) for s in seconds], [True] + [False] * 9, Fraction(1, 1000), None)
    assert clock.variable
    assert clock.fps == 25
    assert clock.frame_count == 50
    for frame in range(clock.frame_count):
        moment = (frame + 0.5) / float(clock.fps)
        expected = max(i for i, s in enumerate(seconds) if s <= moment)
        assert clock.picture(frame) == expected


MS = Fraction(1, 1000)


def clock_of(seconds: list[float], tick: Fraction = MS, **options: object) -> FrameClock:
    """Of pictures at these seconds, in the order of the file."""
    times = [NO_TIME if s is None else round(s / tick) for s in seconds]
    return build_clock(times, [True] * len(times), tick, None, **options)  # type: ignore[arg-type]


def shown(clock: FrameClock) -> list[int]:
    return [clock.picture(frame) for frame in range(clock.frame_count)]


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001), Fraction(60)])
def test_bursts_with_pauses_keep_the_rate_of_the_bursts(fps: Fraction) -> None:
    places = [*range(25), *range(150, 175), *range(400, 420)]
    clock = clock_of([k / fps for k in places])
    assert clock.variable
    assert clock.fps == pytest.approx(float(fps), rel=2e-3)
    assert clock.frame_count == pytest.approx(420, abs=1)
    assert [shown(clock).index(place) for place in range(70)] == pytest.approx(places, abs=1)


def test_dropped_pictures_leave_a_gap_and_nothing_else() -> None:
    fps = Fraction(30)
    places = [k for k in range(90) if k not in (20, 45, 46)]
    clock = clock_of([k / fps for k in places])
    assert clock.fps == fps
    assert [places[picture] for picture in shown(clock)] == [k - (k in (20, 45, 46)) - (k == 46) for k in range(90)]


def altered(seconds: dict[int, float | None], count: int = 50) -> list[float | None]:
    return [seconds.get(k, k / 25) for k in range(count)]


@pytest.mark.parametrize(
    ("strange", "repaired"),
    [
        ({20: 19 / 25}, 1),  # doubled
        ({20: None}, 1),  # missing
        ({20: 18.5 / 25}, 2),  # backwards
        ({20: 3600.0}, 1),  # far ahead
        ({20: -4000.0}, 1),  # far behind
        ({10: 9 / 25, 30: 29 / 25}, 2),
        ({0: None}, 1),
        ({49: None}, 1),
        ({20: 2.0**51}, 1),  # beyond what can be counted with
        ({49: 1e6}, 1),  # the last one: nothing comes after it that says otherwise, but it is beyond any limit
    ],
)
def test_a_strange_time_costs_no_more_than_itself(strange: dict[int, float | None], repaired: int) -> None:
    clock = clock_of(altered(strange))
    assert clock.fps == 25
    assert not clock.variable
    assert shown(clock) == list(range(50))
    assert clock.repaired == repaired


GROUPS = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]  # a picture that two are predicted from is stored before them


def stored(reordered: bool, count: int = 40) -> list[int]:
    """Pictures in the order of a file."""
    return [10 * (k // 10) + GROUPS[k % 10] for k in range(count)] if reordered else list(range(count))


@given(
    fps=st.sampled_from([25, 30, Fraction(30000, 1001)]),
    place=st.integers(1, 36),
    late=st.floats(0.5, 1.0) | st.floats(-1.0, -0.5) | st.integers(13, 30).map(lambda k: k / 25),
    reordered=st.booleans(),
    tick=st.sampled_from([MS, Fraction(1, 12800), Fraction(1, 90_000)]),
)
def test_one_time_wrong_by_a_moment_freezes_nothing(
    fps: Fraction, place: int, late: float, reordered: bool, tick: Fraction
) -> None:
    order = stored(reordered)
    seconds = [k / fps for k in order]
    seconds[place] += Fraction(late)
    clock = clock_of(seconds, tick, witness=Witness())
    assert (clock.fps, clock.variable, shown(clock)) == (fps, False, list(range(40)))
    assert clock.repaired >= 1
    assert clock.picture_times == ()  # decoders are given the wrong one, too


@pytest.mark.parametrize("reordered", [False, True])
@pytest.mark.parametrize("late", [13, 15.5, 25])
@pytest.mark.parametrize("place", [5, 13, 14, 15, 24])
def test_pictures_that_a_late_one_holds_up_are_spread(place: int, late: float, reordered: bool) -> None:
    """Programs that copy a stream let no picture be stored with an earlier time than the one before."""
    tick = Fraction(1, 12800)
    decoded = [(k - reordered + late * (k == place)) / Fraction(25) for k in range(40)]
    decoded = [max(decoded[: k + 1]) + tick * (time < max(decoded[: k + 1])) * k for k, time in enumerate(decoded)]
    seconds = [max(Fraction(k, 25), read) for k, read in zip(stored(reordered), decoded, strict=True)]
    clock = clock_of(seconds, tick, witness=Witness())
    assert (clock.fps, clock.variable, shown(clock)) == (25, False, list(range(40)))


def paused(place: int = 24, late: float = 0.62, reordered: bool = False) -> list[float]:
    """Seconds of pictures that are late from one on."""
    return [k / 25 + late * (at >= place) for at, k in enumerate(stored(reordered))]


@pytest.mark.parametrize(
    ("witness", "kept"),
    [
        (Witness(), True),
        (Witness(ends=(2220.0,), tolerance=100), True),  # the sound says so, too
        (Witness(ends=(1500.0,), tolerance=100), False),
        (Witness(ends=(1900.0,), tolerance=100), True),  # the sound says something else
        (Witness(decoded=[round(1000 * s) for s in paused()]), True),
        (Witness(decoded=range(0, 1600, 40)), False),
    ],
)
def test_a_pause_is_believed_unless_something_contradicts_it(witness: Witness, kept: bool) -> None:
    clock = clock_of(paused(), witness=witness)
    assert (clock.variable, clock.frame_count, clock.repaired) == ((True, 56, 0) if kept else (False, 40, 1))
    assert set(shown(clock)) == set(range(40))


@pytest.mark.parametrize("place", [13, 15, 22])
def test_a_jump_between_pictures_that_belong_together_is_none(place: int) -> None:
    """From a picture on that is stored after one that is shown later."""
    clock = clock_of(paused(place, reordered=True), witness=Witness())
    assert (clock.fps, clock.variable, shown(clock)) == (25, False, list(range(40)))


def test_many_pauses_are_a_recording_of_a_screen() -> None:
    places = np.cumsum([1, 1, 1, 14, 1, 1, 1, 1, 9, 1, 1, 21, 1, 1, 1, 1, 1, 5, 1, 2, 1, 1, 1, 8, 1, 1])
    clock = clock_of([int(k) / 25 for k in places], witness=Witness())
    assert clock.variable
    assert clock.repaired == 0


def test_times_that_are_all_the_same_or_missing_are_spaced_evenly() -> None:
    for times in ([0] * 40, [NO_TIME] * 40, [*range(20), *range(20)]):
        clock = build_clock(times, [k % 10 == 0 for k in range(40)], MS, Fraction(30))
        assert (clock.fps, shown(clock)) == (30, list(range(40)))
        assert clock.keyframes == (0, 10, 20, 30)


def test_times_that_no_camera_takes_are_spaced_evenly() -> None:
    """A file in a wrong unit of time keeps its pictures, which would else be one frame."""
    times = list(range(40))
    clock = build_clock(times, [k % 10 == 0 for k in times], Fraction(1, 90_000), Fraction(90_000), usual=1)
    assert (clock.fps, clock.frame_count, clock.picture_times) == (25, 40, ())
    slow_motion = build_clock(times, [1] * 40, Fraction(1, 1000), None, usual=1)
    assert slow_motion.own_fps == 1000


@pytest.mark.parametrize(
    ("usual", "hint", "rate"),
    [
        (80, 25, "25/2"),
        (33, "30000/1001", "30000/1001"),
        (0, 30, "30"),
        (0, None, "25"),
        (40_000, 24, "24"),
        (50, None, "20"),
    ],
)
def test_without_times_the_usual_length_of_a_picture_counts(usual: int, hint: str | None, rate: str) -> None:
    stated = None if hint is None else Fraction(hint)
    clock = build_clock([NO_TIME] * 40, [1] * 40, MS, stated, usual=usual, fps="own")
    assert (clock.fps, clock.frame_count) == (Fraction(rate), 40)


@pytest.mark.parametrize("jitter", [0.001, 0.006])
def test_jitter_is_no_change_of_rate(jitter: float) -> None:
    shifts = np.random.default_rng(0).uniform(-jitter, jitter, 300)
    clock = clock_of([k / 30 + shift for k, shift in enumerate(shifts)], Fraction(1, 90_000))
    assert clock.fps == 30
    assert shown(clock) == list(range(300))


def test_a_rate_that_drifts_is_followed() -> None:
    seconds = np.cumsum(1 / np.linspace(29.5, 30.5, 900))
    clock = clock_of(seconds.tolist(), Fraction(1, 90_000))
    assert clock.fps == pytest.approx(30, rel=5e-3)
    middles = seconds[0] + (np.arange(clock.frame_count) + 0.5) / float(clock.fps)
    assert np.abs(seconds[shown(clock)] - middles).max() < 1.1 / 30


def test_pictures_that_piled_up_behind_a_delay_are_no_high_rate() -> None:
    late = [1.0 + k / 90_000 for k in range(15)]
    clock = clock_of([*(k / 25 for k in range(15)), *late, *(k / 25 for k in range(30, 60))], Fraction(1, 90_000))
    assert (clock.fps, clock.frame_count) == (25, 60)
    assert shown(clock)[30:] == list(range(30, 60))


def test_film_among_video_plays_at_the_rate_of_the_video() -> None:
    film, video = [k / 24 for k in range(48)], [2 + k / 30 for k in range(60)]
    clock = clock_of([*film, *video], Fraction(1, 90_000))
    assert clock.variable
    assert clock.fps == 30
    assert set(shown(clock)) == set(range(108))  # no picture is lost


def test_telecine_by_flags_is_film() -> None:
    fields = np.cumsum([0, *[2, 3] * 40])  # a picture is shown for two and for three fields in turn
    clock = clock_of([int(field) * 1001 / 60_000 for field in fields], Fraction(1, 90_000))
    assert clock.own_fps == Fraction(24000, 1001)
    assert not clock.variable


@pytest.mark.parametrize(
    ("own", "played"),
    [
        ("1", "25"),
        ("1/2", "25"),
        ("5", "25"),
        ("10", "30"),
        ("12", "24"),
        ("25/2", "25"),
        ("15", "30"),
        ("15000/1001", "30000/1001"),
        ("20", "40"),
        ("24000/1001", "24000/1001"),
        ("24", "24"),
        ("100", "100"),
        ("120", "120"),
        ("240", "60"),
        ("240000/1001", "60000/1001"),
        ("1000", "50"),
    ],
)
def test_a_rate_at_which_lips_cannot_move_is_multiplied_or_divided(own: str, played: str) -> None:
    tick = 1 / Fraction(Fraction(own).numerator)
    clock = build_clock(ticks_of(Fraction(own), 60, tick), [True] * 60, tick, None)
    assert (clock.own_fps, clock.fps) == (Fraction(own), Fraction(played))
    assert clock.frame_count == round(60 * Fraction(played) / Fraction(own))
    times = Counter(shown(clock)).values()
    assert max(times) - min(times) == 0
    assert clock.frame_count / clock.fps == pytest.approx(60 / float(Fraction(own)), abs=0.02)


@pytest.mark.parametrize("own", [Fraction(1, 3), Fraction(25), Fraction(24000, 1001), Fraction(50), Fraction(1000)])
@pytest.mark.parametrize("fps", [Fraction(1), Fraction(12), Fraction(25), Fraction(30000, 1001), Fraction(240)])
def test_the_rate_asked_for_is_the_rate_of_any_source(own: Fraction, fps: Fraction) -> None:
    tick = Fraction(1, 90_000)
    clock = build_clock(ticks_of(own, 40, tick), [True] * 40, tick, None, fps=fps)
    assert clock.fps == fps
    assert clock.frame_count == max(1, round(40 * fps / own))
    for frame, picture in enumerate(shown(clock)):
        assert picture <= (frame + Fraction(1, 2)) * own / fps <= picture + 1 or clock.frame_count == 1


def test_one_picture_is_a_still_at_any_rate() -> None:
    for hint in (None, Fraction(30), Fraction(1000)):
        assert (build_clock([0], [True], MS, hint).fps, build_clock([0], [True], MS, hint).frame_count) == (25, 1)
    assert build_clock([0], [True], MS, Fraction(30), fps=Fraction(12)).fps == 12


def test_the_last_picture_is_shown_as_long_as_the_file_says() -> None:
    assert clock_of([0.0, 0.04, 0.08, 3.0, 3.04, 3.08], last=2000).frame_count == round((3.08 + 2) * 25)
    assert clock_of([0.0, 0.04, 0.08, 3.0, 3.04, 3.08], last=9_999_999).frame_count == round((3.08 + 2.92) * 25)


def test_a_source_that_seems_longer_than_allowed_is_refused_before_anything_is_as_long() -> None:
    with raises_kind(LimitError, limit="max_seconds"):
        clock_of([0.0, *(10_000.0 + k * 10_000 for k in range(5))])
    with raises_kind(LimitError, limit="max_seconds"):
        build_clock([0] * 500, [True] * 500, MS, Fraction(25), longest=10)


@given(
    times=st.lists(st.one_of(st.integers(0, 4000), st.integers(-(2**63), 2**63 - 1), st.just(NO_TIME)), max_size=60),
    tick=st.fractions(Fraction(1, 10**9), 10**9),
    hint=st.none() | st.fractions(Fraction(1, 10**9), 10**9),
    fps=st.none() | st.fractions(1, 240, max_denominator=1001),
    last=st.integers(-(2**63), 2**63 - 1),
    keys=st.data(),
)
def test_whatever_a_file_says_frames_run_forwards_through_its_pictures(
    times: list[int], tick: Fraction, hint: Fraction | None, fps: Fraction | None, last: int, keys: st.DataObject
) -> None:
    flags = keys.draw(st.lists(st.booleans(), min_size=len(times), max_size=len(times)))
    try:
        clock = build_clock(times, flags, tick, hint, fps=fps, last=last, longest=100)
    except LimitError:
        return
    assert clock.frame_count <= 300 * 240
    assert 1 <= clock.fps <= 240
    order = shown(clock)
    assert order == sorted(order)
    assert all(0 <= picture < len(times) for picture in order)
    assert list(clock.picture_times) == sorted(clock.picture_times)
    assert clock.keyframes == tuple(sorted(set(clock.keyframes)))
    assert all(0 <= key < max(1, clock.frame_count) for key in clock.keyframes)


@pytest.mark.parametrize("gaps", [[10, 100], [0, 0, 0, 1, 0, 0, 0], [1] * 3 + [0] * 9 + [40, 1000]])
def test_pictures_piled_up_or_few_have_a_rate(gaps: list[int]) -> None:
    times = np.concatenate([[0], np.cumsum(gaps)])
    clock = build_clock(times.tolist(), [True] * len(times), Fraction(1, 1000), None)
    assert clock.fps > 0
    assert clock.frame_count >= 1


@given(st.lists(st.sampled_from([0, 1, 2, 5, 40, 41, 512, 5000]), min_size=1, max_size=60))
def test_any_ascending_times_have_a_rate(gaps: list[int]) -> None:
    times = np.concatenate([[0], np.cumsum(gaps)])
    clock = build_clock(times.tolist(), [True] * len(times), Fraction(1, 1000), None)
    assert 1 <= clock.fps <= 240


def test_a_missing_picture_does_not_slow_down_times_that_are_counted_in_frames() -> None:
    """Ogg and AVI: a tick is a frame."""
    times = [place for place in range(50) if place not in (20, 21, 22, 23, 25)]
    clock = build_clock(times, [1, *[0] * 44], Fraction(1, 25), Fraction(25))
    assert (clock.own_fps, clock.fps, clock.frame_count) == (25, 25, 50)
