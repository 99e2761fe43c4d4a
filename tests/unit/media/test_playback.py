from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from musetalk.errors import MediaError
from musetalk.media import kept_pictures, playback
from musetalk.media.frames import Frame
from musetalk.media.pictures import decoding
from musetalk.media.playback import play, play_endlessly
from musetalk.media.probe import probe_source
from musetalk.media.reader import decode, read_frames
from musetalk.media.timing.timeline import Timeline
from musetalk.media.types import Source
from musetalk.settings import Limits
from tests.helpers.errors import raises_kind
from tests.helpers.media import ffmpeg, numbered_frames, read_number, write_video
from tests.helpers.programs import HANG_SECONDS

pytestmark = pytest.mark.slow


def probe(path: Path) -> Source:
    return probe_source(path, Limits())


def test_frames_come_in_order_and_whole(clip: Path) -> None:
    frames = list(read_frames(probe(clip)))
    assert [read_number(frame) for frame in frames] == list(range(50))
    assert frames[0].shape == (48, 64, 3)
    assert frames[0].dtype == np.uint8


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts"])
def test_starting_anywhere_gives_the_same_pixels(tmp_path: Path, suffix: str) -> None:
    path = write_video(
        tmp_path / f"clip.{suffix}", numbered_frames(40), Fraction(30000, 1001), "-preset", "fast", "-g", "9"
    )
    source = probe(path)
    whole = list(read_frames(source))
    for start in (1, 8, 9, 10, 26, 39):
        part = list(read_frames(source, start, start + 3))
        assert len(part) == min(3, 40 - start)
        for frame, expected in zip(part, whole[start:], strict=False):
            np.testing.assert_array_equal(frame, expected)


@pytest.mark.parametrize("mode", ["pingpong", "loop", "hold"])
@pytest.mark.parametrize("kept", [True, False, "disk full"])
def test_an_output_without_an_end_shows_what_a_long_one_does(
    clip: Path, tmp_path: Path, mode: str, kept: bool | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, folder = probe(clip), tmp_path / "kept"
    folder.mkdir()
    timeline = Timeline(170, 170, 50, mode)  # type: ignore[arg-type]
    if kept is False:
        monkeypatch.setattr(kept_pictures, "MOST_BYTES", 50 * source.layout.frame_bytes - 1)
    if kept == "disk full":
        (folder / "pictures.raw").symlink_to("/dev/full")
    wanted = list(play(probe(clip), timeline, 0, 170, spool_dir=tmp_path))
    frames = play_endlessly(source, mode, folder=folder)  # type: ignore[arg-type]
    for number, expected in enumerate(wanted):
        if number == 50 and kept is True:  # from here on, nothing is decoded
            monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "no such program"))
        assert np.array_equal(next(frames).data, expected.data)
    frames.close()
    assert [path.name for path in folder.iterdir()] == ["pictures.raw"] * (kept is True)


