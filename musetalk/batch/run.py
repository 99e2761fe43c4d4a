"""`run_batch`: rows in, files and an account of them out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from musetalk.batch.content import Digests
from musetalk.batch.drive import Driver, Rules
from musetalk.batch.executor import Executor
from musetalk.batch.intake import Intake
from musetalk.batch.ledger import Ledger
from musetalk.batch.outcome import BatchReport, RowResult, WorkerShare
from musetalk.batch.publish import Staging
from musetalk.batch.reading import Read, ReadAhead, Refused, RowReader
from musetalk.batch.rows import Row
from musetalk.batch.watch import Unwatched, Watcher
from musetalk.batch.works import Chooser
from musetalk.errors import Cancelled, ManifestError
from musetalk.progress import CancelToken
from musetalk.storage.locations import ObjectUrl
from musetalk.storage.store import facts_of
from musetalk.utils.units import counted

_TOLD = 20


@dataclass(frozen=True, slots=True)
class BatchOptions(Rules):
    """How a batch is done; see `Rules`, too.

    Attributes:
        strict: Whether a row that cannot work (a file that is missing, settings that are wrong) refuses the batch;
            else it fails alone.
        below: The URL that results lie below, where they are objects; None: what theirs have in common.
    """

    strict: bool = False
    below: ObjectUrl | None = None


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
        ManifestError: `strict`, and a row cannot work; or one's file lies where renders are made; nothing was done.
        BackendError: No worker is left.
        LedgerError: Another driver has taken over, or writes below the same URL.
        StorageError: A store cannot be reached, so that nobody can say what is done, or does not take results.
    """
    options, watcher, cancel = options or BatchOptions(), watcher or Unwatched(), cancel or CancelToken()
    began, token = options.clock.now(), CancelToken(cancel)
    place = Staging.beside(ledger.path, rows, options.below, options.clock)
    place.check_apart(rows)
    with ExitStack() as stack:

        def wait(seconds: float, why: str) -> None:
            watcher.note(why)
            options.clock.pause(seconds, token.check)

        ask = partial(options.retries.ask, check=token.check, clock=options.clock)
        notes = [note for note in (ledger.notice, stack.enter_context(place.held(ask, wait))) if note]
        for note in notes:
            watcher.note(note)
        digests = Digests(ledger, token, lambda url: ask(partial(facts_of, url)))
        reader: Iterable[Read] = RowReader(rows, digests, engine, ledger)
        if options.strict:
            try:
                reader = _strictly(reader)
            except Cancelled:
                return _report(rows, {}, {}, notes, options.clock.now() - began, stopped=True)
        ahead = stack.enter_context(ReadAhead(reader, len(rows), token))
        intake = Intake(ahead, ledger, place, watcher, reports=options.reports)
        driver = Driver(intake, executor, ledger, place, options, watcher, cancel)
        whole = driver.run()
        results = intake.results | driver.results
        report = _report(rows, results, driver.tallies, notes, options.clock.now() - began, stopped=not whole)
        if report.complete:
            place.remove()
    return report


def _report(
    rows: Iterable[Row],
    results: dict[str, RowResult],
    workers: Mapping[str, WorkerShare],
    notes: list[str],
    seconds: float,
    *,
    stopped: bool,
) -> BatchReport:
    found = tuple(results.get(str(row.output)) or RowResult.of(row, "stopped") for row in rows)
    return BatchReport(found, workers, round(seconds, 3), stopped, tuple(notes))


def _strictly(reader: Iterable[Read]) -> list[Read]:
    """Read all rows.

    Raises:
        ManifestError: One cannot work.
    """
    read = list(reader)
    refused = [each for each in read if isinstance(each, Refused)]
    if not refused:
        return read
    told = [f"{each.row.name}: {each.error}" for each in refused[:_TOLD]]
    if len(refused) > len(told):
        told.append(f"and {counted(len(refused) - len(told), 'more row')}")
    raise ManifestError(f"some rows cannot work: {'; '.join(told)}", "correct them, or leave out --strict")
