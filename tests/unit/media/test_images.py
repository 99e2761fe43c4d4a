from __future__ import annotations

import io
import struct
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, TiffImagePlugin

from musetalk.errors import LimitError, MediaError, VoiceError
from musetalk.jobs.thumbnail import make_thumbnail
from musetalk.media.digest import content_digest
from musetalk.media.pictures.decoding import read_image
from musetalk.media.probe import probe_source, probe_voice
from musetalk.media.reader import read_frames
from musetalk.settings import Limits
from tests.helpers.errors import raises_kind
from tests.helpers.heif import write_avif_grid, write_heic
from tests.helpers.media import numbered_frames, swapped_profile, write_video


def test_a_picture_is_a_source_of_one_frame(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (31, 45, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    source = probe_source(tmp_path / "picture.png", Limits(), fps=Fraction(30))
    assert (source.width, source.height, source.frame_count, source.fps) == (45, 31, 1, 30)
    np.testing.assert_array_equal(next(iter(read_frames(source))), pixels)


def test_a_folder_is_ordered_by_the_numbers_in_its_names(tmp_path: Path) -> None:
    for number in (10, 9, 1, 2):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"frame{number}.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    source = probe_source(tmp_path, Limits())
    assert [int(frame[0, 0, 0]) for frame in read_frames(source)] == [1, 2, 9, 10]


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (20, 10), "black")
    image.paste((255, 255, 255), (0, 0, 5, 10))  # a light left edge
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise
    image.save(tmp_path / "phone.png", exif=exif)
    source = probe_source(tmp_path / "phone.png", Limits())
    frame = next(iter(read_frames(source)))
    assert (source.width, source.height) == (10, 20)
    assert frame.shape == (20, 10, 3)
    assert frame[:5].mean() == 255
    assert frame[5:].mean() == 0


def test_transparent_parts_are_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (9, 9, 9, 0)).save(tmp_path / "cut.png")
    source = probe_source(tmp_path / "cut.png", Limits())
    assert next(iter(read_frames(source))).min() == 255


def test_pictures_of_different_size_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    Image.new("RGB", (9, 8)).save(tmp_path / "2.png")
    with raises_kind(MediaError, path=tmp_path / "2.png"):
        probe_source(tmp_path, Limits())


def test_damaged_and_huge_pictures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    Image.new("RGB", (300, 300)).save(tmp_path / "large.png")
    with raises_kind(MediaError, path=tmp_path / "text.png"):
        probe_source(tmp_path / "text.png", Limits())
    with raises_kind(LimitError, path=tmp_path / "large.png", limit="max_pixels"):
        probe_source(tmp_path / "large.png", Limits(max_pixels=10_000))


def shown(path: Path, background: Literal["white", "black"] = "white") -> np.ndarray:
    """The one frame of a picture, and that its size was told before."""
    source = probe_source(path, Limits(), alpha_background=background)
    frame = next(read_frames(source))
    assert frame.shape == (source.height, source.width, 3)
    return frame


