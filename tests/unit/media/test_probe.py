from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from musetalk.errors import LimitError, MediaError
from musetalk.media.probe import probe_source, probe_voice
from musetalk.media.reader import read_frames
from musetalk.media.timing.timestamps import NO_TIME, complete_times
from musetalk.media.types import Source
from musetalk.settings import Limits
from tests.helpers.errors import raises_kind
from tests.helpers.media import ffmpeg, numbered_frames, read_number, tone, write_video, write_wav

pytestmark = pytest.mark.slow


def probe(path: Path, limits: Limits | None = None) -> Source:
    return probe_source(path, limits or Limits())


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "mov", "ts"])
@pytest.mark.parametrize("fps", [Fraction(24000, 1001), Fraction(25), Fraction(60000, 1001)])
def test_rate_and_length_are_exact_in_every_container(tmp_path: Path, suffix: str, fps: Fraction) -> None:
    source = probe(write_video(tmp_path / f"clip.{suffix}", numbered_frames(30), fps))
    assert source.fps == fps
    assert source.frame_count == 30
    assert (source.width, source.height) == (64, 48)


def test_rotation_and_pixel_aspect_give_the_size_that_is_seen(tmp_path: Path) -> None:
    flat = write_video(tmp_path / "flat.mp4", numbered_frames(3))
    turned = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", "90", "-i", str(flat), "-c", "copy", str(turned))
    wide = write_video(tmp_path / "wide.mp4", numbered_frames(3), 25, "-vf", "setsar=4/3")
    tall = write_video(tmp_path / "tall.mp4", numbered_frames(3), 25, "-vf", "setsar=1/2")
    assert (probe(turned).width, probe(turned).height) == (48, 64)
    assert (probe(wide).width, probe(wide).height) == (85, 48)
    assert (probe(tall).width, probe(tall).height) == (64, 96)


@pytest.mark.skipif(os.name == "nt", reason="other names are too long there")
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with raises_kind(MediaError, path=tmp_path / ("n" * 300)):
        probe(tmp_path / ("n" * 300))


def test_color_tags_depth_and_sound_are_told(tmp_path: Path) -> None:
    tags = ["-vf", "setparams=colorspace=bt709:color_primaries=bt709:color_trc=smpte2084:range=tv"]
    path = write_video(tmp_path / "hdr.mp4", numbered_frames(3), 25, "-pix_fmt", "yuv420p10le", *tags)
    source = probe(path)
    assert source.pixel_format == "yuv420p10le"
    assert (source.color.space, source.color.transfer, source.color.range) == ("bt709", "smpte2084", "tv")
    assert source.high_dynamic_range
    assert not source.has_sound


def test_a_variable_rate_becomes_a_standard_one(tmp_path: Path) -> None:
    times = "setpts='if(lt(N,10),N,10+(N-10)*4)/(25*TB)'"
    path = write_video(tmp_path / "vfr.mp4", numbered_frames(30), 25, "-vf", times, "-fps_mode", "vfr")
    source = probe(path)
    assert source.clock.variable
    assert source.fps == 25  # of the part that is quick; the average is 8.4
    assert source.seconds == pytest.approx(86 / 25, abs=0.05)


def numbers(path: Path, fps: Fraction | None = None) -> list[int]:
    """What the frames of a source of numbered pictures show."""
    return [read_number(frame) for frame in read_frames(probe_source(path, Limits(), fps=fps))]


EXACT_TIMES = ("-fps_mode", "passthrough", "-enc_time_base", "1/90000", "-bf", "2", "-g", "10")


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "nut"])
def test_pauses_are_held_and_bursts_keep_their_rate(tmp_path: Path, suffix: str) -> None:
    times = "settb=1/90000,setpts='(N+gte(N,15)*50)/(25*TB)'"
    path = write_video(tmp_path / f"gap.{suffix}", numbered_frames(30), 25, "-vf", times, *EXACT_TIMES)
    assert probe(path).fps == 25
    assert numbers(path) == [*range(15), *[14] * 50, *range(15, 30)]


def test_one_doubled_time_costs_no_other(tmp_path: Path) -> None:
    times = "settb=1/90000,setpts='(N-eq(N,12))/(25*TB)'"
    path = write_video(tmp_path / "doubled.nut", numbered_frames(30), 25, "-vf", times, *EXACT_TIMES, "-bf", "0")
    source = probe(path)
    assert (source.fps, source.clock.repaired, source.clock.variable) == (25, 1, False)
    assert numbers(path) == list(range(30))


