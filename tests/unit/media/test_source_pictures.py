"""Sources whose pictures are not all whole and of one size: interlaced ones, and those that change on the way."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from musetalk.media.combs import count_fields
from musetalk.media.containers.key_frames import read_vp8_size, read_vp9_size
from musetalk.media.probe import probe_source
from musetalk.media.reader import read_frames
from musetalk.media.types import Source
from musetalk.settings import Deinterlace, Limits
from tests.helpers.media import ffmpeg, numbered_frames, read_number

pytestmark = pytest.mark.slow

MPEG2 = ("-c:v", "mpeg2video", "-q:v", "2", "-g", "8", "-flags", "+ilme+ildct")
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "8", "-pix_fmt", "yuv420p")


def probe(path: Path, deinterlace: Deinterlace = "auto") -> Source:
    return probe_source(path, Limits(), deinterlace=deinterlace)


def moving(count: int) -> np.ndarray:
    """uint8 RGB [count, 96, 128, 3]: discs that cross a soft ground, four and three pixels a picture."""
    y, x = np.mgrid[:96, :128].astype(float)
    frames = np.empty((count, 96, 128, 3), np.uint8)
    for k in range(count):
        grey = 90 + 20 * np.sin(x / 17) + 15 * np.cos(y / 13)
        for start, step, row in ((10, 4, 30), (110, -3, 65)):
            inside = np.hypot(x - (start + step * k) % 128, y - row) < 14
            grey = np.where(inside, 210.0, grey)
        frames[k] = grey[..., None].round().astype(np.uint8)
    return frames


def write_raw(path: Path, frames: np.ndarray, rate: int, filters: str, *codec: str) -> Path:
    height, width = frames.shape[1:3]
    shape = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-framerate", str(rate)]
    ffmpeg(*shape, "-i", "pipe:0", "-vf", filters, *codec, f"file:{path}", stdin=frames.tobytes())
    return path


def interlaced(path: Path, order: str, *codec: str, marked: bool = True) -> Path:
    """50 moments a second as the fields of 25 pictures."""
    first = {"tff": "top", "bff": "bottom"}[order]
    weave = f"tinterlace=interleave_{first},setparams=field_mode={order if marked else 'prog'}"
    return write_raw(path, moving(48), 50, weave, *codec)


def combs(frames: list[np.ndarray]) -> float:
    """How far lines stand out from both their neighbours."""
    grey = np.stack(frames).astype(float).mean(-1)
    above, below = grey[:, 1:-1] - grey[:, :-2], grey[:, 1:-1] - grey[:, 2:]
    return float(np.where(above * below > 0, np.minimum(abs(above), abs(below)), 0).mean())


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("clip.mpg", MPEG2),
        ("clip.mkv", MPEG2),
        ("clip.mov", ("-c:v", "prores_ks", "-flags", "+ildct")),
        ("clip.ts", (*X264, "-x264-params", "ORDER=1")),
        ("clip.mp4", (*X264, "-x264-params", "ORDER=1")),
    ],
)
def test_interlaced_sources_are_deinterlaced(tmp_path: Path, name: str, codec: tuple[str, ...], order: str) -> None:
    path = interlaced(tmp_path / name, order, *(part.replace("ORDER", order) for part in codec))
    source, untouched = probe(path), probe(path, "off")
    whole, torn = list(read_frames(source)), list(read_frames(untouched))
    assert len(whole) == len(torn) == source.frame_count == 24
    assert source.clock == untouched.clock
    assert combs(whole) < combs(torn) / 3
    assert source.notes == (
        f"the source is interlaced, {'top' if order == 'tff' else 'bottom'} field first: it was deinterlaced (bwdif), "
        "one frame for each picture",
    )
    assert "deinterlace: off" in untouched.notes[0]
    for start in (1, 9, 23):  # any range, same pixels
        np.testing.assert_array_equal(next(read_frames(source, start, start + 1)), whole[start])


def test_interlaced_pictures_behind_those_that_are_kept_know_their_neighbours(tmp_path: Path) -> None:
    path = interlaced(tmp_path / "clip.mpg", "tff", *MPEG2)
    source, plain = probe(path), list(read_frames(probe(path)))
    assert len(list(read_frames(source, 0, 9, max_side=32, keep_in=tmp_path))) == 9
    assert source.experience.kept is not None
    np.testing.assert_array_equal(np.stack(list(read_frames(source))), np.stack(plain))


def test_pictures_that_are_only_marked_stay_as_they_are(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "clip.mpg", moving(48), 25, "setparams=field_mode=tff", *MPEG2)
    source = probe(path)
    assert source.conversion.deinterlacing is None
    assert source.notes == (
        "the source is marked as interlaced, but its pictures are whole: they are left as they are "
        "(deinterlace: on changes that)",
    )
    assert probe(path, "on").conversion.deinterlacing is not None


def test_what_is_not_marked_is_deinterlaced_where_that_is_asked_for(tmp_path: Path) -> None:
    path = interlaced(tmp_path / "clip.mp4", "bff", *X264, marked=False)
    as_it_is, asked = probe(path), probe(path, "on")
    assert as_it_is.notes == ()
    assert "as asked, bottom field first" in asked.notes[0]
    assert combs(list(read_frames(asked))) < combs(list(read_frames(as_it_is))) / 3


def test_television_that_begins_progressive_is_deinterlaced_where_it_is_interlaced(tmp_path: Path) -> None:
    whole = write_raw(tmp_path / "a.ts", moving(24), 25, "null", "-c:v", "mpeg2video", "-q:v", "2", "-g", "8")
    torn = interlaced(tmp_path / "b.ts", "tff", *MPEG2)
    both = join(tmp_path, [whole, torn], "both.ts")
    source, untouched = probe(both), probe(both, "off")
    mended, stored = list(read_frames(source)), list(read_frames(untouched))
    assert len(mended) == len(stored)
    np.testing.assert_array_equal(mended[3], stored[3])
    assert combs(mended[-15:]) < combs(stored[-15:]) / 3


@pytest.mark.parametrize("count", [1, 2])
def test_the_shortest_interlaced_sources_keep_their_pictures(tmp_path: Path, count: int) -> None:
    path = write_raw(
        tmp_path / "clip.mpg", moving(2 * count), 50, "tinterlace=interleave_top,setparams=field_mode=tff", *MPEG2
    )
    assert len(list(read_frames(probe(path)))) == count


def test_fields_are_told_apart_by_what_moves() -> None:
    moments = moving(40)[..., 0]
    top, bottom = moments[0::2].copy(), moments[0::2].copy()
    top[:, 1::2], bottom[:, 0::2] = moments[1::2, 1::2], moments[1::2, 0::2]
    assert count_fields(top).top_first >= 15
    assert count_fields(bottom).bottom_first >= 15
    assert count_fields(moments).whole >= 30
    assert count_fields(top).whole <= 1
    assert count_fields(moments).combed == 0
    assert count_fields(np.repeat(moments[:1], 5, 0)) == count_fields(moments[:1])  # nothing moves: nothing is said


def join(folder: Path, parts: list[Path], name: str) -> Path:
    listed = folder / "parts.txt"
    listed.write_text("".join(f"file '{part}'\n" for part in parts))
    ffmpeg("-f", "concat", "-safe", "0", "-i", str(listed), "-c", "copy", f"file:{folder / name}")
    return folder / name


def changing(folder: Path, name: str, sizes: list[tuple[int, int]], *codec: str, part: str = "ts") -> Path:
    """A video of numbered frames, 8 of each size."""
    parts = []
    for place, (width, height) in enumerate(sizes):
        frames = numbered_frames(8 * len(sizes), width, height)[8 * place : 8 * place + 8]
        parts.append(write_raw(folder / f"{place}.{part}", frames, 25, "null", *codec))
    return join(folder, parts, name)


@pytest.mark.parametrize(
    ("name", "codec", "part"),
    [
        ("clip.ts", X264, "ts"),
        ("clip.mp4", X264, "ts"),
        ("clip.mkv", X264, "ts"),
        ("clip.flv", X264, "ts"),
        ("clip.mp4", ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=0:bframes=0"), "ts"),
        ("clip.ts", ("-c:v", "mpeg2video", "-q:v", "2", "-flags", "low_delay"), "ts"),
        ("clip.webm", ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"), "webm"),
        ("clip.webm", ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "2M"), "webm"),
        ("clip.mkv", ("-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p"), "mkv"),
    ],
)
def test_pictures_of_several_sizes_come_in_the_largest(
    tmp_path: Path, name: str, codec: tuple[str, ...], part: str
) -> None:
    path = changing(tmp_path, name, [(128, 96), (256, 128), (64, 96)], *codec, part=part)
    source = probe(path)
    frames = list(read_frames(source))
    assert (source.width, source.height) == (256, 128)
    assert len(frames) == source.frame_count == 24
    shown = {0: slice(42, 213), 1: slice(0, 256), 2: slice(85, 170)}  # columns, in their own proportions
    for k, frame in enumerate(frames):
        inside = shown[k // 8]
        assert read_number(frame[:, inside]) == k
        bars = np.delete(frame, np.arange(256)[inside], 1)
        assert bars.size == 0 or bars.max() < 30
    assert "128x96, 256x128, 64x96" in source.notes[0]
    assert "the output has 256x128: the others are scaled to fit" in source.notes[0]
    small = next(read_frames(source, max_side=64))
    assert small.shape == (32, 64, 3)
    assert small[:, :9].max() < 40 < small[:, 16:48].max()


@pytest.mark.parametrize(
    ("codec", "shapes"),
    [
        (X264, ("1", "2/1")),
        (("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=0:bframes=0"), ("1", "2/1")),
        (("-c:v", "mpeg2video", "-q:v", "2", "-flags", "low_delay"), ("1", "2/1")),
    ],
)
def test_pixels_that_change_their_shape_are_not_stretched(
    tmp_path: Path, codec: tuple[str, ...], shapes: tuple[str, str]
) -> None:
    parts = []
    for place, shape in enumerate(shapes):
        frames = numbered_frames(24, 128, 96)[8 * place : 8 * place + 8]
        parts.append(write_raw(tmp_path / f"{place}.ts", frames, 25, f"setsar={shape}", *codec))
    path = join(tmp_path, parts, "clip.ts")
    source = probe(path)
    frames = list(read_frames(source))
    assert (source.height, len(frames)) == (96, 16)
    assert source.width > 128
    margin = (source.width - 128) // 2
    for k, frame in enumerate(frames):
        assert read_number(frame[:, margin : margin + 128] if k < 8 else frame) == k
        assert (frame[:, : margin - 2].max() < 30) == (k < 8)
    for start in (3, 12):
        np.testing.assert_array_equal(next(read_frames(source, start, start + 1)), frames[start])


def test_other_parameters_are_no_other_size(tmp_path: Path) -> None:
    parts = [
        write_raw(tmp_path / f"{place}.ts", numbered_frames(8), 25, "null", *X264, "-profile:v", profile)
        for place, profile in enumerate(("baseline", "high"))
    ]
    source = probe(join(tmp_path, parts, "clip.ts"))
    assert not source.conversion.letterbox
    assert source.notes == ()


def test_sizes_are_read_from_key_frames_alone(tmp_path: Path) -> None:
    def first_packet(codec: str, *options: str) -> bytes:
        path = write_raw(tmp_path / f"{codec}.ivf", numbered_frames(2, 322, 182), 25, "null", "-c:v", codec, *options)
        return path.read_bytes()[44:60]

    vp8, vp9 = first_packet("libvpx"), first_packet("libvpx-vp9")
    rgb = first_packet("libvpx-vp9", "-pix_fmt", "gbrp")
    deep = first_packet("libvpx-vp9", "-pix_fmt", "yuv422p10le")
    assert read_vp8_size(vp8) == (322, 182)
    assert read_vp9_size(vp9) == read_vp9_size(rgb) == read_vp9_size(deep) == (322, 182)
    assert read_vp8_size(vp9) is None
    assert read_vp9_size(b"") is None
    assert read_vp8_size(b"\x01" + vp8[1:]) is None


def test_the_rate_of_an_interlaced_source_is_that_of_its_pictures(tmp_path: Path) -> None:
    source = probe(interlaced(tmp_path / "clip.ts", "tff", *MPEG2))
    assert source.fps == Fraction(25)
