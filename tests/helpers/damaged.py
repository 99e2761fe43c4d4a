"""Damaged media: small whole files of many kinds, what may happen to their bytes, and a process that renders them.

As a program (`python -m tests.helpers.damaged`) it is that process: its memory is bounded, and it renders one pair of
files after the other through the library's door, as the command line would.
"""

from __future__ import annotations

import io
import json
import logging
import resource
import select
import struct
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from hypothesis import strategies as st
from PIL import Image

from tests.helpers.everywhere import EverywhereAFace
from tests.helpers.heif import write_heic
from tests.helpers.media import ffmpeg, numbered_frames, tone, write_video, write_wav

MEMORY_BYTES = 4 * 2**30  # address space of the process that renders, and of each of its children
HANG_SECONDS = 900.0  # against hanging only
LIMITS = {"max_seconds": 5, "max_pixels": 2**20}
_FRAMES, _SECONDS = 6, 0.6  # so that the voice is longer, and the source is played backwards

_H264 = ("-bf", "2", "-g", "4")
_AUDIO = ("-f", "lavfi", "-i", "sine=300:duration=0.3")
_VIDEOS: dict[str, tuple[str, ...]] = {
    "a.mp4": _H264,
    "fragments.mp4": (*_H264, "-movflags", "frag_keyframe+empty_moov"),
    "front.mp4": (*_H264, "-movflags", "+faststart"),
    "a.mov": ("-c:v", "prores_ks", "-pix_fmt", "yuv422p10le"),
    "a.mkv": _H264,
    "hevc.mkv": ("-c:v", "libx265", "-x265-params", "log-level=none"),
    "a.webm": ("-c:v", "libvpx-vp9", "-cpu-used", "8"),
    "vp8.webm": ("-c:v", "libvpx", "-cpu-used", "8"),
    "a.avi": ("-c:v", "mpeg4", "-bf", "2"),
    "a.mpg": ("-c:v", "mpeg2video", "-bf", "2"),
    "a.vob": (
        "-c:v",
        "mpeg2video",
    ),
    "a.ts": _H264,
    "a.flv": (
        "-c:v",
        "flv",
    ),
    "a.wmv": (
        "-c:v",
        "wmv2",
    ),
    "a.3gp": (
        "-c:v",
        "mpeg4",
    ),
    "a.nut": (
        "-c:v",
        "ffv1",
    ),
    "a.mxf": (
        "-c:v",
        "mpeg2video",
    ),
    "a.ivf": ("-c:v", "libvpx", "-cpu-used", "8"),
    "a.ogv": (
        "-c:v",
        "libtheora",
    ),
    "a.h264": _H264,
    "a.y4m": (
        "-c:v",
        "rawvideo",
    ),
    "a.rm": (
        "-c:v",
        "rv10",
    ),
    "a.gif": ("-c:v", "gif", "-pix_fmt", "rgb8"),
    "a.apng": ("-c:v", "apng", "-pix_fmt", "rgb24"),
}
_VOICES: dict[str, tuple[str, ...]] = {
    "a.wav": (),
    "float.wav": ("-c:a", "pcm_f32le"),
    "big.wav": ("-rf64", "always"),
    "a.w64": (),
    "a.mp3": (),
    "a.m4a": (),
    "a.aac": (),
    "a.ogg": ("-c:a", "libvorbis"),
    "a.opus": ("-c:a", "libopus"),
    "a.flac": (),
    "a.ac3": (),
    "a.eac3": (),
    "a.aiff": (),
    "a.au": (),
    "a.caf": (),
    "a.wma": (),
    "a.mka": ("-c:a", "libopus"),
    "a.tta": (),
    "a.wv": (),
}
_PICTURES = ("a.png", "a.jpg", "a.webp", "a.bmp", "a.tiff", "a.avif", "moving.webp", "moving.png")


def write_samples(folder: Path) -> dict[str, tuple[bytes, ...]]:
    """Write whole small files of every kind.

    Returns:
        "video" and "voice": names of files in `folder`.
    """
    frames = numbered_frames(_FRAMES)
    for name, options in _VIDEOS.items():
        write_video(folder / name, frames, 25, *options)
    pictures = [Image.fromarray(frame) for frame in frames]
    for name in _PICTURES:
        moving = {"save_all": True, "append_images": pictures[1:], "duration": 70} if "moving" in name else {}
        pictures[0].save(folder / name, **moving)
    write_heic(folder / "a.heic", [np.ascontiguousarray(np.kron(frames[0], np.ones((2, 2, 1), np.uint8)))])
    sound = write_wav(folder / "a.wav", tone(_SECONDS))
    for name, options in _VOICES.items():
        if name != "a.wav":
            ffmpeg("-i", str(sound), *options, f"file:{folder / name}")
    ffmpeg("-i", str(folder / "a.mp4"), "-i", str(sound), "-c:v", "copy", str(folder / "talk.mp4"))
    return {"video": (*_VIDEOS, *_PICTURES, "a.heic", "talk.mp4"), "voice": (*_VOICES, "talk.mp4")}


