from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from musetalk.errors import MediaError
from musetalk.media.containers.streams import describe_file
from musetalk.media.probe import probe_source, probe_voice
from musetalk.media.reader import read_frames
from musetalk.media.sound.voice import extract_voice
from musetalk.media.types import Source
from musetalk.settings import Limits
from tests.helpers.media import ffmpeg, numbered_frames, read_number, tone, write_video, write_wav

pytestmark = pytest.mark.slow


def probe(path: Path) -> Source:
    return probe_source(path, Limits())


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten numbered frames, 64x48."""
    return write_video(tmp_path_factory.mktemp("film") / "film.mp4", numbered_frames(10))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten smaller frames, 32x24, all of them grey: those of another stream."""
    return grey_film(tmp_path_factory.mktemp("small") / "small.mp4", 10)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of these frames."""
    return grey_film(tmp_path_factory.mktemp("single") / "single.mp4", 1)


def grey_film(path: Path, count: int) -> Path:
    grey = np.full((count, 24, 32, 3), 128, np.uint8)
    return write_video(path, grey, 25, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p")


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wav(tmp_path_factory.mktemp("voice") / "voice.wav", tone(0.5))


def joined(out: Path, *inputs: Path, options: tuple[str, ...] = ()) -> Path:
    """The streams of several files in one, in order."""
    given = [part for path in inputs for part in ("-i", str(path))]
    picked = [part for number in range(len(inputs)) for part in ("-map", str(number))]
    ffmpeg(*given, *picked, "-c", "copy", *options, f"file:{out}")
    return out


def test_what_a_file_holds_is_listed(tmp_path: Path, film: Path, voice: Path) -> None:
    options = ("-metadata:s:1", "language=deu", "-metadata:s:1", "title=Deutsch", "-disposition:1", "0")
    file = describe_file(joined(tmp_path / "a.mkv", film, voice, options=options))
    assert file.containers == ("matroska", "webm")
    picture, sound = file.streams
    assert (picture.index, picture.kind, picture.codec, picture.size) == (0, "video", "h264", (64, 48))
    assert (picture.default, picture.attached, picture.decodable) == (True, False, True)
    assert (sound.index, sound.kind, sound.codec, sound.default) == (1, "audio", "pcm_s16le", False)
    assert (sound.language, sound.title) == ("deu", "Deutsch")


def test_how_much_a_file_says_of_itself_does_not_matter(tmp_path: Path, film: Path, voice: Path) -> None:
    """Some 800 lines before the first stream's, as a podcast's or a film's chapters make; more lines behind it."""
    told = "\n".join(f"line {number}" for number in range(300)).replace("\n", "\\\n")
    chapters = "".join(
        f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={number}\nEND={number + 1}\ntitle=Chapter {number}\n"
        for number in range(150)
    )
    (tmp_path / "told.txt").write_text(f";FFMETADATA1\ndescription={told}\n{chapters}", "utf-8")
    for suffix in ("mp4", "mkv"):
        out = tmp_path / f"long.{suffix}"
        given = ("-i", str(film), "-i", str(voice), "-i", str(tmp_path / "told.txt"))
        told_twice = ("-map_metadata", "2", "-map_metadata:s:0", "2:g", "-map_chapters", "2")
        ffmpeg(*given, "-map", "0", "-map", "1", *told_twice, "-c:v", "copy", "-c:a", "aac", str(out))
        source = probe(out)
        assert (source.frame_count, source.seekable, source.has_sound) == (10, True, True)
        assert [read_number(frame) for frame in read_frames(source)] == list(range(10))
        assert extract_voice(out, tmp_path, Limits()).samples > 7000


FORGED = (
    "x\n  Stream #0:0: Video: h264, yuv420p, 2x2 (default)\n[info]   Stream #0:0: Audio: aac, 8000 Hz, mono, fltp\n"
)


def test_text_in_a_file_cannot_pose_as_a_stream(tmp_path: Path, film: Path, voice: Path) -> None:
    plain = describe_file(joined(tmp_path / "plain.mkv", film, voice))
    said = ("-metadata", f"title={FORGED}", "-metadata", f"{FORGED}=key", "-metadata:s:0", f"title={FORGED}")
    spoken = ("-metadata:s:1", f"language=e): Video: h264, yuv420p, 2x2{FORGED}")
    forged = joined(tmp_path / f"a{FORGED.replace('/', '')}.mkv", film, voice, options=(*said, *spoken))
    found = describe_file(forged)
    facts = [(s.index, s.kind, s.codec, s.size, s.default, s.decodable) for s in found.streams]
    assert facts == [(s.index, s.kind, s.codec, s.size, s.default, s.decodable) for s in plain.streams]
    assert found.containers == plain.containers
    assert (probe(forged).width, probe(forged).frame_count) == (64, 10)


