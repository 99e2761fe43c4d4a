from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest

from musetalk.streaming.types import LiveOptions
from musetalk.streaming.voice_timeline import VoiceTimeline
from musetalk.utils.arrays import Float32Array
from tests.helpers.loud_speech import RATE, LoudSpeech

FPS = Fraction(25)
FRAME = RATE // 25
NO_SOUND = np.zeros(0, np.float32)


def timeline(fps: Fraction = FPS, **options: object) -> VoiceTimeline:
    return VoiceTimeline(fps, lambda: LoudSpeech(fps), LiveOptions(**options))  # type: ignore[arg-type]


def tone(frames: float) -> Float32Array:
    return np.asarray(0.3 * np.sin(np.arange(round(frames * FRAME)) / 5), np.float32)


def said(voice: VoiceTimeline, frames: Sequence[int]) -> list[int | None]:
    return [voice.spoken(frame)[0] for frame in frames]


def test_a_voice_begins_once_the_look_ahead_is_known() -> None:
    voice = timeline(lookahead=Fraction(4, 25))
    voice.push(0, tone(4.9), RATE)
    assert voice.frame_count == 0
    voice.push(0, tone(0.1), RATE)
    assert voice.frame_count == 2  # the reach of what hears it is 2.5 frames
    voice.push(0, tone(1), RATE)
    assert voice.frame_count == 3


def test_without_a_look_ahead_a_voice_is_heard_when_it_has_ended() -> None:
    voice = timeline(lookahead=None)
    voice.push(0, tone(100), RATE)
    assert voice.frame_count == 0
    voice.end()
    assert voice.frame_count == 100


def test_silence_is_laid_before_a_voice_of_which_too_little_is_known() -> None:
    voice = timeline()
    voice.push(0, tone(2), RATE)
    voice.add_silence(3)
    assert (voice.frame_count, voice.paints(2), said(voice, range(3))) == (3, False, [None] * 3)
    voice.push(0, tone(8), RATE)
    voice.end()
    assert voice.frame_count == 13
    assert said(voice, range(2, 13)) == [None, *[0] * 10]
    assert 0 < voice[3] < voice[4] < voice[6] == 1  # the painted mouth comes in where the source's own was shown
    assert voice.spoken(12) == (0, True)


def test_a_voice_that_comes_first_is_painted_wholly_from_its_first_frame_on() -> None:
    voice = timeline()
    voice.push(0, tone(8), RATE)
    voice.end()
    assert [voice[frame] for frame in range(8)] == [1.0] * 8


def test_no_silence_is_laid_into_a_voice_that_goes_on() -> None:
    voice = timeline()
    voice.push(0, tone(8), RATE)
    known = voice.frame_count
    voice.add_silence(5)
    assert voice.frame_count == known


def test_the_mouth_closes_after_a_voice_unless_another_follows() -> None:
    voice = timeline()
    voice.push(0, tone(10), RATE)
    voice.push(1, tone(10), RATE)
    voice.end()
    assert voice.frame_count == 20
    assert said(voice, [9, 10, 19]) == [0, 1, 1]
    voice.add_silence(2)
    assert voice.frame_count == 25  # three frames to close in
    assert [voice.paints(frame) for frame in range(19, 25)] == [True] * 4 + [False] * 2
    before, *closing = voice.window(19, 20)[0, 0], *voice.window(20, 23)[:, 0]
    assert before > closing[0] > closing[1] > closing[2] >= 0
    assert 1 > voice[20] > voice[21] > voice[22] > 0


@pytest.mark.parametrize("at", [0, 4, 7])
def test_a_cut_drops_what_follows_and_closes_the_mouth(at: int) -> None:
    voice = timeline()
    voice.push(0, tone(20), RATE)
    voice.push(1, tone(20), RATE)
    voice.end()
    fading = np.full(5, 0.5, np.float32)
    taken = [voice.take_sound(frame) for frame in range(at)]
    voice.cut(at, fading)
    closing = 3 if at else 0
    assert voice.frame_count == at + closing
    assert all(voice.paints(frame) for frame in range(at + closing))
    voice.add_silence(4)
    sound = voice.take_sound(at)
    assert np.array_equal(np.concatenate([*taken, sound[:5]]), np.concatenate([tone(20)[: at * FRAME], fading]))
    assert not sound[5:].any()
    voice.push(2, tone(10), RATE)
    voice.end()
    assert said(voice, [voice.frame_count - 1]) == [2]


