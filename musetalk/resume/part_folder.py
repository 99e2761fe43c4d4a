"""A folder of parts: a render under way, named by its content. What lies in it whole is done.

    .musetalk-parts-<key>/
        render.json              what is rendered (see `Identity`), and what was decided before the first frame
        holder.json              which output that is, and who made parts of it last
        part-00000.mp4 .json     a part, and its record: its file's digest, and what was noticed while it was made

A part is there if its record is, and its file agrees with it. Both are written under names of their own and renamed,
the record last, so that any process can add parts at any time, and the same part made twice is the same bytes. No list
of parts has to be kept in step with them. A record has its own digest, too, so that one that was damaged tells nothing
untrue of a render.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from musetalk.errors import PATH, OutputError, write_error
from musetalk.media.digest import file_digest
from musetalk.pipeline.report import save_json
from musetalk.progress import CancelToken
from musetalk.resume.account import PartAccount
from musetalk.resume.identity import Identity
from musetalk.resume.types import RenderParts
from musetalk.utils.files import put_in_place
from musetalk.utils.plain_json import read_plain_json
from musetalk.utils.temporary_folders import PREFIX, last_change, open_locked, remove_unheld

_PREFIX = f"{PREFIX}parts-"
_NAME = re.compile(re.escape(_PREFIX) + r"[0-9a-f]{16}")
_HEAD, _HOLDER = "render.json", "holder.json"
KEPT_SECONDS = 7 * 86_400.0  # for so long what a stopped render left waits for it to be started again
_TEMPORARY = ".partial-"
_log = logging.getLogger(__name__)


class _Record(BaseModel):
    """What is kept beside a part.

    Attributes:
        start, stop: Its output frames.
        files: SHA-256 of each of its files, by which video they are parts of; empty: the output.
        account: What was noticed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: int
    stop: int
    files: dict[str, str]
    account: PartAccount


