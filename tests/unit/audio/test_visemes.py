"""What a mouth does for phonemes: each sound in its place, with its neighbours in it, the same for any range."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from musetalk.audio.envelope import EnvelopeTrack
from musetalk.audio.phonemes import TimedPhoneme
from musetalk.audio.visemes import (
    BITE,
    OPENNESS,
    PRESS,
    SPREAD,
    TEETH,
    TIP,
    TONGUE,
    VISEME_KINDS,
    VisemeTrack,
    unknown_symbols,
)
from musetalk.utils.arrays import Float32Array

FPS = Fraction(25)


def said(*sounds: str, length: float = 0.1, start: float = 0.4) -> list[TimedPhoneme]:
    """Sounds one after another; "" is a pause."""
    starts = [start + length * number for number in range(len(sounds))]
    return [TimedPhoneme(ipa, at, at + length) for ipa, at in zip(sounds, starts, strict=True) if ipa]


def mouth(*sounds: str, fps: Fraction = FPS, length: float = 0.1, start: float = 0.4) -> Float32Array:
    count = int((2 * start + length * len(sounds)) * fps)
    return VisemeTrack(said(*sounds, length=length, start=start), fps, count).window(0, count)


def middle(*sounds: str, number: int) -> Float32Array:
    """The mouth in the frame that shows the middle of a sound."""
    at = 0.4 + 0.1 * (number + 0.5)
    row: Float32Array = mouth(*sounds)[int(at * FPS)]
    return row


@pytest.mark.parametrize("fps", [Fraction(12), FPS, Fraction(30000, 1001), Fraction(60)])
@pytest.mark.parametrize("length", [0.03, 0.08, 0.2])
@pytest.mark.parametrize("sound", ["p", "b", "m"])
def test_lips_meet_in_the_middle_of_p_b_and_m_at_any_rate(sound: str, length: float, fps: Fraction) -> None:
    for shift in np.arange(0, 1 / float(fps), 0.007):
        start = 0.4 + float(shift)
        closed = mouth("ɑ", sound, "ɑ", fps=fps, length=length, start=start)[int((start + 1.5 * length) * fps)]
        assert closed[OPENNESS] == 0
        assert closed[PRESS] > 0.7


def test_vowels_open_as_far_as_their_tongue_is_low() -> None:
    opened = [middle("h", vowel, "h", number=1)[OPENNESS] for vowel in "ieɛa"]
    assert opened == sorted(opened)
    assert opened[-1] > 2 * opened[0]


@pytest.mark.parametrize(
    ("sound", "kind"), [("f", BITE), ("v", BITE), ("θ", TONGUE), ("ð", TONGUE), ("l", TIP), ("s", TEETH)]
)
def test_consonants_that_are_seen_are_themselves_between_open_vowels(sound: str, kind: int) -> None:
    seen = middle("ɑ", sound, "ɑ", number=1)
    assert seen[kind] > 0.9
    others = [other for other in (PRESS, BITE, TEETH, TONGUE, TIP) if other != kind]
    assert seen[others].max() < 0.2
    assert seen[OPENNESS] < 0.6 * middle("ɑ", "ɑ", "ɑ", number=1)[OPENNESS]


def test_what_is_said_far_back_lets_its_neighbours_show() -> None:
    open_, close = middle("ɑ", "k", "ɑ", number=1), middle("i", "k", "i", number=1)
    assert open_[OPENNESS] > close[OPENNESS] + 0.2
    assert close[SPREAD] > open_[SPREAD] + 0.2


def test_lips_are_round_before_a_rounded_vowel_is_heard() -> None:
    before_u, before_i = middle("s", "t", "u", number=1), middle("s", "t", "i", number=1)
    assert before_u[SPREAD] < -0.3 < before_i[SPREAD]


def test_parts_of_diphthongs_follow_each_other() -> None:
    shown = mouth("aɪ", length=0.3)
    assert shown[int(0.48 * FPS), OPENNESS] > shown[int(0.62 * FPS), OPENNESS] + 0.15
    assert shown[int(0.62 * FPS), SPREAD] > shown[int(0.48 * FPS), SPREAD]
    assert middle("a", "tʃ", "a", number=1)[TEETH] > 0.3


def test_in_silence_the_mouth_is_closed() -> None:
    shown = mouth("ɑ", "", "", "", "", "ɑ")
    assert shown[:5].any(axis=0).tolist() == [False] * VISEME_KINDS
    assert shown[int(0.7 * FPS), OPENNESS] == 0
    assert mouth("ɑ", "", "ɑ", length=0.05)[int(0.475 * FPS), OPENNESS] > 0.3
    nobody = VisemeTrack((), FPS, 10)
    assert not nobody.window(0, 10).any()


def test_what_a_loud_voice_says_opens_the_mouth_a_little_more() -> None:
    def openness(loud: float) -> float:
        values = np.full((40, 2), loud, np.float32)
        track = VisemeTrack(said("h", "ɑ", "b"), FPS, 40, EnvelopeTrack(values, np.ones(40, np.bool_)))
        shown = track.window(0, 40)
        assert shown[int(0.65 * FPS), OPENNESS] == 0
        return float(shown[int(0.55 * FPS), OPENNESS])

    assert 1.1 < openness(1.0) / openness(0.1) < 1.5


def test_every_range_is_the_same() -> None:
    track = VisemeTrack(said(*"hɛloʊmaɪfɹɛndwʌtsʌp", length=0.07), FPS, 60)
    whole = track.window(0, 60)
    for start, stop in ((0, 1), (13, 14), (7, 31), (59, 60), (20, 20)):
        assert np.array_equal(track.window(start, stop), whole[start:stop])
    assert not track.window(60, 64).any()


def test_signs_that_are_not_seen_are_passed_over_and_unknown_ones_told() -> None:
    assert np.array_equal(mouth("h", "ˈɑ̃ː", "pʰ"), mouth("h", "ɑ", "p"))
    assert np.array_equal(mouth("ɡ", "a"), mouth("g", "a"))
    assert middle("a", "kʷ", "a", number=1)[SPREAD] < middle("a", "k", "a", number=1)[SPREAD] - 0.2
    assert unknown_symbols(said("a", "#", "t#", "pʰ", "ʘ")) == ("#",)
    assert 0.1 < middle("#", "#", "#", number=1)[OPENNESS] < 0.5
