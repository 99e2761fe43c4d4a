from __future__ import annotations

import bisect
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetalk.media import reader
from musetalk.media.ffmpeg_process import Child
from musetalk.media.frames import Frame
from musetalk.media.playback import play
from musetalk.media.probe import probe_source
from musetalk.media.reader import read_frames
from musetalk.media.seeking import is_certain, picture_at, ways_to
from musetalk.media.timing.clock import FrameClock, build_clock
from musetalk.media.timing.timeline import Timeline
from musetalk.media.types import Source
from musetalk.settings import Limits
from tests.helpers.media import ffmpeg, numbered_frames, read_number, write_video

pytestmark = pytest.mark.slow

COUNT = 60
RATE = Fraction(30000, 1001)

X264 = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "16", "-pix_fmt", "yuv420p"]
OPEN_264 = [*X264, "-x264-params", "open-gop=1:keyint=12:min-keyint=12:scenecut=0:bframes=3"]
GRADUAL_264 = [*X264, "-x264-params", "intra-refresh=1:keyint=12:bframes=2"]
X265 = ["-c:v", "libx265", "-preset", "ultrafast", "-crf", "16", "-x265-params"]
GROUPS_265 = "log-level=error:pools=1:frame-threads=1:keyint=12:min-keyint=12:scenecut=0:bframes=4"
OPEN_265, CLOSED_265 = [*X265, f"{GROUPS_265}:open-gop=1"], [*X265, f"{GROUPS_265}:open-gop=0:radl=2"]
GROUPS = ["-g", "12", "-q:v", "2"]
HIDDEN = ["-auto-alt-ref", "1", "-lag-in-frames", "16", "-g", "12", "-b:v", "1M", "-deadline", "realtime"]
HIDDEN += ["-cpu-used", "8"]

# Codecs and ways of grouping pictures: file name, options of the encoder, and of a copy that is made of it.
KINDS: dict[str, tuple[str, list[str], list[str] | None]] = {
    "H.264, closed groups": ("a.mp4", [*X264, "-g", "12", "-bf", "3"], None),
    "H.264, open groups": ("a.mp4", OPEN_264, None),
    "H.264, open groups, no index": ("a.mkv", OPEN_264, ["-live", "1"]),
    "H.264, open groups, in fragments": ("a.mp4", OPEN_264, ["-movflags", "frag_keyframe+empty_moov"]),
    "H.264, open groups, times below zero": ("a.mp4", OPEN_264, ["-use_editlist", "0"]),
    "H.264, open groups, late": ("a.mkv", OPEN_264, ["-output_ts_offset", "5"]),
    "H.264, open groups, broadcast": ("a.ts", OPEN_264, None),
    "H.264, deep pyramid": ("a.mov", [*X264, "-x264-params", "keyint=24:bframes=8:b-adapt=0:ref=5:open-gop=1"], None),
    "H.264, gradual refresh": ("a.mp4", GRADUAL_264, None),
    "H.264, gradual refresh, in Matroska": ("a.mkv", GRADUAL_264, None),
    "H.264 in FLV": ("a.flv", [*X264, "-g", "12", "-bf", "3"], None),
    "H.264 in AVI": ("a.avi", [*X264, "-g", "12", "-bf", "3"], None),
    "H.264 in WTV": ("a.wtv", [*X264, "-g", "12", "-bf", "3"], None),
    "H.264, raw": ("a.h264", OPEN_264, None),
    "HEVC, open groups": ("a.mp4", OPEN_265, None),
    "HEVC, open groups, in Matroska": ("a.mkv", OPEN_265, None),
    "HEVC, leading pictures": ("a.mp4", CLOSED_265, None),
    "MPEG-2 in MOV": ("a.mov", ["-c:v", "mpeg2video", "-bf", "2", *GROUPS], None),
    "MPEG-2, programme": ("a.mpg", ["-c:v", "mpeg2video", "-bf", "2", *GROUPS], None),
    "MPEG-4": ("a.mp4", ["-c:v", "mpeg4", "-bf", "2", *GROUPS], None),
    "MPEG-4 in AVI": ("a.avi", ["-c:v", "mpeg4", "-bf", "2", *GROUPS], None),
    "VP8": ("a.webm", ["-c:v", "libvpx", *HIDDEN], None),
    "VP9": ("a.webm", ["-c:v", "libvpx-vp9", *HIDDEN], None),
    "AV1": ("a.mp4", ["-c:v", "libsvtav1", "-preset", "10", "-g", "12", "-crf", "20"], None),
    "WMV": ("a.wmv", ["-c:v", "wmv2", *GROUPS], None),
    "Theora": ("a.ogv", ["-c:v", "libtheora", *GROUPS], None),
    "ProRes": ("a.mov", ["-c:v", "prores_ks"], None),
    "Motion JPEG": ("a.avi", ["-c:v", "mjpeg", "-q:v", "2"], None),
    "Motion JPEG, raw": ("a.mjpeg", ["-c:v", "mjpeg", "-q:v", "2"], None),
    "GIF": ("a.gif", ["-c:v", "gif"], None),
}
PRECISE = {"flv", "mkv", "mov", "mp4", "webm", "wmv"}  # whose decoding may begin in the middle