def test_frames_of_silence_that_were_not_shown_make_room_for_a_voice() -> None:
    voice = timeline()
    voice.add_silence(9)
    voice.cut(4, NO_SOUND)
    assert voice.frame_count == 4
    assert not voice.paints(3)


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001), Fraction(12)])
@pytest.mark.parametrize("samples", [1, 640, 7001, 48_000])
def test_sound_comes_whole_and_in_time(fps: Fraction, samples: int) -> None:
    voice = timeline(fps)
    sound = np.asarray(np.random.default_rng(3).uniform(-1, 1, samples), np.float32)
    voice.add_silence(7)
    voice.push(0, sound, RATE)
    voice.end()
    spoken = range(7, voice.frame_count)
    voice.add_silence(5)
    heard = [voice.take_sound(frame) for frame in range(voice.frame_count)]
    assert len(spoken) == max(1, round(samples / RATE * fps))
    assert np.cumsum([len(part) for part in heard]).tolist() == [
        int((frame + 1) * RATE / fps) for frame in range(len(heard))
    ]
    start = len(np.concatenate(heard[:7]))
    rest = np.concatenate(heard)[start:]
    assert np.array_equal(rest[:samples], sound)
    assert not rest[samples:].any()


def test_a_voice_of_another_rate_is_brought_to_the_rate_of_the_sound() -> None:
    voice = timeline(rate=48_000)
    voice.push(0, tone(50), RATE)
    voice.end()
    voice.add_silence(3)
    heard = np.concatenate([voice.take_sound(frame) for frame in range(voice.frame_count)])[: 50 * FRAME * 3]
    wanted = 0.3 * np.sin(np.arange(len(heard)) / 15)
    assert np.abs(heard - wanted)[2000:-2000].max() < 1e-3


def test_what_was_shown_is_forgotten() -> None:
    voice = timeline()
    for number in range(50):
        voice.push(number, tone(6), RATE)
        voice.end()
        voice.add_silence(3)
        voice.forget(voice.frame_count - 1)
    assert voice.frame_count == 50 * 12
    assert voice.spoken(voice.frame_count - 1) == (None, False)


def resting(shown: Callable[[int], float]) -> VoiceTimeline:
    """A timeline of voices that show so much of the faces in each frame."""
    return VoiceTimeline(FPS, lambda: LoudSpeech(FPS, shown), LiveOptions())


def test_a_voice_that_rests_is_not_painted_and_goes_on() -> None:
    voice = resting(lambda frame: 0.0 if 3 <= frame < 7 else 1.0)
    voice.push(0, tone(10), RATE)
    voice.end()
    assert [voice.paints(frame) for frame in range(10)] == [True] * 3 + [False] * 4 + [True] * 3
    assert said(voice, range(10)) == [0] * 10


def test_a_mouth_at_rest_needs_not_close_and_comes_in_with_the_next_voice() -> None:
    voice = resting(lambda frame: 1.0 if frame < 4 else 0.0)
    for number in (0, 1):
        voice.push(number, tone(8), RATE)
        voice.end()
        voice.add_silence(2 - number)
    assert voice.frame_count == 8 + 2 + 8 + 1
    assert [frame for frame in range(voice.frame_count) if voice.paints(frame)] == [0, 1, 2, 3, 10, 11, 12, 13]
    assert 0 < voice[10] < voice[11] < voice[13] == 1


def test_a_mouth_that_shows_halfway_closes_from_there() -> None:
    voice = resting(lambda _: 0.5)
    voice.push(0, tone(8), RATE)
    voice.end()
    voice.add_silence(1)
    assert 0.5 > voice[8] > voice[9] > voice[10] > voice[11] == 0
