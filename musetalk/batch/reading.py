"""Reading what rows ask for: their content, and whether their files are there; ahead of whoever renders them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from musetalk.batch.content import Digests, content_of
from musetalk.batch.events import taken
from musetalk.batch.ledger import Entry, Ledger
from musetalk.batch.opening import is_whole
from musetalk.batch.rows import Row
from musetalk.batch.works import Chooser, Settings, Work
from musetalk.errors import Cancelled, MuseTalkError, StorageUnreachableError
from musetalk.progress import CancelToken

_ENDING_SECONDS = 10.0  # that a reader is waited for: a disk that is gone may hold it for ever


@dataclass(frozen=True, slots=True)
class Known:
    """A row whose content is known.

    Attributes:
        work: Its render, for this row alone.
        made: The row whose file, which is there from before, holds that render; None: there is none.
    """

    work: Work
    made: Row | None


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that no render can be made of, and why."""

    row: Row
    error: MuseTalkError


Read: TypeAlias = Known | Refused


class RowReader:
    """Reads rows, in their order.

    Args:
        rows: All of the batch.
        digests: Of files.
        engine: Names the backend that paints with settings, and the weights that it loads.
        ledger: What is done.
    """

    def __init__(self, rows: Sequence[Row], digests: Digests, engine: Chooser, ledger: Ledger) -> None:
        self._rows, self._digests, self._ledger = rows, digests, ledger
        self._settings = Settings(engine, digests, weights=ledger.path is not None)
        self._entries = ledger.entries()

    def __iter__(self) -> Iterator[Read]:
        """Read them.

        Raises:
            Cancelled: It was ended.
            LedgerError: Another driver has taken over.
            StorageError: A store cannot be reached.
        """
        try:
            made = self._made_before()
            for number, row in enumerate(self._rows):
                try:
                    work = self._work_of(row)
                except (Cancelled, StorageUnreachableError):  # which is no row's fault
                    raise
                except MuseTalkError as error:
                    yield Refused(row, error)
                    continue
                # What comes later is as it was: nobody has written it yet.
                there = [each for at, each in made.get(work.key, ()) if at >= number]
                yield Known(work, next(filter(self._is_whole, there), None))
        finally:
            self._digests.keep()

    def _work_of(self, row: Row) -> Work:
        settings, choice, text = self._settings.of(row)
        content = content_of(row, text, self._digests)
        named = settings.with_backend(choice.backend)
        return Work(content.key, content.source, named, (row,), choice.reason(), content.inputs)

    def _made_before(self) -> Mapping[str, list[tuple[int, Row]]]:
        """Return the rows whose files are there, as the ledger has it, and their numbers, by the key of these files."""
        found: dict[str, list[tuple[int, Row]]] = {}
        for number, row in enumerate(self._rows) if self._entries else ():
            entry = self._entry(row)
            if entry is not None and entry.state == "done":
                found.setdefault(entry.key, []).append((number, row))
        return found

    def _is_whole(self, row: Row) -> bool:
        """Whether the file of a row is there, as the ledger knows it."""
        entry = self._entry(row)
        try:
            return entry is not None and is_whole(row.output, entry, self._digests.of_file, self._digests.asked)
        except OSError:
            return False

    def _entry(self, row: Row) -> Entry | None:
        return self._entries.get(self._ledger.name_of(row.output))


class ReadAhead:
    """Rows that a thread reads, as far as it has come. As a context manager, it is ended at the end.

    It goes as far as it can: the driver has to know all rows anyway, and the sooner what is the same, or missing, is
    known, the better.

    Args:
        reader: Reads them.
        count: How many there are.
        cancel: Ends it.
    """

    def __init__(self, reader: Iterable[Read], count: int, cancel: CancelToken) -> None:
        self._reader, self._cancel = reader, cancel
        self._come: queue.SimpleQueue[Read | Exception] = queue.SimpleQueue()
        self.unread = count
        self._thread = threading.Thread(target=self._run, name="batch-rows", daemon=True)

    def __enter__(self) -> ReadAhead:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._cancel.cancel()
        self._thread.join(_ENDING_SECONDS)

    @property
    def more(self) -> bool:
        """Whether there are rows that were not taken yet."""
        return self.unread > 0

    def take(self, seconds: float) -> list[Read]:
        """Return what was read since the last call; where that is nothing, what comes within `seconds`.

        Raises:
            MuseTalkError: Reading has failed as a whole.
        """
        found = list[Read]()
        for each in taken(self._come, seconds):
            if isinstance(each, Exception):
                raise each
            found.append(each)
        self.unread -= len(found)
        return found

    def _run(self) -> None:
        reading = iter(self._reader)
        try:
            try:
                for each in reading:
                    self._come.put(each)
                    self._cancel.check()
            finally:
                if isinstance(reading, Generator):  # which keeps what was read: as garbage, it would fail unheard
                    reading.close()
        except Exception as error:  # noqa: BLE001 - it is raised where rows are taken
            self._come.put(error)
