"""Copies for looking and listening: what browsers play as it is, and what is made of the rest."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from musetalk.media.copies import COPY_SECONDS, copy_source, copy_suffix, copy_voice, plays_everywhere
from musetalk.media.probe import probe_source, probe_voice
from musetalk.media.sound.voice import extract_voice
from musetalk.media.types import Source
from musetalk.settings import Limits
from tests.helpers.media import (
    decode,
    decode_sound,
    describe,
    ffmpeg,
    numbered_frames,
    read_number,
    tone,
    write_video,
    write_wav,
)

LIMITS = Limits()


def copied(source: Source, folder: Path) -> Path:
    out = folder / f"copy{copy_suffix(source)}"
    copy_source(source, out, folder, LIMITS)
    return out


@pytest.mark.parametrize(
    ("name", "options", "plays"),
    [
        ("v.wav", (), True),
        ("v.mp3", (), True),
        ("v.m4a", (), True),
        ("v.flac", (), True),
        ("v.wav", ("-c:a", "adpcm_ms"), False),
        ("v.aiff", (), False),
        ("v.ts", ("-c:a", "mp2"), False),
        ("v.mka", ("-c:a", "ac3"), False),
    ],
)
def test_what_every_browser_plays_is_left_as_it_is(
    tmp_path: Path, name: str, options: tuple[str, ...], plays: bool
) -> None:
    said = write_wav(tmp_path / "said.wav", tone(0.3))
    voice = tmp_path / "made" / name
    voice.parent.mkdir()
    ffmpeg("-i", str(said), *options, str(voice))
    assert plays_everywhere(probe_voice(voice, LIMITS)) is plays


def test_the_sound_of_a_video_or_one_of_several_tracks_is_played_by_a_copy(tmp_path: Path) -> None:
    said = write_wav(tmp_path / "said.wav", tone(0.3))
    video = write_video(tmp_path / "v.mp4", numbered_frames(5))
    both, two = tmp_path / "both.mp4", tmp_path / "two.m4a"
    ffmpeg("-i", str(video), "-i", str(said), "-c:v", "copy", str(both))
    ffmpeg("-i", str(said), "-i", str(said), "-map", "0", "-map", "1", str(two))
    assert [plays_everywhere(probe_voice(path, LIMITS)) for path in (both, two)] == [False, False]


def test_a_voices_copy_sounds_as_the_voice(tmp_path: Path) -> None:
    said = write_wav(tmp_path / "said.wav", tone(0.5))
    voice = extract_voice(said, tmp_path, LIMITS)
    copy_voice(voice, tmp_path / "copy.flac")
    assert "flac" in describe(tmp_path / "copy.flac")
    np.testing.assert_allclose(decode_sound(tmp_path / "copy.flac"), decode_sound(said), atol=1e-4)


def test_a_videos_copy_shows_its_frames_small_with_its_sound(tmp_path: Path) -> None:
    frames = np.repeat(np.repeat(numbered_frames(6), 22, axis=1), 22, axis=2)[:, :1055]  # an odd height, too
    video = write_video(tmp_path / "v.mkv", frames, 25, "-c:v", "ffv1")
    with_sound = tmp_path / "s.mkv"
    said = write_wav(tmp_path / "said.wav", tone(0.24))
    ffmpeg("-i", str(video), "-i", str(said), "-c:v", "copy", "-c:a", "ac3", str(with_sound))
    copy = copied(probe_source(with_sound, LIMITS), tmp_path)
    assert copy.suffix == ".mp4"
    said_of_it = describe(copy)
    assert "Video: h264" in said_of_it
    assert "Audio: aac" in said_of_it
    shown = decode(copy)
    assert len(shown) == 6
    assert max(shown.shape[1:3]) == 640
    assert [read_number(cv2.resize(frame, (64, 48), interpolation=cv2.INTER_AREA)) for frame in shown] == [*range(6)]


def test_only_the_beginning_of_a_long_video_is_copied(tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mkv", numbered_frames(5 * (COPY_SECONDS + 5), 16, 16), 5, "-c:v", "ffv1")
    copy = copied(probe_source(video, LIMITS, fps="own"), tmp_path)
    assert len(decode(copy)) == 5 * COPY_SECONDS


def test_a_pictures_copy_is_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "p.tiff"
    cv2.imwrite(str(path), np.full((40, 60, 3), (10, 120, 240), np.uint8))
    copy = copied(probe_source(path, LIMITS), tmp_path)
    assert copy.suffix == ".jpg"
    np.testing.assert_allclose(cv2.imread(str(copy))[20, 30], (10, 120, 240), atol=4)