def test_where_a_source_turns_no_decoder_is_waited_for(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is shown behind the turn was written down before it; meanwhile what follows is decoded."""
    source = probe(clip)
    with decoding_held(monkeypatch) as going_on:
        spool_bytes = 3 * 10 * source.frame_bytes
        frames = play(source, Timeline(99, 99, 50, "pingpong"), 0, 99, spool_dir=tmp_path, spool_bytes=spool_bytes)
        shown = [next(frames) for _ in range(50)]
        going_on.clear()  # no decoder gives anything
        shown += [next(frames) for _ in range(9)]
        going_on.set()
        shown += frames
    assert [read_number(frame.rgb()) for frame in shown] == [*range(50), *range(48, -1, -1)]


def test_playing_backwards_can_be_left_while_a_decoder_works(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = probe(clip)
    frames = play(source, Timeline(99, 99, 50, "pingpong"), 0, 99, spool_dir=tmp_path, spool_bytes=0)
    assert len([next(frames) for _ in range(60)]) == 60
    frames.close()
    assert list(tmp_path.iterdir()) == []
    assert not [thread for thread in threading.enumerate() if thread.name == "backwards"]


@contextmanager
def decoding_held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Decoders give frames only while the event is set, as it is at first and at the end."""
    going_on = threading.Event()
    going_on.set()

    def held(source: Source, start: int = 0, stop: int | None = None, **given: Any) -> Generator[Frame, None, None]:  # noqa: ANN401
        for frame in decode(source, start, stop, **given):
            going_on.wait(HANG_SECONDS)
            yield frame

    monkeypatch.setattr(playback, "decode", held)
    try:
        yield going_on
    finally:
        going_on.set()


def test_pictures_of_a_folder_are_kept_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, frame in enumerate(numbered_frames(3)):
        Image.fromarray(frame).save(folder / f"{number}.png")
    source = probe(folder)
    frames = play_endlessly(source, "pingpong", folder=tmp_path)
    first = [next(frames) for _ in range(3)]
    monkeypatch.setattr(decoding, "read_image", None)  # nobody reads one again
    again = [next(frames) for _ in range(4)]
    frames.close()
    assert [read_number(frame.rgb()) for frame in (*first, *again)] == [0, 1, 2, 1, 0, 1, 2]


@pytest.mark.parametrize("mode", ["pingpong", "loop", "hold"])
@pytest.mark.parametrize("spool_bytes", [2**30, 64 * 48 * 3 * 5])
def test_any_range_of_a_timeline_is_what_it_says(clip: Path, tmp_path: Path, mode: str, spool_bytes: int) -> None:
    source = probe(clip)
    timeline = Timeline(170, 170, 50, mode)  # type: ignore[arg-type]
    spool = {"spool_dir": tmp_path, "spool_bytes": spool_bytes}
    played = [read_number(frame) for frame in map(Frame.rgb, play(source, timeline, 0, 170, **spool))]  # type: ignore[arg-type]
    assert played == [timeline.source_frame(k) for k in range(170)]
    part = [read_number(frame) for frame in map(Frame.rgb, play(source, timeline, 61, 64, **spool))]  # type: ignore[arg-type]
    assert part == played[61:64]
    assert list(tmp_path.iterdir()) == []


def test_backwards_is_byte_for_byte_what_forwards_was(clip: Path, tmp_path: Path) -> None:
    source = probe(clip)
    forwards = list(read_frames(source))
    timeline = Timeline(99, 99, 50, "pingpong")
    for k, frame in enumerate(map(Frame.rgb, play(source, timeline, 0, 99, spool_dir=tmp_path))):
        np.testing.assert_array_equal(frame, forwards[timeline.source_frame(k)])


def test_frames_may_be_written_to(clip: Path, tmp_path: Path) -> None:
    frames = map(Frame.rgb, play(probe(clip), Timeline(60, 60, 50, "hold"), 48, 60, spool_dir=tmp_path))
    numbers = []
    for frame in frames:
        numbers.append(read_number(frame))
        frame[:] = 0
    assert numbers == [48, *[49] * 11]


def test_a_variable_rate_shows_pictures_at_their_times(tmp_path: Path) -> None:
    times = "setpts='if(lt(N,10),N,10+(N-10)*4)/(25*TB)'"
    path = write_video(tmp_path / "vfr.mp4", numbered_frames(30), 25, "-vf", times, "-fps_mode", "vfr")
    source = probe(path)
    shown = [read_number(frame) for frame in read_frames(source)]
    assert len(shown) == source.frame_count
    at = [k / 25 if k < 10 else (10 + (k - 10) * 4) / 25 for k in range(30)]
    for k, number in enumerate(shown):
        middle = (k + 0.5) / float(source.fps)
        assert at[number] <= middle
        assert number == 29 or at[number + 1] > middle


def test_rotated_pictures_are_upright(tmp_path: Path) -> None:
    frames = np.zeros((2, 48, 64, 3), np.uint8)
    frames[:, :24, :32] = 250  # a light upper left corner
    flat = write_video(tmp_path / "flat.mp4", frames)
    turned = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", "-90", "-i", str(flat), "-c", "copy", str(turned))  # to be shown turned clockwise
    frame = next(iter(read_frames(probe(turned))))
    assert frame.shape == (64, 48, 3)
    corners = {"upper left": frame[8, 8], "upper right": frame[8, 40], "lower right": frame[56, 40]}
    assert max(corners, key=lambda name: int(corners[name].mean())) == "upper right"


def test_shrinking_keeps_the_proportions(clip: Path) -> None:
    frame = next(iter(read_frames(probe(clip), max_side=32)))
    assert frame.shape == (24, 32, 3)


def test_a_source_that_ends_early_says_so(clip: Path, tmp_path: Path) -> None:
    source = probe(clip)
    longer = replace(source, clock=replace(source.clock, frame_count=80))
    with raises_kind(MediaError, path=clip):
        list(map(Frame.rgb, play(longer, Timeline(80, 80, 80, "hold"), 0, 80, spool_dir=tmp_path)))


def kept_after(source: Source, frames: int, folder: Path) -> list[int]:
    """Read some frames small, keep them whole, and return the numbers of those kept."""
    read = read_frames(source, 0, frames, max_side=32, keep_in=folder)
    assert len(list(read)) == frames
    assert source.experience.kept is not None
    return list(source.experience.kept.numbers)


def test_what_was_read_small_is_not_decoded_again(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, plain = probe(clip), list(map(Frame.rgb, decode(probe(clip))))
    assert kept_after(source, 40, tmp_path) == list(range(40))
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "no such program"))
    for start, stop in ((0, 40), (7, 8), (31, 40)):
        for frame, before in zip(decode(source, start, stop), plain[start:stop], strict=True):
            np.testing.assert_array_equal(frame.rgb(), before)


