"""Resampling: band-limited, in phase, without drift, however the samples are cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musetalk.errors import VoiceError
from musetalk.media.sound.resampler import Resampler
from musetalk.media.sound.voice import Voice, read_excerpt, read_speech
from musetalk.media.sound.wav import write_wav
from musetalk.utils.arrays import Float32Array
from tests.helpers.errors import raises_kind
from tests.helpers.media import write_wav as write_pcm

WANTED = 16_000
RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 44_101, 48_000, 96_000, 192_000)


def sine(hertz: float, rate: int, count: int) -> Float32Array:
    return np.sin(2 * np.pi * hertz * np.arange(count) / rate).astype(np.float32)


def noise(count: int) -> Float32Array:
    return np.random.default_rng(1).normal(0, 0.1, count).astype(np.float32)


def resampled(samples: Float32Array, rate: int) -> Float32Array:
    resampler = Resampler(rate, WANTED)
    return np.concatenate([resampler.push(samples), resampler.finish()])


def decibels(values: np.ndarray) -> float:
    return float(10 * np.log10(np.square(values.astype(np.float64)).mean() + 1e-20))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("share", [0.1, 0.94])
def test_tones_that_fit_stay_as_they_are_and_where_they_are(rate: int, share: float) -> None:
    hertz = share * min(rate, WANTED) / 2
    made = resampled(sine(hertz, rate, rate // 2 + 7), rate)
    inside = slice(WANTED // 20, -WANTED // 20)
    assert decibels((made - sine(hertz, WANTED, len(made)))[inside]) < -85


@pytest.mark.parametrize("rate", [rate for rate in RATES if rate > WANTED])
@pytest.mark.parametrize("hertz", [8_020, 9_500, 11_000])
def test_tones_that_do_not_fit_are_gone(rate: int, hertz: float) -> None:
    made = resampled(sine(hertz, rate, rate // 2), rate)
    assert decibels(made[WANTED // 20 : -WANTED // 20]) < -85


def test_nothing_is_added_above_what_a_low_rate_holds() -> None:
    made = resampled(noise(16_000), 8_000)[1_000:-1_000]
    power = np.square(np.abs(np.fft.rfft(made * np.hanning(len(made)))))
    hertz = np.arange(len(power)) * WANTED / len(made)
    assert decibels(np.sqrt(power[hertz > 4_020])) < decibels(np.sqrt(power[hertz < 3_700])) - 85


@given(
    rate=st.sampled_from(RATES),
    cuts=st.lists(st.integers(0, 3_000), max_size=12),
    length=st.integers(0, 3_000),
)
@settings(max_examples=40, deadline=None)
def test_how_the_samples_are_cut_changes_nothing(rate: int, cuts: list[int], length: int) -> None:
    samples = noise(length)
    resampler = Resampler(rate, WANTED)
    parts = [resampler.push(part) for part in np.split(samples, sorted(cuts))]
    whole = resampled(samples, rate)
    assert np.array_equal(np.concatenate([*parts, resampler.finish()]), whole)
    assert len(whole) == int(length * WANTED / rate + 0.5)


@pytest.mark.parametrize("rate", RATES)
def test_what_is_handed_out_is_behind_by_no_more_than_the_lookahead(rate: int) -> None:
    resampler, pushed, made = Resampler(rate, WANTED), 0, 0
    assert resampler.lookahead < (0.016 if rate < WANTED else 0.008)
    for count in (1, 7, 80, 1_000, 9_000):
        made += len(resampler.push(noise(count)))
        pushed += count
        assert made >= (pushed / rate - resampler.lookahead) * WANTED - 1


def test_ten_minutes_do_not_drift() -> None:
    """Fed a second at a time, it says after 10 minutes what it says of the same sound after one second."""
    rate = 44_100
    resampler, second = Resampler(rate, WANTED), sine(440, rate, rate)
    made = [resampler.push(second) for _ in range(600)]
    seconds = np.concatenate(made[-2:])
    late = sum(map(len, made)) % WANTED
    wanted = sine(440, WANTED, WANTED)
    end = seconds[len(seconds) - late - WANTED : len(seconds) - late]
    assert decibels(end - wanted) < -85


def test_an_excerpt_is_what_the_whole_voice_is_there(tmp_path: Path) -> None:
    rate, path = 22_050, tmp_path / "voice.wav"
    samples = noise(5 * rate)
    write_wav(path, iter([np.stack([samples, 0.5 * samples], axis=1)]), rate, 2)
    voice = Voice(path, rate, 2, len(samples), path)
    whole = np.concatenate(list(read_speech(voice)))
    np.testing.assert_allclose(whole, resampled(0.75 * samples, rate), atol=1e-6)
    for start, seconds in ((0.0, 1.0), (2.34, 1.5), (4.5, 30.0)):
        first = round(start * WANTED)
        excerpt = np.concatenate(list(read_excerpt(voice, start, seconds, tmp_path)))
        assert np.array_equal(excerpt, whole[first : first + round(seconds * WANTED)])


def test_what_is_not_in_floats_is_not_read_as_if_it_were(tmp_path: Path) -> None:
    path = write_pcm(tmp_path / "pcm.wav", noise(1_000))
    with raises_kind(VoiceError, path=path):
        list(read_speech(Voice(path, WANTED, 1, 1_000, path)))


def test_a_rate_that_cannot_be_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "absurd.wav"
    write_wav(path, iter([noise(1_000)]), 900_000_000, 1)
    with raises_kind(VoiceError, path=path):
        list(read_speech(Voice(path, 900_000_000, 1, 1_000, path)))
