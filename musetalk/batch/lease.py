"""Which driver writes below a URL: one at a time, by an object there that it writes again while it lives.

A store has no locks. It can put an object in place only where there is none, or only of the one that was looked at; so
of two drivers that begin at once one is told that it came second. Where a store does not know such conditions, the
one that was written over finds that out with its next sign of life.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from musetalk.batch.holder import Holder
from musetalk.batch.ledger import BEAT_SECONDS, STALE_SECONDS
from musetalk.errors import LedgerError, StorageError
from musetalk.storage.locations import ObjectUrl
from musetalk.storage.store import store_of
from musetalk.utils.files import readable
from musetalk.utils.plain_json import read_plain_json

NAME = ".musetalk-batch.json"
_CERTAIN_SECONDS = STALE_SECONDS / 2  # after a sign of life in which nobody takes over
_TURNS = 3  # in which others may be quicker
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Driver:
    """Who holds a lease.

    Attributes:
        id: Tells this driver from all others.
        holder: Its process.
        beat: Its last sign of life, in seconds since the epoch.
    """

    id: str
    holder: Holder
    beat: float

    @classmethod
    def parse(cls, content: bytes | None) -> _Driver | None:
        """Return who was written down; None: nobody, or something else was."""
        try:
            said = read_plain_json(content or b"")
            return cls(str(said["id"]), Holder.parse(json.dumps(said["holder"])), float(said["beat"]))
        except (ValueError, TypeError, KeyError):
            return None

    def content(self) -> bytes:
        """Return it as it is written down."""
        return json.dumps(asdict(self)).encode()

    def lives(self, now: float) -> bool:
        """Whether it lives, as far as anybody here can tell."""
        alive = self.holder.alive()
        return now - self.beat < STALE_SECONDS if alive is None else alive


class Lease:
    """What lets this driver, and no other one, write below a URL. Safe to share between threads. See `leased`.

    Args:
        prefix: The URL.
        now: The clock that drivers share, in seconds since the epoch.
        passed: A clock of this driver's own, in seconds.

    Attributes:
        notice: What the user should know of how it was taken; empty: nothing.
    """

    def __init__(
        self,
        prefix: ObjectUrl,
        now: Callable[[], float] = time.time,
        passed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._prefix, self._url, self._now, self._passed = prefix, prefix / NAME, now, passed
        self._store, self._id, self._me = store_of(prefix), secrets.token_hex(16), Holder.this_process()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._certain = 0.0
        self.notice = ""

    def take(self) -> None:
        """Have it, in place of a driver that is dead.

        Raises:
            LedgerError: Another driver lives, or cannot be told to be dead.
            StorageError: The store says no, or cannot be reached.
        """
        for _ in range(_TURNS):
            other, tag = self._look()
            if other is not None and other.id != self._id:
                if other.lives(self._now()):
                    break
                self.notice = f"{other.holder.described} had left {self._prefix} without an end: this goes on there"
            if self._write(tag):
                return
        who = "another driver" if other is None else other.holder.described
        problem = f'{who} writes below "{readable(str(self._prefix))}"'
        wait = f"wait for it, or stop it; one that is gone is known to be after {STALE_SECONDS:.0f} s"
        raise LedgerError(problem, f"{wait}; or give this batch another --output-dir")

    def renew(self) -> None:
        """Give a sign of life.

        Raises:
            LedgerError: Another driver has it by now.
            StorageError: The store says no, or cannot be reached.
        """
        with self._lock:
            for _ in range(_TURNS):
                other, tag = self._look()
                if other is not None and other.id != self._id:
                    break
                if self._write(tag):
                    return
            problem = f'another driver has taken over "{readable(str(self._prefix))}"'
            raise LedgerError(problem, "this one has stopped; let the other one end")

    def check_held(self) -> None:
        """Make sure that this driver still has it: without a question to the store, where it was sure just now.

        Raises:
            LedgerError: Another one has.
            StorageError: The store says no, or cannot be reached.
        """
        if self._passed() > self._certain + _CERTAIN_SECONDS:
            self.renew()

    def keep(self) -> None:
        """Give signs of life until it is `free`."""
        while not self._ended.wait(BEAT_SECONDS):
            try:
                self.renew()
            except LedgerError:
                self._certain = float("-inf")  # which whoever writes next hears
                return
            except Exception as error:  # noqa: BLE001 - the same
                _log.warning("the sign of life below %s could not be written (%s)", self._prefix, error)

    def free(self) -> None:
        """Let another driver have it."""
        self._ended.set()
        with self._lock:
            try:
                other, _ = self._look()
                if other is not None and other.id == self._id:
                    self._store.remove([self._url])
            except StorageError as error:
                _log.warning("%s cannot be removed (%s)", self._url, error)

    def _look(self) -> tuple[_Driver | None, str | None]:
        """Return who has it, and the tag of what says so; without one there is nothing."""
        facts = self._store.facts(self._url)
        if facts is None:
            return None, None
        return _Driver.parse(self._store.read(self._url)), facts.tag

    def _write(self, tag: str | None) -> bool:
        """Write down that this driver has it, unless somebody else did meanwhile; returns whether that is so."""
        began = self._passed()
        if self._store.write_if(self._url, _Driver(self._id, self._me, self._now()).content(), tag):
            self._certain = began
            return True
        return False


@contextmanager
def leased(lease: Lease, ask: Callable[[Callable[[], None]], None]) -> Iterator[None]:
    """Have a lease while the `with` block runs.

    Args:
        lease: The lease.
        ask: Calls what asks the store, again where that cannot be reached for a moment.

    Raises:
        LedgerError: Another driver has it.
        StorageError: The store says no, or cannot be reached.
    """
    ask(lease.take)
    thread = threading.Thread(target=lease.keep, name="lease-beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        lease.free()
        thread.join()
