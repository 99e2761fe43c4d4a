"""Pictures and sound between a live session and LiveKit."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from livekit import rtc

from musetalk.media.frames import Frame
from musetalk.utils.arrays import Float32Array

_BT601 = ("smpte170m", "bt470bg")  # the same numbers under two names


def video_frame(frame: Frame) -> rtc.VideoFrame:
    """Return a frame for LiveKit: as it lies in memory where its colors are those of video calls, else as RGBA.

    Video calls carry YCbCr of 8 bits with half the chroma, in the colors of BT.601 and of limited range, and say
    nothing of it. From RGBA, LiveKit makes just that.
    """
    layout = frame.layout
    width, height = frame.size
    if layout.pixel_format == "yuv420p" and layout.matrix in _BT601 and not layout.full_range:
        return rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, frame.view)
    rgba = cv2.cvtColor(frame.rgb(), cv2.COLOR_RGB2RGBA)
    return rtc.VideoFrame(width, height, rtc.VideoBufferType.RGBA, rgba.reshape(-1).data)


def audio_frame(sound: Float32Array, rate: int) -> rtc.AudioFrame:
    """Return sound for LiveKit: float32 [n], mono, -1 to 1, at so many samples a second."""
    pcm = np.clip(np.rint(sound * 32767), -32768, 32767).astype(np.int16)
    return rtc.AudioFrame(pcm.tobytes(), rate, 1, len(pcm))


def samples_of(frame: rtc.AudioFrame) -> npt.NDArray[np.int16]:
    """Return the sound of a frame of LiveKit's: int16 [n, channels]."""
    return np.frombuffer(bytes(frame.data), np.int16).reshape(-1, frame.num_channels)
