"""Which driver writes below a URL: one at a time, by an object there that it writes again while it lives.

A store has no locks. It can put an object in place only where there is none, or only of the one that was looked at; so
of two drivers that begin at once one is told that it came second. Where a store does not know such conditions, the
one that was written over finds that out with its next sign of life.

Clocks of machines differ, and may jump. So a driver of another machine is dead only where it is long silent by what it
wrote, and then writes nothing more while it is watched; and who does not know what happened meanwhile asks.
"""

from __future__ import annotations

import json
import logging
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial

from musetalk.batch.holder import Holder
from musetalk.batch.ledger import BEAT_SECONDS, STALE_SECONDS
from musetalk.errors import LedgerError, StorageError
from musetalk.storage.locations import ObjectUrl
from musetalk.storage.store import store_of
from musetalk.utils.files import readable
from musetalk.utils.plain_json import read_plain_json

NAME = ".musetalk-batch.json"
_CERTAIN_SECONDS = STALE_SECONDS / 2  # after a sign of life in which nobody takes over
_WATCH_SECONDS = 2.5 * BEAT_SECONDS  # in which whoever lives writes again
_TURNS = 3  # in which others may be quicker
_MOST_BYTES = 10_000
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
        """Return who was written down; None: nobody that this version can read."""
        try:
            said = read_plain_json(content or b"")
            beat = float(said["beat"])
            found = cls(str(said["id"]), Holder.parse(json.dumps(said["holder"])), beat)
        except (ValueError, TypeError, KeyError, OverflowError):
            return None
        return found if math.isfinite(beat) else None

    def content(self) -> bytes:
        """Return it as it is written down."""
        return json.dumps(asdict(self)).encode()

    def lives(self, now: float) -> bool | None:
        """Whether it lives; None: it is another machine's, and silent, or has another clock."""
        alive = self.holder.alive()
        return True if alive is None and abs(now - self.beat) < STALE_SECONDS else alive


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is there of a lease.

    Attributes:
        driver: Who has it; None: nobody, or somebody that cannot be read.
        tag: Of the object; None: there is none.
    """

    driver: _Driver | None = None
    tag: str | None = None

    def is_of_another(self, driver: str) -> bool:
        """Whether any other than this driver has it."""
        return self.tag is not None and (self.driver is None or self.driver.id != driver)

    def lives(self, now: float) -> bool | None:
        """Whether who has it lives; None: nobody here can tell."""
        return None if self.driver is None else self.driver.lives(now)

    @property
    def described(self) -> str:
        """Who has it, in words."""
        return "another driver" if self.driver is None else self.driver.holder.described


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
        self._certain = float("-inf"), float("-inf")  # when it was sure, by both clocks
        self._tried = False
        self.notice = ""

    def take(self, wait: Callable[[float, str], None]) -> None:
        """Have it, in place of a driver that is dead.

        Args:
            wait: Waits for so many seconds, for a reason that the user should know; may end it.

        Raises:
            LedgerError: Another driver lives, or cannot be told to be dead.
            StorageError: The store says no, or cannot be reached.
        """
        seen = _Seen()
        for _ in range(_TURNS):
            seen = self._look()
            left = seen.is_of_another(self._id)
            if left and self._lives(seen, wait):
                break
            if self._write(seen.tag):
                if left:
                    self.notice = f"{seen.described} had left {self._prefix} without an end: this goes on there"
                return
        problem = f'{seen.described} writes below "{readable(str(self._prefix))}"'
        remedy = f"wait for it, or stop it; one that is gone is known to be after {STALE_SECONDS:.0f} s"
        raise LedgerError(problem, f"{remedy}; or give this batch another --output-dir")

    def _lives(self, seen: _Seen, wait: Callable[[float, str], None]) -> bool:
        """Whether who has it lives, who is watched where nobody can tell."""
        lives = seen.lives(self._now())
        if lives is None:
            below = readable(str(self._prefix))
            wait(
                _WATCH_SECONDS, f"{seen.described} may write below {below}: that is watched for {_WATCH_SECONDS:.0f} s"
            )
            return self._look().tag not in (None, seen.tag)
        return lives

    def renew(self) -> None:
        """Give a sign of life.

        Raises:
            LedgerError: Another driver has it by now, or may have had it meanwhile.
            StorageError: The store says no, or cannot be reached.
        """
        with self._lock:
            if self._ended.is_set():
                return
            for _ in range(_TURNS):
                seen = self._look()
                if seen.is_of_another(self._id) or (seen.tag is None and not self._is_certain()):
                    break  # what is gone, somebody else may have had, and given back
                if self._write(seen.tag):
                    return
            problem = f'another driver has taken over "{readable(str(self._prefix))}"'
            raise LedgerError(problem, "this one has stopped; let the other one end")

    def check_held(self) -> None:
        """Make sure that this driver still has it: without a question to the store, where it was sure just now.

        Raises:
            LedgerError: Another one has.
            StorageError: The store says no, or cannot be reached.
        """
        if not self._is_certain():
            self.renew()

    def _is_certain(self) -> bool:
        """Whether it was sure just now, by both clocks: one may stand still while a machine sleeps, one may jump."""
        passed, now = self._certain
        return self._passed() - passed <= _CERTAIN_SECONDS and abs(self._now() - now) <= _CERTAIN_SECONDS

    def keep(self) -> None:
        """Give signs of life until it is `free`."""
        while not self._ended.wait(BEAT_SECONDS):
            try:
                self.renew()
            except LedgerError:
                self._certain = float("-inf"), float("-inf")  # which whoever writes next hears
                return
            except Exception as error:  # noqa: BLE001 - the same
                _log.warning("the sign of life below %s could not be written (%s)", self._prefix, error)

    def free(self) -> None:
        """Let another driver have it, also where it is not known whether this one has."""
        self._ended.set()
        with self._lock:
            if not self._tried:
                return
            try:
                seen = self._look()
                if seen.tag is not None and not seen.is_of_another(self._id):
                    self._store.remove([self._url])
            except StorageError as error:
                _log.warning("%s cannot be removed (%s)", self._url, error)

    def _look(self) -> _Seen:
        """Return who has it, and the tag of what says so."""
        facts = self._store.facts(self._url)
        if facts is None:
            return _Seen()
        content = self._store.read(self._url) if facts.size <= _MOST_BYTES else None
        return _Seen(_Driver.parse(content), facts.tag)

    def _write(self, tag: str | None) -> bool:
        """Write down that this driver has it, unless somebody else did meanwhile; returns whether that is so."""
        self._tried = True
        began = self._passed(), self._now()
        if self._store.write_if(self._url, _Driver(self._id, self._me, began[1]).content(), tag):
            self._certain = began
            return True
        return False


@contextmanager
def leased(
    lease: Lease, ask: Callable[[Callable[[], None]], None], wait: Callable[[float, str], None]
) -> Iterator[None]:
    """Have a lease while the `with` block runs.

    Args:
        lease: The lease.
        ask: Calls what asks the store, again where that cannot be reached for a moment.
        wait: See `Lease.take`.

    Raises:
        LedgerError: Another driver has it.
        StorageError: The store says no, or cannot be reached.
    """
    thread = threading.Thread(target=lease.keep, name="lease-beat", daemon=True)
    try:
        ask(partial(lease.take, wait))
        thread.start()
        yield
    finally:
        lease.free()
        if thread.ident is not None:
            thread.join()
