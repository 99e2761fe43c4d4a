"""Leases of loaded components: each is loaded once, shared, and kept while a lease is held.

Nobody owns a network that renders share. Whoever works with one takes a lease of it and gives that back at the end, and
`ComponentStore` counts. What nobody holds stays as the last of its kind, so that the next render with the same settings
starts at once; it goes before another of its kind is loaded, or where memory runs out. What is held stays, whoever asks
for something else.

No lock is held while something loads: each is loaded in a thread of its own, others go on meanwhile, and those who want
the very same wait for the one load.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Iterable
from contextvars import copy_context
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import Literal, TypeVar

from musetalk.errors import Cancelled, MuseTalkError, OutOfMemoryError
from musetalk.utils.modules import imported
from musetalk.utils.stopping import ends_by, stop_point
from musetalk.utils.units import listed, size

_T = TypeVar("_T")
_POLL_SECONDS = 0.1
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for.

    Attributes:
        kind: Of which one is kept where nobody holds any.
        key: What tells it from others of all kinds: all that it depends on.
        name: What people call it.
        beside: Whether it is to stand beside another of its kind, and not in its place.
        fits: Says whether there is memory for it now; None: nobody knows before it is tried.
    """

    kind: str
    key: object
    name: str = ""
    beside: bool = False
    fits: Callable[[], bool] | None = None

    @property
    def title(self) -> str:
        """What it is called in sentences."""
        return self.name or f"the {self.kind}"


@dataclass(eq=False, slots=True)
class _Entry:
    """Something that is loaded, or is being loaded; changed with the store's lock held, but for `thing`.

    Attributes:
        wanted: What it is.
        beside: Whether it stands beside another of its kind.
        state: How far it is.
        thing: It, once it is ready.
        error: Why it could not be loaded, once it failed.
        askers: How many hold it, or wait for it.
        kept: Whether it stays when nobody does any more.
        taken: When it was last asked for, counted.
        thread: What loads it.
        size: How many bytes it takes, as far as that is known; 0: nobody knows, or none to speak of.
        note: What those who waited for it should know; empty: nothing.
    """

    wanted: Wanted
    beside: bool
    state: Literal["loading", "ready", "failed"] = "loading"
    thing: object = None
    error: BaseException | None = None
    askers: int = 0
    kept: bool = True
    taken: int = 0
    thread: threading.Thread | None = None
    size: int = 0
    note: str = ""

    @property
    def idle(self) -> bool:
        """Whether it lies there, and nobody holds it."""
        return self.state == "ready" and not self.askers

    @property
    def lost(self) -> bool:
        """Whether what loads it is gone: a forked process has no threads but its own."""
        return (
            self.state == "loading"
            and self.thread is not None
            and self.thread.ident is not None
            and not self.thread.is_alive()
        )

    @property
    def abandoned(self) -> bool:
        """Whether it is being loaded for nobody: it ends at its next stop point."""
        return self.state == "loading" and not self.askers


