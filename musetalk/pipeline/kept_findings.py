"""What renders found out about sources, kept by content: the next one of the same source takes it over.

A source is known by its content and by how it is read, whatever its name. What was found lies in files of a few
seconds each, written as soon as they are full, so that a render that was killed is taken over, too. A file appears
whole, its name tells what it holds, and whoever makes it a second time makes the same: processes and machines may share
a folder, and none waits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from musetalk.faces.tracking.looks import LOOKS_REVISION
from musetalk.faces.types import FaceDetector
from musetalk.media.digest import content_bytes, content_digest, reading_of
from musetalk.media.types import Source
from musetalk.pipeline.file_uses import FINDINGS
from musetalk.pipeline.kept_looks import KeptLooks
from musetalk.pipeline.kept_readings import READINGS_REVISION, KeptReadings
from musetalk.pipeline.report import versions
from musetalk.progress import CancelToken
from musetalk.settings import FaceChoice
from musetalk.utils.files import cache_folder, files_below

_FACES, _READINGS = FINDINGS
_MOST_BYTES = 2 * 2**30  # some four hours of one face; with 0.1 MB a minute for faces, and 7 for what they show
# Reading a source for its digest takes half a millisecond a MiB, finding faces 8 a frame: for a few seconds of a long
# film the digest would cost more than it saves.
_BYTES_A_FRAME = 8 * 2**20
_KEY_DIGITS = 32
_log = logging.getLogger(__name__)


def kept_for(coords: Path | None, *, reuse: bool) -> KeptFindings | None:
    """Return where a render looks for what others found, and keeps what it finds; None: nowhere.

    Args:
        coords: A folder of the user's, where all of it stays; None: there is none.
        reuse: Whether the user's cache does where there is none.
    """
    if coords is not None:
        return KeptFindings(coords)
    return KeptFindings(cache_folder() / "findings", _MOST_BYTES, _BYTES_A_FRAME) if reuse else None


class KeptFindings:
    """A folder of what was found in sources.

    Args:
        folder: Made when there is something to keep. Only files that it made are touched.
        max_bytes: Most that it holds, what was not used for longest goes first; None: no limit.
        bytes_a_frame: Of a source, for each of its frames that is wanted: larger ones are not looked up; None: all are.
    """

    def __init__(self, folder: Path, max_bytes: int | None = None, bytes_a_frame: int | None = None) -> None:
        self._folder, self._max_bytes, self._bytes_a_frame = folder, max_bytes, bytes_a_frame
        self._known: tuple[Source, KeptSource] | None = None

    def of(self, source: Source, frames: int, cancel: CancelToken | None = None) -> KeptSource | None:
        """Return what is kept of a source; None: nothing is to be.

        Args:
            source: The video or picture.
            frames: How many of its frames are wanted.
            cancel: Ends the reading of it.
        """
        if self._known is not None and self._known[0] is source:
            return self._known[1]
        if self._bytes_a_frame is not None and content_bytes(source) > self._bytes_a_frame * frames:
            return None
        key = _key(content_digest(source, cancel), reading_of(source), sorted(versions().items()))
        found = KeptSource(self._folder, key, self._shrink)
        self._known = source, found
        return found

    def _shrink(self) -> None:
        """Remove the files whose last use lies furthest back until the rest fits."""
        if self._max_bytes is None:
            return
        found = sorted(
            ((facts.st_mtime_ns, facts.st_size, path) for path, facts in files_below(self._folder)), reverse=True
        )
        used = 0
        for _, size, path in found:
            used += size
            if used > self._max_bytes:
                with suppress(OSError):
                    path.unlink()
                with suppress(OSError):  # it still holds others
                    path.parent.rmdir()


@dataclass(frozen=True, slots=True)
class KeptSource:
    """What is kept of one source.

    Attributes:
        folder: Of all sources.
        key: Of this one: its content and how it is read, by which versions of programs and packages.
        shrink: Called when something was added.
    """

    folder: Path
    key: str
    shrink: Callable[[], None]

    def looks(self, detector: FaceDetector, threshold: float, choice: FaceChoice) -> KeptLooks:
        """Return the looks of a detector, which depend on where shots are cut, and on which faces are chosen."""
        key = _key(LOOKS_REVISION, detector.fingerprint, threshold, choice)
        return KeptLooks(self.folder / _FACES / self.key / key, self.shrink)

    def readings(self, readers: str) -> KeptReadings:
        """Return what readers of faces saw, whose fingerprint is given."""
        return KeptReadings(self.folder / _READINGS / self.key / _key(READINGS_REVISION, readers), self.shrink)

    def shares(self, frames: int) -> tuple[float, float]:
        """Return of how many of the first frames faces were found, and read, 0 to 1: a guess, by the files' names."""
        plans = (KeptLooks(folder, self.shrink).reach(frames) for folder in self._folders(_FACES))
        reads = (KeptReadings(folder, self.shrink).reach(frames) for folder in self._folders(_READINGS))
        return max(plans, default=0) / max(1, frames), max(reads, default=0) / max(1, frames)

    def _folders(self, kind: str) -> list[Path]:
        try:
            return [path for path in (self.folder / kind / self.key).iterdir() if path.is_dir()]
        except OSError:
            return []


def _key(*parts: object) -> str:
    """Return a name for what depends on all of these."""
    return sha256(repr(parts).encode()).hexdigest()[:_KEY_DIGITS]