def probe(path: Path) -> Source:
    return probe_source(path, Limits())


def write_kind(folder: Path, kind: str, count: int = COUNT) -> Path:
    name, options, copied = KINDS[kind]
    path = write_video(folder / name, numbered_frames(count, 160, 96), RATE, *options)
    if copied is None:
        return path
    copy = folder / f"copy_{name}"
    ffmpeg("-i", f"file:{path}", "-c", "copy", *copied, f"file:{copy}")
    return copy


def numbers(frames: object) -> list[int]:
    return [read_number(frame) for frame in frames]  # type: ignore[attr-defined]


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The arguments of every decoder that is started."""
    started: list[list[str]] = []

    class Noted(Child):
        def __init__(self, arguments: list[str], **options: object) -> None:
            started.append(arguments)
            super().__init__(arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(reader, "Child", Noted)
    return started


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_is_the_one_asked_for(tmp_path: Path, kind: str, decodings: list[list[str]]) -> None:
    """Forwards, by range, alone (as a preview frame is read) and backwards, with the same pixels.

    Where keyframes are what they are called, the first decoding of each range is the right one.
    """
    source = probe(write_kind(tmp_path, kind))
    whole = list(read_frames(source))
    assert numbers(whole) == list(range(COUNT))
    decodings.clear()
    for start, stop in ((1, 3), (11, 14), (23, 24), (29, 30), (35, 38), (COUNT - 1, COUNT)):
        part = list(read_frames(source, start, stop))
        assert numbers(part) == list(range(start, stop))
        np.testing.assert_array_equal(part, whole[start:stop])
    if "gradual" not in kind:
        # The last picture of a programme comes with the time of the one before, so that it takes another look.
        assert len(decodings) == (0 if kind == "GIF" else 7 if "programme" in kind else 6)
        assert any("-ss" in arguments for arguments in decodings) == (KINDS[kind][0].partition(".")[2] in PRECISE)
    timeline = Timeline(2 * COUNT - 1, 2 * COUNT - 1, COUNT, "pingpong")
    spool = {"spool_dir": tmp_path, "spool_bytes": source.frame_bytes * 17}
    backwards = list(map(Frame.rgb, play(source, timeline, COUNT - 3, 2 * COUNT - 1, **spool)))  # type: ignore[arg-type]
    for k, frame in enumerate(backwards, COUNT - 3):
        np.testing.assert_array_equal(frame, whole[timeline.source_frame(k)])
    assert source.experience.missing == set()


@pytest.mark.parametrize("between", [0, 2])
@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
@pytest.mark.parametrize("wrong", ["if(eq(N,13),PTS+500/TB,PTS)", "if(gte(N,24),PTS+90000/TB,PTS)"])
def test_one_wrong_time_costs_no_picture(tmp_path: Path, name: str, wrong: str, between: int) -> None:
    """A single picture minutes late; and all of them a day late from the middle on."""
    whole = write_video(
        tmp_path / "whole.mkv", numbered_frames(40, 160, 96), 25, *X264, "-g", "12", "-bf", str(between)
    )
    times = [f"pts={wrong}", *([f"dts={wrong.replace('PTS', 'DTS')}"] if "gte" in wrong else [])]
    moved = "setts=" + ":".join(times).replace(",", "\\,")
    ffmpeg("-i", str(whole), "-c", "copy", "-bsf:v", moved, str(tmp_path / name))
    source = probe(tmp_path / name)
    assert numbers(read_frames(source)) == list(range(40))
    assert numbers(read_frames(source, 30, 33)) == [30, 31, 32]
    assert source.experience.missing == set()


@pytest.mark.parametrize("between", [0, 2])
@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.flv", "a.ts"])
@pytest.mark.parametrize(("which", "both"), [("eq(N,13)", False), ("eq(N,15)", True), ("gte(N,24)", True)])
def test_a_time_wrong_by_half_a_second_freezes_nothing(
    tmp_path: Path, name: str, between: int, which: str, both: bool
) -> None:
    """Of one picture, with those that it holds up; and from one on, where the sound has no room for a pause."""
    whole = write_video(
        tmp_path / "whole.mkv", numbered_frames(40, 160, 96), 25, *X264, "-g", "12", "-bf", str(between)
    )
    times = f"if({which},PTS+0.62/TB,PTS)".replace(",", "\\,")
    moved = f"setts=pts={times}" + (f":dts={times.replace('PTS', 'DTS')}" if both else "")
    sound = ["-f", "lavfi", "-t", "1.6", "-i", "sine", "-c:a", "aac"]
    ffmpeg("-i", str(whole), *sound, "-c:v", "copy", "-bsf:v", moved, str(tmp_path / name))
    source = probe(tmp_path / name)
    assert (source.fps, source.clock.variable) == (25, False)
    assert source.clock.repaired > 0
    assert source.notes == ()  # it is not cut off
    assert numbers(read_frames(source)) == list(range(40))
    assert numbers(read_frames(source, 30, 33)) == [30, 31, 32]
    assert source.experience.missing == set()


@pytest.mark.parametrize("first", [20, 30])
@pytest.mark.parametrize("kind", ["VP8", "VP9", "H.264, open groups, late"])
def test_matroska_files_end_to_end_are_shown_to_the_end(tmp_path: Path, kind: str, first: int) -> None:
    """To all of the second one ffmpeg gives the last time of the first."""
    name, options, _ = KINDS[kind]
    frames, joined = numbered_frames(40, 160, 96), tmp_path / name
    parts = (frames[:first], frames[first:])
    joined.write_bytes(
        b"".join(write_video(tmp_path / f"part_{name}", part, 25, *options).read_bytes() for part in parts)
    )
    source = probe(joined)
    assert (source.fps, source.clock.repaired >= 40 - first) == (25, True)
    assert numbers(read_frames(source)) == list(range(40))
    assert numbers(read_frames(source, 33, 36)) == [33, 34, 35]


@pytest.mark.parametrize("name", ["a.ts", "a.mpg"])
def test_sound_that_begins_before_the_pictures_moves_none_of_them(tmp_path: Path, name: str) -> None:
    """In broadcasts ffmpeg counts times from the first moment of those streams that are used."""
    codec = X264 if name == "a.ts" else ["-c:v", "mpeg2video", "-q:v", "2"]
    silent = write_video(tmp_path / "silent.mkv", numbered_frames(30, 160, 96), 25, "-c:v", "ffv1")
    late = ("-itsoffset", "0.31", "-i", str(silent), "-f", "lavfi", "-t", "1.5", "-i", "sine")
    exact = ("-fps_mode", "passthrough", "-c:a", "mp2", str(tmp_path / name))
    ffmpeg(*late, "-map", "0:v", "-map", "1:a", *codec, "-pix_fmt", "yuv420p", "-bf", "2", "-g", "12", *exact)
    source = probe(tmp_path / name)
    assert source.picture_start > 0.25
    assert numbers(read_frames(source)) == list(range(30))
    assert numbers(read_frames(source, 20, 23)) == [20, 21, 22]
    assert source.experience.missing == set()


@pytest.mark.parametrize("kind", ["H.264, gradual refresh", "H.264, gradual refresh, in Matroska"])
def test_what_a_file_needs_is_learnt_once(tmp_path: Path, kind: str, decodings: list[list[str]]) -> None:
    """Keyframes that need what comes before them lead nowhere: then decoding begins further back, always."""
    source = probe(write_kind(tmp_path, kind, 110))
    assert numbers(read_frames(source, 85, 87)) == [85, 86]
    tried = len(decodings)
    assert tried > 1
    assert numbers(read_frames(source, 93, 95)) == [93, 94]
    assert numbers(read_frames(source, 105, 107)) == [105, 106]
    assert len(decodings) == tried + 2
    assert all("-ss" in arguments for arguments in decodings[tried:])


def test_a_film_that_was_cut_without_encoding_begins_where_it_says(tmp_path: Path) -> None:
    """What comes before the cut is there, up to the keyframe, but not shown (an edit list)."""
    whole, cut = write_kind(tmp_path, "H.264, open groups"), tmp_path / "cut.mp4"
    ffmpeg("-ss", "0.5", "-i", f"file:{whole}", "-c", "copy", f"file:{cut}")
    source = probe(cut)
    assert numbers(read_frames(source)) == list(range(15, COUNT))
    for start in (1, 9, 20, 44):
        assert numbers(read_frames(source, start, start + 1)) == [15 + start]


def test_a_recording_that_begins_within_a_group_keeps_its_time(tmp_path: Path) -> None:
    """Broadcast: the first pictures cannot be decoded; what comes after them is not shown early."""
    whole, late = write_kind(tmp_path, "H.264, open groups, broadcast"), tmp_path / "late.ts"
    data = whole.read_bytes()
    late.write_bytes(data[len(data) // 188 // 3 * 188 :])
    source = probe(late)
    shown = numbers(read_frames(source))
    first = COUNT - source.frame_count
    missing = len(source.experience.missing)
    assert missing > 0
    assert shown == [max(number, first + missing) for number in range(first, COUNT)]


def test_a_variable_rate_with_open_groups_shows_pictures_at_their_times(tmp_path: Path) -> None:
    times = "setpts='if(lt(N,20),N,20+(N-20)*3)/(25*TB)'"
    timed = ["-vf", times, "-fps_mode", "vfr", *OPEN_264]
    source = probe(write_video(tmp_path / "vfr.mp4", numbered_frames(COUNT, 160, 96), 25, *timed))
    whole = numbers(read_frames(source))
    assert sorted(set(whole)) == list(range(COUNT))
    for start in range(0, source.frame_count - 1, 23):
        assert numbers(read_frames(source, start, start + 2)) == whole[start : start + 2]


def test_a_way_that_leads_astray_is_followed_by_one_that_cannot() -> None:
    clock = build_clock(list(range(100)), [k % 10 == 0 for k in range(100)], Fraction(1, 25), None)
    first, second, third, whole, last = ways_to(67, clock, seekable=True)
    assert first.seek is not None
    assert clock.picture_times[60] < first.seek < clock.picture_times[70]
    assert first.begins_by == 60
    assert first.skip_seconds == pytest.approx(66.5 / 25)
    assert second.seek is not None
    assert clock.picture_times[40] < second.seek < clock.picture_times[50]
    assert second.begins_by == 50
    assert second.skip_seconds == pytest.approx(39.5 / 25)
    assert third.seek is not None
    assert clock.picture_times[20] < third.seek < clock.picture_times[30]
    assert (whole.seek, whole.skip_seconds) == (None, first.skip_seconds)
    assert (last.seek, last.skip_seconds, last.skip_pictures) == (None, None, 0)
    assert [way.seek for way in ways_to(67, clock, seekable=False)] == [None, None]
    assert len(list(ways_to(0, clock, seekable=True))) == 1


def test_where_no_times_are_known_pictures_are_counted() -> None:
    clock = FrameClock(Fraction(25), 100, (), None, (0, 50))
    (way,) = ways_to(60, clock, seekable=True)
    assert (way.seek, way.skip_seconds, way.skip_pictures) == (None, None, 60)


@given(gaps=st.lists(st.integers(20, 2000), min_size=1, max_size=40), place=st.integers(0, 40))
def test_a_picture_is_told_by_its_time(gaps: list[int], place: int) -> None:
    times = tuple(float(sum(gaps[:k])) / 1000 for k in range(len(gaps) + 1))
    picture = min(place, len(gaps))
    for error in (-0.0005, 0.0, 0.0005):  # containers round to milliseconds
        assert picture_at(times[picture] + error, times) == picture
        assert is_certain(picture, times[picture] + error, times)
    between = (times[0] + times[1]) / 2
    assert not is_certain(picture_at(between, times), between, times)


def test_of_two_pictures_at_one_time_both_are_shown() -> None:
    times = (0.0, 0.04, 0.08, 0.12)  # as put right; the file gave 0.04 twice
    assert picture_at(0.04, times, repeated=1) == 2
    assert picture_at(0.04, times, repeated=2) == 1  # a third one is none of them
    assert picture_at(0.12, times, repeated=None) == 3
    assert picture_at(0.12, times, repeated=3) == 3


def test_short_groups_are_played_backwards_together(tmp_path: Path, decodings: list[list[str]]) -> None:
    """Where every picture is a keyframe, not every picture costs a decoder."""
    source = probe(write_kind(tmp_path, "ProRes"))
    timeline = Timeline(2 * COUNT - 1, 2 * COUNT - 1, COUNT, "pingpong")
    played = numbers(map(Frame.rgb, play(source, timeline, COUNT, 2 * COUNT - 1, spool_dir=tmp_path)))
    assert played == list(reversed(range(COUNT - 1)))
    assert len(decodings) <= 3
    assert bisect.bisect(source.clock.keyframes, COUNT) == COUNT


@pytest.mark.parametrize("seconds", [1.935266, 1.935267])  # as decoders round it
def test_of_two_pictures_with_one_time_the_first_comes_first(seconds: float) -> None:
    times = [56 / 30, 1.9019, 1.9352666, 1.9352666]
    assert picture_at(seconds, times) == 2
    assert picture_at(seconds, times, repeated=2) == 3
