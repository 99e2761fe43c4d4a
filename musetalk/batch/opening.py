"""Opening a batch's ledger: a new one, one that goes on, one that is damaged, one that a dead driver held."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import overload

from musetalk.batch.content import FileFacts, read_digest
from musetalk.batch.ledger import Entry, Ledger
from musetalk.batch.outcome import STORED
from musetalk.errors import PATH, LedgerError, OutputError, one_line
from musetalk.progress import noop
from musetalk.storage.locations import Location, ObjectUrl
from musetalk.storage.store import ObjectFacts, facts_of, store_of
from musetalk.utils.files import make_room_for, put_in_place
from musetalk.utils.plain_json import read_plain_json
from musetalk.utils.units import counted

REPORT_ENDING = ".report.json"  # behind the name of an output: that of its row's report
_SQLITE = b"SQLite format 3\0"
_log = logging.getLogger(__name__)


def _digest(path: Path) -> str:
    return read_digest(path, noop)


@contextmanager
def open_ledger(
    path: Path | None, *, resume: bool = False, outputs: Iterable[Location] = (), now: Callable[[], float] = time.time
) -> Iterator[Ledger]:
    """Hold a batch's ledger while the `with` block runs.

    Args:
        path: The file; None: it is kept in memory.
        resume: Go on with the one that is there; one that is damaged is put aside, and made anew, as one that is not
            there, from the reports beside the outputs.
        outputs: What the batch makes, for that.
        now: The clock, in seconds since the epoch.

    Raises:
        LedgerError: There is one, and `resume` was not said; it is in use, or damaged.
        OutputError: It cannot be made.
    """
    notice = ""
    if path is not None:
        make_room_for(path)
        if _is_there(path):
            _check_kind(path)
            if not resume and not _is_empty(path):
                said, remedy = f'"{PATH}" is the ledger of a batch', "--resume goes on with it; else delete it"
                raise LedgerError(said, f"{remedy}, or name another --ledger", path=path)
            notice = _put_aside_if_damaged(path, now) if resume else ""
    with _connected(path, now) as ledger:
        if resume and not ledger.entries():
            known = list(_entries_of_reports(ledger, outputs))
            ledger.put(known)
            if known or notice:
                found = f"{counted(len(known), 'output')} known by the reports beside them"
                notice = f"{notice or 'there was no ledger'}; {found}"
        ledger.notice = "; ".join(filter(None, (notice, ledger.notice)))
        yield ledger


def _is_there(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _check_kind(path: Path) -> None:
    """Make sure that a file may be a ledger: others are never touched.

    Raises:
        LedgerError: It is none, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            begins = file.read(len(_SQLITE))
    except OSError as error:
        problem = f'the ledger "{PATH}" cannot be read ({error.strerror})'
        raise LedgerError(problem, "name another --ledger", path=path) from error
    if begins != _SQLITE:
        remedy = "name another --ledger; without one, --resume goes by the reports beside the outputs"
        raise LedgerError(f'"{PATH}" is no ledger, or none any more', remedy, path=path)


@contextmanager
def _connected(path: Path | None, now: Callable[[], float]) -> Iterator[Ledger]:
    made = path is None or not _is_there(path)
    try:
        ledger = Ledger(path, now=now)
    except sqlite3.Error as error:
        problem = f'the ledger "{PATH}" cannot be opened ({one_line(error)})'
        raise OutputError(problem, "name another --ledger", path=path) from error
    with ledger:
        if made:
            ledger.make()
        ledger.take()
        yield ledger


def _is_empty(path: Path) -> bool:
    """Whether a ledger is there of which no row was begun: its batch was refused."""
    try:
        ledger = Ledger(path)
        try:
            ledger.check_sound()
            return not ledger.entries()
        finally:
            ledger.close()
    except (sqlite3.Error, LedgerError):
        return False


def _put_aside_if_damaged(path: Path, now: Callable[[], float]) -> str:
    """Give a ledger that is damaged another name; returns what to tell of it, nothing where it is sound."""
    try:
        ledger = Ledger(path, now=now)
        try:
            ledger.check_sound()
        finally:
            ledger.close()
    except sqlite3.OperationalError as error:  # it is locked, or cannot be read: that is no damage
        problem = f'the ledger "{PATH}" cannot be read ({one_line(error)})'
        raise LedgerError(problem, "try again, or name another --ledger", path=path) from error
    except sqlite3.DatabaseError as error:
        aside = _free_name(path)
        put_in_place(path, aside)
        with suppress(OSError):
            path.with_name(f"{path.name}-journal").replace(aside.with_name(f"{aside.name}-journal"))
        notice = f'the ledger was damaged ({one_line(error)}), was put aside as "{aside.name}", and is made anew'
        _log.warning("%s", notice)
        return notice
    return ""


def _free_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return aside


def _entries_of_reports(ledger: Ledger, outputs: Iterable[Location]) -> Iterator[Entry]:
    """Yield what the reports beside outputs tell of those that are whole."""
    for output in outputs:
        try:
            said = read_plain_json(_report_of(output))
            entry = Entry(
                ledger.name_of(output),
                said["key"],
                "done",
                size=said["size"],
                digest=said["digest"],
                seconds=said["seconds"],
                worker=said["worker"],
                facts=json.dumps(said.get("facts") or {}),
            )
            entry.check()
            if is_whole(output, entry):
                yield entry
        except (OSError, ValueError, KeyError, TypeError):
            continue  # it is rendered again


def is_whole(
    output: Location,
    entry: Entry,
    digest_of: Callable[[Path], str] = _digest,
    asked: Callable[[ObjectUrl], ObjectFacts | None] = facts_of,
) -> bool:
    """Return whether an output is there, as it was when it was written down; an object is not read for that.

    Args:
        output: Where it is.
        entry: What was written down.
        digest_of: Reads a file.
        asked: Returns what a store says of an object.

    Raises:
        OSError: It cannot be read, or is not there.
        StorageError: A store says no, or cannot be reached.
    """
    if isinstance(output, ObjectUrl):
        facts = asked(output)
        return facts is not None and facts.text == entry.plain_facts.get(STORED)
    return FileFacts.of(output).size == entry.size and digest_of(output) == entry.digest


def _report_of(output: Location) -> bytes:
    """Return the report beside an output.

    Raises:
        OSError: There is none.
    """
    beside = report_beside(output)
    if isinstance(beside, Path):
        return beside.read_bytes()
    content = store_of(beside).read(beside)
    if content is None:
        raise FileNotFoundError(str(beside))
    return content


@overload
def report_beside(output: Path) -> Path: ...
@overload
def report_beside(output: ObjectUrl) -> ObjectUrl: ...
def report_beside(output: Location) -> Location:
    """Return where the report of an output lies."""
    return output.with_name(f"{output.name}{REPORT_ENDING}")