def quarters(width: int = 96, height: int = 64) -> np.ndarray:
    """Red at the top left, green at the top right, blue at the bottom right."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = 200, 30, 30
    picture[: height // 2, width // 2 :] = 30, 200, 30
    picture[height // 2 :, width // 2 :] = 30, 30, 200
    return picture


def assert_shows(frame: np.ndarray, expected: np.ndarray) -> None:
    """Up to what compression does, away from edges."""
    assert frame.shape == expected.shape
    assert np.median(np.abs(frame.astype(int) - expected)) <= 3
    corners = (slice(4, None, expected.shape[0] - 9), slice(4, None, expected.shape[1] - 9))
    np.testing.assert_allclose(frame[corners], expected[corners], atol=6)


@pytest.mark.parametrize("turns", range(4))
def test_a_phones_heic_is_a_picture_and_upright(tmp_path: Path, turns: int) -> None:
    path = write_heic(tmp_path / "IMG_1.HEIC", [quarters()], turns=turns)
    assert_shows(shown(path), np.rot90(quarters(), turns))


@pytest.mark.parametrize(("mirror", "turned"), [(0, quarters()[::-1]), (1, quarters()[:, ::-1])])
def test_a_mirrored_heic_is_mirrored_back(tmp_path: Path, mirror: int, turned: np.ndarray) -> None:
    assert_shows(shown(write_heic(tmp_path / "selfie.heic", [quarters()], mirror=mirror)), turned)


def test_a_heic_of_tiles_is_shown_whole_and_its_main_picture_used(tmp_path: Path) -> None:
    path = write_heic(tmp_path / "tiles.heic", [quarters(), 255 - quarters()], columns=2, turns=1, others=1)
    assert_shows(shown(path), np.rot90(np.hstack([quarters(), 255 - quarters()])))
    source = probe_source(path, Limits())
    assert any("holds 2 pictures: the main one" in note for note in source.notes)


def test_an_avif_of_tiles_is_shown_whole(tmp_path: Path) -> None:
    path = write_avif_grid(tmp_path / "tiles.avif", [quarters(), 255 - quarters()], columns=2)
    assert_shows(shown(path), np.hstack([quarters(), 255 - quarters()]))


def test_alpha_of_a_heic_is_laid_over_the_background_and_other_layers_are_left_aside(tmp_path: Path) -> None:
    layer = np.zeros((64, 96, 3), np.uint8)
    layer[:, 48:] = 255
    expected = quarters()
    expected[:, :48] = 255
    path = write_heic(tmp_path / "cut.heic", [quarters()], beside=("urn:mpeg:hevc:2015:auxid:1", layer))
    assert_shows(shown(path), expected)
    assert any("laid over white" in note for note in probe_source(path, Limits()).notes)
    for urn in ("urn:mpeg:hevc:2015:auxid:2", "urn:com:apple:photo:2020:aux:hdrgainmap"):
        path = write_heic(tmp_path / "layers.heic", [quarters()], beside=(urn, layer))
        assert_shows(shown(path), quarters())
        assert probe_source(path, Limits()).notes == ()


def test_a_heic_of_ten_bits_with_a_profile(tmp_path: Path) -> None:
    path = write_heic(tmp_path / "deep.heic", [quarters()], deep=True, profile=swapped_profile())
    assert_shows(shown(path), quarters()[..., ::-1])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "avif"])
def test_every_rotation_in_exif_is_applied(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(quarters())
    picture.save(tmp_path / f"phone.{suffix}", exif=exif, quality=95)
    turns = {1: 0, 2: 0, 3: 2, 4: 2, 5: 3, 6: 3, 7: 1, 8: 1}[orientation]
    expected = np.rot90(quarters(), turns)
    assert_shows(shown(tmp_path / f"phone.{suffix}"), expected[:, ::-1] if orientation in (2, 4, 5, 7) else expected)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_a_rotation_that_comes_behind_the_pixels_counts(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(quarters()).save(tmp_path / "late.png")
    data = (tmp_path / "late.png").read_bytes()
    (tmp_path / "late.png").write_bytes(data[:-12] + png_chunk(b"eXIf", exif.tobytes()[6:]) + data[-12:])
    assert_shows(shown(tmp_path / "late.png"), np.rot90(quarters(), 3))


def test_a_folder_is_described_by_headers_alone(tmp_path: Path) -> None:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0))
    for number in range(3):  # pixels that cannot be decoded
        data = header + png_chunk(b"IDAT", b"no pixels") + png_chunk(b"IEND", b"")
        (tmp_path / f"{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    source = probe_source(tmp_path, Limits())
    assert (source.width, source.frame_count) == (16, 3)
    with raises_kind(MediaError, path=tmp_path / "0.png"):
        list(read_frames(source))


@pytest.mark.parametrize("exif", [b"Exif\x00\x00II*\x00", b"Exif\x00\x00" + b"\xff" * 40])
def test_damaged_exif_spoils_no_picture(tmp_path: Path, exif: bytes) -> None:
    Image.fromarray(quarters()).save(tmp_path / "odd.jpg", exif=exif, quality=95)
    assert_shows(shown(tmp_path / "odd.jpg"), quarters())


@pytest.mark.parametrize("name", ["photo.mp4", "photo.png", "photo", "photo.JPG.part"])
def test_a_picture_is_known_by_what_it_holds(tmp_path: Path, name: str) -> None:
    Image.fromarray(quarters()).save(tmp_path / "photo.jpg", quality=95)
    (tmp_path / "photo.jpg").rename(tmp_path / name)
    assert_shows(shown(tmp_path / name), quarters())


@pytest.mark.parametrize("suffix", ["avif", "gif", "bmp", "ico", "jp2", "tga", "ppm", "qoi"])
def test_formats_of_pictures(tmp_path: Path, suffix: str) -> None:
    options = {"sizes": [(96, 64)]} if suffix == "ico" else {}
    Image.fromarray(quarters()).save(tmp_path / f"picture.{suffix}", **options)
    assert_shows(shown(tmp_path / f"picture.{suffix}"), quarters())


def test_the_first_view_of_a_phones_jpeg_is_the_picture(tmp_path: Path) -> None:
    views = [Image.fromarray(quarters()), Image.fromarray(255 - quarters())]
    views[0].save(tmp_path / "views.mpo", save_all=True, append_images=views[1:], quality=95)
    (tmp_path / "views.mpo").rename(tmp_path / "views.jpg")
    with (tmp_path / "views.jpg").open("ab") as file:
        file.write(b"\x00\x00\x00\x18ftypmp42 and a film of the moment")
    assert_shows(shown(tmp_path / "views.jpg"), quarters())
    views[0].save(tmp_path / "bit_by_bit.jpg", progressive=True, quality=95)
    assert_shows(shown(tmp_path / "bit_by_bit.jpg"), quarters())


def test_a_video_under_the_name_of_a_picture_is_a_video(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", numbered_frames(5))
    clip.rename(tmp_path / "clip.png")
    assert probe_source(tmp_path / "clip.png", Limits()).frame_count == 5


@pytest.mark.parametrize(
    ("name", "head", "told"),
    [
        ("x.jxl", b"\xff\x0a\x58\x0e", "JPEG XL"),
        ("x.png", b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
        ("x.svg", b'<?xml version="1.0"?>\n<!-- by hand -->\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        ("x.pdf", b"%PDF-1.7\n", "PDF"),
        ("x.cr2", b"II*\x00\x10\x00\x00\x00CR\x02\x00", "camera raw"),
        ("x.nef", b"MM\x00*\x00\x00\x00\x08", "camera raw"),
        ("x.cr3", b"\x00\x00\x00\x18ftypcrx \x00\x00\x00\x01crx isom", "camera raw"),
        ("x.exr", b"\x76\x2f\x31\x01\x02", "OpenEXR"),
    ],
)
def test_kinds_that_cannot_be_read_are_refused_by_name(tmp_path: Path, name: str, head: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(head.ljust(100, b"\x00"))
    with raises_kind(MediaError, path=tmp_path / name) as caught:
        probe_source(tmp_path / name, Limits())
    assert told in caught.value.problem
    assert "PNG" in caught.value.remedy


def test_the_small_picture_in_a_raw_one_is_not_taken_for_it(tmp_path: Path) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[50706] = b"\x01\x04\x00\x00"  # DNGVersion
    Image.new("RGB", (16, 16)).save(tmp_path / "photo.tif", tiffinfo=tags)
    with raises_kind(MediaError, path=tmp_path / "photo.tif") as caught:
        probe_source(tmp_path / "photo.tif", Limits())
    assert "raw" in caught.value.problem


def test_pages_of_a_tiff_are_told(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (16, 16), color) for color in ("red", "blue", "green")]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    assert tuple(shown(tmp_path / "pages.tif")[0, 0]) == (255, 0, 0)
    source = probe_source(tmp_path / "pages.tif", Limits())
    assert source.notes == ("the file holds 3 pictures: the first one is used",)


def test_what_lies_behind_transparent_parts_is_a_setting_and_said(tmp_path: Path) -> None:
    hidden = Image.new("RGBA", (4, 4), (9, 99, 200, 0))
    hidden.putpixel((0, 0), (200, 0, 0, 255))
    hidden.save(tmp_path / "cut.png")
    assert tuple(shown(tmp_path / "cut.png")[3, 3]) == (255, 255, 255)
    black = shown(tmp_path / "cut.png", "black")
    assert tuple(black[3, 3]) == (0, 0, 0)
    assert tuple(black[0, 0]) == (200, 0, 0)
    source = probe_source(tmp_path / "cut.png", Limits(), alpha_background="black")
    assert source.notes == ("transparent parts of the source are laid over black (alpha_background)",)
    assert content_digest(source) != content_digest(probe_source(tmp_path / "cut.png", Limits()))
    Image.new("RGBA", (4, 4), (9, 99, 200, 255)).save(tmp_path / "whole.png")
    assert probe_source(tmp_path / "whole.png", Limits()).notes == ()


@pytest.mark.parametrize("mode", ["P", "L", "1", "RGB", "I;16"])
def test_a_color_that_stands_for_nothing_is_transparent(tmp_path: Path, mode: str) -> None:
    picture = Image.new(mode, (4, 4), 0)
    if mode == "P":
        picture.putpalette([10, 20, 30, 40, 50, 60])
    clear = (0, 0, 0) if mode == "RGB" else 0
    picture.save(tmp_path / "clear.png", transparency=clear)
    assert shown(tmp_path / "clear.png").min() == 255


def test_sixteen_bits_keep_their_picture(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)[None].repeat(8, 0)
    expected = np.rint(ramp / 257)[..., None].repeat(3, 2)
    for name in ("grey.png", "grey.tif"):
        Image.fromarray(ramp).save(tmp_path / name)
        np.testing.assert_allclose(shown(tmp_path / name), expected, atol=1)
    color = np.stack([ramp, ramp[:, ::-1], ramp], 2)
    for name in ("colour.png", "colour.tif"):
        cv2.imwrite(str(tmp_path / name), color[..., ::-1])
        np.testing.assert_allclose(shown(tmp_path / name), color / 257, atol=2)
    layer = np.dstack([color[..., ::-1], np.where(np.arange(64) < 32, 0, 65535).astype(np.uint16)[None].repeat(8, 0)])
    cv2.imwrite(str(tmp_path / "layer.png"), layer)
    frame = shown(tmp_path / "layer.png", "black")
    assert frame[:, :32].max() == 0
    np.testing.assert_allclose(frame[:, 32:], (color / 257)[:, 32:], atol=1)
    Image.fromarray((ramp / 65535).astype(np.float32)).save(tmp_path / "float.tif")
    np.testing.assert_allclose(shown(tmp_path / "float.tif"), expected, atol=1)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "avif"])
def test_a_color_profile_is_applied(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(quarters()).save(tmp_path / f"wide.{suffix}", icc_profile=swapped_profile(), quality=95)
    assert_shows(shown(tmp_path / f"wide.{suffix}"), quarters()[..., ::-1])


def test_a_profile_is_applied_beside_a_palette_and_transparency(tmp_path: Path) -> None:
    picture = Image.fromarray(quarters()).quantize(4)
    picture.save(tmp_path / "palette.png", icc_profile=swapped_profile())
    assert_shows(shown(tmp_path / "palette.png"), quarters()[..., ::-1])
    layer = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    layer.putpixel((0, 0), (200, 0, 0, 255))
    layer.save(tmp_path / "layer.png", icc_profile=swapped_profile())
    frame = shown(tmp_path / "layer.png")
    np.testing.assert_allclose(frame[0, 0], (0, 0, 200), atol=1)
    assert tuple(frame[3, 3]) == (255, 255, 255)


def test_a_profile_of_no_use_is_left_aside_and_said(tmp_path: Path) -> None:
    Image.fromarray(quarters()).save(tmp_path / "odd.png", icc_profile=b"this is no profile")
    assert_shows(shown(tmp_path / "odd.png"), quarters())
    assert any("profile" in note for note in probe_source(tmp_path / "odd.png", Limits()).notes)


def painted_in(path: Path, color: tuple[int, int, int], primaries: int, transfer: int) -> Path:
    """A picture of one color that says by code points what its numbers mean."""
    picture = Image.new("RGB", (64, 64), color)
    if path.suffix == ".heic":
        return write_heic(path, [np.asarray(picture)], nclx=(primaries, transfer))
    picture.save(path, **({"quality": 100, "subsampling": "4:4:4"} if path.suffix == ".avif" else {}))
    data = path.read_bytes()
    if path.suffix == ".avif":
        at = data.index(b"colrnclx") + 8
        path.write_bytes(data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :])
    else:
        path.write_bytes(data[:33] + png_chunk(b"cICP", bytes([primaries, transfer, 0, 1])) + data[33:])
    return path


@pytest.mark.parametrize("suffix", ["heic", "avif", "png"])
def test_wide_colors_and_hdr_by_code_points(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture.{suffix}"
    p3, pq, hlg = (12, 13), (9, 16), (9, 18)
    np.testing.assert_allclose(shown(painted_in(path, (205, 54, 69), *p3))[32, 32], (223, 30, 63), atol=4)
    assert probe_source(path, Limits()).notes == ()
    # 203 cd/m2, the white of HDR, is 58 % of PQ and 75 % of HLG; it keeps room above.
    for white, points in ((148, pq), (191, hlg)):
        np.testing.assert_allclose(shown(painted_in(path, (white,) * 3, *points))[32, 32], (244,) * 3, atol=3)
        assert shown(painted_in(path, (255,) * 3, *points)).min() > 250
        assert shown(painted_in(path, (0,) * 3, *points)).max() <= 1
        (note,) = probe_source(path, Limits()).notes
        assert "HDR" in note


SRGB_POINTS = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
P3_POINTS = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)


@pytest.mark.parametrize(
    ("gamma", "points", "further", "seen"),
    [
        (45455, SRGB_POINTS, b"", (200, 30, 30)),
        (45455, P3_POINTS, b"", (218, 0, 6)),  # as Display P3 by code points
        (100_000, None, b"", (229, 96, 96)),  # numbers that are light
        (100_000, P3_POINTS, png_chunk(b"sRGB", b"\0"), (200, 30, 30)),  # what counts more
        (0, P3_POINTS, b"", (200, 30, 30)),  # what cannot be
        (45455, (31270, 32900, 1, 1, 1, 1, 1, 1), b"", (200, 30, 30)),
        (45455, (4_000_000_000,) * 8, b"", (200, 30, 30)),
    ],
)
def test_what_a_png_says_of_its_gamma_and_primaries_is_heeded(
    tmp_path: Path, gamma: int, points: tuple[int, ...] | None, further: bytes, seen: tuple[int, int, int]
) -> None:
    path = tmp_path / "picture.png"
    Image.new("RGB", (8, 8), (200, 30, 30)).save(path)
    chunks = png_chunk(b"gAMA", struct.pack(">I", gamma)) + further
    chunks += b"" if points is None else png_chunk(b"cHRM", struct.pack(">8I", *points))
    data = path.read_bytes()
    path.write_bytes(data[:33] + chunks + data[33:])
    np.testing.assert_allclose(shown(path)[4, 4], seen, atol=2)


def test_inks_and_lab_become_the_colors_they_mean(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "inks.jpg", quality=95)
    red, green, blue = shown(tmp_path / "inks.jpg")[8, 8]
    assert red > 180
    assert max(green, blue) < 80
    assert any("CMYK" in note for note in probe_source(tmp_path / "inks.jpg", Limits()).notes)
    lab = ImageCms.createProfile("LAB")
    ImageCms.profileToProfile(
        Image.new("RGB", (16, 16), (200, 60, 30)), ImageCms.createProfile("sRGB"), lab, outputMode="LAB"
    ).save(tmp_path / "lab.tif")
    np.testing.assert_allclose(shown(tmp_path / "lab.tif")[8, 8], (200, 60, 30), atol=3)


def test_a_picture_that_is_cut_off_is_refused_by_its_name(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    for suffix in ("jpg", "png", "webp", "avif", "tiff", "bmp"):
        path = tmp_path / f"cut.{suffix}"
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with raises_kind(MediaError, path=path) as caught:
            list(read_frames(probe_source(path, Limits())))
        assert caught.value.remedy


def test_limits_are_kept_before_pixels_are_decoded(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    chunks = b"".join(png_chunk(kind, data) for kind, data in parts)
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    with raises_kind(LimitError, path=tmp_path / "bomb.png", limit="max_pixels"):
        probe_source(tmp_path / "bomb.png", Limits())


def test_what_systems_leave_in_a_folder_is_left_out_and_said(tmp_path: Path) -> None:
    for number in (1, 2):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number}.png")
    Image.new("RGB", (9, 9)).save(tmp_path / ".hidden.png")
    (tmp_path / "._1.png").write_bytes(b"\x00\x05\x16\x07 resource fork")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "notes.txt"):
        (tmp_path / name).write_bytes(b"\xd0\xcf\x11\xe0")
    (tmp_path / "1.jxl").write_bytes(b"\xff\x0a\x58\x0e")
    (tmp_path / "@eaDir").mkdir()
    source = probe_source(tmp_path, Limits())
    assert [int(frame[0, 0, 0]) for frame in read_frames(source)] == [1, 2]
    assert source.notes == (
        "hidden files that look like pictures were left out: ._1.png, .hidden.png",
        "pictures of kinds that cannot be read here were left out: 1.jxl (JPEG XL)",
    )


def test_a_folder_of_nothing_that_can_be_used_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "1.jxl").write_bytes(b"\xff\x0a\x58\x0e")
    with raises_kind(MediaError, path=tmp_path) as caught:
        probe_source(tmp_path, Limits())
    assert "JPEG XL" in caught.value.problem


def test_a_folder_of_what_phones_write(tmp_path: Path) -> None:
    for number in (1, 2):
        write_heic(tmp_path / f"IMG_{number}.HEIC", [np.full((64, 64, 3), 90 * number, np.uint8)])
    frames = list(read_frames(probe_source(tmp_path, Limits())))
    assert [round(float(frame.mean()) / 10) * 10 for frame in frames] == [90, 180]


def test_what_several_pictures_of_a_folder_have_is_said_once(tmp_path: Path) -> None:
    for number in range(5):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.png", icc_profile=b"this is no profile")
    (note,) = probe_source(tmp_path, Limits()).notes
    assert note.startswith("0.png, 1.png, 2.png and 2 more: each has a colour profile")


@pytest.mark.parametrize("name", ["IMG_1.HEIC", "moving.gif"])
def test_a_job_is_recognised_by_a_small_jpeg_of_any_picture(tmp_path: Path, name: str) -> None:
    picture = np.repeat(np.repeat(quarters(), 8, 0), 8, 1)
    if name.endswith("gif"):
        Image.fromarray(picture).save(tmp_path / name, save_all=True, append_images=[Image.fromarray(picture[::-1])])
    else:
        write_heic(tmp_path / name, [picture])
    small = Image.open(io.BytesIO(make_thumbnail(probe_source(tmp_path / name, Limits()))))
    assert (small.format, small.size) == ("JPEG", (320, 213))
    np.testing.assert_allclose(small.getpixel((10, 10)), (200, 30, 30), atol=12)


def test_a_job_whose_film_begins_with_nothing_is_recognised_by_a_later_frame(tmp_path: Path) -> None:
    frames = np.zeros((20, 64, 96, 3), np.uint8)
    frames[8:] = np.repeat(np.repeat(quarters(), 8, 0), 8, 1)[:64, :96]

    def corner(name: str, film: np.ndarray) -> tuple[int, ...]:
        path = write_video(tmp_path / name, film)
        return Image.open(io.BytesIO(make_thumbnail(probe_source(path, Limits())))).getpixel((10, 10))

    np.testing.assert_allclose(corner("fades in.mp4", frames), (200, 30, 30), atol=12)
    np.testing.assert_allclose(corner("black.mp4", frames[:8]), (0, 0, 0), atol=4)  # there is no better one
    frames[:8], frames[0, :32] = 255, 0
    np.testing.assert_allclose(corner("title.mp4", frames), (0, 0, 0), atol=12)  # the first shows something


def test_odd_names_in_a_folder_are_only_names(tmp_path: Path) -> None:
    names = ["²1.png", "-1.png", "10.png", "9.png", "größe 3.png"]
    for name in names:
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    source = probe_source(tmp_path, Limits())
    assert sorted(path.name for path in source.images) == sorted(names)
    numbers = [path.name for path in source.images if path.name[0] in "19"]
    assert numbers == ["9.png", "10.png"]


def test_a_picture_that_is_gone_says_so(tmp_path: Path) -> None:
    with raises_kind(MediaError, path=tmp_path / "gone.png"):
        read_image(tmp_path / "gone.png")


@pytest.mark.parametrize("suffix", ["jpg", "gif", "avif"])
def test_a_picture_given_as_the_voice_is_called_one(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(quarters()).save(tmp_path / f"portrait.{suffix}")
    with raises_kind(VoiceError, path=tmp_path / f"portrait.{suffix}"):
        probe_voice(tmp_path / f"portrait.{suffix}", Limits())
