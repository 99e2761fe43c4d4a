"""`run_batch`: rows in, files and an account of them out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from musetalk.batch.content import Digests
from musetalk.batch.drive import Driver, Rules
from musetalk.batch.executor import Executor
from musetalk.batch.ledger import Entry, Ledger
from musetalk.batch.opening import is_whole
from musetalk.batch.outcome import BatchReport, RowResult
from musetalk.batch.publish import Staging, entry_of, publish, save_row
from musetalk.batch.rows import Row
from musetalk.batch.watch import Unwatched, Watcher
from musetalk.batch.works import Chooser, Refused, Work, works_of
from musetalk.errors import Cancelled, ManifestError
from musetalk.progress import CancelToken
from musetalk.storage.store import facts_of
from musetalk.utils.units import counted

_TOLD = 20


@dataclass(frozen=True, slots=True)
class BatchOptions(Rules):
    """How a batch is done; see `Rules`, too.

    Attributes:
        strict: Whether a row that cannot work (a file that is missing, settings that are wrong) refuses the batch;
            else it fails alone.
    """

    strict: bool = False


def run_batch(
    rows: Sequence[Row],
    executor: Executor,
    ledger: Ledger,
    *,
    engine: Chooser,
    options: BatchOptions | None = None,
    watcher: Watcher | None = None,
    cancel: CancelToken | None = None,
) -> BatchReport:
    """Render rows: what is the same once, what is done already not again; whatever fails, the others go on.

    Args:
        rows: From `read_manifest`; no two write the same file (see `check_rows`).
        executor: What does the work; it is not closed.
        ledger: From `open_ledger`: what is done.
        engine: Names the backends that paint, and the weights that they load, as far as this machine has them.
        options: How it is done; None: as usual.
        watcher: Who is told how it goes on.
        cancel: Stops it: what runs ends within seconds, what was not done stays to be done.

    Returns:
        How every row ended. A batch that was stopped says so in `stopped`.

    Raises:
        ManifestError: `strict`, and a row cannot work; nothing was done.
        BackendError: No worker is left.
        LedgerError: Another driver has taken over.
        StorageError: A store cannot be reached, so that nobody can say what is done, or does not take results.
    """
    options, watcher, cancel = options or BatchOptions(), watcher or Unwatched(), cancel or CancelToken()
    began = options.clock.now()
    notes = [ledger.notice] if ledger.notice else []
    for note in notes:
        watcher.note(note)
    digests = Digests(ledger, cancel, lambda url: options.retries.ask(partial(facts_of, url), cancel.check))
    try:
        works, refused = works_of(rows, digests, engine, weights=ledger.path is not None)
        digests.keep()
    except Cancelled:
        digests.keep()
        return _report(rows, {}, None, notes, options.clock.now() - began, stopped=True)
    if refused and options.strict:
        raise _strictly(refused)
    place = Staging.beside(ledger.path, rows)
    settled = _Settled(ledger, digests, watcher, options)
    settled.refuse(refused)
    left = settled.settle(works)
    digests.keep()
    if left:
        options.retries.ask(place.check_store, cancel.check)
    deaths = {entry.key: entry.deaths for entry in settled.entries.values() if entry.deaths}
    driver = Driver(left, executor, ledger, place, options, watcher, cancel, deaths)
    whole = driver.run()
    results = settled.results | driver.results
    report = _report(rows, results, driver, notes, options.clock.now() - began, stopped=not whole)
    if report.complete:
        place.remove()
    return report


def _report(
    rows: Iterable[Row],
    results: dict[str, RowResult],
    driver: Driver | None,
    notes: list[str],
    seconds: float,
    *,
    stopped: bool,
) -> BatchReport:
    found = tuple(results.get(str(row.output)) or RowResult.of(row, "stopped") for row in rows)
    return BatchReport(found, driver.tallies if driver else {}, round(seconds, 3), stopped, tuple(notes))


def _strictly(refused: Sequence[Refused]) -> ManifestError:
    told = [f"{each.row.name}: {each.error}" for each in refused[:_TOLD]]
    if len(refused) > len(told):
        told.append(f"and {counted(len(refused) - len(told), 'more row')}")
    return ManifestError(f"some rows cannot work: {'; '.join(told)}", "correct them, or leave out --strict")


class _Settled:
    """What is known of rows before any render: those that failed, and those whose files are there.

    Args:
        ledger: What is done.
        digests: Of files.
        watcher: Who is told.
        options: How the batch is done.
    """

    def __init__(self, ledger: Ledger, digests: Digests, watcher: Watcher, options: BatchOptions) -> None:
        self.results: dict[str, RowResult] = {}
        self.entries = ledger.entries()
        self._ledger, self._digests, self._watcher, self._options = ledger, digests, watcher, options

    def refuse(self, refused: Iterable[Refused]) -> None:
        """Let rows fail that no render can be made of."""
        entries = []
        for each in refused:
            error = each.error
            entries.append(Entry(self._name(each.row), "", "failed", error=str(error), error_kind=error.kind))
            self._end(RowResult.of(each.row, "failed", error=str(error), error_kind=error.kind))
        self._ledger.put(entries)

    def settle(self, works: Iterable[Work]) -> list[Work]:
        """Return what is to be rendered; the files of the rest are there, or were set aside before."""
        left, waiting = [], []
        for work in works:
            missing = self._missing(work)
            if not missing:
                continue
            if any(self._entry(row, work).state == "set_aside" for row in missing):
                self._keep_aside(work, missing)
                continue
            rest = replace(work, rows=tuple(missing))
            left.append(rest)
            waiting += [Entry(self._name(row), work.key, deaths=self._entry(row, work).deaths) for row in missing]
        self._ledger.put(waiting)
        return left

    def _missing(self, work: Work) -> list[Row]:
        """Return the rows whose file is not there, nor can be had from another one that is."""
        there = [row for row in work.rows if self._is_whole(row, work)]
        for row in there:
            self._end(self._result(row, work, there[0], "skipped"))
        missing = [row for row in work.rows if row not in there]
        if not there or not missing:
            return missing
        results = []
        for row in missing:
            stored = publish(there[0].output, row.output)
            result = self._result(row, work, there[0], "duplicate")
            result = replace(result, facts={**result.facts, **stored})
            if self._options.reports:
                save_row(result, row, self._ledger)
            results.append(result)
        self._ledger.put(entry_of(result, row, self._ledger) for result, row in zip(results, missing, strict=True))
        for result in results:
            self._end(result)
        return []

    def _is_whole(self, row: Row, work: Work) -> bool:
        """Whether the file of a row is there, as the ledger knows it."""
        entry = self._entry(row, work)
        if entry.state != "done":
            return False
        try:
            return is_whole(row.output, entry, self._digests.of_file, self._digests.asked)
        except OSError:
            return False

    def _keep_aside(self, work: Work, rows: Iterable[Row]) -> None:
        for row in rows:
            entry = self._entry(row, work)
            about = {"error": entry.error, "error_kind": entry.error_kind, "attempts": entry.attempts}
            self._end(RowResult.of(row, "set_aside", key=work.key, **about))

    def _result(self, row: Row, work: Work, there: Row, state: str) -> RowResult:
        """Return the result of a row whose file is that of another one, or its own, from before."""
        entry = self._entry(there, work)
        about = {"attempts": entry.attempts, "seconds": entry.seconds, "worker": entry.worker, "size": entry.size}
        said = {**about, "digest": entry.digest, "facts": entry.plain_facts}
        return RowResult.of(row, state, key=work.key, **said)  # type: ignore[arg-type]

    def _entry(self, row: Row, work: Work) -> Entry:
        """Return what the ledger knows of a row; nothing, where it asked for something else then."""
        name = self._name(row)
        known = self.entries.get(name)
        return known if known is not None and known.key == work.key else Entry(name, work.key)

    def _name(self, row: Row) -> str:
        return self._ledger.name_of(row.output)

    def _end(self, result: RowResult) -> None:
        self.results[result.output] = result
        self._watcher.row(result)
