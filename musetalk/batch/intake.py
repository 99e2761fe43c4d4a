"""Taking in rows as they become known: what is there already, or cannot be rendered, ends at once."""

from __future__ import annotations

from musetalk.batch.ledger import Entry, Ledger
from musetalk.batch.outcome import RowResult
from musetalk.batch.publish import Staging, entry_of, publish, save_row
from musetalk.batch.reading import Known, ReadAhead, Refused
from musetalk.batch.rows import Row
from musetalk.batch.watch import Watcher
from musetalk.batch.works import Work
from musetalk.errors import OutputError, StorageError
from musetalk.storage.locations import Location


class Intake:
    """Takes in rows, and says which of them are to be rendered.

    Args:
        ahead: Reads them.
        ledger: What is done; this process holds it.
        staging: Where results go; this process may write there.
        watcher: Who is told.
        reports: Whether a report is written beside each output.

    Attributes:
        results: How the others ended, by their outputs.
        deaths: Over how many of its workers' deaths a render was before, by key.
    """

    def __init__(self, ahead: ReadAhead, ledger: Ledger, staging: Staging, watcher: Watcher, *, reports: bool) -> None:
        self._ahead, self._ledger, self._watcher, self._reports = ahead, ledger, watcher, reports
        self._staging = staging
        self._entries = ledger.entries()
        self._aside = {entry.key: entry for entry in self._entries.values() if entry.state == "set_aside"}
        self._made: dict[str, tuple[Location, RowResult]] = {}  # what is there, by key
        self.results: dict[str, RowResult] = {}
        self.deaths = {entry.key: entry.deaths for entry in self._entries.values() if entry.deaths}

    @property
    def unread(self) -> int:
        """How many rows are not known yet."""
        return self._ahead.unread

    def take(self, seconds: float) -> list[Work]:
        """Return what is to be rendered of the rows that became known since the last call, each for its row alone.

        Args:
            seconds: For how long to wait where none did.

        Raises:
            MuseTalkError: Rows cannot be read at all, or another driver has taken over.
        """
        left, noted, ended = [], list[Entry](), list[RowResult]()
        for read in self._ahead.take(seconds):
            result = self._refused(read) if isinstance(read, Refused) else self._known(read)
            if result is not None:
                ended.append(result)
            row = read.row if isinstance(read, Refused) else read.work.first
            if result is None and isinstance(read, Known):
                left.append(read.work)
                noted.append(Entry(self._name(row), read.work.key, deaths=self.deaths.get(read.work.key, 0)))
            elif result is not None and result.state == "failed":
                said, kind = result.error, result.error_kind
                noted.append(Entry(self._name(row), result.key, "failed", error=said, error_kind=kind))
            elif result is not None and result.state == "duplicate":
                noted.append(entry_of(result, row, self._ledger))
        self._ledger.put(noted)
        for result in ended:
            self.results[result.output] = result
            self._watcher.row(result)
        return left

    def keep(self, output: Location, result: RowResult) -> None:
        """Take note of an output that is there: rows that turn out to ask for the same get copies of it."""
        self._made[result.key] = output, result

    def _refused(self, refused: Refused) -> RowResult:
        return RowResult.of(refused.row, "failed", error=str(refused.error), error_kind=refused.error.kind)

    def _known(self, known: Known) -> RowResult | None:
        """Return how a row ended whose file is there, or was set aside; None: it is to be rendered."""
        row, key = known.work.first, known.work.key
        if known.made is not None:
            there = self._before(known.made, key)
            self.keep(known.made.output, there)
            if known.made is row:
                return there
        if key in self._made:
            return self._copied(*self._made[key], row)
        aside = self._aside.get(key)
        if aside is None:
            return None
        about = {"error": aside.error, "error_kind": aside.error_kind, "attempts": aside.attempts}
        return RowResult.of(row, "set_aside", key=key, **about)

    def _before(self, row: Row, key: str) -> RowResult:
        """Return the result of a row whose file was made by a batch before."""
        entry = self._entries[self._name(row)]
        about = {"attempts": entry.attempts, "seconds": entry.seconds, "worker": entry.worker, "size": entry.size}
        return RowResult.of(row, "skipped", key=key, **about, digest=entry.digest, facts=entry.plain_facts)

    def _copied(self, place: Location, there: RowResult, row: Row) -> RowResult:
        """Give a row a copy of another one's file."""
        try:
            self._ledger.check_held()
            self._staging.check_held()
            result = there.for_row(row, "duplicate", publish(place, row.output))
            if self._reports:
                save_row(result, row, self._ledger)
        except (OutputError, StorageError) as error:
            return RowResult.of(row, "failed", key=there.key, error=str(error), error_kind=error.kind)
        return result

    def _name(self, row: Row) -> str:
        return self._ledger.name_of(row.output)
