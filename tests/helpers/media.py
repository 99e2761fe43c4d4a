"""Small media files for tests, made by the ffmpeg that the project uses; and what such files hold."""

from __future__ import annotations

import re
import struct
import subprocess
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import ImageCms

from musetalk.media.ffmpeg_process import ffmpeg_executable


def ffmpeg(*arguments: str, stdin: bytes | None = None) -> bytes:
    done = subprocess.run(
        [ffmpeg_executable(), "-hide_banner", "-loglevel", "error", "-y", *arguments],
        input=stdin,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def numbered_frames(count: int, width: int = 64, height: int = 48) -> np.ndarray:
    """uint8 RGB [count, height, width, 3]: frame k shows k as grey blocks of its eight bits, on a gradient."""
    frames = np.empty((count, height, width, 3), np.uint8)
    frames[:] = np.linspace(40, 80, width).astype(np.uint8)[None, None, :, None]
    for k in range(count):
        for bit in range(8):
            x = bit * width // 8
            frames[k, : height // 2, x : x + width // 8] = 230 if k >> bit & 1 else 20
    return frames


def read_number(frame: np.ndarray) -> int:
    """The number that `numbered_frames` wrote into a frame, after any encoding."""
    height, width = frame.shape[:2]
    columns = [frame[height // 4, int((bit + 0.5) * width / 8)].mean() > 125 for bit in range(8)]
    return sum(1 << bit for bit, lit in enumerate(columns) if lit)


def write_video(path: Path, frames: np.ndarray, fps: Fraction | int = 25, *options: str) -> Path:
    """Encode frames; `options` are output options of ffmpeg."""
    height, width = frames.shape[1:3]
    shape = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-framerate", str(Fraction(fps))]
    codec = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "10", "-pix_fmt", "yuv420p"]
    ffmpeg(*shape, "-i", "pipe:0", *codec, *options, f"file:{path}", stdin=frames.tobytes())
    return path


def swapped_profile() -> bytes:
    """A profile in which red and blue are the other way round."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", data[128:132])[0]
    tags = {bytes(data[at : at + 4]): at for at in range(132, 132 + 12 * count, 12)}
    red, blue = data[tags[b"rXYZ"] + 4 : tags[b"rXYZ"] + 12], data[tags[b"bXYZ"] + 4 : tags[b"bXYZ"] + 12]
    data[tags[b"rXYZ"] + 4 : tags[b"rXYZ"] + 12], data[tags[b"bXYZ"] + 4 : tags[b"bXYZ"] + 12] = blue, red
    return bytes(data)


def write_wav(path: Path, samples: np.ndarray, rate: int = 16_000) -> Path:
    """Write float samples (-1 to 1), mono [n] or [n, channels], as 16-bit WAV."""
    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm.tobytes())
    return path


def tone(seconds: float, rate: int = 16_000, hertz: float = 220.0) -> np.ndarray:
    """A buzz that comes and goes four times a second, like syllables."""
    t = np.arange(round(seconds * rate)) / rate
    buzz = sum(np.sin(2 * np.pi * hertz * n * t) / n for n in range(1, 6))
    return 0.25 * buzz * (0.5 - 0.5 * np.cos(2 * np.pi * 4 * t))


def decode(path: Path) -> np.ndarray:
    """All frames of a video as stored: uint8 RGB [N, H, W, 3]."""
    width, height = picture_size(path)
    raw = ffmpeg(
        "-i", f"file:{path}", "-map", "0:v", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"
    )
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def decode_sound(path: Path, rate: int = 16_000) -> np.ndarray:
    """The first sound stream as float32 mono."""
    return np.frombuffer(
        ffmpeg("-i", f"file:{path}", "-map", "0:a:0", "-ac", "1", "-ar", str(rate), "-f", "f32le", "-"), "<f4"
    )


def describe(path: Path) -> str:
    """What ffmpeg says of a file."""
    done = subprocess.run(
        [ffmpeg_executable(), "-hide_banner", "-i", f"file:{path}"], capture_output=True, text=True, check=False
    )
    return done.stderr


def picture_size(path: Path) -> tuple[int, int]:
    match = re.search(r"Video: .*? (\d+)x(\d+)[ ,]", describe(path))
    assert match, describe(path)
    return int(match[1]), int(match[2])


def stream_seconds(path: Path, stream: str) -> Fraction:
    """Exact end of a stream ("v:0", "a:0") from its packets' times, edit lists applied."""
    text = ffmpeg("-i", f"file:{path}", "-map", f"0:{stream}", "-c", "copy", "-f", "framecrc", "-").decode()
    tick = Fraction(re.search(r"#tb 0: (\S+)", text)[1])  # type: ignore[index]
    rows = [line.split(",") for line in text.splitlines() if not line.startswith("#")]
    return max(int(row[2]) + int(row[3]) for row in rows) * tick
