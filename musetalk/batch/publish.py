"""Where renders are made, and how they get their names: whole, and only from a driver that holds the ledger."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from musetalk.batch.content import read_digest
from musetalk.batch.lease import Lease, leased
from musetalk.batch.ledger import Entry, Ledger
from musetalk.batch.made import MadeRecord, record_beside
from musetalk.batch.opening import report_beside
from musetalk.batch.outcome import STORED, RowResult, facts_of
from musetalk.batch.rows import Row
from musetalk.batch.watch import Clock
from musetalk.batch.works import Work
from musetalk.errors import LedgerError, ManifestError, MediaError, StorageError, StorageUnreachableError, write_error
from musetalk.pipeline.report import RenderReport, as_json, save_json
from musetalk.progress import noop
from musetalk.settings import RenderSettings
from musetalk.storage.locations import Location, ObjectUrl, common_prefix, on_disk
from musetalk.storage.store import store_of
from musetalk.utils.files import make_room_for, readable, whole_file

_KEY_DIGITS = 24
_TRIAL = "whether-objects-can-be-made"
FOLDER_ENDING = ".making"  # behind the name of a ledger or of a manifest
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Staging:
    """The folder in which renders are made before they get their names: one below it for each, told by its content.

    So whoever makes one again finds what is there of it, and two who make the same write the same.

    Attributes:
        folder: Beside the ledger; of objects, in their store; None: there is none, and renders are made at their own
            places.
        lease: Lets the driver write there, where that is a store.
    """

    folder: Location | None
    lease: Lease | None = None

    @classmethod
    def beside(
        cls, ledger: Path | None, rows: Iterable[Row], below: ObjectUrl | None = None, clock: Clock | None = None
    ) -> Staging:
        """Return that of a batch: with its ledger, or, of objects, in their store, where each gets its name at once.

        Args:
            ledger: The file; None: the batch has none.
            rows: Of the batch.
            below: What their objects lie below; None: what their URLs have in common.
            clock: The driver's.
        """
        urls = [row.output for row in rows if isinstance(row.output, ObjectUrl)]
        name = f".{'batch' if ledger is None else ledger.name}{FOLDER_ENDING}"
        if urls:
            below = below or common_prefix(urls)
            return cls(below / name, Lease(below, passed=(clock or Clock()).now))
        return cls(None if ledger is None else ledger.with_name(name))

    @contextmanager
    def held(self, ask: Callable[[Callable[[], None]], None], wait: Callable[[float, str], None]) -> Iterator[str]:
        """Let no other driver write there while the `with` block runs, where it is a store.

        Args:
            ask: See `leased`.
            wait: The same.

        Yields:
            What the user should know of that; empty: nothing.

        Raises:
            LedgerError: Another driver does.
            StorageError: The store says no, or cannot be reached.
        """
        if self.lease is None:
            yield ""
            return
        with leased(self.lease, ask, wait):
            yield self.lease.notice

    def check_held(self) -> None:
        """Make sure that no other driver has taken over the store.

        Raises:
            LedgerError: One has.
            StorageError: The store says no, or cannot be reached.
        """
        if self.lease is not None:
            self.lease.check_held()

    def check_apart(self, rows: Iterable[Row]) -> None:
        """Make sure that no row reads or writes in such a folder, which goes with all that is in it.

        Raises:
            ManifestError: One does.
        """
        if self.folder is None:
            return
        for row in rows:
            for place in (row.source, row.voice, row.output):
                if self.folder.name in str(place) and self.folder.name in str(place).split("/"):
                    problem = f'{row.name}: "{readable(str(place))}" lies where renders are made, and not kept'
                    raise ManifestError(problem, "let it lie elsewhere, or name another --ledger")

    def check_store(self) -> None:
        """Make sure, before long work, that objects can be made there, and removed; of a folder, each work makes sure.

        Raises:
            StorageError: They cannot be.
        """
        if isinstance(self.folder, ObjectUrl):
            store, url = store_of(self.folder), self.folder / _TRIAL
            store.write(url, b"")
            store.remove([url])

    def place(self, work: Work) -> Location:
        """Return where a render's file is made. Its folder is made, too.

        Raises:
            OutputError: It cannot be.
        """
        output = work.first.output
        place = output if self.folder is None else self._folder_of(work, self.folder) / output.name
        if isinstance(place, Path):
            make_room_for(place)
        return place

    def settings(self, work: Work) -> RenderSettings:
        """Return the settings with which a render made there is as if it were made at its own place."""
        folder = work.first.output.parent
        coords = work.settings.folders.coords_in(folder) if isinstance(folder, Path) else None
        return work.settings if coords is None else work.settings.model_copy(update={"coords_dir": coords})

    def clear(self, work: Work) -> None:
        """Remove what was made of a render, and the folder itself with the last one."""
        if self.folder is not None and self._may_remove():
            _remove(self._folder_of(work, self.folder))
        if isinstance(self.folder, Path):
            with suppress(OSError):
                self.folder.rmdir()

    def remove(self) -> None:
        """Remove what is left of renders that nobody asks for any more."""
        if self.folder is not None and self._may_remove():
            _remove(self.folder)

    def _may_remove(self) -> bool:
        """Whether what lies there is this driver's: another one makes the same in a folder of the same name."""
        try:
            self.check_held()
        except (LedgerError, StorageError) as error:
            _log.warning("what is left below %s is not removed (%s)", self.folder, error)
            return False
        return True

    @staticmethod
    def _folder_of(work: Work, folder: Location) -> Location:
        return folder / work.key[:_KEY_DIGITS]


