"""Brings files of weights here: goes on where it was interrupted, and gives a file its name only when it is whole."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from musetalk.errors import PATH, DiskSpaceError, DownloadError, WeightsError
from musetalk.progress import CancelToken
from musetalk.weights.disk import unwritable
from musetalk.weights.http import receive
from musetalk.weights.hub import Remote, find
from musetalk.weights.lock import entry_of, guarded, read_lock, record
from musetalk.weights.verify import digest, disagreement, expected
from musetalk.weights.weight_file import WeightFile, lacking, readable_size

_SPARE = 64 * 2**20  # bytes left free: a disk that is full to the brim breaks other programs
_PART = ".part"


@dataclass(frozen=True, slots=True)
class FetchProgress:
    """How far a download has come.

    Attributes:
        path: The file it is at, below the folder of models.
        done: Bytes of it that are here.
        total: Its bytes; 0 while unknown.
        number: Which file it is, from 1.
        count: How many there are to download.
        checking: Whether it is here and now being hashed.
    """

    path: PurePosixPath
    done: int
    total: int
    number: int
    count: int
    checking: bool = False


FetchCallback: TypeAlias = Callable[[FetchProgress], None]
_Report: TypeAlias = Callable[[int, int, bool], None]  # bytes done, bytes in all, whether they are being checked


def fetch(
    files: Iterable[WeightFile],
    models_dir: Path,
    on_progress: FetchCallback | None = None,
    cancel: CancelToken | None = None,
    *,
    replace: bool = False,
    backend: str = "",
) -> tuple[PurePosixPath, ...]:
    """Download those files that are not here yet.

    What has arrived when it ends early is kept, and the next call goes on from there.

    Args:
        files: What is needed.
        models_dir: Where they belong; made if it is not there.
        on_progress: Called from this thread.
        cancel: Ends it.
        replace: Whether files of another size than the published ones are replaced; they may be the user's own.
        backend: Whose files they are, for the commands that errors name.

    Returns:
        What was downloaded.

    Raises:
        WeightsError: A file is damaged, and not to be replaced.
        DownloadError: A server cannot be reached or does not have a file, or what it sends is not that file.
        OutputError: There is not enough space, or the folder cannot be written.
        Cancelled: Through `cancel`.
    """
    token = cancel or CancelToken()
    unique = tuple(dict.fromkeys(files))
    with guarded(models_dir, token):
        damaged = [file for file in unique if file.state(models_dir) == "damaged"]
        if damaged and not replace:
            raise WeightsError("; ".join(lacking(damaged, models_dir, backend)))
        wanted = [file for file in unique if file.state(models_dir) != "ready"]
        _check_space(wanted, models_dir)
        for number, file in enumerate(wanted, start=1):
            _fetch_one(file, models_dir, _reporter(file, number, len(wanted), on_progress), token)
    return tuple(file.path for file in wanted)


def left(files: Iterable[WeightFile], models_dir: Path) -> int:
    """Bytes that `fetch` would still bring, as far as sizes are known; what interrupted downloads have left is here.

    Args:
        files: What is needed.
        models_dir: Where they belong.
    """
    wanted = (file for file in dict.fromkeys(files) if file.state(models_dir) != "ready")
    return sum(max(0, (file.size or 0) - _arrived(models_dir / file.path)) for file in wanted)


def _reporter(file: WeightFile, number: int, count: int, on_progress: FetchCallback | None) -> _Report:
    def report(done: int, total: int, checking: bool) -> None:
        if on_progress is not None:
            on_progress(FetchProgress(file.path, done, total, number, count, checking))

    return report


def _fetch_one(file: WeightFile, models_dir: Path, report: _Report, cancel: CancelToken) -> None:
    cancel.check()
    report(0, file.size or 0, False)
    remote = find(file.place)
    if file.size is not None and remote.size not in {None, file.size}:
        raise DownloadError(
            f"{file.source} has another {file.path.name}: {remote.size} bytes instead of {file.size}",
            "there may be a newer version of this program that knows it",
        )
    target = models_dir / file.path
    part = _part_of(target, remote)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_parts(target, keep=part)
    except OSError as error:
        raise unwritable(target.parent, error) from error
    _check_room(target.parent, (remote.size or 0) - _size_of(part))
    total = remote.size or file.size or 0
    receive(file.place, remote, part, lambda done: report(done, total, False), cancel)
    _accept(file, models_dir, part, remote, lambda done: report(done, _size_of(part), True), cancel)


def _accept(
    file: WeightFile,
    models_dir: Path,
    part: Path,
    remote: Remote,
    on_bytes: Callable[[int], None],
    cancel: CancelToken,
) -> None:
    """Check what has arrived, give it its name, record it; or throw it away.

    Raises:
        DownloadError: It is not what it should be.
        OutputError: It cannot be renamed.
    """
    size = _size_of(part)
    wanted = remote.size if file.size is None else file.size
    sha256 = digest(part, on_bytes=on_bytes, cancel=cancel)
    why = f"it has {size} bytes instead of {wanted}" if wanted not in {None, size} else ""
    why = why or disagreement(part, expected(file, read_lock(models_dir).get(str(file.path)), remote.tag), sha256)
    if why:
        part.unlink(missing_ok=True)
        raise DownloadError(
            f"{file.path} did not arrive as it should ({why})",
            "download it again; where that does not help, a newer version of this program may know the file",
            path=models_dir / file.path,
        )
    try:
        part.replace(models_dir / file.path)
    except OSError as error:
        raise unwritable(part, error, "renamed") from error
    record(models_dir, file.path, entry_of(sha256, size, file.source))


def _part_of(target: Path, remote: Remote) -> Path:
    """Return where a download grows: its name tells contents apart, so that none is continued with another's bytes."""
    content = hashlib.sha256(f"{remote.address}\n{remote.size}\n{remote.tag}".encode()).hexdigest()[:8]
    return target.with_name(f"{target.name}.{content}{_PART}")


def _remove_parts(target: Path, keep: Path) -> None:
    """Remove what is left of downloads of other contents."""
    for part in target.parent.glob(f"{target.name}.????????{_PART}"):
        if part != keep:
            part.unlink(missing_ok=True)


def _check_space(files: list[WeightFile], models_dir: Path) -> None:
    """Make sure, before anything is downloaded, that all of it fits: per disk, for folders may be links to others."""
    needed: dict[int, tuple[Path, int]] = {}
    for file in files:
        target = models_dir / file.path
        folder = next(place for place in target.parents if place.is_dir())
        disk = os.stat(folder).st_dev  # noqa: PTH116 - the same as Path.stat, which follows links too
        place, before = needed.get(disk, (folder, 0))
        needed[disk] = place, before + max(0, (file.size or 0) - _arrived(target))
    for folder, size in needed.values():
        _check_room(folder, size)


def _check_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > 0 and free < size + _SPARE:
        raise DiskSpaceError(
            f'"{PATH}" has {readable_size(free)} free, and {readable_size(size + _SPARE)} are needed',
            "make room, or name another folder with --models-dir",
            path=folder,
        )


def _arrived(target: Path) -> int:
    """Bytes of a file that an interrupted download has left."""
    return max((_size_of(part) for part in target.parent.glob(f"{target.name}.????????{_PART}")), default=0)


def _size_of(part: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return part.stat().st_size
    return 0
