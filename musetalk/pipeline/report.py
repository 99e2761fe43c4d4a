"""What a render did, how long each stage took, and what the user should know of it."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import psutil

import musetalk
from musetalk.media.ffmpeg_process import Child, ffmpeg_executable
from musetalk.metrics.types import Measures
from musetalk.settings import AUTO
from musetalk.utils.files import whole_file

LOUDNESS_BINS = 600
_SAMPLE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Fallback:
    """Output frames [start, stop) that another backend than the one asked for had to paint, why, and which.

    `kind` is that of the error behind the reason, for programs: "memory", "checkpoint", ...; see `MuseTalkError`.
    """

    start: int
    stop: int
    reason: str
    backend: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class EnhanceFailure:
    """Output frames [start, stop) in which a face stayed as it was painted, since the enhancer failed, and why.

    `kind` is that of the error behind the reason, for programs; see `MuseTalkError`.
    """

    start: int
    stop: int
    reason: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """Output frames [start, stop) that were made in the same way.

    `kind` is "face": painted; "fallback": painted by another backend than the one asked for; "rest": a face that was
    left to the source while the voice pauses; "cutaway": no face, passed through; "tail": after the voice, passed
    through.
    """

    start: int
    stop: int
    kind: Literal["face", "fallback", "rest", "cutaway", "tail"]


@dataclass(frozen=True, slots=True)
class Resumed:
    """What a render took over from earlier ones of the same, which were stopped, or made parts of it.

    Attributes:
        taken_over: Parts that were there.
        made: Parts that it made itself.
        seconds: How long those that were there took.
        peak_mb: Most memory that they took, in MiB.
    """

    taken_over: int
    made: int
    seconds: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class RenderReport:
    """The account of one render. The keys of `to_dict` are a contract.

    Attributes:
        output: The file that was made.
        frames: Output frames.
        face_frames: Of these, frames with a painted face.
        passthrough_frames: Frames that went through untouched, but for the frame steps.
        fallback_frames: Frames in `fallbacks`.
        fallbacks: Each with its reason.
        instead: Which backend painted all faces, where the one that was asked for painted none; else empty.
        spans: The output from its first frame to its last, cut where the way it was made changes.
        loudness: Openness of the voice, 0 to 1, over the output's length in evenly wide bins, at most `LOUDNESS_BINS`;
            the largest value of each bin.
        fps: Exact rate as text, "30000/1001".
        requested: What was asked for: `backend`, or "auto", which chose it.
        choice: Why `auto` chose it, a sentence; empty: it was named.
        source_fps: The same of the source; of a variable one that of its bursts.
        voice_seconds: Length of the voice.
        video_seconds: Length of the picture.
        wall_seconds: How long the render took; of a resumed one with what was taken over.
        stages: Seconds of work per stage; stages overlap, so they may add up to more than `wall_seconds`.
        peak_rss_mb: Most resident memory of this process and its children together, sampled, in MiB.
        backend: What was asked to paint the mouths; what it could not paint is in `fallbacks`.
        device: What it ran on.
        detector: What found the faces, and by which settings.
        bbox_shift_range: Lowest and highest `bbox_shift` of use, in source pixels; None where it moves no line.
        enhancer: What enhanced the painted faces; empty: nothing was to.
        restored_frames: Of `face_frames`, those in which all painted faces were enhanced.
        unrestored: Output frames in which a face stayed as it was painted, since the enhancer failed, each with its
            reason.
        measures: Of the result, frame by frame, where the settings ask for them.
        warnings: What the user should know, a sentence each.
        size: (width, height) of the video.
        frame_steps: What was done to every finished frame, in this order: the name of each step and its options.
        resumed: What was taken over from earlier renders; None: nothing.
        avatar: The name of the avatar that spoke; empty: a source was rendered.
        avatar_id: Its id.
        known_frames: Source frames whose faces an earlier render had found.
        known_faces: Faces that an earlier render had parsed.
        settings: All settings, as plain values.
        versions: Of this package and what it stands on.
    """

    output: str
    frames: int
    face_frames: int
    passthrough_frames: int
    fallback_frames: int
    fallbacks: tuple[Fallback, ...]
    spans: tuple[Span, ...]
    loudness: tuple[float, ...]
    fps: str
    voice_seconds: float
    video_seconds: float
    wall_seconds: float
    stages: dict[str, float]
    peak_rss_mb: float
    backend: str
    device: str
    detector: str
    bbox_shift_range: tuple[int, int] | None
    warnings: tuple[str, ...]
    settings: dict[str, Any]
    versions: dict[str, str]
    measures: Measures | None = None
    instead: str = ""
    enhancer: str = ""
    restored_frames: int = 0
    unrestored: tuple[EnhanceFailure, ...] = ()
    source_fps: str = ""
    requested: str = ""
    choice: str = ""
    size: tuple[int, int] | None = None
    frame_steps: tuple[dict[str, Any], ...] = ()
    resumed: Resumed | None = None
    avatar: str = ""
    avatar_id: str = ""
    known_frames: int = 0
    known_faces: int = 0

    def chosen(self, reason: str) -> RenderReport:
        """The same of a backend that `auto` chose, and why; where the reason is empty, of one that was named."""
        return replace(self, requested=AUTO, choice=reason) if reason else self

    def with_resumed(self, resumed: Resumed | None) -> RenderReport:
        """The same of a render that took over what others had made."""
        if resumed is None:
            return self
        wall, peak = round(self.wall_seconds + resumed.seconds, 3), max(self.peak_rss_mb, resumed.peak_mb)
        return replace(self, wall_seconds=wall, peak_rss_mb=peak, resumed=resumed)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    def save(self, path: Path) -> None:
        """Write it as JSON; see `save_json`."""
        save_json(self.to_dict(), path)


def save_json(value: object, path: Path) -> None:
    """Write plain values as JSON, whole or not at all.

    Raises:
        OutputError: They cannot be written.
    """
    with whole_file(path) as partial:
        partial.write_bytes(as_json(value))


def as_json(value: object) -> bytes:
    """Return plain values as JSON in UTF-8."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    # What no UTF-8 can say, bytes of a file's name, becomes JSON's own escape for it, and is read back as it was.
    return text.encode("utf-8", "backslashreplace")


