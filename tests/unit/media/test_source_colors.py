"""What a source's colors become, from known patches to what a player shows of the output."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from musetalk.media import sampling
from musetalk.media.colors import assumed_matrix, output_tags
from musetalk.media.ffmpeg_commands import SoundTrack
from musetalk.media.probe import probe_source
from musetalk.media.reader import decode, read_frames
from musetalk.media.types import ColorTags, Source
from musetalk.media.writer import VideoWriter
from musetalk.settings import Background, EncoderSettings, Limits
from tests.helpers.colors import (
    PATCHES,
    TO_2020,
    as_played,
    bars,
    hybrid_log_gamma,
    perceptual_quantizer,
    read_bars,
    stored_tags,
    to_stored,
    write_planes,
    write_rgb,
)
from tests.helpers.media import ffmpeg, numbered_frames, tone, write_video, write_wav

pytestmark = pytest.mark.slow

SD, HD = (320, 180), (1280, 96)
FFV1 = ("-c:v", "ffv1")
VP8 = ("-c:v", "libvpx", "-crf", "4", "-b:v", "5M", "-auto-alt-ref", "0")
PRORES = ("-c:v", "prores_ks", "-profile:v", "4444", "-qscale:v", "1")


def copied(path: Path, tmp_path: Path, background: Background = "white") -> tuple[Source, np.ndarray, Path]:
    """A source, its first frame, and what passing it through the pipeline's two ends makes of it."""
    source = probe_source(path, Limits(), alpha_background=background)
    voice = write_wav(tmp_path / "voice.wav", tone(0.2))
    out = tmp_path / "out.mp4"
    frame = next(decode(source))
    with VideoWriter(
        out,
        folder=tmp_path,
        layout=source.layout,
        fps=Fraction(25),
        sound=SoundTrack(voice, 16_000, None, 0.2, 0.0, 0.2),
        color=source.output_color,
        settings=EncoderSettings(crf=4, preset="ultrafast"),
        comment="",
    ) as video:
        video.write(frame)
        video.finish()
    return source, frame.rgb(), out


@pytest.mark.parametrize(
    ("size", "suffix", "options"),
    [
        (SD, "mkv", ("-c:v", "ffv1", "-pix_fmt", "bgr0")),
        (HD, "mkv", ("-c:v", "ffv1", "-pix_fmt", "bgr0")),
        (SD, "mkv", ("-c:v", "libx264rgb", "-qp", "0")),
        (SD, "mov", ("-c:v", "qtrle", "-pix_fmt", "rgb24")),
        (SD, "avi", ("-c:v", "utvideo", "-pix_fmt", "gbrp")),
        (SD, "mkv", ("-c:v", "ffv1", "-pix_fmt", "gbrp10le")),
    ],
)
def test_rgb_is_written_as_bt709_and_says_so(
    tmp_path: Path, size: tuple[int, int], suffix: str, options: tuple[str, ...]
) -> None:
    path = write_rgb(tmp_path / f"source.{suffix}", bars(*size).astype(np.uint8), *options)
    _, frame, out = copied(path, tmp_path)
    np.testing.assert_array_equal(read_bars(frame), PATCHES)
    np.testing.assert_allclose(as_played(out, size), PATCHES, atol=2)
    assert stored_tags(out) == ("tv", "bt709", "bt709", "bt709")


@pytest.mark.parametrize("scale", ["tv", "pc"])
@pytest.mark.parametrize(
    ("matrix", "size"),  # where players would take untagged colors for others
    [("bt709", SD), ("smpte170m", HD), ("bt470bg", HD), ("smpte240m", HD), ("fcc", SD)],
)
def test_tagged_colors_keep_their_meaning_and_tags(
    tmp_path: Path, matrix: str, scale: str, size: tuple[int, int]
) -> None:
    path = tmp_path / "source.mkv"
    tags = ("-vf", f"setparams=colorspace={matrix}:range={scale}", "-color_range", scale)
    write_planes(path, to_stored(bars(*size), matrix, scale == "pc"), *tags, *FFV1)
    source, frame, out = copied(path, tmp_path)
    np.testing.assert_allclose(read_bars(frame), PATCHES, atol=2)
    np.testing.assert_allclose(as_played(out, size), PATCHES, atol=3)
    assert stored_tags(out)[:2] == (scale, matrix)
    assert source.notes == ()


