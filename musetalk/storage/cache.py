"""Objects as files of this machine: each fetched once, whole or absent, and kept while there is room.

    FOLDER/<of which object, and which of its contents>/NAME

Processes of one machine share it. Who uses a file holds its folder, so that nobody removes it meanwhile; what was used
least recently goes first.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from musetalk.errors import PATH, MediaError, OutputError, SettingsError, write_error
from musetalk.storage.locations import ObjectUrl
from musetalk.storage.store import ObjectFacts, ObjectStore, no_object, store_of
from musetalk.utils.files import NAME_BYTES, cache_folder, readable
from musetalk.utils.temporary_folders import held_folder, open_locked, remove_unheld

FOLDER, GIGABYTES = "MUSETALK_STORAGE_CACHE", "MUSETALK_STORAGE_CACHE_GB"
_USUAL_GIGABYTES = 50.0
_DIGITS = 32
_AGAIN_SECONDS = 0.2  # between two looks at what another process fetches
_TIMES = 3  # that an object may change while it is fetched
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fetched:
    """An object as a file.

    Attributes:
        path: The file; it stays for as long as the `with` block runs.
        facts: Of the object whose content that is.
    """

    path: Path
    facts: ObjectFacts


class ObjectCache:
    """Objects as files of this machine. Safe to share between threads and processes.

    Args:
        folder: Where they lie.
        most_bytes: How much is kept beside what is in use.
        stores: Returns the store of an object.
    """

    def __init__(self, folder: Path, most_bytes: int, stores: Callable[[ObjectUrl], ObjectStore] = store_of) -> None:
        self.folder, self.most_bytes, self._stores = folder, most_bytes, stores

    @classmethod
    def of_this_machine(cls) -> ObjectCache:
        """Return that which this machine's variables name.

        Raises:
            SettingsError: They say no size.
        """
        said = os.environ.get(GIGABYTES, "")
        try:
            gigabytes = float(said) if said else _USUAL_GIGABYTES
            most_bytes = int(gigabytes * 1e9)
        except (ValueError, OverflowError) as error:
            raise SettingsError(f'{GIGABYTES} is "{readable(said)}", which is no size', "give a number") from error
        given = os.environ.get(FOLDER)
        return cls(Path(given).absolute() if given else cache_folder() / "objects", max(0, most_bytes))

    @contextmanager
    def file(self, url: ObjectUrl, check: Callable[[], None]) -> Iterator[Fetched]:
        """Have an object, as it is now, as a file while the `with` block runs.

        Args:
            url: The object.
            check: Called while it is fetched; may end that.

        Raises:
            MediaError: There is no such object, or it changes all the time.
            OutputError: It cannot be kept.
            StorageError: The store says no, or cannot be reached.
        """
        with ExitStack() as stack:
            for _ in range(_TIMES):
                facts = self._stores(url).facts(url)
                if facts is None:
                    raise no_object(url)
                entry = self._entry(url, facts)
                lock = self._held(entry, facts, url, check)
                if lock is not None:
                    stack.callback(os.close, lock)
                path = _file_in(entry, url)
                if _is_whole(path, facts):
                    with suppress(OSError):
                        os.utime(entry)  # used just now
                    break
            else:
                raise MediaError(f'"{readable(str(url))}" changes while it is read', "try again once it is whole")
            yield Fetched(path, facts)

    def _entry(self, url: ObjectUrl, facts: ObjectFacts) -> Path:
        digest = hashlib.sha256(f"{url}\0{facts.text}".encode("utf-8", "surrogateescape")).hexdigest()
        return self.folder / digest[:_DIGITS]

    def _held(self, entry: Path, facts: ObjectFacts, url: ObjectUrl, check: Callable[[], None]) -> int | None:
        """Hold the folder of an object, which is fetched if it is not there; None: folders cannot be held here.

        What it was to be may have changed meanwhile: then there is nothing in it.
        """
        while True:
            with suppress(FileNotFoundError):
                lock = open_locked(entry, wait=True, shared=True)
                if _is_whole(_file_in(entry, url), facts):
                    return lock
                if lock is not None:  # it was just removed, or somebody damaged it
                    os.close(lock)
                if not _remove(entry):
                    time.sleep(_AGAIN_SECONDS)
            check()
            with _unwritable(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                with self._turn(entry, check):
                    if not entry.exists() and not self._fetch(entry, facts, url, check):
                        return None

    @contextmanager
    def _turn(self, entry: Path, check: Callable[[], None]) -> Iterator[None]:
        """Let one process at a time fetch an object: the others find it there."""
        gate = entry.with_name(f"{entry.name}-gate")
        while True:
            with suppress(FileExistsError):  # also where it has just gone again, which exist_ok would take for a file
                gate.mkdir()
            try:
                lock = open_locked(gate)
                break
            except FileNotFoundError:
                continue  # whoever fetched it has just ended
            except BlockingIOError:
                check()
                time.sleep(_AGAIN_SECONDS)
        try:
            yield
        finally:
            with suppress(OSError):
                gate.rmdir()
            if lock is not None:
                os.close(lock)

    def _fetch(self, entry: Path, facts: ObjectFacts, url: ObjectUrl, check: Callable[[], None]) -> bool:
        """Fetch an object; returns whether that is the one that it was to be."""
        store = self._stores(url)
        self._make_room(facts.size)
        with held_folder(self.folder) as folder:
            made = folder / "object"
            made.mkdir()
            path = _file_in(made, url)
            store.download(url, path, check)
            if store.facts(url) != facts or path.stat().st_size != facts.size:
                _log.info("%s was changed while it was fetched", url)
                return False
            with suppress(FileExistsError):  # another process did, where folders cannot be locked
                made.rename(entry)
        return True

    def _make_room(self, size: int) -> None:
        """Remove what was used least recently, until there is room for so many bytes, or all that is left is in use."""
        entries = list[tuple[float, Path, int]]()
        with os.scandir(self.folder) as found:
            for inside in found:
                if len(inside.name) == _DIGITS and inside.is_dir(follow_symlinks=False):
                    path = Path(inside)
                    with suppress(OSError):
                        entries.append((path.stat().st_mtime, path, _bytes_in(path)))
        held = sum(held for *_, held in entries)
        for _, path, each in sorted(entries):
            if held + size <= self.most_bytes:
                return
            if _remove(path):
                held -= each


def _file_in(entry: Path, url: ObjectUrl) -> Path:
    """Return where an object's file is in its folder: under its own name, which messages and formats go by."""
    name = url.name if len(os.fsencode(url.name)) <= NAME_BYTES else f"object{url.suffix[:16]}"
    return entry / name


def _is_whole(path: Path, facts: ObjectFacts) -> bool:
    try:
        return path.stat().st_size == facts.size
    except OSError:
        return False


def _bytes_in(folder: Path) -> int:
    with os.scandir(folder) as found:
        return sum(each.stat().st_size for each in found)


def _remove(entry: Path) -> bool:
    """Remove the folder of an object unless somebody uses it; returns whether it is gone."""
    return remove_unheld(entry) or not entry.exists()


@contextmanager
def _unwritable(folder: Path) -> Iterator[None]:
    """Inside the `with` block, errors of the disk say what to do.

    Raises:
        OutputError: Of the disk.
    """
    try:
        yield
    except OSError as error:
        problem = f'objects cannot be kept in "{PATH}" ({error.strerror})'
        kind: type[OutputError] = write_error(error)
        raise kind(problem, f"free some space there, or let {FOLDER} name another folder", path=folder) from error
