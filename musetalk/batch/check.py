"""What has to be so before a batch begins: no row's files are in another one's way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from musetalk.batch.opening import report_beside
from musetalk.batch.rows import Row, settings_of
from musetalk.errors import MuseTalkError, OutputError
from musetalk.pipeline.file_uses import FileUse, FileUses, input_files, output_files
from musetalk.pipeline.request import RenderRequest
from musetalk.settings import FolderSettings, RenderSettings
from musetalk.storage.locations import ObjectUrl
from musetalk.storage.store import store_of

_NO_FILE = Path("/nonexistent/object")


class Inputs(Protocol):
    """Says which files a render reads beside its own inputs: `LipSync`."""

    def inputs(self, request: RenderRequest) -> FileUses:
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
                _add(reads, _reads(engine.inputs(RenderRequest(*_files(row), found)), row))
        settings = parsed[said]
        if not isinstance(settings, RenderSettings):
            continue
        _add(reads, _reads(input_files(*_files(row)), row))
        writes |= dict.fromkeys(_writes(row, settings.folders, reports=reports).of(row.name).writes)
    FileUses(tuple(reads.values()), tuple(writes)).present().check_conflicts()
    check_stores(rows)


def check_stores(rows: Iterable[Row]) -> None:
    """Make sure that what reaches the stores of rows is there; nothing is asked of them.

    Raises:
        PackageError: It is not.
    """
    urls = (each for row in rows for each in (row.source, row.voice, row.output) if isinstance(each, ObjectUrl))
    for url in {url.scheme: url for url in urls}.values():
        store_of(url)


def _files(row: Row) -> tuple[Path, Path]:
    """Return the files that a row reads; in place of an object, a file that there is not."""
    source, voice = (path if isinstance(path, Path) else _NO_FILE for path in (row.source, row.voice))
    return source, voice


def _reads(uses: FileUses, row: Row) -> list[FileUse]:
    return [use for use in uses.of(row.name).reads if use.path != _NO_FILE]


def _writes(row: Row, folders: FolderSettings, *, reports: bool) -> FileUses:
    """Return the files that a row writes; an object, and its report, are none.

    Raises:
        OutputError: It keeps what it finds beside its output, which has no folder.
    """
    if isinstance(row.output, Path):
        uses = output_files(row.output, folders)
        return uses.writing(report_beside(row.output), "the report") if reports else uses
    if folders.use_saved_coords and folders.coords_dir is None:
        raise OutputError(f"{row.name} keeps what it finds beside its output, a URL", "name a folder: coords_dir")
    beside = output_files(Path(row.output.name), folders)
    return FileUses(writes=tuple(use for use in beside.writes if use.path != Path(row.output.name)))


def _add(reads: dict[Path, FileUse], uses: Iterable[FileUse]) -> None:
    for use in uses:
        reads.setdefault(use.path, use)
