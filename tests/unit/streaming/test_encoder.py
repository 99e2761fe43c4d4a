"""What a live encoder is given comes out of any decoder, picture by picture, with its sound."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import psutil
import pytest

from musetalk.errors import OutputError
from musetalk.media.ffmpeg_commands import LiveQuality
from musetalk.media.frames import PLANAR, Frame, FrameLayout
from musetalk.media.live.fragments import Fragment
from musetalk.streaming.encoder import LiveEncoder
from tests.helpers.media import decode, decode_sound, describe, ffmpeg, numbered_frames, picture_size, read_number

SIZE = (64, 48)
LAYOUT = FrameLayout(*SIZE)
RATE = 16_000
QUARTERS = np.array([[200, 60, 40], [30, 180, 70], [40, 70, 210], [150, 150, 150]], np.uint8)
LONG = 600.0  # seconds, against hanging only


def sound_of(frame: int, fps: Fraction, rate: int = RATE) -> np.ndarray:
    """Silence as long as a frame."""
    return np.zeros(round((frame + 1) * rate / fps) - round(frame * rate / fps), np.float32)


def frames_of(pictures: np.ndarray) -> list[Frame]:
    layout = FrameLayout(pictures.shape[2], pictures.shape[1])
    return [Frame(layout, np.ascontiguousarray(each).reshape(-1)) for each in pictures]


def encoded(
    frames: list[Frame],
    fps: Fraction = Fraction(25),
    rate: int = RATE,
    quality: LiveQuality | None = None,
    sound: Callable[[int], np.ndarray] | None = None,
) -> list[Fragment]:
    given: list[Fragment] = []
    with LiveEncoder(frames[0].layout, fps, rate, given.append, quality) as encoder:
        for number, frame in enumerate(frames):
            encoder.push(frame, sound_of(number, fps, rate) if sound is None else sound(number))
        encoder.finish()
    return given


def written(path: Path, fragments: list[Fragment]) -> Path:
    path.write_bytes(b"".join(fragment.data for fragment in fragments))
    return path


def in_quarters(layout: FrameLayout) -> Frame:
    """Four colors beside each other, converted by ffmpeg from RGB."""
    pixels = np.repeat(QUARTERS[None], layout.height, axis=0)
    pixels = np.repeat(pixels, -(-layout.width // 4), axis=1)[:, : layout.width]
    if not layout.planar:
        return frames_of(pixels[None])[0]
    shape = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{layout.width}x{layout.height}", "-i", "pipe:0"]
    stored = f"scale=out_color_matrix={layout.matrix}:out_range={'pc' if layout.full_range else 'tv'}"
    raw = ffmpeg(*shape, "-vf", stored, "-f", "rawvideo", "-pix_fmt", layout.pixel_format, "-", stdin=pixels.tobytes())
    return Frame(layout, np.frombuffer(raw, np.uint8).copy())


@pytest.mark.parametrize("pixel_format", [*PLANAR, "rgb24"])
@pytest.mark.parametrize(("matrix", "full_range"), [("bt709", False), ("smpte170m", True)])
def test_frames_of_any_layout_come_out_as_browsers_expect_them(
    tmp_path: Path, pixel_format: str, matrix: str, full_range: bool
) -> None:
    layout = FrameLayout(65, 47, pixel_format, matrix, full_range)
    out = written(tmp_path / "live.mp4", encoded([in_quarters(layout)] * 2, quality=LiveQuality(crf=4)))
    assert "yuv420p(tv, bt709, progressive), 66x48" in describe(out)
    shown = decode(out)
    assert len(shown) == 2
    places = [*range(8, 65, 17), 64, 65]  # and the last column of the frame, and the one that repeats it
    np.testing.assert_allclose(shown[0, 24, places].astype(int), QUARTERS[[0, 1, 2, 3, 3, 3]].astype(int), atol=4)
    np.testing.assert_allclose(shown[0, -1, 8].astype(int), QUARTERS[0].astype(int), atol=4)


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001), Fraction(60)])
@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_a_click_is_heard_where_the_flash_is_seen(tmp_path: Path, fps: Fraction, rate: int) -> None:
    marks = [0, 17, 40]
    pictures = np.full((48, *SIZE[::-1], 3), 20, np.uint8)
    pictures[marks] = 230

    def clicks(number: int) -> np.ndarray:
        sound = sound_of(number, fps, rate)
        sound[:8] = 0.9 if number in marks else 0.0
        return sound

    out = written(tmp_path / "live.mp4", encoded(frames_of(pictures), fps, rate, sound=clicks))
    seen = np.flatnonzero(decode(out).mean(axis=(1, 2, 3)) > 125)
    loud = np.flatnonzero(np.abs(decode_sound(out, 48_000)) > 0.3)
    heard = [loud[0], *(second for first, second in pairwise(loud) if second - first > 4_800)]
    assert list(seen) == marks
    np.testing.assert_allclose(np.array(heard) / 48_000, [float(mark / fps) for mark in marks], atol=0.001)


def test_pictures_come_out_before_the_next_goes_in(tmp_path: Path) -> None:
    came: SimpleQueue[Fragment] = SimpleQueue()
    frames = frames_of(numbered_frames(12))
    kept = []
    with LiveEncoder(LAYOUT, Fraction(25), RATE, came.put) as encoder:
        for number, frame in enumerate(frames):
            encoder.push(frame, sound_of(number, Fraction(25)))
            kept.append(came.get(timeout=LONG))
            while kept[-1].kind != "picture":
                kept.append(came.get(timeout=LONG))
            assert (kept[-1].number, kept[-1].time) == (number, Fraction(number, 25))
    assert [read_number(frame) for frame in decode(written(tmp_path / "live.mp4", kept))] == list(range(12))


def test_who_comes_later_begins_at_a_key_frame(tmp_path: Path) -> None:
    fragments = encoded(frames_of(numbered_frames(30)), quality=LiveQuality(keyframe_seconds=0.4))
    keys = [fragment for fragment in fragments if fragment.kind == "picture" and fragment.key]
    assert [key.number for key in keys][:2] == [0, 10]
    assert all(later.number - key.number <= 10 for key, later in pairwise(keys))  # sooner where all changes
    first = fragments.index(keys[1])
    late = written(tmp_path / "late.mp4", [fragments[0], *fragments[first:]])
    assert [read_number(frame) for frame in decode(late)] == list(range(10, 30))


def test_a_key_frame_comes_when_it_is_asked_for(tmp_path: Path) -> None:
    given: list[Fragment] = []
    layout = FrameLayout(64, 48, "yuv420p")
    still, asked = Frame(layout, np.full(layout.frame_bytes, 100, np.uint8)), {7, 8, 20}
    with LiveEncoder(layout, Fraction(30000, 1001), RATE, given.append) as encoder:
        for number in range(30):
            encoder.push(still, sound_of(number, Fraction(30000, 1001)), key=number in asked)
        encoder.finish()
    pictures = [fragment for fragment in given if fragment.kind == "picture"]
    assert [picture.number for picture in pictures if picture.key] == [0, *sorted(asked)]
    assert [picture.time for picture in pictures] == [number / Fraction(30000, 1001) for number in range(30)]
    assert len(decode(written(tmp_path / "live.mp4", given))) == 30


def test_bits_are_limited_where_that_is_asked_for() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 96, 128, 3), np.uint8)
    free, limited = (
        sum(len(each.data) for each in encoded(frames_of(noise), quality=LiveQuality(crf=10, max_kbps=limit)))
        for limit in (None, 500)
    )
    assert free > 3 * limited
    assert 60_000 < limited < 180_000  # bytes in two seconds: 500 kbit/s of pictures, sound, and what is around them


def test_a_browser_is_told_what_it_gets() -> None:
    given: list[Fragment] = []
    with LiveEncoder(LAYOUT, Fraction(25), RATE, given.append) as encoder:
        encoder.push(Frame(LAYOUT, np.zeros(LAYOUT.frame_bytes, np.uint8)), sound_of(0, Fraction(25)))
        encoder.finish()
        assert encoder.mime_type is not None
        assert re.fullmatch(r'video/mp4; codecs="avc1\.64[0-9a-f]{4}, mp4a\.40\.2"', encoder.mime_type)
    assert [fragment.kind for fragment in given].index("init") == 0
    assert [fragment.kind for fragment in given].count("init") == 1
    sounds = [fragment for fragment in given if fragment.kind == "sound"]
    assert [sound.time for sound in sounds] == [Fraction(1024 * k, 48_000) for k in range(-1, len(sounds) - 1)]


def test_pictures_are_made_smaller_where_that_is_asked_for(tmp_path: Path) -> None:
    frames = frames_of(numbered_frames(3, 322, 240))
    out = written(tmp_path / "small.mp4", encoded(frames, quality=LiveQuality(max_height=121)))
    assert picture_size(out) == (160, 120)
    assert [read_number(frame) for frame in decode(out)] == [0, 1, 2]
    out = written(tmp_path / "as_it_is.mp4", encoded(frames, quality=LiveQuality(max_height=480)))
    assert picture_size(out) == (322, 240)


def test_decoders_have_nothing_to_complain_of(tmp_path: Path) -> None:
    pictures = numbered_frames(20)
    out = written(tmp_path / "live.mp4", encoded(frames_of(pictures), sound=lambda n: 0.1 + sound_of(n, Fraction(25))))
    assert ffmpeg("-loglevel", "warning", "-i", f"file:{out}", "-f", "null", "-") == b""
    said = describe(out)
    assert "Duration: 00:00:00.8" in said
    assert "25 fps" in said
    assert "48000 Hz, mono" in said


def test_a_child_that_dies_is_an_error_at_the_next_push() -> None:
    with LiveEncoder(LAYOUT, Fraction(25), RATE, lambda _: None) as encoder:
        (child,) = psutil.Process().children()
        child.kill()
        child.wait()
        with pytest.raises(OutputError, match="cannot be encoded"):
            for number in range(50):
                encoder.push(frames_of(numbered_frames(1))[0], sound_of(number, Fraction(25)))


def test_an_encoder_that_cannot_run_says_why() -> None:
    frame = frames_of(numbered_frames(1, 640, 480))[0]
    with (
        LiveEncoder(frame.layout, Fraction(25), RATE, lambda _: None, LiveQuality(preset="unheard of")) as encoder,
        pytest.raises(OutputError, match="unheard of"),
    ):
        for number in range(50):
            encoder.push(frame, sound_of(number, Fraction(25)))


def test_what_the_receiver_raises_is_raised_where_frames_are_pushed() -> None:
    def refuse(_: Fragment) -> None:
        raise LookupError("nobody listens")

    with LiveEncoder(LAYOUT, Fraction(25), RATE, refuse) as encoder:
        encoder.push(frames_of(numbered_frames(1))[0], sound_of(0, Fraction(25)))
        with pytest.raises(LookupError, match="nobody listens"):
            encoder.finish()


def test_closing_unblocks_whoever_pushes_and_leaves_nothing() -> None:
    came, caught = threading.Event(), SimpleQueue[BaseException]()
    before = threading.active_count()
    frame = frames_of(numbered_frames(1))[0]
    encoder = LiveEncoder(LAYOUT, Fraction(25), RATE, lambda _: came.set())

    def push() -> None:
        try:
            for number in itertools.count():
                encoder.push(frame, sound_of(number, Fraction(25)))
        except OutputError as error:
            caught.put(error)

    pusher = threading.Thread(target=push)
    pusher.start()
    assert came.wait(LONG)
    encoder.close()
    encoder.close()
    assert "closed" in str(caught.get(timeout=LONG))
    pusher.join(LONG)
    assert psutil.Process().children() == []
    assert threading.active_count() == before
    with pytest.raises(OutputError, match="closed"):
        encoder.push(frame, sound_of(0, Fraction(25)))
    with pytest.raises(OutputError, match="closed"):
        encoder.finish()


def test_frames_and_sound_that_do_not_fit_are_refused() -> None:
    frame = frames_of(numbered_frames(1))[0]
    with pytest.raises(ValueError, match="samples a second"):
        LiveEncoder(LAYOUT, Fraction(25), 4_000, lambda _: None)
    with LiveEncoder(LAYOUT, Fraction(25), RATE, lambda _: None) as encoder:
        with pytest.raises(ValueError, match="was handed"):
            encoder.push(frames_of(numbered_frames(1, 32, 32))[0], sound_of(0, Fraction(25)))
        with pytest.raises(ValueError, match=r"640\.0 samples"):
            encoder.push(frame, np.zeros(600, np.float32))
        encoder.push(frame, np.zeros(641, np.float32))
        with pytest.raises(ValueError, match="samples"):
            encoder.push(frame, np.zeros(641, np.float32))


def test_without_a_frame_nothing_comes_out() -> None:
    given: list[Fragment] = []
    with LiveEncoder(LAYOUT, Fraction(25), RATE, given.append) as encoder:
        encoder.finish()
    assert given == []
