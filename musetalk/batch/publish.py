"""Where renders are made, and how they get their names: whole, and only from a driver that holds the ledger."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from musetalk.batch.content import read_digest
from musetalk.batch.ledger import Entry, Ledger
from musetalk.batch.opening import report_beside
from musetalk.batch.outcome import RowResult, RowState, facts_of
from musetalk.batch.rows import Row
from musetalk.batch.works import Work
from musetalk.errors import MediaError, write_error
from musetalk.pipeline.report import RenderReport, save_json
from musetalk.progress import noop
from musetalk.settings import RenderSettings
from musetalk.utils.files import make_room_for, whole_file

_KEY_DIGITS = 24
FOLDER_ENDING = ".making"  # behind the name of a ledger or of a manifest


@dataclass(frozen=True, slots=True)
class Staging:
    """The folder in which renders are made before they get their names: one below it for each, told by its content.

    So whoever makes one again finds what is there of it, and two who make the same write the same.

    Attributes:
        folder: Beside the ledger; None: there is none, and renders are made at their own places.
    """

    folder: Path | None

    def place(self, work: Work) -> Path:
        """Return where a render's file is made. Its folder is made, too.

        Raises:
            OutputError: It cannot be.
        """
        output = work.first.output
        place = output if self.folder is None else self._folder_of(work, self.folder) / output.name
        make_room_for(place)
        return place

    def settings(self, work: Work) -> RenderSettings:
        """Return the settings with which a render made there is as if it were made at its own place."""
        coords = work.settings.coords_in(work.first.output.parent)
        return work.settings if coords is None else work.settings.model_copy(update={"coords_dir": coords})

    def clear(self, work: Work) -> None:
        """Remove what was made of a render, and the folder itself with the last one."""
        if self.folder is not None:
            shutil.rmtree(self._folder_of(work, self.folder), ignore_errors=True)
            with suppress(OSError):
                self.folder.rmdir()

    def remove(self) -> None:
        """Remove what is left of renders that nobody asks for any more."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _folder_of(work: Work, folder: Path) -> Path:
        return folder / work.key[:_KEY_DIGITS]


def publish(made: Path, output: Path, *, move: bool = False) -> None:
    """Give what is whole another name, whole or not at all.

    Names are copies, not links to one file: whoever changes one of them means that one.

    Args:
        made: The file.
        output: Its name; what is there is replaced.
        move: Whether it is needed under the old name no more.

    Raises:
        OutputError: It cannot be.
    """
    if made == output:
        return
    make_room_for(output)
    if move:
        with suppress(OSError):  # another file system
            made.replace(output)
            return
    with whole_file(output) as partial:
        shutil.copyfile(made, partial)


def publish_rows(
    work: Work, made: Path, ledger: Ledger, report: RenderReport, about: Mapping[str, Any], *, reports: bool
) -> list[RowResult]:
    """Give what was made the names of all rows that asked for it, and write down that they are done.

    Args:
        work: The render.
        made: Its file.
        ledger: Of the batch.
        report: Of the render.
        about: Further attributes of the results.
        reports: Whether a report is written beside each output.

    Raises:
        OutputError: One of them cannot be written.
        MediaError: An input is another one by now, so that nobody knows what was rendered; nothing got a name.
        LedgerError: Another driver has taken over; nothing got a name.
    """
    for path, what in ((work.first.source, "source"), (work.first.voice, "voice")):
        if ledger.changed(path):
            raise MediaError(
                f"its {what} was changed while it was rendered", "--resume renders it as it is now", path=path
            )
    try:
        size, digest = made.stat().st_size, read_digest(made, noop)
    except OSError as error:
        raise write_error(error)(f"what was made cannot be read ({error.strerror})", "try again") from error
    ledger.check_held()
    for row in (*work.rows[1:], work.first):
        publish(made, row.output, move=row is work.first)
    said = {**about, "key": work.key, "size": size, "digest": digest, "facts": facts_of(report)}
    results = []
    for row in work.rows:
        state: RowState = "done" if row is work.first else "duplicate"
        result = RowResult.of(row, state, **said, report=replace(report, output=str(row.output)))
        if reports:
            save_row(result, row, ledger)
        results.append(result)
    ledger.put(entry_of(result, row, ledger) for result, row in zip(results, work.rows, strict=True))
    return results


def save_row(result: RowResult, row: Row, ledger: Ledger) -> None:
    """Write the report of a row beside its output.

    Raises:
        OutputError: It cannot be written.
    """
    save_json({**result.to_dict(), "output": ledger.name_of(row.output)}, report_beside(row.output))


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
