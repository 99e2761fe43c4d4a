"""What has to be so before a batch begins: no row's files are in another one's way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from musetalk.batch.opening import report_beside
from musetalk.batch.rows import Row, settings_of
from musetalk.errors import MuseTalkError
from musetalk.pipeline.file_uses import FileUse, FileUses, input_files, output_files
from musetalk.settings import RenderSettings


class Inputs(Protocol):
    """Says which files a render reads beside its own inputs: `LipSync`."""

    def inputs(self, video: Path, voice: Path, settings: RenderSettings) -> FileUses:
        """See `LipSync.inputs`."""
        ...


def check_rows(rows: Sequence[Row], engine: Inputs, beside: FileUses, *, reports: bool = False) -> None:
    """Make sure, before any work, that no row and nothing beside them writes over what another one reads or writes.

    What is not there is left to its own row, and so are settings that cannot work.

    Args:
        rows: What is to be done.
        engine: Says what else renders read.
        beside: What is read and written beside the rows: the manifest, the report.
        reports: Whether a report is written beside each output.

    Raises:
        OutputError: Two files are in each other's way, or one beside the rows cannot be made.
    """
    beside.check()
    reads: dict[Path, FileUse] = {use.path: use for use in beside.reads}
    writes = dict.fromkeys(beside.writes)
    parsed: dict[str, RenderSettings | MuseTalkError] = {}
    for row in rows:
        said = repr(sorted(row.settings.items()))
        if said not in parsed:
            parsed[said] = found = settings_of(row)
            if isinstance(found, RenderSettings):  # weights and the like, which are the same for all of these
                _add(reads, engine.inputs(row.source, row.voice, found).of(row.name).reads)
        settings = parsed[said]
        if not isinstance(settings, RenderSettings):
            continue
        _add(reads, input_files(row.source, row.voice).of(row.name).reads)
        debug, coords = settings.debug_dir, settings.coords_in(row.output.parent)
        uses = output_files(row.output, debug, coords)
        if reports:
            uses = uses.writing(report_beside(row.output), "the report")
        writes |= dict.fromkeys(uses.of(row.name).writes)
    FileUses(tuple(reads.values()), tuple(writes)).present().check_conflicts()


def _add(reads: dict[Path, FileUse], uses: Iterable[FileUse]) -> None:
    for use in uses:
        reads.setdefault(use.path, use)