def test_times_that_mpeg_leaves_out_follow_from_when_pictures_are_decoded() -> None:
    """Pictures I2 B0 B1 P5 B3 B4 P8 B6 B7 in steps of 10: those that are predicted from come without a time."""
    shown = [20, 0, 10, 50, 30, 40, 80, 60, 70]
    decoded = [-10, 0, 10, 20, 30, 40, 50, 60, 70]
    for missing in ([3], [6], [3, 6]):
        times = [NO_TIME if place in missing else time for place, time in enumerate(shown)]
        assert complete_times(times, decoded) == shown
    assert complete_times([0, NO_TIME, 20], [0, 10, 20]) == [0, 10, 20]  # nothing is reordered
    assert complete_times([NO_TIME] * 3, [0, 10, 20]) == [NO_TIME] * 3
    assert complete_times([0, NO_TIME, 20], [0, NO_TIME, 20]) == [0, NO_TIME, 20]


def test_a_programme_stream_loses_no_picture_that_comes_without_a_time(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.mpg", numbered_frames(50, 160, 96), 25, "-c:v", "mpeg2video", "-q:v", "2", "-bf", "2", "-g", "12"
    )
    listed = ffmpeg("-i", str(path), "-c", "copy", "-f", "framecrc", "-").decode()
    assert str(NO_TIME) in listed
    source = probe(path)
    assert (source.fps, source.clock.variable, len(source.clock.picture_times)) == (25, False, 50)
    assert numbers(path) == list(range(50))


