"""Pictures and sound between live sessions and PyAV, which aiortc encodes and decodes with."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from av import AudioFrame, VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from musetalk.media.frames import Frame
from musetalk.utils.arrays import Float32Array, Int16Array

_FORMAT = "yuv420p"
_MATRICES = {
    "bt709": Colorspace.ITU709,
    "fcc": Colorspace.FCC,
    "smpte240m": Colorspace.SMPTE240M,
    "bt2020nc": 9,  # swscale's own number, which older PyAV has no name for
}


def video_frame(frame: Frame, size: tuple[int, int], number: int, fps: Fraction) -> VideoFrame:
    """Return a frame for aiortc, of BT.601 and limited range: VP8 has no other colors, and says nothing of them.

    Args:
        frame: Of any layout.
        size: (width, height) that it is sent in.
        number: Which frame it is, from 0 on.
        fps: Frames a second.
    """
    layout = frame.layout
    raw = VideoFrame(layout.width, layout.height, layout.pixel_format)
    for plane, samples in zip(raw.planes, frame.planes, strict=True):
        rows = samples.reshape(len(samples), -1).view(np.uint8)
        np.asarray(memoryview(plane)).reshape(-1, plane.line_size)[: len(rows), : rows.shape[1]] = rows
    shown = raw.reformat(
        *size,
        _FORMAT,
        src_colorspace=_MATRICES.get(layout.matrix, Colorspace.ITU601),
        dst_colorspace=Colorspace.ITU601,
        src_color_range=ColorRange.JPEG if layout.full_range or not layout.planar else ColorRange.MPEG,
        dst_color_range=ColorRange.MPEG,
        interpolation=Interpolation.AREA if size[1] < layout.height else Interpolation.BICUBIC,
    )
    shown.pts, shown.time_base = number, 1 / fps
    return shown


def pcm_of(sound: Float32Array) -> Int16Array:
    """Return sound as int16 [n]: float32 [n], mono, -1 to 1."""
    return np.asarray(np.clip(np.rint(sound * 32767), -32768, 32767), np.int16)


def audio_frame(pcm: Int16Array, start: int, rate: int) -> AudioFrame:
    """Return sound for aiortc: int16 [n], mono, whose first sample has the number `start`."""
    frame = AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
    return frame