@dataclass(frozen=True, slots=True)
class Damage:
    """What happened to some bytes of a file.

    Attributes:
        kind: "write", "insert", "delete", "repeat" or "cut".
        place: Where: from the beginning, or, negative, from the end; it wraps around.
        data: What is written or inserted.
        length: Of what is deleted or repeated.
    """

    kind: str
    place: int
    data: bytes = b""
    length: int = 0

    def apply(self, content: bytes) -> bytes:
        """The file's content afterwards."""
        at = self.place % max(1, len(content))
        before, after = content[:at], content[at:]
        if self.kind == "write":
            return before + self.data + after[len(self.data) :]
        if self.kind == "insert":
            return before + self.data + after
        if self.kind == "delete":
            return before + after[self.length :]
        return before + after[: self.length] * 2 + after[self.length :] if self.kind == "repeat" else before


_EXTREME = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**62, 2**63, 2**64 - 1]
_BITS = {"B": 8, "H": 16, "I": 32, "Q": 64}
_NUMBERS = [
    struct.pack(f"{order}{form}", value % 2**bits)
    for value in _EXTREME
    for form, bits in _BITS.items()
    for order in "<>"
]
places = st.one_of(st.integers(0, 160), st.integers(-1600, -1), st.integers(0, 100_000))
damages = st.one_of(
    st.builds(Damage, st.just("write"), places, st.sampled_from(_NUMBERS)),
    st.builds(Damage, st.sampled_from(["write", "insert"]), places, st.binary(min_size=1, max_size=16)),
    st.builds(Damage, st.sampled_from(["delete", "repeat"]), places, st.just(b""), st.integers(1, 400)),
    st.builds(Damage, st.just("cut"), places),
)


class Renderer:
    """The process that renders; started again where it was lost.

    Args:
        folder: Where it keeps its temporary files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def render(self, video: Path, voice: Path, out: Path) -> dict[str, Any]:
        """Render; what came of it: "code", "said" (on stderr), "left" (processes and files), "traceback"."""
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([str(video), str(voice), str(out)]) + "\n")
        process.stdin.flush()
        if not select.select([process.stdout], [], [], HANG_SECONDS)[0]:
            self.close()
            return {"traceback": "it hung"}
        answer = process.stdout.readline()
        if not answer:
            self.close()
            return {"traceback": "the process died"}
        return dict(json.loads(answer))

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            command = [sys.executable, "-m", "tests.helpers.damaged", str(self._folder)]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self._process

    def close(self) -> None:
        """End it, with its children."""
        if self._process is None:
            return
        for child in psutil.Process(self._process.pid).children(recursive=True) if self._process.poll() is None else ():
            child.kill()
        self._process.kill()
        self._process.communicate()
        self._process = None


@contextmanager
def renderer(folder: Path) -> Iterator[Renderer]:
    """A `Renderer`, ended afterwards."""
    process = Renderer(folder)
    try:
        yield process
    finally:
        process.close()


def main() -> None:
    """Render what stdin asks for, a line each, and answer on stdout."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    from musetalk.cli.main import run  # noqa: PLC0415
    from musetalk.lipsync import LipSync  # noqa: PLC0415
    from musetalk.settings import RenderSettings  # noqa: PLC0415

    logging.basicConfig(level=logging.ERROR)  # as the command line does
    logging.captureWarnings(True)
    tempfile.tempdir = sys.argv[1]
    engine, settings = (
        LipSync(detector=EverywhereAFace()),
        RenderSettings.parse({"limits": LIMITS, "encoder": {"preset": "ultrafast"}}),
    )
    for line in sys.stdin:
        video, voice, out = map(Path, json.loads(line))
        render = partial(engine.render, video, voice, out, settings)
        print(json.dumps(_attempt(partial(run, render))), flush=True)  # noqa: T201


def _attempt(work: Callable[[], object]) -> dict[str, Any]:
    said = io.StringIO()
    answer: dict[str, Any] = {}
    with redirect_stderr(said):
        try:
            work()
        except SystemExit as end:
            answer["code"] = end.code
        except BaseException:  # noqa: BLE001 - whatever it is, the test reports it
            answer["traceback"] = traceback.format_exc()
    left = [child.name() for child in psutil.Process().children(recursive=True)]
    left += [path.name for path in Path(tempfile.gettempdir()).iterdir()]
    return {**answer, "said": said.getvalue(), "left": left}


if __name__ == "__main__":
    main()
