"""Sources whose own rate is not the output's: pictures, voice and the source's own sound stay together."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from musetalk.lipsync import LipSync
from musetalk.settings import RenderSettings
from tests.helpers.everywhere import EverywhereAFace
from tests.helpers.media import (
    decode,
    decode_sound,
    ffmpeg,
    numbered_frames,
    read_number,
    stream_seconds,
    tone,
    write_video,
    write_wav,
)

pytestmark = pytest.mark.integration

COUNT, EVERY = 40, 10  # pictures, and after how many of them the source's own sound clicks
HERTZ = 16_000
SPOKEN = 0.12  # seconds, after which the source's own sound is heard


def clicking(path: Path, fps: Fraction, pause: Fraction = Fraction(0)) -> Path:
    """Numbered pictures, with a click where each tenth appears; a pause before picture 25."""
    seconds = [k / fps + (pause if k >= 25 else 0) for k in range(COUNT)]
    sound = np.zeros(round((seconds[-1] + Fraction(1, 2)) * HERTZ))
    for k in range(0, COUNT, EVERY):
        at = round(seconds[k] * HERTZ)
        sound[at : at + 80] = 0.9 * np.sin(np.arange(80))
    times = f"settb=1/90000,setpts='(N/{float(fps)}+gte(N,25)*{float(pause)})/TB'"
    exact = ["-vf", times, "-fps_mode", "passthrough", "-enc_time_base", "1/90000"]
    picture = write_video(path.with_suffix(".silent.mkv"), numbered_frames(COUNT), fps, *exact)
    voice = write_wav(path.with_suffix(".wav"), sound, HERTZ)
    ffmpeg("-i", str(picture), "-i", str(voice), "-c:v", "copy", "-c:a", "pcm_s16le", str(path))
    return path


@pytest.mark.parametrize(
    ("own", "pause", "asked", "played"),
    [
        ("25/2", "0", None, "25"),
        ("25", "0", "30000/1001", "30000/1001"),
        ("240", "0", None, "60"),
        ("25", "9/10", None, "25"),
    ],
)
def test_a_kept_tail_stays_in_step_with_its_own_sound(
    tmp_path: Path, own: str, pause: str, asked: str | None, played: str
) -> None:
    source = clicking(tmp_path / "source.mkv", Fraction(own), Fraction(pause))
    voice = write_wav(tmp_path / "voice.wav", tone(SPOKEN))
    settings = RenderSettings.parse({"tail": "keep", "fps": asked})
    out = tmp_path / "out.mp4"
    report = LipSync(detector=EverywhereAFace()).render(source, voice, out, settings)
    assert (Fraction(report.fps), Fraction(report.source_fps)) == (Fraction(played), Fraction(own))
    played_rate = Fraction(report.fps)
    assert stream_seconds(out, "v:0") == report.frames / played_rate
    numbers = np.array([read_number(frame) for frame in decode(out)])
    loud = np.flatnonzero(np.abs(decode_sound(out, HERTZ)) > 0.4) / HERTZ
    for k in range(EVERY, COUNT, EVERY):
        appears = np.flatnonzero(numbers >= k)[0] / played_rate
        if appears > SPOKEN:
            assert np.abs(loud - float(appears)).min() <= 0.51 / float(played_rate) + 0.01


def test_the_voice_is_as_long_as_the_picture_at_any_rate_that_is_asked_for(clip: Path, tmp_path: Path) -> None:
    voice = write_wav(tmp_path / "voice.wav", tone(0.7))
    for fps in ("12", "29.97", "50"):
        out = tmp_path / "out.mp4"
        report = LipSync(detector=EverywhereAFace()).render(clip, voice, out, RenderSettings.parse({"fps": fps}))
        rate = Fraction(report.fps)
        assert float(rate) == pytest.approx(float(fps), abs=0.01)
        assert abs(stream_seconds(out, "v:0") - Fraction(7, 10)) <= 1 / rate


def test_a_preview_frame_is_that_of_the_rate_and_says_so(tmp_path: Path) -> None:
    source = write_video(tmp_path / "slow.mp4", numbered_frames(8), 10)
    voice = write_wav(tmp_path / "voice.wav", tone(0.7))
    engine = LipSync(detector=EverywhereAFace())
    slow = engine.preview_frame(source, voice, at=0.5)
    assert (slow.number, read_number(slow.frame)) == (15, 5)
    assert any("10 frames/s are too few" in note and "to 30 frames/s" in note for note in slow.notes)
    asked = engine.preview_frame(source, voice, RenderSettings.parse({"fps": 12}), at=0.5)
    assert (asked.number, read_number(asked.frame)) == (6, 5)
    assert not any("frames/s" in note for note in asked.notes)