class PartFolder:
    """The parts of a render that are there.

    Args:
        parts: Where, and which.
        facts: What is rendered, as plain values.
        shared: Whether others may add parts at the same time.
    """

    def __init__(self, parts: RenderParts, facts: Mapping[str, Any], *, shared: bool) -> None:
        self.parts = parts
        self._facts, self.shared = dict(facts), shared
        self._accounts: dict[int, PartAccount] = {}
        self.finished = False

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self.parts.folder

    @property
    def accounts(self) -> Mapping[int, PartAccount]:
        """What was noticed while the parts were made that are known to be there, by their numbers."""
        return self._accounts

    def begin(
        self,
        frames: int,
        decided: Mapping[str, Any],
        videos: tuple[str, ...],
        cancel: CancelToken,
        numbers: range | None = None,
    ) -> str:
        """Take over what is there, as far as it is whole and of the same render; what is to be said of the rest.

        Args:
            frames: Output frames, now that the source was decoded.
            decided: What was found out before the first frame, as plain values.
            videos: Those that each part is of.
            cancel: Ends it.
            numbers: Of the parts that are looked at; None: all.

        Raises:
            OutputError: The folder cannot be written to; or others share it, and decided otherwise.
        """
        self.parts, note = replace(self.parts, frames=frames), ""
        head = {"render": self._facts, "frames": frames, "decided": dict(decided)}
        known = _read_json(self.folder / _HEAD)
        if known != head:
            if any(self.folder.glob("part-*.json")):
                if self.shared and isinstance(known, dict) and known.get("decided"):
                    problem = "this machine would render parts otherwise than those that are there"
                    remedy = "let machines of one kind, with the same weights, make the parts of one render"
                    raise OutputError(problem, remedy, path=self.folder)
                note = "what an earlier render left does not fit this one any more: it is made anew"
                self._drop()
            save_json(head, self.folder / _HEAD)
        broken = self._look(self.missing(numbers), videos, cancel)
        if broken:
            note = f"{len(broken)} of the parts that an earlier render left are damaged: they are made anew"
        return note

    def _look(self, numbers: Iterable[int], videos: tuple[str, ...], cancel: CancelToken) -> list[int]:
        """Look which parts are there; the numbers of those that are damaged, which go."""
        broken = list[int]()
        for number in numbers:
            cancel.check()
            path = self._record(number)
            if not path.exists():
                continue
            account = self._checked(number, videos, cancel)
            if account is None:
                broken.append(number)
                with suppress(OSError):
                    path.unlink()
            else:
                self._accounts[number] = account
        return broken

    def missing(self, numbers: Iterable[int] | None = None) -> list[int]:
        """Return the parts, all or of those named, that are not known to be there."""
        wanted = range(self.parts.count) if numbers is None else numbers
        return [number for number in wanted if number in range(self.parts.count) and number not in self._accounts]

    def place(self, number: int, video: str) -> Path:
        """Return where the file of a part is, or will be."""
        return self.folder / f"part-{number:05}{f'-{video}' if video else ''}.mp4"

    def place_to_write(self, number: int, video: str) -> Path:
        """Return where the file of a part is written until it is whole."""
        place = self.place(number, video)
        return place.with_name(f"{_TEMPORARY}{secrets.token_hex(4)}-{place.name}")

    def add(self, number: int, made: Mapping[str, Path], account: PartAccount) -> None:
        """Take in a part that is whole.

        Args:
            number: Which.
            made: The file of each of its videos.
            account: What was noticed.

        Raises:
            OutputError: It cannot be kept.
        """
        frames = self.parts.range_of(number)
        try:
            files = {video: file_digest(path) for video, path in made.items()}
        except OSError as error:
            raise self._unwritable(error) from error
        for video, path in made.items():
            put_in_place(path, self.place(number, video))
        record = _Record(start=frames.start, stop=frames.stop, files=files, account=account)
        values = record.model_dump(mode="json")
        save_json({"record": values, "sha256": _digest(values)}, self._record(number))
        self._accounts[number] = account

    def tidy(self, *, fresh: bool) -> None:
        """Remove what was being written when a process was killed; `fresh`: and all parts."""
        for left in self.folder.glob(f"{_TEMPORARY}*"):
            with suppress(OSError):
                left.unlink()
        if fresh:
            self._drop()

    def _record(self, number: int) -> Path:
        return self.folder / f"part-{number:05}.json"

    def _checked(self, number: int, videos: tuple[str, ...], cancel: CancelToken) -> PartAccount | None:
        """Return the account of a part whose files agree with its record; None: they do not."""
        frames = self.parts.range_of(number)
        try:
            held: Any = _read_json(self._record(number))
            record = _Record.model_validate(held["record"])
            fits = (record.start, record.stop) == (frames.start, frames.stop) and set(record.files) == set(videos)
            whole = fits and _digest(held["record"]) == held["sha256"]
            places = {self.place(number, video): said for video, said in record.files.items()}
            same = whole and all(path.is_file() and file_digest(path, cancel) == said for path, said in places.items())
        except (OSError, ValueError, LookupError, TypeError):  # a ValidationError is a ValueError
            return None
        return record.account if same else None

    def _drop(self) -> None:
        for path in self.folder.glob("part-*"):
            with suppress(OSError):
                path.unlink()
        self._accounts.clear()

    def _unwritable(self, error: OSError) -> OutputError:
        problem = f'the parts of the output cannot be kept in "{PATH}" ({error.strerror})'
        return write_error(error)(problem, "free some space, or write elsewhere", path=self.folder)


def parts_of(out: Path, identity: Identity, frames: int, length: int) -> RenderParts:
    """Return where the parts of a render lie, and which there are."""
    return RenderParts(out.parent / f"{_PREFIX}{identity.key}", identity.key, frames, length)


@contextmanager
def open_part_folder(
    out: Path,
    parts: RenderParts,
    identity: Identity,
    *,
    shared: bool = False,
    fresh: bool = False,
    keep: bool = False,
) -> Iterator[PartFolder]:
    """Open the folder of a render's parts, which is held for as long as the `with` block runs.

    Where the render was finished, it goes, with what other renders of the same output left. Else its parts stay; one
    without any goes. Folders of stopped renders that nobody came back to in a week go, too.

    Args:
        out: The output.
        parts: Where, and which.
        identity: What is rendered.
        shared: Whether others may add parts at the same time.
        fresh: Whether what is there is removed.
        keep: Whether it stays where the render was finished.

    Raises:
        OutputError: Somebody else makes this output right now, or the folder cannot be made.
    """
    sweep_parts(out.parent)
    with ExitStack() as stack:
        lock = _hold(out, parts.folder, shared=shared)
        kept = PartFolder(parts, identity.facts, shared=shared)
        stack.callback(_let_go, out, kept, lock, keep=keep)
        _say_holder(out, parts.folder)  # first, so that of two who begin at the same moment one at least sees the other
        _refuse_others(out, parts.folder)
        if not shared:
            kept.tidy(fresh=fresh)
        yield kept


