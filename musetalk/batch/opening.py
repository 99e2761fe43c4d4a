"""Opening a batch's ledger: a new one, one that goes on, one that is damaged, one that a dead driver held."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from musetalk.batch.content import FileFacts, read_digest
from musetalk.batch.ledger import Entry, Ledger
from musetalk.errors import PATH, LedgerError, OutputError, one_line
from musetalk.progress import noop
from musetalk.utils.files import make_room_for, put_in_place
from musetalk.utils.plain_json import read_plain_json
from musetalk.utils.units import counted

REPORT_ENDING = ".report.json"  # behind the name of an output: that of its row's report
_SQLITE = b"SQLite format 3\0"
_log = logging.getLogger(__name__)


@contextmanager
def open_ledger(
    path: Path | None, *, resume: bool = False, outputs: Iterable[Path] = (), now: Callable[[], float] = time.time
) -> Iterator[Ledger]:
    """Hold a batch's ledger while the `with` block runs.

    Args:
        path: The file; None: it is kept in memory.
        resume: Go on with the one that is there; one that is damaged is put aside, and made anew, as one that is not
            there, from the reports beside the outputs.
        outputs: The files of the batch, for that.
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


def _entries_of_reports(ledger: Ledger, outputs: Iterable[Path]) -> Iterator[Entry]:
    """Yield what the reports beside outputs tell of those that are whole."""
    for output in outputs:
        try:
            said = read_plain_json(report_beside(output).read_bytes())
            entry = Entry(
                ledger.name_of(output),
                said["key"],
                "done",
                size=said["size"],
                digest=said["digest"],
                seconds=said["seconds"],
                worker=said["worker"],
            )
            entry.check()
            if FileFacts.of(output).size == entry.size and read_digest(output, noop) == entry.digest:
                yield entry
        except (OSError, ValueError, KeyError, TypeError):
            continue  # it is rendered again


def report_beside(output: Path) -> Path:
    """Return where the report of an output lies."""
    return output.with_name(f"{output.name}{REPORT_ENDING}")
