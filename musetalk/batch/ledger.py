"""The ledger of a batch: one SQLite file that says what is done, who works on it, and what is known of files.

SQLite's own journal beside the file is used, not its write-ahead log, which no shared disk can have. One driver at a
time holds a ledger; every write makes sure of it, so that one that was taken for dead, and comes back, changes nothing.
"""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from musetalk.batch.content import FileFacts, FileState
from musetalk.batch.holder import Holder
from musetalk.errors import PATH, LedgerError, OutputError, one_line, write_error
from musetalk.storage.locations import Location, ObjectUrl
from musetalk.utils.plain_json import read_plain_json

State: TypeAlias = Literal["waiting", "done", "failed", "set_aside"]

FORMAT = 1
BEAT_SECONDS = 10.0
STALE_SECONDS = 60.0  # without a beat, of a driver on another machine
_PATIENCE_SECONDS = 20.0
_MOST_SECONDS = 1e12
_BUSY_SECONDS = 30.0  # that another connection is waited for
_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS driver (
    one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, holder TEXT NOT NULL, beat REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS rows (
    output TEXT PRIMARY KEY, key TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL, deaths INTEGER NOT NULL,
    size INTEGER NOT NULL, digest TEXT NOT NULL, seconds REAL NOT NULL, worker TEXT NOT NULL,
    error TEXT NOT NULL, error_kind TEXT NOT NULL, facts TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS digests (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, changed_ns INTEGER NOT NULL, number INTEGER NOT NULL,
    digest TEXT NOT NULL
) WITHOUT ROWID;
"""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a ledger knows of one output.

    Attributes:
        output: Its path, relative to the folder of results; of an object its URL.
        key: Of its content; see `Content`.
        state: Where it stands.
        attempts: How often it was tried.
        deaths: How often its worker died over it.
        size, digest: Of the file, once it is done.
        seconds: Of work on it.
        worker: Who finished it.
        error, error_kind: Why it failed.
        facts: Further plain values for its report.
    """

    output: str
    key: str
    state: State = "waiting"
    attempts: int = 0
    deaths: int = 0
    size: int = 0
    digest: str = ""
    seconds: float = 0.0
    worker: str = ""
    error: str = ""
    error_kind: str = ""
    facts: str = "{}"

    def check(self) -> None:
        """Make sure that it can be what a ledger holds.

        Raises:
            ValueError: It cannot be: its file was damaged, or somebody else wrote it.
        """
        texts = (self.output, self.key, self.digest, self.worker, self.error, self.error_kind, self.facts)
        counts = (self.attempts, self.deaths, self.size)
        if not (
            self.state in get_args(State)
            and all(isinstance(each, str) and each.encode() is not None for each in texts)  # halves of letters raise
            and all(type(each) is int and 0 <= each < 2**63 for each in counts)
            and isinstance(self.seconds, int | float)
            and 0 <= self.seconds < _MOST_SECONDS  # which no NaN is
            and isinstance(read_plain_json(self.facts), dict)
        ):
            raise ValueError("what is known of an output is damaged")

    @property
    def plain_facts(self) -> dict[str, Any]:
        """The facts as a mapping."""
        facts: dict[str, Any] = read_plain_json(self.facts)
        return facts


_FIELDS = tuple(Entry.__slots__)


class Ledger:
    """An open ledger that this process holds. Safe to share between threads. See `open_ledger`.

    Args:
        path: The file; None: it is kept in memory, and goes with the process.
        now: The clock, in seconds since the epoch.

    Attributes:
        notice: What the user should know of how it was opened; empty: nothing.
    """

    def __init__(self, path: Path | None, *, now: Callable[[], float] = time.time) -> None:
        self.path = path
        self.notice = ""
        self._now = now
        self._id = secrets.token_hex(16)
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._held = False
        self._beating: threading.Thread | None = None
        self._database = sqlite3.connect(
            ":memory:" if path is None else path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        # Text that was damaged is no reason to fail: it agrees with nothing any more.
        self._database.text_factory = lambda stored: stored.decode("utf-8", "backslashreplace")

    def name_of(self, output: Location) -> str:
        """Return how an output is called here: by its path from the ledger's folder, so that both can be moved."""
        if self.path is None or isinstance(output, ObjectUrl):
            return _text(output)
        return _text(Path(os.path.relpath(output, self.path.parent)), absolute=False)

    def entries(self) -> dict[str, Entry]:
        """Return what is known, by output."""
        with self._reading() as database:
            found = database.execute(f"SELECT {', '.join(_FIELDS)} FROM rows")  # noqa: S608 - no input
            return {values[0]: Entry(*values) for values in found}

    def put(self, entries: Iterable[Entry]) -> None:
        """Write what is known of outputs, all of it or nothing.

        Raises:
            LedgerError: Another driver holds it by now.
            OutputError: It cannot be written.
        """
        marks = ", ".join("?" * len(_FIELDS))
        values = [tuple(_stored(getattr(entry, name)) for name in _FIELDS) for entry in entries]
        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                self._put(marks, values)
            except OutputError:  # the disk may be full for a moment
                if time.monotonic() > until or self._ended.wait(1.0):
                    raise
            else:
                return

    def _put(self, marks: str, values: list[tuple[object, ...]]) -> None:
        with self._writing() as database:
            database.executemany(f"INSERT OR REPLACE INTO rows VALUES ({marks})", values)  # noqa: S608 - no input

    def check_held(self) -> None:
        """Make sure that this driver still holds it.

        Raises:
            LedgerError: Another one does.
        """
        with self._writing():
            pass

    def digest_of(self, path: Location, facts: FileFacts) -> str | None:
        """Return a file's digest, if it is known; see `DigestStore`."""
        with self._reading() as database:
            found = database.execute(
                "SELECT digest FROM digests WHERE path = ? AND size = ? AND changed_ns = ? AND number = ?",
                (_text(path), facts.size, facts.changed_ns, facts.number),
            ).fetchone()
        return None if found is None else str(found[0])

    def keep_digests(self, known: Sequence[FileState]) -> None:
        """Keep digests of files; see `DigestStore`."""
        rows = [
            (_text(each.path), each.facts.size, each.facts.changed_ns, each.facts.number, each.digest) for each in known
        ]
        with self._writing() as database:
            database.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?)", rows)

    def close(self) -> None:
        """Let another driver have it."""
        self._ended.set()
        if self._beating is not None:
            self._beating.join()
        with self._lock:
            if self._held:
                with suppress(LedgerError, OutputError), self._writing() as database:
                    database.execute("DELETE FROM driver")
            self._database.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def make(self) -> None:
        """Make the tables of a new ledger."""
        with self._whole() as database:
            for statement in filter(str.strip, _SCHEMA.split(";")):
                database.execute(statement)
            database.execute("INSERT OR IGNORE INTO about VALUES ('format', ?)", (str(FORMAT),))

    def check_sound(self) -> None:
        """Make sure that it is a ledger, of this version, and whole.

        Raises:
            sqlite3.DatabaseError: It is none, or damaged.
            LedgerError: It is another version's, or a database of something else.
        """
        try:
            self._check_form()
            for entry in self.entries().values():
                entry.check()
            with self._reading() as database:
                driver = database.execute("SELECT holder, beat FROM driver").fetchone()
            if driver is not None:
                Holder.parse(driver[0])
                float(driver[1])
        except (TypeError, ValueError) as error:  # also of what SQLite says, where that is damaged, too
            raise sqlite3.DatabaseError(one_line(error)) from error

    def _check_form(self) -> None:
        """Make sure that its file is whole, and that of a ledger; see `check_sound`."""
        with self._reading() as database:
            [said] = database.execute("PRAGMA quick_check(1)").fetchone()
            if said != "ok":
                raise sqlite3.DatabaseError(said)
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'about'").fetchone():
                raise LedgerError(f'"{PATH}" is no ledger', "name another --ledger", path=self.path)
            form = database.execute("SELECT value FROM about WHERE name = 'format'").fetchone()
            if form != (str(FORMAT),):
                raise LedgerError(f'"{PATH}" is of another version', "name another ledger", path=self.path)
            with closing(sqlite3.connect(":memory:")) as fresh:
                fresh.executescript(_SCHEMA)
                if _tables(fresh) != _tables(database):
                    raise sqlite3.DatabaseError("its tables are not as they were made")

    def take(self) -> None:
        """Hold it, in place of a driver that is dead.

        Raises:
            LedgerError: Another driver lives, or cannot be told to be dead.
        """
        me = Holder.this_process()
        with self._whole() as database:
            found = database.execute("SELECT holder, beat FROM driver").fetchone()
            if found is not None:
                other, silent = Holder.parse(found[0]), self._now() - found[1]
                alive = other.alive()
                if alive or (alive is None and silent < STALE_SECONDS):
                    remedy = f"wait for it, or stop it; one that is gone is known to be after {STALE_SECONDS:.0f} s"
                    raise LedgerError(f'{other.described} works on "{PATH}"', remedy, path=self.path)
                self.notice = f"{other.described} had left the ledger without closing it: this goes on in its place"
                _log.info("%s", self.notice)
            values = (1, self._id, me.text(), self._now())
            database.execute("INSERT OR REPLACE INTO driver VALUES (?, ?, ?, ?)", values)
        self._held = True
        if self.path is not None:
            self._beating = threading.Thread(target=self._beat, name="ledger-beat", daemon=True)
            self._beating.start()

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            try:
                with self._writing() as database:
                    database.execute("UPDATE driver SET beat = ?", (self._now(),))
            except Exception as error:  # noqa: BLE001 - whoever writes next hears of it
                _log.warning("the ledger's sign of life could not be written (%s)", one_line(error))

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield self._database

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction of the driver that holds it."""
        with self._whole() as database:
            holder = database.execute("SELECT id FROM driver").fetchone()
            if holder != (self._id,):
                problem = f'another driver has taken over "{PATH}"'
                raise LedgerError(problem, "this one has stopped; let the other one end", path=self.path)
            yield database

    @contextmanager
    def _whole(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it is written, or nothing."""
        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                try:
                    yield self._database
                except BaseException:
                    self._database.execute("ROLLBACK")
                    raise
                self._database.execute("COMMIT")
            except sqlite3.OperationalError as error:
                raise _unwritable(self.path, error) from error


def _tables(database: sqlite3.Connection) -> list[Any]:
    """Return the tables of a database, as they were made."""
    return database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()


def _unwritable(path: Path | None, error: sqlite3.Error) -> Exception:
    """Return what to say where the ledger's file cannot be written."""
    said = one_line(error)
    kind = write_error(OSError(28 if "full" in said else 5, said))
    return kind(
        f'the ledger "{PATH}" cannot be written ({said})', "free space there, or name another --ledger", path=path
    )


def _stored(value: object) -> object:
    """Return a value as a database takes it: what is no text, bytes of a file's name in a sentence, is escaped."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _text(path: Location, *, absolute: bool = True) -> str:
    """Return a path as the ledger has it: what is no text in it is escaped."""
    if isinstance(path, ObjectUrl):
        return str(path)
    return os.fsencode(Path.cwd() / path if absolute else path).decode("utf-8", "backslashreplace")