@pytest.mark.parametrize(("size", "matrix"), [(SD, "smpte170m"), (HD, "bt709"), ((320, 600), "bt709")])
def test_untagged_colors_are_read_as_players_do_and_stay_untagged(
    tmp_path: Path, size: tuple[int, int], matrix: str
) -> None:
    path = write_planes(tmp_path / "source.mkv", to_stored(bars(*size), matrix, False), *FFV1)
    _, frame, out = copied(path, tmp_path)
    np.testing.assert_allclose(read_bars(frame), PATCHES, atol=2)
    np.testing.assert_allclose(as_played(out, size), PATCHES, atol=2)
    assert stored_tags(out)[1:] == ("unknown", "unknown", "unknown")


def test_an_untagged_source_that_changes_its_size_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "source.mkv"  # 720 wide pixels are seen as 1440: players would take those for BT.709
    write_planes(path, to_stored(bars(720, 96), "smpte170m", False), "-vf", "setsar=2/1", *FFV1)
    _, _, out = copied(path, tmp_path)
    np.testing.assert_allclose(as_played(out, (1440, 96)), PATCHES, atol=2)
    assert stored_tags(out)[1] == "smpte170m"


def test_wide_gamut_in_sdr_keeps_its_tags(tmp_path: Path) -> None:
    tags = "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=bt2020-10:range=tv"
    path = tmp_path / "source.mkv"
    write_planes(path, to_stored(bars(*SD), "bt2020nc", False, 10), "-vf", tags, *FFV1)
    _, _, out = copied(path, tmp_path)
    np.testing.assert_allclose(as_played(out, SD), PATCHES, atol=2)
    assert stored_tags(out) == ("tv", "bt2020nc", "bt2020", "bt2020-10")


@pytest.mark.parametrize("full", [False, True])
def test_a_matrix_that_few_can_read_becomes_bt709(tmp_path: Path, full: bool) -> None:
    x264 = ("-c:v", "libx264", "-qp", "0", "-x264-params", f"colormatrix=YCgCo:fullrange={'on' if full else 'off'}")
    path = write_planes(tmp_path / "source.mkv", to_stored(bars(*SD), "ycgco", full), *x264)
    _, _, out = copied(path, tmp_path)
    np.testing.assert_allclose(as_played(out, SD), PATCHES, atol=3 if full else 4)
    assert stored_tags(out) == ("tv", "bt709", "bt709", "bt709")


@pytest.mark.parametrize("pixels", ["gray", "gray10le", "gray16le"])
def test_grey_stays_grey(tmp_path: Path, pixels: str) -> None:
    grey = np.repeat(PATCHES[:, 1:2], 3, 1)
    path = write_rgb(tmp_path / "source.mkv", bars(*SD, grey).astype(np.uint8), *FFV1, "-pix_fmt", pixels)
    _, _, out = copied(path, tmp_path)
    np.testing.assert_allclose(as_played(out, SD), grey, atol=2)


@pytest.mark.parametrize(
    ("background", "level", "suffix", "options"),
    [
        ("white", 255, "webm", ("-c:v", "libvpx-vp9", "-lossless", "1", "-pix_fmt", "yuva420p")),
        (
            "black",
            0,
            "webm",
            (*VP8, "-pix_fmt", "yuva420p"),
        ),
        (
            "white",
            255,
            "mov",
            (*PRORES, "-pix_fmt", "yuva444p10le"),
        ),
        ("black", 0, "mov", ("-c:v", "qtrle", "-pix_fmt", "argb")),
        ("white", 255, "mov", ("-c:v", "png", "-pix_fmt", "rgba")),
        ("black", 0, "avi", ("-c:v", "huffyuv", "-pix_fmt", "bgra")),
        ("white", 255, "avi", ("-c:v", "utvideo", "-pix_fmt", "gbrap")),
        ("black", 0, "mkv", ("-c:v", "ffv1", "-pix_fmt", "bgra")),
    ],
)
def test_transparent_parts_are_laid_over_a_color(
    tmp_path: Path, background: Background, level: int, suffix: str, options: tuple[str, ...]
) -> None:
    picture = np.full((192, 320, 4), 255, np.uint8)
    picture[..., :3] = bars(320, 192)
    picture[64:128, :, 3] = 128
    picture[128:] = (255, 0, 255, 0)  # hidden
    path = write_rgb(tmp_path / f"source.{suffix}", picture, *options)
    source = probe_source(path, Limits(), alpha_background=background)
    frame = next(read_frames(source))
    half = PATCHES * 128 / 255 + level * 127 / 255
    np.testing.assert_allclose(read_bars(frame, row=1 / 6), PATCHES, atol=2)
    np.testing.assert_allclose(read_bars(frame, row=1 / 2), half, atol=2)
    np.testing.assert_array_equal(read_bars(frame, row=5 / 6), np.full((8, 3), level))
    assert source.notes == (f"transparent parts of the source are laid over {background} (alpha_background)",)