def discard_parts(out: Path, spare: Path | None = None) -> None:
    """Remove the folders of an output's parts, but those that somebody holds, and the one to spare."""
    for folder in _others(out, spare):
        remove_unheld(folder)


def sweep_parts(parent: Path, now: float | None = None) -> None:
    """Remove the folders of parts inside `parent` that stopped renders of this user left a week ago."""
    oldest = (time.time() if now is None else now) - KEPT_SECONDS
    for folder in _folders(parent):
        with suppress(OSError):
            if (not hasattr(os, "geteuid") or folder.stat().st_uid == os.geteuid()) and last_change(folder) < oldest:
                _remove(folder)


def is_folder_of_parts(name: str) -> bool:
    """Return whether a name is that of a folder of parts."""
    return _NAME.fullmatch(name) is not None


def _folders(parent: Path) -> list[Path]:
    try:
        with os.scandir(parent) as entries:
            return [
                Path(entry)
                for entry in entries
                if is_folder_of_parts(entry.name) and entry.is_dir(follow_symlinks=False)
            ]
    except OSError:
        return []


def _hold(out: Path, folder: Path, *, shared: bool) -> int | None:
    """Make a folder, if it is not there, and lock it.

    Raises:
        OutputError: Somebody holds it, or it cannot be made.
    """
    while True:
        try:
            folder.mkdir(exist_ok=True)
            lock = open_locked(folder, shared=shared)
        except BlockingIOError:
            raise _taken(out, folder) from None
        except FileNotFoundError:
            if not folder.parent.is_dir():
                raise
            continue  # whoever held it has just finished
        except OSError as error:
            problem = f'nothing can be written to "{PATH}" ({error.strerror})'
            raise write_error(error)(problem, "write elsewhere", path=out.parent) from error
        if lock is None or _is_still(folder, lock):
            return lock
        os.close(lock)


def _is_still(folder: Path, lock: int) -> bool:
    """Return whether a folder that was locked is the one of that name, and not one that was just removed."""
    try:
        return os.path.samestat(os.fstat(lock), folder.stat())
    except OSError:
        return False


def _say_holder(out: Path, folder: Path) -> None:
    """Write who makes which output in a folder; where that cannot be written, others are told less."""
    with suppress(OutputError):
        save_json({"output": out.name, "process": os.getpid(), "machine": platform.node()}, folder / _HOLDER)


def _taken(out: Path, folder: Path) -> OutputError:
    held = _read_json(folder / _HOLDER)
    by = f"process {held.get('process')} on {held.get('machine')}" if isinstance(held, dict) else "another process"
    return OutputError(f'"{out.name}" is being made by {by}', "wait until that is done, or stop it", path=out)


def _others(out: Path, own: Path | None) -> Iterator[Path]:
    """Yield the folders of other renders of the same output."""
    for folder in _folders(out.parent):
        held = _read_json(folder / _HOLDER)
        if folder != own and isinstance(held, dict) and held.get("output") == out.name:
            yield folder


def _refuse_others(out: Path, own: Path) -> None:
    """Make sure that nobody makes another video under the same name right now.

    Raises:
        OutputError: Somebody does.
    """
    for folder in _others(out, own):
        try:
            lock = open_locked(folder)
        except BlockingIOError:
            raise _taken(out, folder) from None
        except OSError:
            continue
        if lock is not None:
            os.close(lock)


def _let_go(out: Path, kept: PartFolder, lock: int | None, *, keep: bool) -> None:
    """Unlock a folder; it goes where the render is finished, or where there is nothing in it to go on with."""
    if kept.finished:
        discard_parts(out, spare=kept.folder)
        if not keep:
            shutil.rmtree(kept.folder, ignore_errors=True)
    if lock is not None:
        os.close(lock)
    alone = lock is not None or not kept.shared  # where nothing can be locked, others may be at it
    if not kept.finished and alone and not any(kept.folder.glob("part-*.json")):
        _remove(kept.folder)


def _remove(folder: Path) -> None:
    """Remove a folder, unless somebody holds it."""
    try:
        lock = open_locked(folder)
    except OSError:
        return
    shutil.rmtree(folder, ignore_errors=True)
    if lock is not None:
        os.close(lock)


def _read_json(path: Path) -> object:
    """Return what a file says; None: it is not there, or no JSON."""
    try:  # what is no ordinary file may wait for a writer, and would never be read
        return read_plain_json(path.read_bytes()) if path.is_file() else None
    except (OSError, ValueError):
        return None


def _digest(values: object) -> str:
    """Return the SHA-256 of plain values in hexadecimal."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