class PeakMemory:
    """Samples the resident memory of this process and its children while it is entered."""

    def __init__(self) -> None:
        self._peak = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="peak-memory", daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def mb(self) -> float:
        """The most seen so far, in MiB."""
        return round(self._peak / 2**20, 1)

    def _sample(self) -> None:
        process = psutil.Process()
        program = process.exe()
        while True:
            children = sum(_resident_child(child, program) for child in _children(process))
            self._peak = max(self._peak, int(process.memory_info().rss) + children)
            if self._ended.wait(_SAMPLE_SECONDS):
                return


def _children(process: psutil.Process) -> list[psutil.Process]:
    """Return the children of this process and theirs.

    By Linux's own lists where there are any: looking through all processes costs milliseconds, many times a second.
    """
    if Path(f"/proc/{process.pid}/task/{process.pid}/children").is_file():
        return _listed_children(process.pid)
    return process.children(recursive=True)


def _listed_children(own: int) -> list[psutil.Process]:
    """Return the children of this process and theirs, by Linux's lists; what ends meanwhile is left out.

    Of children the list of their main thread is read, and nothing else of their threads. What was looked up of a thread
    the kernel forgets when it ends, just after the process can be reaped; until then whoever reaps it spins in the
    kernel (`shrink_dcache_parent`): for milliseconds, and for seconds where the thread has to wait for a core.
    """
    found: list[psutil.Process] = []
    try:
        tasks = os.listdir(f"/proc/{own}/task")  # noqa: PTH208 - `iterdir` is lazy in some versions, and raises later
    except OSError:
        return found
    todo = [child for task in tasks for child in _listed(own, int(task))]
    while todo:
        child = todo.pop()
        with suppress(psutil.Error):
            found.append(psutil.Process(child))
            todo += _listed(child, child)
    return found


def _listed(pid: int, thread: int) -> list[int]:
    """Return the children that a thread of a process has started; none, once it has ended."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split()]
    except OSError:
        return []


def _resident_child(child: psutil.Process, program: str) -> int:
    """Resident bytes of a child; 0 while it still is its parent's memory, between fork and exec."""
    try:
        return 0 if child.exe() == program else int(child.memory_info().rss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0  # it ended between being listed and being asked


def versions() -> dict[str, str]:
    """Versions of this package, Python, ffmpeg and the libraries that decide what a render looks like."""
    own = {"musetalk-hybrid": musetalk.__version__, "python": platform.python_version()}
    return {**own, "ffmpeg": _ffmpeg_version(), **_library_versions()}


@cache
def _library_versions() -> dict[str, str]:
    """Return the versions of libraries, which stay what they were when this process loaded them."""
    found = {}
    for name in ("numpy", "opencv-python-headless", "pillow", "imageio-ffmpeg", "torch", "diffusers"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _ffmpeg_version() -> str:
    """Return the version that ffmpeg states; it is started to say so once, until another one is in its place."""
    program = Path(shutil.which(ffmpeg_executable()) or ffmpeg_executable())
    return _stated_version(program, program.stat().st_mtime_ns if program.exists() else 0)


@lru_cache(maxsize=1)
def _stated_version(_program: Path, _changed: int) -> str:
    with Child(["-version"], stdout=True) as ffmpeg:
        match = re.match(rb"ffmpeg version (\S+)", ffmpeg.read_line())
    return match[1].decode("ascii", "replace") if match else "unknown"
