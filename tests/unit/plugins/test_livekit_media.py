from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("livekit.agents", reason="the extra livekit is not installed: pip install livekit-agents")

from livekit import rtc

from musetalk.media.frames import Frame, FrameLayout
from musetalk.plugins.livekit.media import audio_frame, samples_of, video_frame


def frame(layout: FrameLayout) -> Frame:
    made = Frame(layout)
    for plane, level in zip(made.planes, (150, 110, 140), strict=True):
        plane[...] = level << (layout.bits - 8)
    return made


def test_what_calls_carry_goes_as_it_is() -> None:
    given = frame(FrameLayout(8, 6, "yuv420p", "smpte170m"))
    shown = video_frame(given)
    assert (shown.type, shown.width, shown.height) == (rtc.VideoBufferType.I420, 8, 6)
    assert bytes(shown.data) == given.data.tobytes()


@pytest.mark.parametrize(
    "layout",
    [
        FrameLayout(8, 6, "yuv420p", "bt709"),
        FrameLayout(7, 5, "yuv420p", "smpte170m", full_range=True),
        FrameLayout(8, 6, "yuv422p10le", "bt709"),
        FrameLayout(8, 6, "yuv444p", "smpte170m"),
    ],
)
def test_other_layouts_keep_their_colors(layout: FrameLayout) -> None:
    given = frame(layout)
    shown = video_frame(given).convert(rtc.VideoBufferType.I420)
    again = Frame(FrameLayout(*given.size, "yuv420p", "smpte170m"), np.frombuffer(shown.data, np.uint8))
    assert np.abs(again.rgb().astype(int) - given.rgb()).max() <= 4


def test_sound_is_the_same_there_and_back() -> None:
    sound = np.array([0, 0.5, -0.5, 1, -1, 2], np.float32)
    sent = audio_frame(sound, 48_000)
    assert (sent.sample_rate, sent.num_channels, sent.samples_per_channel) == (48_000, 1, 6)
    assert np.allclose(samples_of(sent)[:, 0] / 32767, np.clip(sound, -1, 1), atol=1 / 32767)
