from __future__ import annotations

import numpy as np
import pytest

from musetalk.live.voice_gate import VoiceGate
from musetalk.utils.arrays import Int16Array

RATE = 48_000


def noise(seconds: float, level: float) -> Int16Array:
    return np.asarray(np.random.default_rng(7).normal(0, level * 32768, round(seconds * RATE)), np.int16)


def voices(gate: VoiceGate, sound: Int16Array, cut: int = 777) -> list[Int16Array]:
    """What passes of some sound, cut somehow, voice by voice; all have to end."""
    found, open_ = list[Int16Array](), list[Int16Array]()
    for start in range(0, len(sound), cut):
        for passed in gate.hear(sound[start : start + cut]):
            if passed is None:
                found.append(np.concatenate(open_))
                open_ = []
            else:
                open_.append(passed)
    assert not open_
    return found


def test_a_voice_passes_with_a_little_before_and_after() -> None:
    quiet, loud = noise(1, 0.0005), noise(1, 0.1)
    sound = np.concatenate([quiet, loud, quiet, loud, quiet])
    first, second = voices(VoiceGate(RATE), sound)
    for voice, begins in ((first, 1), (second, 3)):
        assert len(voice) == round((0.16 + 1 + 0.64) * RATE)
        start = round((begins - 0.16) * RATE)
        np.testing.assert_array_equal(voice, sound[start : start + len(voice)])


def test_nothing_is_held_back_while_it_speaks() -> None:
    gate, loud = VoiceGate(RATE), noise(0.5, 0.1)
    passed = [each for each in gate.hear(loud) if each is not None]
    assert sum(map(len, passed)) == len(loud)


def test_a_pause_for_breath_does_not_end_it() -> None:
    loud, breath = noise(0.5, 0.1), noise(0.4, 0.0005)
    assert len(voices(VoiceGate(RATE), np.concatenate([loud, breath, loud, noise(1, 0.0005)]))) == 1


@pytest.mark.parametrize("level", [0.0, 0.0005, 0.0012])
def test_a_room_is_no_voice(level: float) -> None:
    assert voices(VoiceGate(RATE), noise(3, level)) == []


def test_a_room_that_becomes_louder_is_learned() -> None:
    gate = VoiceGate(RATE)
    voices(gate, np.concatenate([noise(60, 0.008), noise(1, 0.0)]))
    assert len(voices(gate, noise(60, 0.008))) <= 1
