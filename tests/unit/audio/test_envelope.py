"""From a voice to openness and spread."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musetalk.audio.envelope import EnvelopeMeter, EnvelopeTrack, measure_envelope
from musetalk.audio.mouth import EnvelopeSettings
from musetalk.utils.arrays import Float32Array

RATE = 16_000
FPS = Fraction(25)


def harmonics(seconds: float, formants: tuple[float, ...] = (700.0, 1200.0), pitch: float = 120.0) -> Float32Array:
    """A steady vowel: harmonics of a pitch, strongest around the formants; peaks near 0.3."""
    t = np.arange(round(seconds * RATE)) / RATE
    sound = np.zeros_like(t)
    for number in range(1, int(5000 / pitch)):
        frequency = number * pitch
        strength = 0.02 + sum(np.exp(-(((frequency - formant) / 150) ** 2)) for formant in formants)
        sound += strength * np.sin(2 * np.pi * frequency * t + number)
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def noise(seconds: float, level: float, seed: int = 0) -> Float32Array:
    return (level * np.random.default_rng(seed).normal(size=round(seconds * RATE))).astype(np.float32)


def syllables(seconds: float, rate: float = 4.0) -> tuple[Float32Array, np.ndarray]:
    """A vowel whose loudness swings `rate` times a second, and the swing itself (0 to 1) per sample."""
    t = np.arange(round(seconds * RATE)) / RATE
    swing = (0.5 - 0.5 * np.cos(2 * np.pi * rate * t)) ** 1.5
    return (harmonics(seconds) * swing).astype(np.float32), swing


def measured(voice: Float32Array, fps: Fraction = FPS) -> EnvelopeTrack:
    return measure_envelope([voice], fps=fps, frame_count=round(len(voice) / RATE * fps))


def openness(voice: Float32Array, fps: Fraction = FPS) -> Float32Array:
    track = measured(voice, fps)
    return track.window(0, track.frame_count)[:, 0]


@pytest.mark.parametrize(
    "voice",
    [
        np.zeros(2 * RATE, np.float32),
        noise(2.0, 1e-4),
        noise(2.0, 3e-3),
        np.zeros(0, np.float32),
        np.zeros(7, np.float32),
    ],
)
def test_silence_and_background_noise_move_nothing(voice: Float32Array) -> None:
    track = measure_envelope([voice], fps=FPS, frame_count=50)
    assert not track.window(0, 50).any()
    assert not track.activity.any()


def test_pauses_are_exactly_zero_even_in_noise() -> None:
    pause = np.zeros(RATE, np.float32)
    voice = np.concatenate([pause, harmonics(1.0), pause, harmonics(1.0), pause]) + noise(5.0, 5e-4)
    track = measured(voice)
    values = track.window(0, track.frame_count)
    for second in (0, 2, 4):
        assert not values[25 * second + 8 : 25 * second + 23].any()
        assert not track.activity[25 * second + 3 : 25 * second + 22].any()
    for second in (1, 3):
        assert (values[25 * second + 4 : 25 * second + 22, 0] > 0.5).all()
        assert track.activity[25 * second + 2 : 25 * second + 23].all()


def test_a_click_is_no_voice() -> None:
    voice, _ = syllables(4.0)
    with_click = voice.copy()
    with_click[30_000:30_040] = 0.95
    track, disturbed = openness(voice), openness(with_click)
    assert np.abs(np.delete(disturbed - track, np.s_[40:55])).max() < 0.1


@pytest.mark.parametrize("fps", [FPS, Fraction(30000, 1001), Fraction(60)])
@pytest.mark.parametrize("rate", [3.0, 4.5])
def test_follows_the_syllables_without_lag(fps: Fraction, rate: float) -> None:
    voice, swing = syllables(8.0, rate)
    followed = openness(voice, fps)
    centre = ((np.arange(len(followed)) + 0.5) / float(fps) * RATE).astype(int)
    wanted = swing[np.minimum(centre, len(swing) - 1)]
    at_lag = {lag: np.corrcoef(followed[2 + lag : -3 + lag or None], wanted[2:-3])[0, 1] for lag in (-1, 0, 1, 2)}
    assert at_lag[0] >= 0.8
    assert at_lag[0] >= max(at_lag[-1], at_lag[1] - 0.02, at_lag[2])
    assert followed.max() - followed.min() > 0.5


@given(gain=st.floats(0.01, 3.0))
@settings(max_examples=10, deadline=None)
def test_a_quiet_recording_opens_as_far_as_a_loud_one_once_it_is_known(gain: float) -> None:
    voice, _ = syllables(3.0)
    known = slice(25, None)
    assert openness((voice * gain).astype(np.float32))[known] == pytest.approx(openness(voice)[known], abs=0.02)


@pytest.mark.parametrize("gain", [0.05, 0.2, 1.0])
def test_the_first_word_opens_the_mouth_and_the_room_before_it_does_not(gain: float) -> None:
    room = np.zeros(RATE, np.float32)
    voice = gain * (np.concatenate([room, syllables(1.5)[0]]) + noise(2.5, 5e-3))
    opened = openness(voice.astype(np.float32))
    assert not opened[:23].any()
    assert opened[25:38].max() > 0.3


@pytest.mark.parametrize("share", [0.1, 0.2])
def test_a_fan_stays_unheard_before_between_and_after_words(share: float) -> None:
    """It is a rumble (each sample a mean of those before), as loud as 0.1 or 0.2 of the voice."""
    fan = np.convolve(noise(8.0, 1.0), 0.7 ** np.arange(40))[: 8 * RATE]
    pause = np.zeros(2 * RATE, np.float32)
    voice = np.concatenate([pause, syllables(2.0)[0], pause, syllables(2.0)[0]])
    fan *= share * np.sqrt(np.square(syllables(2.0)[0]).mean() / np.square(fan).mean())
    opened = openness((voice + fan).astype(np.float32))
    assert not opened[10:48].any()  # of what it begins with nobody can know at once
    assert not opened[110:148].any()
    assert opened[52:100].max() > 0.7
    assert opened[152:].max() > 0.7


def test_a_soft_speaker_after_a_loud_one_is_given_time() -> None:
    loud, soft = syllables(10.0)[0], 0.05 * syllables(60.0)[0]
    opened = openness(np.concatenate([loud, soft]))
    assert opened[260:400].max() < 0.2
    assert opened[-200:].max() > 0.8


VOICE = np.concatenate([noise(0.4, 1e-3), syllables(2.0)[0], noise(0.6, 0.02), syllables(2.0)[0]]) + noise(5.0, 1e-3)


@given(
    cuts=st.lists(st.integers(0, 5 * RATE), max_size=12),
    fps=st.sampled_from([FPS, Fraction(30000, 1001), Fraction(240)]),
)
@settings(max_examples=15, deadline=None)
def test_how_the_samples_are_cut_changes_nothing(cuts: list[int], fps: Fraction) -> None:
    count = round(5.2 * fps)
    whole = measure_envelope([VOICE], fps=fps, frame_count=count)
    split = measure_envelope(iter(np.split(VOICE, sorted(cuts))), fps=fps, frame_count=count)
    assert_same(split, whole)


def test_samples_may_come_one_by_one() -> None:
    voice = VOICE[:RATE]
    assert_same(
        measure_envelope(np.split(voice, len(voice)), fps=FPS, frame_count=25),
        measure_envelope([voice], fps=FPS, frame_count=25),
    )


def assert_same(one: EnvelopeTrack, other: EnvelopeTrack) -> None:
    assert one.frame_count == other.frame_count
    assert np.array_equal(one.window(0, one.frame_count), other.window(0, one.frame_count))
    assert np.array_equal(one.activity, other.activity)
    assert np.array_equal(one.heard, other.heard)
    assert one.speaks == other.speaks


@pytest.mark.parametrize("fps", [Fraction(24), FPS, Fraction(30000, 1001), Fraction(60), Fraction(240)])
def test_a_frame_is_told_as_soon_as_it_is_promised_and_stays_as_it_was_told(fps: Fraction) -> None:
    meter, pushed, told = EnvelopeMeter(fps), 0, []
    assert meter.lookahead < Fraction(15, 100)
    whole = measure_envelope([VOICE], fps=fps, frame_count=round(5 * fps))
    for block in np.array_split(VOICE, 61):
        told.append(meter.push(block))
        pushed += len(block)
        assert meter.frame_count == sum(part.frame_count for part in told)
        assert meter.frame_count >= int((Fraction(pushed, RATE) - meter.lookahead) * fps)
    count = meter.frame_count
    values = np.concatenate([part.window(0, part.frame_count) for part in told])
    assert np.array_equal(values, whole.window(0, count))
    assert np.array_equal(np.concatenate([part.heard for part in told]), whole.heard[:count])
    rest = meter.finish(whole.frame_count)
    assert np.array_equal(rest.window(0, rest.frame_count), whole.window(count, whole.frame_count))
    assert rest.frame_count > 0


def test_noise_that_was_taken_for_speech_at_first_is_no_speech() -> None:
    """A rumble of low frequencies, of which so much is known only after a while."""
    rumble = np.cumsum(noise(4.1, 0.02)).astype(np.float32)
    rumble -= np.convolve(rumble, np.full(800, 1 / 800), mode="same").astype(np.float32)
    track = measured(rumble[RATE // 20 : -RATE // 20])
    assert not track.speaks
    assert track.heard[:10].any()
    assert not track.heard[15:].any()
    assert not measured(np.zeros(RATE, np.float32)).speaks


@pytest.mark.parametrize("seconds", [0.2, 1.0])
def test_one_word_between_silences_is_speech(seconds: float) -> None:
    pause = np.zeros(2 * RATE, np.float32)
    assert measured(np.concatenate([pause, harmonics(seconds), pause])).speaks


def test_ten_minutes_at_ntsc_rate_do_not_drift() -> None:
    fps = Fraction(30000, 1001)
    burst = np.concatenate([harmonics(0.2), np.zeros(round(0.3 * RATE), np.float32)])
    blocks = [burst] * 1200
    count = round(600 * fps)
    track = measure_envelope(blocks, fps=fps, frame_count=count).window(0, count)[:, 0]
    shows = (np.arange(count) + 0.5) / float(fps)
    phase = np.exp(2j * np.pi * shows / 0.5) * track
    early, late = phase[: count // 20].sum(), phase[-(count // 20) :].sum()
    drift = np.angle(late / early) / (2 * np.pi) * 0.5
    assert abs(drift) < 1e-3


def test_bright_vowels_are_wide_and_dull_ones_rounded() -> None:
    vowels = {"ah": (750.0, 1250.0), "ee": (300.0, 2300.0), "oo": (320.0, 650.0)}
    order = ["ah", "ee", "ah", "oo"] * 3
    voice = np.concatenate([harmonics(0.4, vowels[name]) for name in order])
    spread = measured(voice).window(0, 10 * len(order))[:, 1].reshape(-1, 10)[:, 3:8].mean(axis=1)
    means = {
        name: np.mean([value for value, said in zip(spread, order, strict=True) if said == name]) for name in vowels
    }
    assert means["ee"] > 0.25
    assert means["oo"] < -0.25
    assert abs(means["ah"]) < 0.2


def test_closed_lips_close_the_mouth_although_they_hum() -> None:
    vowel, hum = harmonics(0.3), harmonics(0.12, (150.0,))
    voice = np.concatenate([vowel, hum, vowel, hum, vowel])
    followed = openness(voice, Fraction(50))
    assert followed[17:20].min() < 0.5 * followed[5:13].mean()


def test_values_stay_in_their_ranges_and_windows_fit_together() -> None:
    voice = np.concatenate([syllables(2.0)[0], noise(1.0, 0.2), np.ones(RATE, np.float32)])
    track = measured(voice)
    values = track.window(0, track.frame_count)
    assert values.dtype == np.float32
    assert track.frame_count == len(track.activity) == 100
    assert values[:, 0].min() >= 0
    assert values[:, 0].max() <= 1
    assert np.abs(values[:, 1]).max() <= 1
    assert np.array_equal(np.concatenate([track.window(0, 33), track.window(33, 100)]), values)


def test_beyond_the_voice_there_is_silence() -> None:
    track = measure_envelope([harmonics(1.0)], fps=FPS, frame_count=25)
    beyond = track.window(20, 40)
    assert beyond.shape == (20, 2)
    assert beyond[:4, 0].all()
    assert not beyond[5:].any()
    assert not track.window(50, 60).any()
    longer = measure_envelope([harmonics(1.0)], fps=FPS, frame_count=50)
    assert not longer.window(26, 50).any()


def test_slower_settings_move_less() -> None:
    voice, _ = syllables(4.0, 5.0)
    slow = measure_envelope(
        [voice], fps=FPS, frame_count=100, settings=EnvelopeSettings(attack=150.0, release=300.0)
    ).window(0, 100)[:, 0]
    assert np.ptp(slow[20:80]) < 0.6 * np.ptp(openness(voice)[20:80])
