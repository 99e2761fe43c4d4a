from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from musetalk.errors import OutputError
from musetalk.media.ffmpeg_commands import SoundTrack
from musetalk.media.frames import Frame, FrameLayout, frame_of
from musetalk.media.probe import probe_source
from musetalk.media.reader import read_frames
from musetalk.media.sound.voice import Voice, extract_sound_of, extract_voice
from musetalk.media.types import ColorTags
from musetalk.media.writer import VideoWriter
from musetalk.settings import EncoderSettings, Limits
from tests.helpers.errors import raises_kind
from tests.helpers.media import (
    decode,
    decode_sound,
    describe,
    ffmpeg,
    numbered_frames,
    picture_size,
    read_number,
    stream_seconds,
    tone,
    write_video,
    write_wav,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def sound(voice: Path, tmp_path: Path) -> Voice:
    folder = tmp_path / "job"
    folder.mkdir()
    return extract_voice(voice, folder, Limits())


def alone(voice: Voice) -> SoundTrack:
    return SoundTrack(voice.path, voice.rate, None, float(voice.seconds), 0.0, float(voice.seconds))


def writer(
    out: Path,
    frames: np.ndarray,
    track: SoundTrack,
    *,
    fps: Fraction = Fraction(25),
    color: ColorTags | None = None,
    layout: FrameLayout | None = None,
) -> VideoWriter:
    return VideoWriter(
        out,
        folder=track.voice.parent,
        layout=layout or FrameLayout(frames.shape[2], frames.shape[1]),
        fps=fps,
        sound=track,
        color=color or ColorTags(),
        settings=EncoderSettings(crf=12, preset="ultrafast"),
        comment="made by a test",
    )


def write(out: Path, frames: np.ndarray, track: SoundTrack, **options: object) -> Path:
    with writer(out, frames, track, **options) as video:  # type: ignore[arg-type]
        for frame in frames:
            video.write(frame_of(frame))
        video.finish()
    return out


@pytest.mark.parametrize(
    ("fps", "rate"),
    [
        *((fps, 16_000) for fps in (Fraction(24000, 1001), Fraction(25), Fraction(30), Fraction(60000, 1001))),
        *((Fraction(30000, 1001), rate) for rate in (16_000, 44_100, 48_000)),
    ],
)
def test_picture_and_voice_end_within_one_frame(tmp_path: Path, fps: Fraction, rate: int) -> None:
    seconds = Fraction(37, 20)
    voice = extract_voice(write_wav(tmp_path / "v.wav", tone(float(seconds), rate), rate), tmp_path, Limits())
    assert voice.seconds == seconds
    out = write(tmp_path / "out.mp4", numbered_frames(round(seconds * fps)), alone(voice), fps=fps)
    picture, heard = stream_seconds(out, "v:0"), stream_seconds(out, "a:0")
    assert picture == round(seconds * fps) / fps
    assert abs(picture - seconds) <= 1 / fps
    assert abs(picture - heard) <= 1 / fps


def test_frames_arrive_in_order_playable_everywhere(tmp_path: Path, sound: Voice) -> None:
    out = write(tmp_path / "out.mp4", numbered_frames(50), alone(sound))
    assert [read_number(frame) for frame in decode(out)] == list(range(50))
    text = describe(out)
    assert "h264" in text
    assert "yuv420p" in text
    assert "aac" in text
    assert "made by a test" in text
    head = out.read_bytes()
    assert head.find(b"moov") < head.find(b"mdat")


def test_the_voice_is_not_moved(tmp_path: Path, sound: Voice) -> None:
    out = write(tmp_path / "out.mp4", numbered_frames(50), alone(sound))
    heard, said = decode_sound(out), tone(2.0)
    lags = range(-400, 401)
    match = [float(np.dot(heard[1000:30000], said[1000 + lag : 30000 + lag])) for lag in lags]
    assert abs(lags[int(np.argmax(match))]) <= 2  # samples of 1/16000 s


@pytest.mark.parametrize(("width", "height"), [(63, 48), (64, 47), (63, 47)])
def test_odd_sizes_grow_by_one_pixel_that_repeats_the_edge(
    tmp_path: Path, sound: Voice, width: int, height: int
) -> None:
    frames = np.full((50, height, width, 3), 200, np.uint8)
    out = write(tmp_path / "out.mp4", frames, alone(sound))
    assert picture_size(out) == (64, 48)
    assert decode(out).min() > 190


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "yuv444p"])
def test_odd_planes_keep_their_last_column(tmp_path: Path, sound: Voice, pixel_format: str) -> None:
    layout = FrameLayout(63, 47, pixel_format)
    frame = Frame(layout)
    for plane, level in zip(frame.planes, (180, 128, 128), strict=True):
        plane[...] = level << (layout.bits - 8)
    with writer(tmp_path / "out.mp4", frame.data, alone(sound), layout=layout) as video:
        for _ in range(50):
            video.write(frame)
        video.finish()
    assert picture_size(tmp_path / "out.mp4") == (64, 48)
    assert decode(tmp_path / "out.mp4").min() > 180