def test_pictures_of_vp8_that_are_never_shown_do_not_count(tmp_path: Path) -> None:
    hidden = ("-c:v", "libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "25", "-b:v", "300k", "-arnr-maxframes", "7")
    for number in ("1", "2"):
        passes = ("-pass", number, "-passlogfile", str(tmp_path / "passes"))
        path = write_video(tmp_path / f"{number}.webm", numbered_frames(60, 128, 96), 25, *hidden, *passes)
    packets = ffmpeg("-i", str(path), "-c", "copy", "-f", "framecrc", "-").decode().splitlines()
    assert sum(not line.startswith("#") for line in packets) > 60
    source = probe(path)
    assert (source.fps, source.frame_count, source.clock.variable, source.clock.repaired) == (25, 60, False, 0)
    assert numbers(path) == list(range(60))


@pytest.mark.parametrize("fps", [Fraction(25, 2), Fraction(30000, 1001), Fraction(50)])
def test_a_raw_stream_without_times_has_the_rate_of_its_pictures(tmp_path: Path, fps: Fraction) -> None:
    assert probe_source(write_video(tmp_path / "raw.h264", numbered_frames(20), fps), Limits(), fps="own").fps == fps


@pytest.mark.parametrize(("own", "played", "shown"), [(1, 25, 25), (Fraction(25, 2), 25, 2), (10, 30, 3)])
def test_slow_pictures_are_repeated(tmp_path: Path, own: Fraction, played: int, shown: int) -> None:
    path = write_video(tmp_path / "slow.mp4", numbered_frames(6), own)
    assert probe(path).fps == played
    assert numbers(path) == [k for k in range(6) for _ in range(shown)]


def test_slow_motion_is_thinned_out(tmp_path: Path) -> None:
    path = write_video(tmp_path / "fast.mp4", numbered_frames(200), 1000)
    assert probe(path).fps == 50
    assert numbers(path) == list(range(10, 200, 20))


@pytest.mark.parametrize("fps", [Fraction(12), Fraction(30000, 1001), Fraction(50)])
def test_any_rate_may_be_asked_for(clip: Path, fps: Fraction) -> None:
    source = probe_source(clip, Limits(), fps=fps)
    own = Fraction(30000, 1001)
    assert source.fps == fps
    assert source.frame_count == round(50 / own * fps)
    assert numbers(clip, fps) == [int((frame + Fraction(1, 2)) / fps * own) for frame in range(source.frame_count)]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_a_video_of_one_frame_is_a_still(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"one.{suffix}", numbered_frames(1), 30)
    assert (probe(path).fps, probe(path).frame_count) == (25, 1)
    assert probe_source(path, Limits(), fps=Fraction(12)).fps == 12


@pytest.mark.parametrize(
    "name",
    ["-dash.mp4", "a b.mp4", "x;touch INJECTED;.mp4", 'it\'s "so".mp4', "größe-видео.mp4", "%03d.mp4", "a:b.mp4"],
)
def test_odd_names_are_only_names(tmp_path: Path, name: str, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / name).write_bytes(clip.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert probe(Path(name)).frame_count == 50
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_is_no_video_says_so(tmp_path: Path) -> None:
    empty, text, cut, sound = (tmp_path / name for name in ("empty.mp4", "text.mp4", "cut.mp4", "sound.mp4"))
    empty.touch()
    text.write_text("this is not a video")
    whole = write_video(tmp_path / "whole.mp4", numbered_frames(30))
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    ffmpeg("-i", str(write_wav(tmp_path / "v.wav", tone(1))), str(sound))
    for path, word in (
        (empty, "empty"),
        (text, "no video"),
        (cut, "only part"),
        (sound, "no picture"),
        (tmp_path / "gone.mp4", "no file"),
    ):
        with pytest.raises(MediaError, match=word) as caught:
            probe(path)
        assert caught.value.remedy
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8", "list.txt", "list.ffconcat"])
@pytest.mark.parametrize(
    "content",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nclip.mp4\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile 'clip.mp4'\n",
    ],
)
def test_lists_of_other_files_open_nothing(tmp_path: Path, clip: Path, name: str, content: str) -> None:
    (tmp_path / "clip.mp4").write_bytes(clip.read_bytes())
    (tmp_path / name).write_text(content)
    with pytest.raises(MediaError, match="is text"):
        probe(tmp_path / name)


def test_other_containers_are_no_lists(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.swf", numbered_frames(3), 25, "-c:v", "flv", "-f", "swf")
    with pytest.raises(MediaError, match="kind of file that is not read here"):
        probe(film)


def test_a_voice_may_come_as_voc(tmp_path: Path) -> None:
    ffmpeg("-i", str(write_wav(tmp_path / "v.wav", tone(1))), "-c:a", "pcm_s16le", str(tmp_path / "v.voc"))
    assert probe_voice(tmp_path / "v.voc", Limits()).seconds == pytest.approx(1, abs=0.01)


def test_limits_are_kept(clip: Path) -> None:
    with raises_kind(LimitError, path=clip, limit="max_pixels"):
        probe(clip, Limits(max_pixels=64 * 47))
    with raises_kind(LimitError, limit="max_seconds"):
        probe(clip, Limits(max_seconds=1))
    with raises_kind(LimitError, path=clip, limit="max_seconds"):
        probe(clip, Limits(max_seconds=0.2))
    with raises_kind(LimitError, path=clip, limit="max_bytes"):
        probe(clip, Limits(max_bytes=100))


def test_a_folder_without_pictures_says_so(tmp_path: Path) -> None:
    with raises_kind(MediaError, path=tmp_path):
        probe(tmp_path)


def test_ffmpeg_sees_sound_with_a_cover_picture_as_sound(tmp_path: Path) -> None:
    cover = tmp_path / "cover.png"
    ffmpeg(
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-s",
        "64x48",
        "-i",
        "pipe:0",
        "-frames:v",
        "1",
        str(cover),
        stdin=np.zeros((48, 64, 3), np.uint8).tobytes(),
    )
    song = tmp_path / "song.mp3"
    ffmpeg(
        "-i",
        str(write_wav(tmp_path / "v.wav", tone(1))),
        "-i",
        str(cover),
        "-map",
        "0",
        "-map",
        "1",
        "-c:v",
        "copy",
        "-disposition:v",
        "attached_pic",
        str(song),
    )
    with pytest.raises(MediaError, match="no picture"):
        probe(song)


def test_the_length_of_a_last_packet_that_cannot_be_is_not_believed(tmp_path: Path) -> None:
    """ffmpeg writes that of a short Vorbis as a negative number."""
    for seconds in (0.6, 1.0, 1.7):
        voice = write_wav(tmp_path / "voice.wav", tone(seconds))
        ffmpeg("-i", str(voice), "-c:a", "libvorbis", str(tmp_path / "voice.ogg"))
        assert probe_voice(tmp_path / "voice.ogg", Limits()).seconds == pytest.approx(seconds, abs=0.05)