def test_behind_what_is_kept_decoding_goes_on(clip: Path, tmp_path: Path) -> None:
    source, plain = probe(clip), list(map(Frame.rgb, decode(probe(clip))))
    kept_after(source, 20, tmp_path)
    np.testing.assert_array_equal(np.stack([frame.rgb() for frame in decode(source, 15, 30)]), np.stack(plain[15:30]))
    (tmp_path / "pictures.raw").write_bytes(b"")  # as if the disk had lost them
    np.testing.assert_array_equal(np.stack([frame.rgb() for frame in decode(source, 0, 5)]), np.stack(plain[:5]))


def test_no_more_is_kept_than_there_is_room_for(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = probe(clip)
    monkeypatch.setattr(kept_pictures, "MOST_BYTES", 40 * source.frame_bytes - 1)
    assert len(list(read_frames(source, 0, 40, max_side=32, keep_in=tmp_path))) == 40
    assert source.experience.kept is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("most", [0, 1_000_000])
def test_where_pictures_cannot_be_written_all_are_still_seen(tmp_path: Path, most: int) -> None:
    """The disk is full, or files are limited: then the decoder that writes them ends in the middle."""
    resource = pytest.importorskip("resource")
    clip = write_video(tmp_path / "clip.mp4", numbered_frames(48, 320, 240))
    source, plain = probe(clip), list(read_frames(probe(clip), max_side=240))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    if most:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    else:
        (tmp_path / "pictures.raw").symlink_to("/dev/full")
    try:
        seen = list(read_frames(source, max_side=240, keep_in=tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    np.testing.assert_array_equal(np.stack(seen), np.stack(plain))
    assert not (tmp_path / "pictures.raw").is_symlink()  # what little there is of room is free again
    assert not (tmp_path / "pictures.raw").exists()
    whole = [frame.rgb() for frame in decode(source)]
    np.testing.assert_array_equal(np.stack(whole), np.stack([frame.rgb() for frame in decode(probe(clip))]))


@pytest.mark.parametrize("form", [("-pix_fmt", "nv12"), ("-pix_fmt", "yuv420p", "-vf", "setsar=4/3")])
def test_what_is_seen_small_does_not_depend_on_what_is_kept(tmp_path: Path, form: tuple[str, ...]) -> None:
    colorful = np.random.default_rng(0).integers(0, 256, (6, 48, 64, 3), np.uint8)
    path = write_video(tmp_path / "clip.avi", colorful, 25, "-c:v", "ffv1" if "-vf" in form else "rawvideo", *form)
    alone = list(read_frames(probe(path), max_side=32))
    np.testing.assert_array_equal(
        np.stack(list(read_frames(probe(path), max_side=32, keep_in=tmp_path))), np.stack(alone)
    )
