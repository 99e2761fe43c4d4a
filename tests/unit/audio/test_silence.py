"""Where a voice pauses, the source's mouth comes back, gently; and networks hear nothing there."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Literal, cast

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from musetalk.audio.envelope import EnvelopeTrack, measure_envelope
from musetalk.audio.feature_store import FeatureCache
from musetalk.audio.features import measure_features
from musetalk.audio.mel import FFT_SIZE
from musetalk.audio.silence import find_presence, silence_samples, silent_samples
from musetalk.audio.types import MUSETALK_FEATURES, SAMPLES_PER_STEP
from musetalk.media.sound.voice import extract_voice
from musetalk.pipeline.components import Components
from musetalk.pipeline.speech import extract_features
from musetalk.progress import RenderRun
from musetalk.settings import Limits, SilenceSettings, SpeechSettings
from musetalk.utils.arrays import Float32Array
from tests.helpers.media import write_wav

RATE = 16_000
FPS = Fraction(25)
KEEP, REST = SilenceSettings(mode="keep"), SilenceSettings(mode="rest")
MARGIN = 0.1  # seconds
Mode = Literal["keep", "rest"]


def track(heard: list[tuple[bool, int]]) -> EnvelopeTrack:
    """A voice that is heard, or not, for so many frames each."""
    activity = np.repeat([each for each, _ in heard], [length for _, length in heard]).astype(np.bool_)
    return EnvelopeTrack(np.zeros((len(activity), 2), np.float32), activity)


def presence(
    heard: list[tuple[bool, int]], settings: SilenceSettings = KEEP, fps: Fraction = FPS, frame_count: int | None = None
) -> Float32Array:
    found = find_presence(track(heard), settings, fps, frame_count)
    assert found is not None
    return found


def runs_of(heard: list[tuple[bool, int]]) -> list[tuple[bool, int, int]]:
    """Stretches that are heard, or not, as (heard, start, stop)."""
    flags = track(heard).activity.astype(int)
    edges = [0, *(np.flatnonzero(np.diff(flags)) + 1).tolist(), len(flags)]
    return [(bool(flags[start]), start, stop) for start, stop in pairwise(edges)]


def vowel(seconds: float) -> Float32Array:
    t = np.arange(round(seconds * RATE)) / RATE
    sound = sum(np.sin(2 * np.pi * 120 * k * t + k) / k for k in range(1, 20))
    return (0.1 * sound * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))).astype(np.float32)


def noise(seconds: float, level: float, seed: int = 0) -> Float32Array:
    return (level * np.random.default_rng(seed).normal(size=round(seconds * RATE))).astype(np.float32)


def hiss(seconds: float, level: float) -> Float32Array:
    return np.diff(noise(seconds + 4 / RATE, level / 8), n=4).astype(np.float32)  # near nothing below 2500 Hz


VOICES = st.lists(st.tuples(st.booleans(), st.integers(1, 90)), min_size=1, max_size=8)


@given(
    heard=VOICES,
    mode=st.sampled_from(["keep", "rest"]),
    threshold=st.floats(0.1, 3),
    fade=st.floats(0.04, 1),
    fps=st.sampled_from([FPS, Fraction(30000, 1001), Fraction(60)]),
)
@example(heard=[(True, 30), (False, 15), (True, 30)], mode="keep", threshold=0.6, fade=0.2, fps=FPS)
def test_presence_is_whole_in_speech_zero_in_long_pauses_and_steady_between(
    heard: list[tuple[bool, int]], mode: Mode, threshold: float, fade: float, fps: Fraction
) -> None:
    settings = SilenceSettings(mode=mode, min_pause_seconds=threshold, fade_seconds=fade)
    found, rate = presence(heard, settings, fps), float(fps)
    ramp = fade * rate * (2.5 if mode == "rest" else 1)
    assert found.dtype == np.float32
    assert 0 <= found.min() <= found.max() <= 1
    assert np.abs(np.diff(found)).max(initial=0) <= 1.5 / ramp + 1e-6
    speaks, end = track(heard).activity.any(), len(found)
    for sounds, start, stop in runs_of(heard):
        own, middle = found[start:stop], np.arange(start, stop) + 0.5
        if sounds:
            assert (own == 1).all()
            continue
        opening, closing = (MARGIN + 0.15 if mode == "rest" else MARGIN) * rate, MARGIN * rate
        from_words, to_words = middle >= start + opening + ramp, middle <= stop - closing - ramp
        room = bool(((from_words | (start == 0)) & (to_words | (stop == end))).any())
        if abs((stop - start) - threshold * rate) > 1e-3:
            assert (own == 0).any() == (not speaks or (room and stop - start > threshold * rate))
        if not (own == 0).any():
            assert (own == 1).all()
            continue
        first, last = int((own == 0).argmax()), len(own) - 1 - int((own[::-1] == 0).argmax())
        assert (own[first : last + 1] == 0).all()
        assert (np.diff(own[:first]) <= 0).all()
        assert (np.diff(own[last + 1 :]) >= 0).all()
        assert (first == 0) == (start == 0)
        assert (last == len(own) - 1) == (stop == end)
        if start > 0:
            assert (own[middle <= start + MARGIN * rate] == 1).all()
        if stop < end:
            assert (own[middle >= stop - MARGIN * rate] == 1).all()


@pytest.mark.parametrize("frames", [1, 3, 75])
@pytest.mark.parametrize("settings", [KEEP, REST])
def test_a_voice_that_never_speaks_leaves_every_frame_to_the_source(settings: SilenceSettings, frames: int) -> None:
    assert (presence([(False, frames)], settings) == 0).all()


def test_by_default_pauses_are_painted() -> None:
    silent = track([(False, 75)])
    assert find_presence(silent, SilenceSettings(), FPS) is None
    assert silent_samples(silent, SilenceSettings(), FPS, 75) == ()


def test_before_the_first_word_and_after_the_last_there_is_one_ramp() -> None:
    found = presence([(False, 25), (True, 25), (False, 25)])
    assert (found[: 25 - 8] == 0).all()  # all but 0.1 s and the fade of 0.2 s
    assert (found[-(25 - 8) :] == 0).all()
    assert ((found[18:22] > 0) & (found[18:22] < 1)).all()
    assert np.allclose(found, found[::-1])


def test_a_mouth_at_rest_is_handed_over_later_and_more_slowly() -> None:
    heard = [(True, 25), (False, 75), (True, 25)]
    kept, rested = presence(heard, KEEP), presence(heard, REST)
    assert (rested >= kept).all()
    assert (rested == 0).any()
    assert np.abs(np.diff(rested)).max() < 0.45 * np.abs(np.diff(kept)).max()


@pytest.mark.parametrize("quiet", [0, 3, 8, 12, 20, 40])
@pytest.mark.parametrize("settings", [KEEP, REST])
def test_where_the_source_goes_on_the_face_has_faded_out_with_the_voice(settings: SilenceSettings, quiet: int) -> None:
    envelope = track([(True, 25), (False, quiet)])
    shown = find_presence(envelope, settings, FPS, goes_on=True)
    assert shown is not None
    assert shown[-1] < 0.05
    assert shown[:19].min() == 1  # all but the last word's end
    assert np.abs(np.diff(shown)).max() < 0.35
    assert (shown <= presence([(True, 25), (False, quiet)], settings)).all()


def test_frames_that_the_envelope_does_not_know_are_silent() -> None:
    shown = presence([(True, 25)], frame_count=100)
    assert (shown[:25].min(), shown[60:].tolist()) == (1, [0.0] * 40)


def measured(voice: Float32Array) -> EnvelopeTrack:
    return measure_envelope([voice], fps=FPS, frame_count=round(len(voice) / RATE * FPS))


def test_a_pause_between_words_is_found_in_room_noise() -> None:
    voice = np.concatenate([vowel(2.0), np.zeros(2 * RATE, np.float32), vowel(2.0)]) + noise(6.0, 3e-3)
    found = find_presence(measured(voice), KEEP, FPS)
    assert found is not None
    assert (found[:50] == 1).all()
    assert (found[65:90] == 0).all()  # the first time that the room is heard alone, a quarter second is not known yet
    assert (found[100:] == 1).all()


def test_a_hiss_belongs_to_its_word_and_not_one_far_from_words() -> None:
    gap = np.zeros(RATE // 20, np.float32)
    loud = hiss(0.2, 0.05)
    voice = np.concatenate([vowel(2.0), gap, loud, np.zeros(RATE, np.float32), loud, np.zeros(RATE, np.float32)])
    found = measured(voice)
    assert found.heard[50:52].any()
    assert found.heard[52:56].all()
    assert not found.activity[53:56].any()
    assert not found.heard[58:].any()


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), FPS, Fraction(240)])
def test_what_is_heard_is_not_ahead_of_its_sound_at_any_rate(fps: Fraction) -> None:
    voice = np.concatenate([np.zeros(RATE, np.float32), vowel(1.0), np.zeros(RATE, np.float32)])
    heard = measure_envelope([voice], fps=fps, frame_count=round(3 * fps)).heard
    times = (np.arange(len(heard)) + 0.5) / float(fps)
    assert not heard[times < 0.95].any()
    assert heard[(times > 1.02) & (times < 1.98)].all()
    assert not heard[times > 2.07].any()


@given(cuts=st.lists(st.integers(0, 4 * RATE), max_size=6), first=st.sampled_from([0, 3200]))
def test_blocks_of_any_size_are_hushed_alike_and_only_where_they_should_be(cuts: list[int], first: int) -> None:
    voice = noise(4.0, 0.1)
    silent = (range(-80, 8000), range(30_000, 45_000))
    pieces = np.split(voice, sorted(cuts))
    found = np.concatenate(list(silence_samples(pieces, silent, first)))
    assert found.dtype == np.float32
    numbers = np.arange(first, first + len(voice))
    inside = ((numbers >= 0) & (numbers < 7920)) | ((numbers >= 30_080) & (numbers <= 44_920))
    outside = (numbers >= 8000) & ((numbers <= 30_000) | (numbers >= 45_000))
    assert not found[inside].any()
    assert np.array_equal(found[outside], voice[outside])
    assert (np.abs(found) <= np.abs(voice)).all()


def test_without_pauses_the_blocks_go_through_as_they_are() -> None:
    blocks = [vowel(0.1), vowel(0.2)]
    assert [id(block) for block in silence_samples(iter(blocks), ())] == [id(block) for block in blocks]


def test_words_and_what_is_around_them_are_never_silenced() -> None:
    heard = [(False, 20), (True, 25), (False, 20), (True, 5), (False, 14), (True, 6), (False, 30)]
    found = silent_samples(track(heard), REST, FPS, 120)
    step = 640
    assert found == (
        range(-80, 20 * step - 1600),
        range(45 * step + 1600, 65 * step - 1600),
        range(90 * step + 1600, 121 * step + 80),
    )
    assert silent_samples(track(heard), KEEP, FPS, 120) == ()
    assert silent_samples(track(heard), REST, FPS, 300)[-1].stop == 120 * step - 1600  # the voice goes on, unheard


class Ear:
    """An encoder whose states say what the spectrum holds at their own place, and nothing else."""

    audio_spec = MUSETALK_FEATURES
    filters = np.eye(FFT_SIZE // 2 + 1)[:, 2:60]
    window_steps, states, width, fingerprint = 1500, 1, 2, "ear"

    def encode(self, mel: Float32Array) -> Float32Array:
        steps = mel.reshape(len(mel), -1, 2)
        return np.stack([steps.mean(axis=(0, 2)), steps.max(axis=(0, 2))], axis=1)[:, None].astype(np.float32)


def test_networks_hear_true_silence_in_a_noisy_pause_and_the_words_as_they_are(tmp_path: Path) -> None:
    pause = np.zeros(2 * RATE, np.float32)
    voice = np.concatenate([vowel(2.0), pause, vowel(2.0)]) + noise(6.0, 3e-3)
    cache = FeatureCache(tmp_path / "cache")
    silent = silent_samples(measured(voice), REST, FPS, 150)
    assert len(silent) == 1

    def features(name: str, samples: Float32Array, parts: tuple[range, ...]) -> Float32Array:
        path = tmp_path / name
        found = measure_features(silence_samples([samples], parts), Ear(), path, cache=cache)
        return found.read(0, found.steps)

    plain, hushed = features("plain.npy", voice, ()), features("hushed.npy", voice, silent)
    truly = voice.copy()
    truly[silent[0].start : silent[0].stop] = 0
    quiet = features("quiet.npy", truly, ())
    inside = slice(silent[0].start // SAMPLES_PER_STEP + 2, silent[0].stop // SAMPLES_PER_STEP - 2)
    assert np.array_equal(hushed[inside], quiet[inside])
    assert not np.array_equal(plain[inside], quiet[inside])
    assert np.array_equal(hushed[:100], plain[:100])
    assert np.array_equal(hushed[202:], plain[202:])
    assert np.array_equal(features("again.npy", voice, silent), hushed)  # the cache keeps them apart


def test_only_what_comes_to_rest_is_heard_otherwise_in_a_render_and_around_a_frame(tmp_path: Path) -> None:
    samples = np.concatenate([vowel(2.0), np.zeros(2 * RATE, np.float32), vowel(2.0)]) + noise(6.0, 3e-3)
    voice = extract_voice(write_wav(tmp_path / "said.wav", samples), tmp_path, Limits())
    components = cast(Components, SimpleNamespace(encoder=Ear(), features=None))

    def heard(silence: SilenceSettings | None) -> tuple[Float32Array, Float32Array]:
        speech, _ = extract_features(
            voice, components, SpeechSettings(), FPS, 150, folder=tmp_path, run=RenderRun(), silence=silence
        )
        around, _ = extract_features(
            voice, components, SpeechSettings(), FPS, 150, folder=tmp_path, run=RenderRun(), silence=silence, around=75
        )
        return speech.window(0, 150), around.window(0, 150)

    usual, rested = heard(None)[0], heard(REST)
    assert np.array_equal(heard(SilenceSettings())[0], usual)
    assert np.array_equal(heard(KEEP)[0], usual)
    assert np.array_equal(rested[0], rested[1])
    changed = np.flatnonzero((rested[0] != usual).any(axis=(1, 2)))
    # Windows reach 0.1 s beyond a pause; and that the room's noise is none is known only after 0.25 s of it alone.
    assert (changed.min(), changed.max()) == pytest.approx((57, 100), abs=3)
    assert len(np.unique(rested[0][63:94], axis=0)) == 1
