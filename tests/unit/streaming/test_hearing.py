"""Where a voice goes on and says nothing, nothing is painted, and networks do not hear it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest

from musetalk.assets import VOICE
from musetalk.audio.types import LATENTSYNC_FEATURES
from musetalk.settings import SilenceSettings, SpeechSettings
from musetalk.streaming import hearing
from musetalk.streaming.hearing import hear_voice
from musetalk.streaming.types import LiveOptions, LiveSpeech
from musetalk.utils.arrays import Float32Array
from tests.helpers.media import decode_sound
from tests.unit.audio.test_live_features import Listening

RATE, FPS = 16_000, Fraction(25)
GENERATE, KEEP = SilenceSettings(), SilenceSettings(mode="keep", min_pause_seconds=1)


@pytest.fixture(scope="module")
def words() -> Float32Array:
    return np.asarray(decode_sound(VOICE, RATE)[: 2 * RATE], np.float32)


def silence(seconds: float) -> Float32Array:
    return np.zeros(round(seconds * RATE), np.float32)


def hear(encoder: Listening | None, silence: SilenceSettings, **options: object) -> LiveSpeech:
    return hear_voice(encoder, SpeechSettings(), silence, FPS, LiveOptions(**options))  # type: ignore[arg-type]


def frames_of(speech: LiveSpeech, voice: Float32Array, chunk: int) -> Iterator[tuple[float, Float32Array | None]]:
    """How much each frame shows, and what is heard in it if it is painted, as soon as it is known."""
    frame = 0
    for start in range(0, len(voice) + chunk, chunk):
        if start < len(voice):
            speech.push(voice[start : start + chunk])
        else:
            speech.end(round(len(voice) / RATE * FPS))
        for known in range(frame, speech.ready):
            shown = speech.presence(known)
            yield shown, speech.window(known, known + 1) if shown else None
        frame = speech.ready
        speech.forget(frame - 9)


@pytest.mark.parametrize("networks", [False, True])
@pytest.mark.parametrize(("settings", "rests"), [(GENERATE, 3.0), (KEEP, 1.0)])
def test_it_rests_after_some_silence_and_is_back_with_the_first_word(
    words: Float32Array, settings: SilenceSettings, rests: float, networks: bool
) -> None:
    voice = np.concatenate([words, silence(6), words, silence(0.5)])
    found = [shown for shown, _ in frames_of(hear(Listening() if networks else None, settings), voice, 1280)]
    assert len(found) == 25 * 2 + 25 * 6 + 25 * 2 + 12
    resting = 25 + np.flatnonzero(np.array(found[25:]) == 0)
    assert 50 + 25 * (rests - 0.4) <= resting[0] <= 50 + 25 * (rests + 0.6)
    assert 195 <= resting[-1] < 215
    assert (np.diff(resting) == 1).all()
    assert found[resting[-1] + 4 :] == [1.0] * len(found[resting[-1] + 4 :])


@pytest.mark.parametrize("networks", [False, True])
def test_how_a_voice_is_cut_changes_nothing(words: Float32Array, networks: bool) -> None:
    voice = np.concatenate([silence(1.1), words, silence(2), words])
    once, *others = (
        list(frames_of(hear(Listening() if networks else None, KEEP), voice, chunk)) for chunk in (1280, 160, 7001)
    )
    assert {shown for shown, _ in once} >= {0.0, 1.0}
    for other in others:
        assert [shown for shown, _ in other] == [shown for shown, _ in once]
        assert all(np.array_equal(*pair) for pair in zip((h for _, h in other), (h for _, h in once), strict=True))


def test_speech_after_a_rest_is_heard_as_without_one(words: Float32Array) -> None:
    voice = np.concatenate([words, silence(5), words])
    rested, always = (
        list(frames_of(hear(Listening(LATENTSYNC_FEATURES), GENERATE, rest_after=after), voice, 1280))
        for after in (2, None)
    )
    assert all(shown == 1 for shown, _ in always)
    assert sum(shown == 0 for shown, _ in rested) > 50
    for (_, own), (_, other) in zip(rested, always, strict=True):
        if own is not None and other is not None:  # what is heard at each step, if not of the whole window
            assert np.array_equal(own[0, :, 0], other[0, :, 0])


def test_silence_that_goes_on_is_not_encoded() -> None:
    encoder = Listening()
    found = [shown for shown, _ in frames_of(hear(encoder, GENERATE), silence(60), 16_000)]
    assert sum(shown > 0 for shown in found) < 25 * 4
    assert encoder.calls < 2 * 4 / 0.08


def test_pauses_are_painted_where_that_is_asked_for() -> None:
    assert {shown for shown, _ in frames_of(hear(None, GENERATE, rest_after=None), silence(6), 1280)} == {1.0}


@pytest.mark.parametrize("networks", [False, True])
def test_a_detector_says_what_is_noise(words: Float32Array, networks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf:
        def process_samples(self, samples: list[float]) -> float:
            return 0.0

    monkeypatch.setattr(hearing, "load_silero", Deaf)
    found = list(frames_of(hear(Listening() if networks else None, KEEP, vad="silero"), words, 1280))
    assert len(found) == 50
    assert {shown for shown, _ in found} == {0.0}