def test_alpha_that_hides_nothing_is_not_worth_a_word(tmp_path: Path) -> None:
    picture = np.full((*reversed(SD), 4), 255, np.uint8)
    picture[..., :3] = bars(*SD)
    source = probe_source(write_rgb(tmp_path / "source.mov", picture, "-c:v", "qtrle"), Limits())
    np.testing.assert_array_equal(read_bars(next(read_frames(source))), PATCHES)
    assert source.notes == ()


NITS = np.array([0, 1, 5, 20, 50, 80, 203, 300, 500, 800, 1000], float)


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_hdr_becomes_sdr(tmp_path: Path, transfer: str) -> None:
    skin = np.array([[170, 128, 102], [120, 60, 40], [60, 110, 70], [70, 80, 140]])
    light = np.concatenate([np.repeat(NITS[:, None], 3, 1), (skin / 255) ** 2.4 * 203 @ TO_2020.T])
    curve = perceptual_quantizer if transfer == "smpte2084" else hybrid_log_gamma
    picture = bars(30 * len(light), 64, curve(light) * 255)
    number = {"smpte2084": 16, "arib-std-b67": 18}[transfer]
    x265 = f"log-level=0:lossless=1:colorprim=9:transfer={number}:colormatrix=9:range=limited"
    path = write_planes(
        tmp_path / "source.mkv", to_stored(picture, "bt2020nc", False, 10), "-c:v", "libx265", "-x265-params", x265
    )
    source, frame, out = copied(path, tmp_path)
    shown = read_bars(frame, len(light))
    grey = shown[: len(NITS)]
    assert np.all(np.diff(grey[:, 1]) >= 0)
    assert np.all(np.ptp(grey, axis=1) <= 1)
    assert grey[0].max() == 0
    assert grey[-1].min() >= 252  # the source's brightest is white
    assert 210 <= grey[6, 1] <= 235  # what is white on paper is bright, with room above
    known = (NITS[1:6] / 203) ** (1 / 2.4) * 255
    np.testing.assert_allclose(grey[1:6, 1], known, atol=2)  # all below is as in SDR
    np.testing.assert_allclose(shown[len(NITS) :], skin, atol=3)
    assert stored_tags(out) == ("tv", "bt709", "bt709", "bt709")
    assert len(source.notes) == 1
    assert "HDR" in source.notes[0]
    assert "tone-mapped to SDR" in source.notes[0]


@pytest.mark.parametrize(
    "tags", ["colorspace=unknown:color_primaries=unknown", "colorspace=bt709:color_primaries=bt709"]
)
def test_hdr_that_says_less_or_other_than_usual_is_mapped_too(tmp_path: Path, tags: str) -> None:
    grey = np.full((64, 64, 3), 255 * float(perceptual_quantizer(np.array(50.0))))
    stored = to_stored(grey, "bt2020nc", False, 10)
    path = write_planes(tmp_path / "a.mkv", stored, "-vf", f"setparams={tags}:color_trc=smpte2084:range=tv", *FFV1)
    frame = next(read_frames(probe_source(path, Limits())))
    np.testing.assert_allclose(frame[32, 32].astype(float), (50 / 203) ** (1 / 2.4) * 255, atol=2)


def test_hdr_is_shrunk_before_its_curve_and_looks_the_same(tmp_path: Path) -> None:
    tags = "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084:range=tv"
    path = write_video(tmp_path / "hdr.mp4", numbered_frames(3), 25, "-pix_fmt", "yuv420p10le", "-vf", tags)
    source = probe_source(path, Limits())
    whole, small = next(read_frames(source)), next(read_frames(source, max_side=32))
    assert small.shape == (24, 32, 3)
    assert abs(float(whole.mean()) - float(small.mean())) < 4


def test_a_peak_that_the_file_states_is_where_white_lies(tmp_path: Path) -> None:
    light = np.repeat(np.array([203, 1000, 4000], float)[:, None], 3, 1)
    picture = bars(96, 64, perceptual_quantizer(light) * 255)
    x265 = "log-level=0:lossless=1:colorprim=9:transfer=16:colormatrix=9:range=limited:hdr10=1:max-cll=4000,400"
    path = write_planes(
        tmp_path / "source.mkv", to_stored(picture, "bt2020nc", False, 10), "-c:v", "libx265", "-x265-params", x265
    )
    shown = read_bars(next(read_frames(probe_source(path, Limits()))), 3)[:, 1]
    assert shown[1] < 252 <= shown[2]


