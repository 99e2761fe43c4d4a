from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from musetalk.errors import LimitError, MediaError, VoiceError
from musetalk.media.sound.voice import SPEECH_RATE, extract_voice, read_speech
from musetalk.settings import Limits
from tests.helpers.errors import raises_kind
from tests.helpers.media import ffmpeg, numbered_frames, tone, write_video, write_wav

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("suffix", ["wav", "mp3", "m4a", "ogg", "flac", "opus"])
def test_every_format_gives_the_same_voice(tmp_path: Path, suffix: str) -> None:
    said = tone(3.0, 48_000)
    wav = write_wav(tmp_path / "said.wav", said, 48_000)
    coded = tmp_path / f"coded.{suffix}"
    ffmpeg("-i", str(wav), str(coded))
    voice = extract_voice(coded, tmp_path, Limits())
    assert float(voice.seconds) == pytest.approx(3.0, abs=0.03)
    heard = np.concatenate(list(read_speech(voice)))
    assert heard.dtype == np.float32
    assert len(heard) == pytest.approx(float(voice.seconds) * SPEECH_RATE, abs=2)
    expected = np.concatenate(list(read_speech(extract_voice(wav, tmp_path, Limits()))))
    shared = min(len(heard), len(expected))
    assert np.corrcoef(heard[:shared], expected[:shared])[0, 1] > 0.98


def test_length_is_exact_and_channels_are_kept(tmp_path: Path) -> None:
    stereo = np.stack([tone(1.0, 44_100), np.zeros(44_100)], axis=1)[:43_211]
    voice = extract_voice(write_wav(tmp_path / "stereo.wav", stereo, 44_100), tmp_path, Limits())
    assert (voice.rate, voice.channels, voice.samples) == (44_100, 2, 43_211)
    assert voice.seconds == Fraction(43_211, 44_100)


def test_a_video_is_a_voice_too_heard_when_it_is_heard_there(tmp_path: Path) -> None:
    """Sound that starts half a second after the picture starts half a second into the voice."""
    film = write_video(tmp_path / "film.mp4", numbered_frames(50))
    wav = write_wav(tmp_path / "tone.wav", tone(1.0))
    both = tmp_path / "both.mkv"
    ffmpeg(
        "-i",
        str(film),
        "-itsoffset",
        "0.5",
        "-i",
        str(wav),
        "-map",
        "0:v",
        "-map",
        "1:a",
        "-c:v",
        "copy",
        "-c:a",
        "flac",
        str(both),
    )
    heard = np.concatenate(list(read_speech(extract_voice(both, tmp_path, Limits()))))
    assert len(heard) == pytest.approx(1.5 * SPEECH_RATE, abs=200)
    assert np.abs(heard[: int(0.49 * SPEECH_RATE)]).max() < 1e-3
    assert np.abs(heard[int(0.55 * SPEECH_RATE) :]).max() > 0.2


def test_what_cannot_be_spoken_says_why(tmp_path: Path, clip: Path) -> None:
    blink = write_wav(tmp_path / "blink.wav", tone(0.01))
    nothing = write_wav(tmp_path / "nothing.wav", np.zeros(0))
    with raises_kind(VoiceError, path=blink):
        extract_voice(blink, tmp_path, Limits())
    with pytest.raises(VoiceError):
        extract_voice(nothing, tmp_path, Limits())
    with raises_kind(VoiceError, path=clip):
        extract_voice(clip, tmp_path, Limits())
    with raises_kind(MediaError, path=tmp_path / "gone.wav"):
        extract_voice(tmp_path / "gone.wav", tmp_path, Limits())
    with raises_kind(LimitError, path=tmp_path / "long.wav", limit="max_seconds"):
        extract_voice(write_wav(tmp_path / "long.wav", tone(5)), tmp_path, Limits(max_seconds=2))
