"""Colors by the book (ITU-T H.273, BT.2100): RGB to stored numbers and back, to check results against."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np

from musetalk.media.ffmpeg_process import ffmpeg_executable
from tests.helpers.media import ffmpeg

WEIGHTS = {  # of red and blue in luma
    "bt709": (0.2126, 0.0722),
    "smpte170m": (0.299, 0.114),
    "bt470bg": (0.299, 0.114),
    "smpte240m": (0.212, 0.087),
    "fcc": (0.30, 0.11),
    "bt2020nc": (0.2627, 0.0593),
}
PATCHES = np.array(
    [
        *([230, 60, 40], [40, 180, 70], [30, 70, 220], [235, 235, 235]),
        *([20, 20, 20], [224, 172, 140], [128, 128, 128], [250, 220, 30]),
    ],
    float,
)
# Linear BT.709 to linear BT.2020 (ITU-R BT.2087).
TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


def bars(width: int, height: int, patches: np.ndarray = PATCHES) -> np.ndarray:
    """Upright bars of colors, left to right: float [height, width, 3]."""
    return np.repeat(patches[np.arange(width) * len(patches) // width][None], height, 0)


def read_bars(frame: np.ndarray, count: int = len(PATCHES), row: float = 0.5) -> np.ndarray:
    """The colors in the middles of bars: float [count, 3]."""
    height, width = frame.shape[:2]
    return frame[int(height * row), [(2 * bar + 1) * width // (2 * count) for bar in range(count)]].astype(float)


def to_stored(rgb: np.ndarray, matrix: str, full: bool, bits: int = 8) -> list[np.ndarray]:
    """The three planes of RGB from 0 to 255."""
    red, green, blue = (rgb[..., channel] / 255 for channel in range(3))
    if matrix == "ycgco":
        luma = red / 4 + green / 2 + blue / 4
        chroma = (-red / 4 + green / 2 - blue / 4, red / 2 - blue / 2)
    else:
        of_red, of_blue = WEIGHTS[matrix]
        luma = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
        chroma = ((blue - luma) / 2 / (1 - of_blue), (red - luma) / 2 / (1 - of_red))
    top, unit = 2**bits - 1, 2 ** (bits - 8)
    planes = (
        [luma * top, *(each * top + 128 * unit for each in chroma)]
        if full
        else [(16 + 219 * luma) * unit, *((128 + 224 * each) * unit for each in chroma)]
    )
    return [np.clip(np.round(plane), 0, top).astype(np.uint16 if bits > 8 else np.uint8) for plane in planes]


def to_rgb(planes: list[np.ndarray], matrix: str, full: bool) -> np.ndarray:
    """RGB from 0 to 255 of three planes of 8 bits."""
    luma, blueness, redness = (plane.astype(float) for plane in planes)
    if full:
        luma, blueness, redness = luma / 255, (blueness - 128) / 255, (redness - 128) / 255
    else:
        luma, blueness, redness = (luma - 16) / 219, (blueness - 128) / 224, (redness - 128) / 224
    of_red, of_blue = WEIGHTS[matrix]
    red, blue = luma + 2 * (1 - of_red) * redness, luma + 2 * (1 - of_blue) * blueness
    green = (luma - of_red * red - of_blue * blue) / (1 - of_red - of_blue)
    return np.clip(np.stack([red, green, blue], -1) * 255, 0, 255)


def write_planes(path: Path, planes: list[np.ndarray], *options: str, count: int = 3) -> Path:
    """Write the same picture of 4:4:4 a few times; `options` are output options of ffmpeg."""
    height, width = planes[0].shape
    depth = "" if planes[0].dtype == np.uint8 else "10le"
    shape = ["-f", "rawvideo", "-pix_fmt", f"yuv444p{depth}", "-s", f"{width}x{height}", "-framerate", "25"]
    data = b"".join(plane.tobytes() for plane in planes)
    ffmpeg(*shape, "-i", "pipe:0", *options, f"file:{path}", stdin=data * count)
    return path


def write_rgb(path: Path, picture: np.ndarray, *options: str, count: int = 3) -> Path:
    """Write the same picture of RGB or RGBA, uint8 [H, W, 3 or 4], a few times."""
    height, width, channels = picture.shape
    pixels = "rgb24" if channels == 3 else "rgba"
    shape = ["-f", "rawvideo", "-pix_fmt", pixels, "-s", f"{width}x{height}", "-framerate", "25"]
    ffmpeg(*shape, "-i", "pipe:0", *options, f"file:{path}", stdin=picture.tobytes() * count)
    return path


def stored_tags(path: Path) -> tuple[str, str, str, str]:
    """(range, matrix, primaries, transfer) of a video's first picture, as ffmpeg names them."""
    arguments = ["-hide_banner", "-i", f"file:{path}", "-vf", "showinfo", "-frames:v", "1", "-f", "null", "-"]
    said = subprocess.run([ffmpeg_executable(), *arguments], capture_output=True, text=True, check=True).stderr
    found = re.search(r"color_range:(\S+) color_space:(\S+) color_primaries:(\S+) color_trc:(\S+)", said)
    assert found, said
    return found[1], found[2], found[3], found[4]


def as_played(path: Path, size: tuple[int, int]) -> np.ndarray:
    """The bars of a 4:2:0 video's first picture as a player shows them: by its tags, untagged ones by its size."""
    width, height = size
    raw = np.frombuffer(ffmpeg("-i", f"file:{path}", "-frames:v", "1", "-f", "rawvideo", "-"), np.uint8)
    luma, chroma = raw[: width * height].reshape(height, width), raw[width * height :].reshape(2, height // 2, -1)
    planes = [luma, *(plane.repeat(2, 0).repeat(2, 1) for plane in chroma)]
    scale, matrix, _, _ = stored_tags(path)
    if matrix == "unknown":
        matrix = "bt709" if width >= 1280 or height > 576 else "smpte170m"
    return to_rgb([read_bars(plane) for plane in planes], matrix, scale == "pc")


def perceptual_quantizer(nits: np.ndarray) -> np.ndarray:
    """PQ (SMPTE ST 2084): light in cd/m² as a signal from 0 to 1."""
    power = np.clip(nits / 10_000, 0, 1) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hybrid_log_gamma(nits: np.ndarray) -> np.ndarray:
    """HLG (BT.2100) for a display of 1000 cd/m²: light in BT.2020 primaries as a signal from 0 to 1."""
    shown = np.clip(nits / 1000, 1e-9, 1)
    luma = (shown @ np.array([0.2627, 0.6780, 0.0593]))[..., None]
    scene = np.clip(shown * luma ** (1 / 1.2 - 1), 0, 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)