def test_what_an_output_is_tagged() -> None:
    untagged = ColorTags()
    assert output_tags(untagged, "yuv420p", None) == untagged
    assert output_tags(untagged, "yuv420p", "bt709").space == "bt709"
    assert output_tags(ColorTags("pc", "gbr"), "gbrp", None) == ColorTags("tv", "bt709", "bt709", "bt709")
    assert output_tags(ColorTags("pc", "gbr", "bt2020", "bt709"), "gbrp10le", None).space == "bt2020nc"
    assert output_tags(ColorTags("tv", "smpte240m"), "yuv420p", None) == ColorTags("tv", "smpte240m")
    assert output_tags(ColorTags("tv", "ycgco"), "yuv444p", None).space == "bt709"


@pytest.mark.parametrize(
    ("size", "matrix"),
    [((720, 576), "smpte170m"), ((640, 480), "smpte170m"), ((1280, 720), "bt709"), ((720, 1280), "bt709")],
)
def test_players_guess_by_size(size: tuple[int, int], matrix: str) -> None:
    assert assumed_matrix(*size) == matrix


def test_an_ordinary_file_is_decoded_to_the_same_bytes_as_ever(tmp_path: Path) -> None:
    tags = ["-vf", "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"]
    path = write_video(tmp_path / "clip.mp4", numbered_frames(3), 25, *tags)
    chain = "scale=64:48:flags=bilinear+accurate_rnd+full_chroma_int,format=rgb24"
    plain = ffmpeg("-i", str(path), "-vf", chain, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    assert b"".join(frame.tobytes() for frame in read_frames(probe_source(path, Limits()))) == plain


def hdr_file(path: Path, *further: str) -> Path:
    """A grey picture of HDR (PQ) in MP4, its index at the end."""
    picture = np.full((64, 64, 3), 255 * float(perceptual_quantizer(np.array(50.0))))
    x265 = "log-level=0:lossless=1:colorprim=9:transfer=16:colormatrix=9:range=limited"
    codec = ("-c:v", "libx265", "-x265-params", x265, "-tag:v", "hvc1", *further)
    return write_planes(path, to_stored(picture, "bt2020nc", False, 10), *codec)


def with_dolby_vision(path: Path, profile: int, compatible: int) -> Path:
    """The same file with a Dolby Vision configuration (its ISOBMFF binding, 2.1) behind the decoder's."""
    data = bytearray(path.read_bytes())
    record = bytes([1, 0, profile << 1, 6 << 3 | 0b101, compatible << 4]) + bytes(19)
    box = struct.pack(">I", 8 + len(record)) + b"dvcC" + record
    place = data.find(b"stsd")
    entry = data.find(b"hvc1", place) - 4
    for start in (*(data.find(name) - 4 for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")), entry):
        size = struct.unpack_from(">I", data, start)[0]
        struct.pack_into(">I", data, start, size + len(box))
    end = entry + struct.unpack_from(">I", data, entry)[0] - len(box)
    data[end:end] = box
    path.write_bytes(data)
    return path


def test_dolby_vision_with_a_base_of_its_own_kind_is_read_as_that(tmp_path: Path) -> None:
    source = probe_source(with_dolby_vision(hdr_file(tmp_path / "a.mp4"), 8, 1), Limits())
    assert "HDR (PQ)" in source.notes[0]
    assert source.conversion.tone_mapping is not None


@pytest.mark.parametrize("there", [True, False])
def test_dolby_vision_of_its_own_colors_needs_libplacebo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    monkeypatch.setattr(sampling, "works", lambda *_, vulkan=False: there and vulkan)
    source = probe_source(with_dolby_vision(hdr_file(tmp_path / "a.mp4"), 5, 0), Limits())
    if there:
        assert source.notes == ("the source is HDR (Dolby Vision); it was tone-mapped to SDR, BT.709 (libplacebo)",)
        assert source.conversion.on_vulkan
    else:
        assert "profile 5" in source.notes[0]
        assert "its colours are wrong" in source.notes[0]


def test_hdr_that_nothing_can_map_keeps_its_tags_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "works", lambda *_, **__: False)
    source = probe_source(hdr_file(tmp_path / "a.mp4"), Limits())
    assert "cannot tone-map it" in source.notes[0]
    assert source.output_color == source.color
    assert source.color.transfer == "smpte2084"
