"""The shipped sample is what musetalk/assets/README.md says it is."""

from __future__ import annotations

import itertools
import re
import subprocess
import wave
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray

from musetalk.assets import PORTRAIT, SAMPLE, VOICE

pytestmark = pytest.mark.slow

WIDTH, HEIGHT, FPS, FRAMES = 640, 360, 25, 166
CUTAWAY = range(60, 101)
SPEAKER_FRAMES = (0, 20, 59, 101, 133, 165)
FACE_CENTER = (278, 145)  # of both shots, give or take 25 pixels


def _ffmpeg(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", *arguments]
    return subprocess.run(command, capture_output=True, check=False)


@pytest.fixture(scope="module")
def clip() -> NDArray[np.uint8]:
    """All frames of the clip: uint8 grey [N, H, W]."""
    done = _ffmpeg("-v", "error", "-i", str(SAMPLE), "-f", "rawvideo", "-pix_fmt", "gray", "pipe:1")
    assert done.returncode == 0
    assert done.stderr == b""
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, HEIGHT, WIDTH)


@pytest.fixture(scope="module")
def levels() -> NDArray[np.float64]:
    """Level of the voice in every frame's time, in dB of full scale: float64 [N]."""
    with wave.open(str(VOICE), "rb") as file:
        rate = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    step = rate // FPS
    frames = samples[: len(samples) // step * step].reshape(-1, step)
    return np.asarray(20 * np.log10(np.sqrt((frames**2).mean(axis=1)) + 1e-6), np.float64)


def _faces(frame: NDArray[np.uint8], cascade: str) -> list[tuple[int, int, int, int]]:
    classifier = cv2.CascadeClassifier(cv2.data.haarcascades + cascade)  # type: ignore[attr-defined, unused-ignore]
    return [(x, y, w, h) for x, y, w, h in classifier.detectMultiScale(frame, 1.1, 3, minSize=(40, 40))]


@pytest.mark.parametrize(("file", "most_bytes"), [(PORTRAIT, 500_000), (SAMPLE, 1_200_000), (VOICE, 400_000)])
def test_files_are_there_and_small(file: Path, most_bytes: int) -> None:
    assert 10_000 < file.stat().st_size < most_bytes


def test_portrait_is_a_color_picture_of_one_size() -> None:
    portrait = cv2.imread(str(PORTRAIT), cv2.IMREAD_UNCHANGED)
    assert portrait is not None
    assert portrait.shape == (512, 512, 3)
    assert portrait.dtype == np.uint8


def test_clip_is_tagged_h264_at_its_rate_and_silent() -> None:
    told = _ffmpeg("-i", str(SAMPLE)).stderr.decode()
    assert re.search(r"Video: h264 .*yuv420p\(tv, bt709[,)].* 640x360.* 25 fps", told)
    assert "Audio:" not in told


def test_clip_starts_with_its_index() -> None:
    head = SAMPLE.read_bytes()[:4096]
    assert b"moov" in head


def test_clip_has_its_frames(clip: NDArray[np.uint8]) -> None:
    assert len(clip) == FRAMES


def test_clip_has_two_cuts_and_moves_gently_otherwise(clip: NDArray[np.uint8]) -> None:
    changes = np.array([cv2.absdiff(a, b).mean() for a, b in itertools.pairwise(clip)])
    assert np.flatnonzero(changes > 20).tolist() == [CUTAWAY.start - 1, CUTAWAY.stop - 1]
    assert np.sort(changes)[-3] < 4


def test_clip_comes_to_rest_at_its_end(clip: NDArray[np.uint8]) -> None:
    assert cv2.absdiff(clip[-2], clip[-1]).mean() < 0.2
    assert cv2.absdiff(clip[110], clip[111]).mean() > 0.2


@pytest.mark.parametrize("index", SPEAKER_FRAMES)
def test_speaker_frames_show_one_face(clip: NDArray[np.uint8], index: int) -> None:
    ((x, y, width, height),) = _faces(clip[index], "haarcascade_frontalface_alt2.xml")
    assert 100 < width < 180
    assert np.hypot(x + width / 2 - FACE_CENTER[0], y + height / 2 - FACE_CENTER[1]) < 25


@pytest.mark.parametrize("cascade", ["haarcascade_frontalface_default.xml", "haarcascade_frontalface_alt2.xml"])
def test_cutaway_shows_no_face(clip: NDArray[np.uint8], cascade: str) -> None:
    assert [index for index in CUTAWAY[::4] if _faces(clip[index], cascade)] == []


def test_voice_is_mono_pcm_a_second_longer_than_the_clip() -> None:
    with wave.open(str(VOICE), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 22050)
        seconds = file.getnframes() / file.getframerate()
    assert seconds == pytest.approx(7.72, abs=0.01)
    assert seconds - FRAMES / FPS == pytest.approx(1.08, abs=0.01)


def test_voice_speaks_and_pauses(levels: NDArray[np.float64]) -> None:
    assert (levels > -30).mean() > 0.6
    for start, stop in ((0, 6), (21, 25), (57, 60), (103, 108), (185, 193)):
        assert levels[start:stop].max() < -45, (start, stop)


def test_voice_is_loud_and_not_clipped() -> None:
    with wave.open(str(VOICE), "rb") as file:
        samples = np.abs(np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int32))
    assert samples.max() == pytest.approx(0.85 * 32767, rel=0.01)


def test_speech_comes_back_after_the_cutaway(levels: NDArray[np.float64]) -> None:
    assert levels[CUTAWAY.start : CUTAWAY.stop].max() > -20
    assert levels[CUTAWAY.stop : FRAMES].max() > -20