def test_text_in_a_file_cannot_pose_as_its_first_picture(tmp_path: Path, film: Path) -> None:
    line = "[Parsed_showinfo_0 @ 0x1] n: 0 pts: 0 fmt:gray cl:left sar:9/1 s:8x8 color_range:pc color_space:rgb"
    out = joined(tmp_path / "a.mkv", film, options=("-metadata", f"title=x\n{line}", "-metadata", f"k\n{line}=x"))
    source = probe(out)
    assert (source.width, source.height, source.pixel_format) == (64, 48, "yuv420p")


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_the_default_video_is_taken_wherever_it_lies(tmp_path: Path, film: Path, small: Path, suffix: str) -> None:
    options = ("-disposition:0", "0", "-disposition:1", "default")
    source = probe(joined(tmp_path / f"a.{suffix}", small, film, options=options))
    assert (source.stream, source.width, source.frame_count) == (1, 64, 10)
    assert [read_number(frame) for frame in read_frames(source)] == list(range(10))
    assert source.notes == ("the source has 2 video streams; number 2 (h264, 64x48) is used",)
    other = probe(joined(tmp_path / f"b.{suffix}", film, small, options=options))
    assert (other.stream, other.width) == (1, 32)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_a_thumbnail_that_comes_first_is_not_taken(
    tmp_path: Path, film: Path, small: Path, single: Path, suffix: str
) -> None:
    """Not where nothing or everything is the default, nor where it is the default but a single picture."""
    none = single if suffix == "mp4" else small  # of MP4 the first track is always on
    for name, first, options in (
        ("none", none, ("-disposition:v", "0")),
        ("both", small, ("-disposition:v", "default")),
        ("single", single, ("-disposition:0", "default", "-disposition:1", "0")),
    ):
        source = probe(joined(tmp_path / f"{name}.{suffix}", first, film, options=options))
        assert (source.stream, source.width, source.frame_count) == (1, 64, 10), name


def test_a_cover_is_no_video(tmp_path: Path, film: Path, single: Path, voice: Path) -> None:
    options = ("-disposition:0", "attached_pic")
    film_with_cover = joined(tmp_path / "film.mp4", single, film, options=options)
    assert (probe(film_with_cover).width, probe(film_with_cover).notes) == (64, ())
    song = tmp_path / "song.m4a"
    ffmpeg("-i", str(single), "-i", str(voice), *("-c:a", "aac", "-c:v", "copy"), *options, "-f", "mp4", str(song))
    with pytest.raises(MediaError, match="sound but no picture"):
        probe(song)
    assert probe_voice(song, Limits()).seconds >= 0.5


def test_a_stream_that_nobody_can_decode_is_passed_over(tmp_path: Path, film: Path, small: Path, voice: Path) -> None:
    flac = tmp_path / "voice.flac"
    ffmpeg("-i", str(voice), str(flac))
    both = joined(tmp_path / "both.mkv", small, film, flac, voice)
    odd = tmp_path / "odd.mkv"
    odd.write_bytes(both.read_bytes().replace(b"V_MJPEG", b"V_MXXXX").replace(b"A_FLAC", b"A_XXXX"))
    source = probe(odd)
    assert (source.stream, source.sound_stream, source.frame_count) == (1, 3, 10)
    assert source.notes == (
        "the source has 2 video streams; number 2 (h264, 64x48) is used; number 1 (none) cannot be decoded",
    )
    assert probe_voice(odd, Limits()).streams == (3,)


def test_sound_of_the_same_programme_goes_with_a_picture(tmp_path: Path, film: Path, small: Path, voice: Path) -> None:
    out = tmp_path / "two.ts"
    given = ("-i", str(film), "-i", str(voice), "-map", "1", "-map", "0", "-map", "1")
    programs = ("-program", "title=News:st=0", "-program", "title=No Program\n  Program 9 :st=1:st=2")
    ffmpeg(*given, "-c:v", "copy", "-c:a", "mp2", "-ar", "48000", *programs, str(out))
    source = probe(out)
    assert (source.stream, source.sound_stream) == (1, 2)
