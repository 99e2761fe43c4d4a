"""Pictures that move, as sources: their frames, their timing, what is said of them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from musetalk.errors import LimitError, MediaError
from musetalk.media.frames import Frame
from musetalk.media.playback import play
from musetalk.media.probe import probe_source
from musetalk.media.reader import read_frames
from musetalk.media.timing.timeline import plan_timeline
from musetalk.media.types import Source
from musetalk.settings import Limits
from tests.helpers.errors import raises_kind
from tests.helpers.media import numbered_frames, read_number, swapped_profile, write_video

WIDTH, HEIGHT = 64, 48


def probe(path: Path, limits: Limits | None = None) -> Source:
    return probe_source(path, limits or Limits())


def animate(path: Path, frames: Sequence[np.ndarray], duration: int | list[int], **options: object) -> Path:
    first, *rest = map(Image.fromarray, frames)
    first.save(path, save_all=True, append_images=rest, duration=duration, loop=0, **options)
    return path


LOSSLESS = {"gif": {}, "png": {}, "webp": {"lossless": True}, "avif": {"quality": 95, "speed": 10}}


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_an_animation_is_a_video_with_its_own_timing(tmp_path: Path, suffix: str) -> None:
    path = animate(tmp_path / f"moving.{suffix}", numbered_frames(12), 40, **LOSSLESS[suffix])
    source = probe(path)
    assert (source.width, source.height, source.fps, source.frame_count) == (WIDTH, HEIGHT, 25, 12)
    assert not source.has_sound
    assert [read_number(frame) for frame in read_frames(source)] == list(range(12))
    assert [read_number(frame) for frame in read_frames(source, 5, 8)] == [5, 6, 7]
    assert source.notes == ()


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_frames_of_unequal_length_are_shown_as_long_as_they_ask(tmp_path: Path, suffix: str) -> None:
    asked = [40] * 10 + [400] + [40] * 10
    path = animate(tmp_path / f"moving.{suffix}", numbered_frames(21), asked, **LOSSLESS[suffix])
    source = probe(path)
    shown = [read_number(frame) for frame in read_frames(source)]
    assert source.seconds == pytest.approx(1.2, abs=1 / float(source.fps))
    assert shown.count(10) / float(source.fps) == pytest.approx(0.4, abs=1 / float(source.fps))
    assert shown == sorted(shown)


@pytest.mark.parametrize("first", [100, 40])
def test_the_last_frame_is_held_as_long_as_it_asks(tmp_path: Path, first: int) -> None:
    source = probe(animate(tmp_path / "held.gif", numbered_frames(5), [first] * 4 + [2000]))
    shown = [read_number(frame) for frame in read_frames(source)]
    assert source.seconds == pytest.approx(4 * first / 1000 + 2, abs=0.05)
    assert shown.count(4) / float(source.fps) == pytest.approx(2, abs=0.05)
    assert shown == sorted(shown)


def test_it_plays_backwards_and_forwards_again(tmp_path: Path) -> None:
    source = probe(animate(tmp_path / "moving.gif", numbered_frames(6), 40))
    timeline = plan_timeline(source.frame_count, source.fps, Fraction(16, 25), length="pingpong", tail="cut")
    frames = map(Frame.rgb, play(source, timeline, 0, timeline.frame_count, spool_dir=tmp_path))
    assert [read_number(frame) for frame in frames] == [0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "avif"])
def test_one_frame_is_a_still_at_the_rate_of_pictures(tmp_path: Path, suffix: str) -> None:
    path = animate(tmp_path / f"still.{suffix}", numbered_frames(1), 40, **LOSSLESS[suffix])
    source = probe(path)
    assert (source.fps, source.frame_count) == (25, 1)
    assert read_number(next(read_frames(source))) == 0


def test_delays_that_nobody_set_last_as_long_as_in_browsers(tmp_path: Path) -> None:
    source = probe(animate(tmp_path / "hurried.gif", numbered_frames(4), [0, 10, 10, 0]))
    assert source.seconds == pytest.approx(0.4)
    assert any("4 of the file's 4 frames" in note and "100 ms" in note for note in source.notes)
    quick = probe(animate(tmp_path / "quick.gif", numbered_frames(4), 20))
    assert (quick.seconds, quick.notes) == (pytest.approx(0.08), ())


def gif_frame(box: tuple[int, int, int, int], color: int, *, dispose: int, clear: bool = False) -> bytes:
    """A frame of one color at (left, top, width, height), a tenth of a second long; `clear`: all of it transparent."""
    left, top, width, height = box
    pixels = Image.new("P", (width, height), color)
    pixels.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    file = io.BytesIO()
    pixels.save(file, "GIF", optimize=False)
    data = file.getvalue()
    at = 13 + (3 << (data[10] & 7) + 1)
    at = data.index(b",", at)
    own = data[at + 10 : -1]
    control = struct.pack("<BHB", dispose << 2 | clear, 10, color)
    return b"!\xf9\x04" + control + b"\x00," + struct.pack("<HHHHB", left, top, width, height, 0) + own


def write_gif(path: Path, size: tuple[int, int], *frames: bytes) -> Path:
    palette = bytes([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    path.write_bytes(b"GIF89a" + struct.pack("<HHBBB", *size, 0x81, 0, 0) + palette + b"".join(frames) + b";")
    return path


RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def test_parts_of_a_gif_are_laid_and_taken_away_as_browsers_do(tmp_path: Path) -> None:
    path = write_gif(
        tmp_path / "parts.gif",
        (8, 8),
        gif_frame((0, 0, 8, 8), 1, dispose=1),
        gif_frame((0, 0, 4, 4), 2, dispose=2),  # cleared afterwards
        gif_frame((4, 4, 4, 4), 3, dispose=3),  # as before afterwards
        gif_frame((4, 0, 9, 4), 2, dispose=1),  # leaves the canvas
        gif_frame((0, 0, 8, 8), 3, dispose=1, clear=True),
    )
    source = probe(path)
    corners = [[tuple(frame[y, x].tolist()) for y in (0, 7) for x in (0, 7)] for frame in read_frames(source)]
    pictures = corners[:: max(1, len(corners) // 5)][:5]
    assert (source.width, source.height) == (8, 8)
    assert pictures == [
        [RED, RED, RED, RED],
        [GREEN, RED, RED, RED],
        [WHITE, RED, RED, BLUE],
        [WHITE, GREEN, RED, RED],
        [WHITE, GREEN, RED, RED],
    ]
    assert any("laid over white" in note for note in source.notes)


def test_a_canvas_that_is_said_to_be_empty_grows_to_its_first_frame(tmp_path: Path) -> None:
    frames = [gif_frame((0, 0, 8, 6), color, dispose=1) for color in (1, 2)]
    source = probe(write_gif(tmp_path / "empty.gif", (0, 0), *frames))
    assert (source.width, source.height) == (8, 6)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def apng(path: Path, *frames: tuple[np.ndarray, int, int, int, int], still: np.ndarray | None = None) -> Path:
    """Write frames (uint8 RGBA, left, top, dispose, blend) of 1/10 s; `still` is shown by what knows no animation."""
    height, width = (frames[0][0] if still is None else still).shape[:2]

    def pixels(picture: np.ndarray) -> bytes:
        return zlib.compress(b"".join(b"\x00" + row.tobytes() for row in picture))

    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))]
    parts.append(chunk(b"acTL", struct.pack(">II", len(frames), 0)))
    if still is not None:
        parts.append(chunk(b"IDAT", pixels(still)))
    number = 0
    for index, (picture, left, top, dispose, blend) in enumerate(frames):
        size = picture.shape[1::-1]
        parts.append(chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, *size, left, top, 1, 10, dispose, blend)))
        number += 1
        if index == 0 and still is None:
            parts.append(chunk(b"IDAT", pixels(picture)))
        else:
            parts.append(chunk(b"fdAT", struct.pack(">I", number) + pixels(picture)))
            number += 1
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b""))
    return path


def plain(color: tuple[int, int, int, int], side: int = 8) -> np.ndarray:
    return np.full((side, side, 4), color, np.uint8)


def test_half_transparent_parts_of_a_png_are_mixed_once(tmp_path: Path) -> None:
    path = apng(
        tmp_path / "mixed.png",
        (plain((255, 0, 0, 255)), 0, 0, 0, 0),
        (plain((0, 0, 255, 128), 4), 0, 0, 1, 1),  # laid over, then cleared
        (plain((0, 255, 0, 0), 4), 4, 4, 2, 0),  # takes the place of what is there, with nothing
        (plain((0, 0, 0, 255), 4), 0, 0, 0, 1),
    )
    source = probe(path)
    frames = list(read_frames(source))
    pictures = frames[:: len(frames) // 4][:4]
    np.testing.assert_allclose(pictures[1][0, 0], (127, 0, 128), atol=1)
    assert tuple(pictures[2][0, 0]) == WHITE
    assert tuple(pictures[2][7, 7]) == WHITE
    assert tuple(pictures[3][7, 7]) == RED
    assert tuple(pictures[3][0, 0]) == (0, 0, 0)


def test_a_still_beside_the_animation_is_no_frame_of_it(tmp_path: Path) -> None:
    frames = [(plain((*color, 255)), 0, 0, 0, 0) for color in (GREEN, BLUE)]
    source = probe(apng(tmp_path / "beside.png", *frames, still=plain((*RED, 255))))
    shown = {tuple(frame[0, 0].tolist()) for frame in read_frames(source)}
    assert shown == {GREEN, BLUE}
    assert source.seconds == pytest.approx(0.2)


@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_the_whole_frames_of_one_that_is_cut_off_are_used(tmp_path: Path, suffix: str) -> None:
    path = animate(tmp_path / f"moving.{suffix}", numbered_frames(12), 40)
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 3])
    source = probe(path)
    shown = [read_number(frame) for frame in read_frames(source)]
    assert 2 <= len(shown) < 12
    assert shown == list(range(len(shown)))
    assert any(f"ends inside its frame {len(shown) + 1}" in note for note in source.notes)


@pytest.mark.parametrize("suffix", ["webp", "avif"])
def test_one_that_is_cut_off_where_nothing_can_be_saved_is_refused(tmp_path: Path, suffix: str) -> None:
    path = animate(tmp_path / f"moving.{suffix}", numbered_frames(12), 40, **LOSSLESS[suffix])
    path.write_bytes(path.read_bytes()[:200])
    with raises_kind(MediaError, path=path):
        list(read_frames(probe(path)))


def test_limits_count_for_canvas_parts_and_length(tmp_path: Path) -> None:
    path = animate(tmp_path / "moving.gif", numbered_frames(12), 40)
    with raises_kind(LimitError, path=path, limit="max_pixels"):
        probe(path, Limits(max_pixels=WIDTH * HEIGHT - 1))
    with raises_kind(LimitError, path=path, limit="max_seconds"):
        probe(path, Limits(max_seconds=0.2))
    bomb = write_gif(
        tmp_path / "bomb.gif", (8, 8), gif_frame((0, 0, 8, 8), 1, dispose=1), gif_frame((0, 0, 99, 99), 2, dispose=1)
    )
    with raises_kind(LimitError, path=bomb, limit="max_pixels"):
        probe(bomb, Limits(max_pixels=1000))


def test_its_rotation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = animate(tmp_path / "turned.webp", numbered_frames(3), 40, lossless=True, exif=exif)
    source = probe(path)
    assert (source.width, source.height) == (HEIGHT, WIDTH)
    assert [read_number(np.rot90(frame)) for frame in read_frames(source)] == [0, 1, 2]


@pytest.mark.parametrize("suffix", ["png", "webp", "avif"])
def test_its_color_profile_is_applied_to_every_frame(tmp_path: Path, suffix: str) -> None:
    frames = np.zeros((3, HEIGHT, WIDTH, 3), np.uint8)
    frames[..., 0] = np.array([60, 120, 240])[:, None, None]
    path = animate(tmp_path / f"wide.{suffix}", frames, 40, icc_profile=swapped_profile(), **LOSSLESS[suffix])
    blues = [int(frame[20, 20, 2]) for frame in read_frames(probe(path))]
    np.testing.assert_allclose(blues, [60, 120, 240], atol=6)


@pytest.mark.parametrize("brands", [b"msf1\x00\x00\x00\x00msf1hevc", b"heic\x00\x00\x00\x00heichevc"])
def test_a_heic_sequence_is_a_video(tmp_path: Path, brands: bytes) -> None:
    codec = ("-c:v", "libx265", "-x265-params", "log-level=none", "-tag:v", "hvc1")
    data = write_video(tmp_path / "film.mp4", numbered_frames(6), 25, *codec).read_bytes()
    size = int.from_bytes(data[:4], "big")
    start = struct.pack(">I", size) + b"ftyp" + brands.ljust(size - 8, b"\x00")[: size - 8]
    data = (start + data[size:]).replace(b"hdlr" + bytes(8) + b"vide", b"hdlr" + bytes(8) + b"pict")
    (tmp_path / "burst.heics").write_bytes(data)
    source = probe(tmp_path / "burst.heics")
    assert [read_number(frame) for frame in read_frames(source, 0, 6)] == list(range(6))