def _remove(folder: Location) -> None:
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
        return
    try:
        store = store_of(folder)
        store.remove(store.below(folder))
    except StorageError as error:  # no reason for finished work to fail
        _log.warning("what is left below %s cannot be removed (%s)", folder, error)


def publish(made: Location, output: Location, *, move: bool = False) -> dict[str, str]:
    """Give what is whole another name, whole or not at all.

    Names are copies, not links to one file: whoever changes one of them means that one.

    Args:
        made: The file, or the object.
        output: Its name; what is there is replaced.
        move: Whether it is needed under the old name no more.

    Returns:
        Further facts of the row: by what a store knows the object again; nothing, of a file.

    Raises:
        OutputError: It cannot be.
        StorageError: The store says no, or cannot be reached.
    """
    if isinstance(made, ObjectUrl) and isinstance(output, ObjectUrl):
        return {STORED: store_of(made).copy(made, output).text}
    if made == output:
        return {}
    made, output = on_disk(made), on_disk(output)
    make_room_for(output)
    if move:
        with suppress(OSError):  # another file system
            made.replace(output)
            return {}
    with whole_file(output) as partial:
        shutil.copyfile(made, partial)
    return {}


def publish_rows(
    work: Work, staging: Staging, ledger: Ledger, report: RenderReport, about: Mapping[str, Any], *, reports: bool
) -> list[RowResult]:
    """Give what was made the names of all rows that asked for it, and write down that they are done.

    Args:
        work: The render.
        staging: Where it was made.
        ledger: Of the batch.
        report: Of the render.
        about: Further attributes of the results.
        reports: Whether a report is written beside each output.

    Raises:
        OutputError: One of them cannot be written.
        MediaError: An input is another one by now, so that nobody knows what was rendered; nothing got a name.
        LedgerError: Another driver has taken over; nothing got a name from then on.
        StorageError: A store says no, or cannot be reached.
    """
    changed = next((each.path for each in work.inputs if each.changed()), None)
    if changed is not None:
        what = "source" if changed == work.first.source else "voice"
        problem, remedy = f"its {what} was changed while it was rendered", "--resume renders it as it is now"
        raise MediaError(problem, remedy, path=changed if isinstance(changed, Path) else None)
    made = staging.place(work)
    size, digest = _measured(made)
    ledger.check_held()
    stored = {}
    for row in (*work.rows[1:], work.first):
        staging.check_held()  # before each: a store's copies of many rows may take minutes
        stored[row.output] = publish(made, row.output, move=row is work.first)
    said = {**about, "key": work.key, "size": size, "digest": digest}
    done = RowResult.of(work.first, "done", **said, facts=facts_of(report), report=report)
    results = [done.for_row(row, "done" if row is work.first else "duplicate", stored[row.output]) for row in work.rows]
    for result, row in zip(results, work.rows, strict=True):
        if reports:
            staging.check_held()
            save_row(result, row, ledger)
    ledger.put(entry_of(result, row, ledger) for result, row in zip(results, work.rows, strict=True))
    return results


def _measured(made: Location) -> tuple[int, str]:
    """Return size and SHA-256 of what was made; of an object as whoever made it wrote them down.

    Raises:
        OutputError: It cannot be read.
        StorageError: A store says no, or cannot be reached.
    """
    if isinstance(made, ObjectUrl):
        record = MadeRecord.parse(store_of(made).read(record_beside(made)))
        if record is None:
            raise StorageUnreachableError("what was made is not in the store any more", "try again")
        return record.size, record.digest
    try:
        return made.stat().st_size, read_digest(made, noop)
    except OSError as error:
        raise write_error(error)(f"what was made cannot be read ({error.strerror})", "try again") from error


def save_row(result: RowResult, row: Row, ledger: Ledger) -> None:
    """Write the report of a row beside its output.

    Raises:
        OutputError: It cannot be written.
        StorageError: A store says no, or cannot be reached.
    """
    values = {**result.to_dict(), "output": ledger.name_of(row.output)}
    beside = report_beside(row.output)
    if isinstance(beside, Path):
        save_json(values, beside)
    else:
        store_of(beside).write(beside, as_json(values))


def entry_of(result: RowResult, row: Row, ledger: Ledger) -> Entry:
    """Return what a ledger keeps of a row whose file is there."""
    return Entry(
        ledger.name_of(row.output),
        result.key,
        "done",
        attempts=result.attempts,
        size=result.size,
        digest=result.digest,
        seconds=result.seconds,
        worker=result.worker,
        facts=json.dumps(dict(result.facts)),
    )
