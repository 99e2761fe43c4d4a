from __future__ import annotations

import asyncio
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("aiortc", reason='no WebRTC: pip install -e ".[webrtc]"')

from musetalk.live.webrtc.media import pcm_of, video_frame
from musetalk.live.webrtc.tracks import PictureTrack, SoundTrack
from musetalk.media.frames import Frame, FrameLayout

FPS, RATE = Fraction(30_000, 1001), 48_000


@pytest.mark.parametrize("pixel_format", ["rgb24", "yuv420p", "yuv422p10le"])
@pytest.mark.parametrize("size", [(70, 50), (36, 26)])
def test_pictures_keep_their_colors(pixel_format: str, size: tuple[int, int]) -> None:
    layout = FrameLayout(70, 50, pixel_format)
    frame = Frame(layout, np.zeros(layout.frame_bytes, np.uint8))
    values = (200, 120, 60) if pixel_format == "rgb24" else (145, 85, 160)  # about the same color, in BT.709
    scale = 4 if layout.bits == 10 else 1
    for number, plane in enumerate(frame.planes):
        plane[...] = values if pixel_format == "rgb24" else values[number] * scale
    expected = frame.rgb()[10, 10].astype(int)
    shown = video_frame(frame, size, 3, FPS)
    assert (shown.width, shown.height, shown.format.name) == (*size, "yuv420p")
    assert shown.time == pytest.approx(float(3 / FPS))
    luma, blue, red = (float(np.asarray(memoryview(plane))[5]) for plane in shown.planes)
    light = 255 / 219 * (luma - 16)
    seen = np.array([light + 1.596 * (red - 128), 0, light + 2.018 * (blue - 128)])  # BT.601
    seen[1] = light - 0.813 * (red - 128) - 0.391 * (blue - 128)
    assert np.abs(seen - expected).max() <= 4


def test_sound_is_as_long_as_its_pictures_and_nothing_of_it_is_lost() -> None:
    voice = np.linspace(-1, 1, 2 * RATE, dtype=np.float32)

    async def run() -> None:
        sound, pcm = SoundTrack(RATE), pcm_of(voice)
        edges = [round(number * RATE / FPS) for number in range(10)]
        for start, stop in pairwise(edges):
            sound.put(pcm[start:stop])
        packets = [await sound.recv() for _ in range(edges[-1] // 960)]
        assert [packet.pts for packet in packets] == [960 * number for number in range(len(packets))]
        heard = np.concatenate([packet.to_ndarray().reshape(-1) for packet in packets])
        np.testing.assert_array_equal(heard, pcm[: len(heard)])

    asyncio.run(run())


def test_pictures_that_nobody_takes_do_not_pile_up() -> None:
    layout = FrameLayout(8, 8)

    async def run() -> None:
        track = PictureTrack()
        for number in range(100):
            track.put(video_frame(Frame(layout, np.zeros(layout.frame_bytes, np.uint8)), (8, 8), number, FPS))
        numbers = [(await track.recv()).pts for _ in range(3)]
        assert numbers == [97, 98, 99]

    asyncio.run(run())