class ComponentStore:
    """Keeps what is loaded. Safe to share between threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._entries: list[_Entry] = []
        self._takes = count(1)
        self._litter = False  # something was dropped, or failed with much in its hands

    def leases(self, told: Callable[[str], None] | None = None) -> Leases:
        """Return the leases of one piece of work, none yet; for a `with` block, at whose end all of them end.

        Args:
            told: Is given what the user should know of what is taken, a sentence each.
        """
        return Leases(self, told)

    def release(self) -> None:
        """Free everything that is not leased, and the rest as soon as its leases end. Does not wait."""
        with self._changed:
            for entry in self._entries:
                entry.kept = False
            gone = self._drop(entry for entry in self._entries if entry.idle)
            self._litter = False
        del gone
        _release_memory()

    def take(self, wanted: Wanted, load: Callable[[], object]) -> tuple[_Entry, tuple[str, ...]]:
        """Return what is wanted, ready, with the caller among its askers, and what there is to say of that.

        It is loaded where it is not there.

        Raises:
            Exception: Whatever loading it ends with.
            OutOfMemoryError: There is not enough memory for it, not even without what nobody holds.
            Cancelled: The work was to end. Where nobody else waits, what loads ends at its next stop point.
        """
        while True:
            entry, waits = self._asked(wanted, load)
            try:
                self._wait(entry)
            except BaseException:
                self.leave(entry)
                raise
            if entry.state == "ready":
                return entry, tuple(filter(None, (entry.note if waits else "", self._note_on_others(entry))))
            error = self._failure(entry)
            self.leave(entry)
            if not isinstance(error, Cancelled):  # it was ended for want of askers, just before this one came
                try:
                    raise error
                finally:
                    del error  # else it would hold itself, and what its frames hold, in memory

    def _asked(self, wanted: Wanted, load: Callable[[], object]) -> tuple[_Entry, bool]:
        """Return what is wanted, with one asker more, and whether it has to be waited for.

        Where it is not there, loading it begins.
        """
        while True:
            stop_point()
            with self._changed:
                alike = [each for each in self._entries if each.wanted.kind == wanted.kind and not each.lost]
                entry = next((each for each in alike if each.wanted.key == wanted.key), None)
                if entry is None and any(each.abandoned for each in alike):
                    self._changed.wait(_POLL_SECONDS)  # both at once would take twice the memory
                    continue
                begins, waits, gone = entry is None, entry is None or entry.state == "loading", []
                if entry is None or (entry.beside and not wanted.beside):
                    gone = self._drop(each for each in alike if each.idle and each is not entry)
                if entry is None:
                    entry = _Entry(wanted, wanted.beside)
                    self._litter |= wanted.beside  # it is asked for where another failed
                    self._entries.append(entry)
                entry.beside &= wanted.beside
                entry.kept, entry.taken = True, next(self._takes)
                entry.askers += 1
            del gone
            if begins:
                self._begin(entry, load)
            return entry, waits

    def _begin(self, entry: _Entry, load: Callable[[], object]) -> None:
        """Load something in a thread of its own."""
        name = f"load the {entry.wanted.kind}"
        thread = threading.Thread(target=copy_context().run, args=(self._load, entry, load), name=name)
        with self._changed:
            entry.thread = thread
        try:
            thread.start()
        except RuntimeError as error:
            self._end(entry, error)

    def _wait(self, entry: _Entry) -> None:
        """Wait until a load has ended, one way or the other."""
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: entry.state != "loading" or entry.lost, _POLL_SECONDS):
                    break
            stop_point()
        if entry.lost:
            self._end(entry, Cancelled())

    def _failure(self, entry: _Entry) -> BaseException:
        """Return why a load failed: to each who waited an error of their own, for errors keep where they came by."""
        with self._changed:
            error = entry.error or Cancelled()
            entry.error = error.retold(error.problem) if isinstance(error, MuseTalkError) else error
        return error

    def leave(self, entry: _Entry) -> None:
        """Count one asker less; without any, drop what is not to stay."""
        with self._changed:
            entry.askers -= 1
            kind, gone = entry.wanted.kind, []
            newer = any(
                each.wanted.kind == kind and not each.beside and each.taken > entry.taken for each in self._entries
            )
            if entry.idle and (not entry.kept or (newer and not entry.beside)):
                gone = self._drop([entry])
            self._changed.notify_all()
        del gone

    def _load(self, entry: _Entry, load: Callable[[], object]) -> None:
        """Load something; ends when nobody waits for it any more."""

        def check() -> None:
            if entry.abandoned:
                raise Cancelled

        def where_it_fits() -> object:
            self._collect()
            if entry.wanted.fits is not None and not entry.wanted.fits() and (names := self.make_room()):
                self._note(entry, f"{listed(names)} went from memory, which was short, before {title} was loaded")
            return load()

        title = entry.wanted.title
        with ends_by(check):
            error = _attempt(entry, where_it_fits)
            if isinstance(error, OutOfMemoryError) and (names := self.make_room()):
                error = None  # else it would hold what it happened in
                self._note(
                    entry, f"memory ran out while {title} was loaded: {listed(names)} went, and it was loaded once more"
                )
                error = _attempt(entry, where_it_fits)
        self._end(entry, error)
        del error

    def _end(self, entry: _Entry, error: BaseException | None) -> None:
        """Note how a load has ended, and tell all who wait."""
        gone: list[object] = []
        with self._changed:
            entry.state, entry.error = "ready" if error is None else "failed", error
            if error is not None:
                entry.thing, self._litter = None, True
                if entry in self._entries:
                    self._entries.remove(entry)
            elif entry.idle and not entry.kept:
                gone = self._drop([entry])
            self._changed.notify_all()
        del gone

    def _note(self, entry: _Entry, sentence: str) -> None:
        _log.warning("%s", sentence)
        entry.note = sentence

    def _note_on_others(self, entry: _Entry) -> str:
        """Return that there are more of a kind in memory, where there are, and how much each takes; else nothing."""
        with self._changed:
            alike = [each for each in self._entries if each.wanted.kind == entry.wanted.kind and each.thing is not None]
            used = [(each.wanted.title, each.size) for each in alike if each.askers]
        if len(used) < 2 or not any(taken for _, taken in used):
            return ""
        each = listed([f"{title} ({size(taken)})" if taken else title for title, taken in used])
        _log.info("in memory at once, for all are in use: %s", each)
        return f"in memory at once, for all are in use: {each}"

    def make_room(self) -> list[str]:
        """Let go of whatever nobody holds; returns what people call it."""
        with self._changed:
            idle = [entry for entry in self._entries if entry.idle]
            gone = self._drop(idle)
        del gone
        self._collect()
        return [entry.wanted.title for entry in idle]

    def _drop(self, entries: Iterable[_Entry]) -> list[object]:
        """Take entries out; returns what they held, of which the caller lets go outside the lock."""
        dropped = list(entries)
        gone = [entry.thing for entry in dropped]
        for entry in dropped:
            self._entries.remove(entry)
            entry.thing = None
        self._litter |= bool(dropped)
        return gone

    def _collect(self) -> None:
        """Give memory back where something was dropped or failed: it takes longer than many a thing takes to load."""
        with self._changed:
            litter, self._litter = self._litter, False
        if litter:
            _release_memory()


class Leases:
    """What one piece of work holds of a store; for a `with` block, at whose end it holds nothing any more.

    Args:
        store: Which.
        told: See `ComponentStore.leases`.
    """

    def __init__(self, store: ComponentStore, told: Callable[[str], None] | None) -> None:
        self._store, self._told = store, told
        self._lock = threading.Lock()
        self._held: list[_Entry] = []
        self._closed = False

    def __enter__(self) -> Leases:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closed, held, self._held = True, self._held, []
        for entry in held:
            self._store.leave(entry)

    def make_room(self) -> list[str]:
        """Let go of whatever nobody holds, where memory ran out in the work; returns what people call it."""
        return self._store.make_room()

    def take(self, wanted: Wanted, load: Callable[[], _T]) -> _T:
        """Return what `load` makes, or has made before: held until the end of the `with` block.

        Raises:
            Exception: Whatever `load` ends with; it is called again for the next who asks.
            OutOfMemoryError: There is not enough memory for it.
            Cancelled: The work was to end, or has ended.
        """
        entry, notes = self._store.take(wanted, load)
        with self._lock:
            late, again = self._closed, entry in self._held
            if not late and not again:
                self._held.append(entry)
        if late or again:
            self._store.leave(entry)
        if late:  # who was waited for has left
            raise Cancelled
        if self._told is not None and not again:
            for note in notes:
                self._told(note)
        return entry.thing  # type: ignore[return-value]  # one key, one type


def _attempt(entry: _Entry, load: Callable[[], object]) -> BaseException | None:
    """Load something into its entry, and nowhere else, so that it is gone when its entry is; or return why not."""
    try:
        entry.thing = load()
        entry.size = _bytes_of(entry.thing)
    except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
        return error
    return None


def _bytes_of(thing: object) -> int:
    """Return how much memory something takes, as far as that is known."""
    if imported("torch") is None:
        return 0
    from musetalk.runtime.footprint import tensor_bytes  # noqa: PLC0415 - loads torch

    return tensor_bytes(thing)


def _release_memory() -> None:
    """Collect what only refers to itself, such as errors and what they held, and give its memory back."""
    gc.collect()
    if imported("torch") is not None:  # else there is nothing that it could keep
        from musetalk.runtime.device import release_memory  # noqa: PLC0415 - loads torch

        release_memory()
