"""What a render is, in digests: everything that decides a pixel or a sample of its output."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from musetalk.errors import CheckpointError
from musetalk.media.digest import content_digest, file_digest
from musetalk.media.types import Source
from musetalk.pipeline.report import versions
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken
from musetalk.weights.lock import LockEntry, read_lock

_FORM = 1  # of what is kept in a folder of parts
_KEY_DIGITS = 16
# What decides where something lies, or whether a render may be made, and nothing of what comes of it.
_NOT_SEEN = frozenset(
    {"max_slowdown", "models_dir", "use_saved_coords", "coords_dir", "reuse_findings", "debug_dir", "limits"}
)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a render is.

    Attributes:
        facts: Plain values, for people who look into its folder.
    """

    facts: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Of all that decides what it holds, in hexadecimal."""
        text = json.dumps(self.facts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:_KEY_DIGITS]


def identity_of(
    source: Source,
    request: RenderRequest,
    out: Path,
    *,
    weights: Iterable[Path],
    part_frames: int,
    threads: int,
    cancel: CancelToken,
) -> Identity:
    """Say what a render is, before any of it is made.

    Files stand for what they hold, wherever they lie; weights for the digest that was recorded of them, else for their
    size and the moment they were changed, as hashing gigabytes would cost each render seconds.

    Args:
        source: What is rendered.
        request: What is asked for; the backend is named.
        out: The file to make.
        weights: Files that it may read, whether they are there or not.
        part_frames: Frames in a part.
        threads: Of x264.
        cancel: Ends the reading.
    """
    settings = request.settings
    values = settings.model_dump(exclude=set(_NOT_SEEN))
    facts = {
        "form": _FORM,
        "output": out.name,
        "source": content_digest(source, cancel),
        "voice": file_digest(request.voice, cancel),
        "avatar": request.avatar_id,
        "settings": _by_content(values, cancel),
        "debug": settings.debug_dir is not None,
        "weights": weight_facts(weights, settings.models_dir, _size_and_time),
        "versions": {name: version for name, version in versions().items() if name != "python"},
        "part_frames": part_frames,
        "threads": threads if settings.encoder.codec == "x264" else 0,
    }
    return Identity(facts)


def _by_content(value: Any, cancel: CancelToken) -> Any:  # noqa: ANN401 - plain values of any shape
    """Return settings as plain values, with files by what they hold in place of their names."""
    if isinstance(value, Mapping):
        return {str(name): _by_content(each, cancel) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_by_content(each, cancel) for each in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    named = isinstance(value, Path) or (isinstance(value, str) and ("/" in value or "\\" in value))
    try:
        if named and Path(value).is_file():
            return f"sha256:{file_digest(Path(value), cancel)}"
    except (OSError, ValueError):  # no file can have such a name: it is a text
        pass
    return str(value)


def weight_facts(weights: Iterable[Path], models_dir: Path, unrecorded: Callable[[Path], str]) -> dict[str, str]:
    """Return what tells weights from others, by their names: the digests that were recorded of them.

    Args:
        weights: Files, whether they are there or not.
        models_dir: Where weights lie.
        unrecorded: Tells a file from others that has no such digest, or was changed, or put there, since.
    """
    try:
        recorded = read_lock(models_dir)
    except CheckpointError:
        recorded = {}
    facts = dict[str, str]()
    for path in weights:
        try:
            found = path.stat()
        except OSError:
            continue
        name = path.relative_to(models_dir).as_posix() if path.is_relative_to(models_dir) else path.name
        entry = recorded.get(name)
        known = entry is not None and entry.size == found.st_size and not _newer(found, entry)
        facts[name] = entry.sha256 if entry is not None and known else unrecorded(path)
    return facts


def _size_and_time(path: Path) -> str:
    found = path.stat()
    return f"{found.st_size} {found.st_mtime_ns}"


def _newer(found: os.stat_result, entry: LockEntry) -> bool:
    """Whether a file was changed, or put there, since its digest was recorded, as far as the file system knows."""
    try:
        recorded = datetime.fromisoformat(entry.date).timestamp()
    except (TypeError, ValueError):
        return True
    return max(found.st_mtime, found.st_ctime) >= recorded + 1  # dates have no fractions of seconds
