"""weights.lock.json: sizes and hashes of the files in a folder of models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath

from musetalk.errors import PATH, CheckpointError
from musetalk.progress import CancelToken
from musetalk.utils.files import whole_file
from musetalk.utils.plain_json import read_plain_json
from musetalk.weights.disk import unwritable

LOCK_NAME = "weights.lock.json"
_GUARD = ".weights.guard"  # held by the one process that changes the folder
_VERSION = 1
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class LockEntry:
    """One file, as it was when it was recorded.

    Attributes:
        sha256: Of its bytes: 64 hexadecimal digits.
        size: In bytes.
        source: Where it came from, for people.
        date: When it was recorded: ISO 8601, UTC.
        own: Whether the user put it there instead of the published file.
    """

    sha256: str
    size: int
    source: str
    date: str
    own: bool = False


def entry_of(sha256: str, size: int, source: str, *, own: bool = False) -> LockEntry:
    """Return an entry of now."""
    return LockEntry(sha256, size, source, datetime.now(timezone.utc).isoformat(timespec="seconds"), own)


def read_lock(models_dir: Path) -> dict[str, LockEntry]:
    """Read what is recorded, by place below the folder of models; nothing where there is no such file.

    Raises:
        CheckpointError: It is damaged.
    """
    path = models_dir / LOCK_NAME
    try:
        held = read_plain_json(path.read_bytes())
        return {str(name): LockEntry(**entry) for name, entry in held["files"].items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        problem = f"{PATH} cannot be read ({error.strerror})"
        raise CheckpointError(problem, "make it readable", path=path) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        remedy = "delete it; python -m musetalk weights verify writes it anew"
        raise CheckpointError(f"{PATH} is damaged", remedy, path=path) from error


def record(models_dir: Path, path: PurePosixPath, entry: LockEntry) -> None:
    """Record one file, in place of what was recorded of it; call it inside `guarded`.

    Raises:
        BackendError: What is recorded so far is damaged.
        OutputError: It cannot be written.
    """
    entries = read_lock(models_dir) | {str(path): entry}
    held = {"version": _VERSION, "files": {name: asdict(entries[name]) for name in sorted(entries)}}
    target = models_dir / LOCK_NAME
    with whole_file(target, unwritable) as partial:
        partial.write_text(json.dumps(held, indent=2) + "\n", encoding="utf-8")


@contextmanager
def guarded(models_dir: Path, cancel: CancelToken) -> Iterator[None]:
    """Be the only one who changes a folder of models; waits while another process does.

    Raises:
        OutputError: The folder cannot be written.
        Cancelled: While it waited.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - whoever only reads weights starts without it

    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        guard = FileLock(models_dir / _GUARD)
        while True:
            cancel.check()
            try:
                guard.acquire(timeout=_POLL_SECONDS)
                break
            except Timeout:
                continue
    except OSError as error:
        raise unwritable(models_dir, error) from error
    try:
        yield
    finally:
        guard.release()