@pytest.mark.parametrize(
    "color",
    [
        ColorTags("tv", "bt709", "bt709", "bt709"),
        ColorTags("pc", "bt470bg", "bt470bg", "smpte170m"),
        ColorTags(),
        ColorTags("tv", "bt2020nc", "bt2020", "bt2020-10"),
    ],
)
def test_colors_and_their_tags_survive(tmp_path: Path, sound: Voice, color: ColorTags) -> None:
    frames = np.zeros((50, 48, 64, 3), np.uint8)
    frames[:, :, :32] = (200, 60, 40)
    frames[:, :, 32:] = (30, 90, 210)
    out = write(tmp_path / "out.mp4", frames, alone(sound), color=color)
    source = probe_source(out, Limits())
    assert source.color == color
    back = next(iter(read_frames(source)))
    for x in (12, 50):
        np.testing.assert_allclose(back[24, x].astype(int), frames[0, 24, x].astype(int), atol=4)


def test_the_rest_of_the_source_keeps_its_own_sound(tmp_path: Path, sound: Voice) -> None:
    t = np.arange(6 * 48_000) / 48_000
    own = write_wav(tmp_path / "own.wav", np.where(t < 4.0, 0.0, 0.3 * np.sin(2 * np.pi * 700 * t)), 48_000)
    film = write_video(tmp_path / "film.mp4", numbered_frames(150), 25, "-an")
    both = tmp_path / "both.mp4"
    ffmpeg("-i", str(film), "-i", str(own), "-c:v", "copy", "-c:a", "aac", str(both))
    rest = extract_sound_of(probe_source(both, Limits()), tmp_path, Limits())
    assert rest is not None
    track = SoundTrack(sound.path, sound.rate, rest.path, 2.0, 2.0, 6.0)
    out = write(tmp_path / "out.mp4", numbered_frames(150), track)
    heard = np.abs(decode_sound(out))
    assert stream_seconds(out, "v:0") == 6
    assert abs(stream_seconds(out, "a:0") - 6) <= Fraction(1, 25)
    assert heard[:32_000].mean() > 0.02  # the voice
    assert heard[33_000:63_000].max() < 0.02  # the source's own silence
    assert heard[65_000:95_000].mean() > 0.1  # and its own sound, where it was


def test_a_writer_left_early_leaves_nothing(tmp_path: Path, sound: Voice) -> None:
    out = tmp_path / "out.mp4"
    out.write_text("an older result")
    with pytest.raises(RuntimeError, match="stop"), writer(out, numbered_frames(50), alone(sound)) as video:
        video.write(frame_of(numbered_frames(1)[0]))
        raise RuntimeError("stop")
    assert out.read_text() == "an older result"
    assert not list(tmp_path.glob("*.part*"))


def test_an_encoder_that_fails_gives_its_reason(tmp_path: Path, sound: Voice) -> None:
    sound.path.write_text("no sound any more")
    frames = numbered_frames(50)

    def attempt() -> None:
        with writer(tmp_path / "out.mp4", frames, alone(sound)) as video:
            for frame in frames:
                video.write(frame_of(frame))
            video.finish()

    with raises_kind(OutputError, path=tmp_path / "out.mp4"):
        attempt()
    assert not (tmp_path / "out.mp4").exists()


def test_a_frame_of_another_size_is_refused(tmp_path: Path, sound: Voice) -> None:
    check: Callable[[], object]
    with writer(tmp_path / "out.mp4", numbered_frames(2), alone(sound)) as video:
        check = lambda: video.write(frame_of(np.zeros((10, 10, 3), np.uint8)))  # noqa: E731
        with pytest.raises(ValueError, match="a writer of"):
            check()
