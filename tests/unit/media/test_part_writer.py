"""Parts joined without an encoder are what one encoder would have made."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from musetalk.errors import OutputError
from musetalk.media.ffmpeg_commands import SoundTrack
from musetalk.media.frames import FrameLayout, frame_of
from musetalk.media.part_commands import list_parts
from musetalk.media.part_writer import PartWriter, SoundWriter, join_parts
from musetalk.media.types import ColorTags
from musetalk.media.writer import VideoWriter
from musetalk.settings import EncoderSettings
from tests.helpers.errors import raises_kind
from tests.helpers.media import decode, describe, ffmpeg, numbered_frames, read_number, tone, write_wav

pytestmark = pytest.mark.slow
LENGTHS = (12, 12, 5)
LAYOUT = FrameLayout(64, 48)
ENCODER = EncoderSettings(crf=12, preset="veryfast")


@pytest.fixture
def track(tmp_path: Path) -> SoundTrack:
    """As long as the frames at the slowest rate that is tried."""
    return SoundTrack(write_wav(tmp_path / "voice.wav", tone(1.2)), 16_000, None, 1.2, 0.0, 1.2)


def made_of_parts(out: Path, track: SoundTrack, fps: Fraction, captions: Path | None = None) -> Path:
    frames, parts, first = numbered_frames(sum(LENGTHS)), list[tuple[Path, int]](), 0
    for number, length in enumerate(LENGTHS):
        options = {"layout": LAYOUT, "fps": fps, "color": ColorTags(), "settings": ENCODER, "threads": 2}
        with PartWriter(out.with_name(f"part-{number}.mp4"), out, **options) as part:  # type: ignore[arg-type]
            for frame in frames[first : first + length]:
                part.write(frame_of(frame))
            parts.append((part.finish(), length))
        first += length
    with SoundWriter(out.parent, out, sound=track, kbps=128) as sound:
        kept = sound.finish()
    join_parts(parts, kept, out, folder=out.parent, fps=fps, comment="of parts", captions=captions)
    return out


def made_at_once(out: Path, track: SoundTrack, fps: Fraction) -> Path:
    encoder = ENCODER.model_copy(update={"audio_kbps": 128})
    options = {"layout": LAYOUT, "fps": fps, "sound": track, "color": ColorTags(), "settings": encoder}
    with VideoWriter(out, folder=out.parent, comment="at once", **options) as video:  # type: ignore[arg-type]
        for frame in numbered_frames(sum(LENGTHS)):
            video.write(frame_of(frame))
        video.finish()
    return out


def picture_times(path: Path) -> list[tuple[int, int]]:
    """When each picture is shown, and for how long, in ticks of the file."""
    listed = ffmpeg("-i", str(path), "-map", "0:v", "-c", "copy", "-f", "framecrc", "-").decode()
    lines = [line for line in listed.splitlines() if not line.startswith("#")]
    return sorted((int(line.split(",")[2]), int(line.split(",")[3])) for line in lines)


@pytest.mark.parametrize(
    ("fps", "ending"),
    [
        *((Fraction(rate), ".mp4") for rate in ("25", "30000/1001", "24000/1001", "31/2", "25/2", "60")),
        (Fraction(30000, 1001), ".mkv"),
        (Fraction(25), ".mov"),
    ],
)
def test_times_and_sound_are_those_of_one_encoder(
    fps: Fraction, ending: str, track: SoundTrack, tmp_path: Path
) -> None:
    joined = made_of_parts(tmp_path / f"joined{ending}", track, fps)
    single = made_at_once(tmp_path / f"single{ending}", track, fps)
    assert picture_times(joined) == picture_times(single)
    sound = ("-map", "0:a", "-f", "md5", "-")
    assert ffmpeg("-i", str(joined), *sound) == ffmpeg("-i", str(single), *sound)
    assert [read_number(frame) for frame in decode(joined)] == list(range(sum(LENGTHS)))


def test_captions_comment_and_index_are_there(track: SoundTrack, tmp_path: Path) -> None:
    captions = tmp_path / "words.srt"
    captions.write_text("1\n00:00:00,100 --> 00:00:00,900\nhello\n")
    out = made_of_parts(tmp_path / "out.mp4", track, Fraction(25), captions)
    text, head = describe(out), out.read_bytes()
    assert "of parts" in text
    assert "mov_text" in text
    assert head.find(b"moov") < head.find(b"mdat")
    assert head.count(b"avcC") == 1  # one set of parameters serves all parts


def test_what_is_rounded_in_the_list_never_adds_up() -> None:
    fps, count = Fraction(24000, 1001), 1000
    listed = list_parts([(f"part-{number}.mp4", 250) for number in range(count)], fps)
    micros = sum(int(line.split()[1][:-2]) for line in listed.splitlines() if line.startswith("duration"))
    assert abs(micros - count * 250 / fps * 1_000_000) <= 1


def test_sound_that_cannot_be_encoded_is_told_while_pictures_are_made(track: SoundTrack, tmp_path: Path) -> None:
    track.voice.write_text("no sound any more")
    with SoundWriter(tmp_path, tmp_path / "out.mp4", sound=track, kbps=128) as sound:
        with raises_kind(OutputError, path=tmp_path / "out.mp4"):
            sound.finish()
        with raises_kind(OutputError, path=tmp_path / "out.mp4"):
            sound.check()


def test_a_part_left_early_leaves_nothing(tmp_path: Path) -> None:
    options = {"layout": LAYOUT, "fps": Fraction(25), "color": ColorTags(), "settings": ENCODER, "threads": 1}
    place = tmp_path / "part.mp4"
    with PartWriter(place, tmp_path / "out.mp4", **options) as part:  # type: ignore[arg-type]
        part.write(frame_of(np.zeros((48, 64, 3), np.uint8)))
        with pytest.raises(ValueError, match="a writer of"):
            part.write(frame_of(np.zeros((10, 10, 3), np.uint8)))
    assert not place.exists()
