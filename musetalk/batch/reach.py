"""What a task needs, on the machine of the worker that does it: objects as files, and a place to make a file.

What lies on disks is used where it lies. An object is fetched into this machine's cache; what is to be one is made in a
folder of this machine, and put into the store whole, into the batch's folder there, from which only the driver takes
it. Beside it goes a record of what it is, so that what was made once is not made again where only the way failed.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from musetalk.batch.content import FileFacts, FileState, read_digest
from musetalk.batch.made import MadeRecord, record_beside
from musetalk.errors import MediaError, MuseTalkError, write_error
from musetalk.pipeline.report import RenderReport, as_json
from musetalk.progress import CancelToken, ProgressCallback, ProgressEvent, Stage
from musetalk.resume.part_folder import KEPT_SECONDS, is_folder_of_parts
from musetalk.storage.cache import ObjectCache
from musetalk.storage.locations import Location, ObjectUrl
from musetalk.storage.store import identity_of, store_of
from musetalk.utils.files import readable, whole_file
from musetalk.utils.temporary_folders import last_change, open_locked, remove_unheld

_MAKING = "making"
_PARTS = "parts"
_PART = re.compile(r"render\.json|part-(\d{5})(?:-[\w-]{1,40})?\.(mp4|json)")
_log = logging.getLogger(__name__)


class Workplace(Protocol):
    """Where a worker makes a file."""

    @property
    def out(self) -> Path:
        """The file to make; its folder is there."""
        ...

    def found(self) -> RenderReport | None:
        """Return the report of the same file made before, which is still there; None: it is to be made."""
        ...

    def deliver(self, report: RenderReport) -> RenderReport:
        """Put the file where the driver finds it."""
        ...

    def take_parts(self, numbers: range | None = None) -> None:
        """Have the parts, all or of those named, that others made of it."""
        ...

    def give_parts(self) -> None:
        """Let others have the parts that were made of it here."""
        ...


@dataclass(frozen=True, slots=True)
class Reached:
    """What a task needs, on this machine."""

    source: Path
    voice: Path
    place: Workplace


@contextmanager
def within_reach(
    source: Location,
    voice: Location,
    out: Location,
    objects: Iterable[FileState],
    on_progress: ProgressCallback,
    cancel: CancelToken,
) -> Iterator[Reached]:
    """Have what a task needs on this machine while the `with` block runs; errors name objects by their URLs.

    Args:
        source: One of its inputs.
        voice: The other one.
        out: What it makes.
        objects: Those of both that are objects, as they have to be.
        on_progress: Hears, while something is fetched or put into a store, that the task goes on.
        cancel: Ends that.

    Raises:
        MuseTalkError: An input cannot be had, or is another one by now, or there is no place for the output.
    """
    names, known = dict[Path, str](), {each.path: each.digest for each in objects}
    with ExitStack() as stack:
        try:
            paths, inputs = list[Path](), list[str]()
            for location in (source, voice):
                if isinstance(location, Path):
                    paths.append(location)
                    inputs.append(_facts_text(location))
                    continue
                check = _checking("preflight", on_progress, cancel)
                fetched = stack.enter_context(ObjectCache.of_this_machine().file(location, check))
                if known.get(location, "") not in ("", identity_of(location, fetched.facts)):
                    problem = f'"{readable(str(location))}" was changed since the batch began'
                    raise MediaError(problem, "--resume renders it as it is now")
                names[fetched.path] = str(location)
                paths.append(fetched.path)
                inputs.append(fetched.facts.text)
            place: Workplace
            if isinstance(out, Path):
                place = _OnDisk(out)
            else:
                folder = stack.enter_context(_making_folder(ObjectCache.of_this_machine().folder / _MAKING, out))
                place = _ForStore(out, folder, tuple(inputs), _checking("finish", on_progress, cancel))
            yield Reached(paths[0], paths[1], place)
        except MuseTalkError as error:
            if error.path in names:
                raise error.called(names[error.path]) from error
            raise


@dataclass(frozen=True, slots=True)
class _OnDisk:
    """A file that is made where the driver finds it."""

    out: Path

    def found(self) -> RenderReport | None:
        """See `Workplace`."""
        return None

    def deliver(self, report: RenderReport) -> RenderReport:
        """See `Workplace`."""
        return report

    def take_parts(self, numbers: range | None = None) -> None:
        """They are there."""

    def give_parts(self) -> None:
        """They are there."""


class _ForStore:
    """A file that is made in a folder of this machine, and goes into a store.

    Args:
        url: The object to make, of the batch's folder in the store; see `Staging`.
        folder: Where its file is made.
        inputs: What is known of what it is made of.
        check: Called on the way to the store and back; may end it.
    """

    def __init__(
        self, url: ObjectUrl, folder: _MakingFolder, inputs: tuple[str, ...], check: Callable[[], None]
    ) -> None:
        self._url, self._made, self._inputs, self._check = url, folder, inputs, check
        self._store = store_of(url)
        self._is_there = False

    @property
    def out(self) -> Path:
        """See `Workplace`."""
        return self._made.folder / self._url.name

    def found(self) -> RenderReport | None:
        """See `Workplace`: in the store, or, where it did not get there, in the folder."""
        stored = MadeRecord.parse(self._store.read(record_beside(self._url)))
        if stored is not None and stored.inputs == self._inputs:
            facts = self._store.facts(self._url)
            if facts is not None and facts.text == stored.stored:
                self._is_there = True
                return stored.report
        with suppress(OSError):
            made = MadeRecord.parse(record_beside(self.out).read_bytes())
            if made is not None and made.inputs == self._inputs and self._agrees(made):
                return made.report
        return None

    def _agrees(self, made: MadeRecord) -> bool:
        """Whether the file in the folder is the one of a record."""
        return self.out.stat().st_size == made.size and read_digest(self.out, self._check) == made.digest

    def deliver(self, report: RenderReport) -> RenderReport:
        """See `Workplace`."""
        if not self._is_there:
            try:
                made = MadeRecord(self.out.stat().st_size, read_digest(self.out, self._check), self._inputs, report)
                with whole_file(record_beside(self.out)) as partial:
                    partial.write_bytes(as_json(made.to_dict()))
            except OSError as error:
                raise write_error(error)(f"what was made cannot be read ({error.strerror})", "try again") from error
            facts = self._store.upload(self.out, self._url, self._check)
            self._store.write(record_beside(self._url), as_json(replace(made, stored=facts.text).to_dict()))
        self._made.spent = True
        return report

    def take_parts(self, numbers: range | None = None) -> None:
        """See `Workplace`. Records come last: a part without one is not there yet."""
        for url in sorted(self._store.below(self._url.parent / _PARTS), key=_records_last):
            folder = self._made.folder / url.parent.name
            path, part = folder / url.name, _PART.fullmatch(url.name)
            wanted = part and (numbers is None or part[1] is None or int(part[1]) in numbers)
            if wanted and is_folder_of_parts(folder.name) and not path.exists():
                folder.mkdir(exist_ok=True)
                with whole_file(path) as partial:
                    self._store.download(url, partial, self._check)

    def give_parts(self) -> None:
        """See `Workplace`. Records go last."""
        prefix = self._url.parent / _PARTS
        there = set(self._store.below(prefix))
        for folder in filter(lambda path: is_folder_of_parts(path.name), self._made.folder.iterdir()):
            made = [path for path in folder.iterdir() if _PART.fullmatch(path.name)]
            for path in sorted(made, key=_records_last):
                url = prefix / folder.name / path.name
                if url not in there:
                    self._store.upload(path, url, self._check)
        self._made.spent = True


def _records_last(place: Location) -> tuple[bool, str]:
    return place.name.startswith("part-") and place.suffix == ".json", place.name


def _facts_text(path: Path) -> str:
    """Return what the system says of an input; of one that is not there, or is a folder, the render tells."""
    try:
        facts = FileFacts.of(path)
    except OSError:
        return ""
    return f"{facts.size} {facts.changed_ns}"


def _checking(stage: Stage, on_progress: ProgressCallback, cancel: CancelToken) -> Callable[[], None]:
    """Return what is called while bytes come and go."""

    def check() -> None:
        cancel.check()
        on_progress(ProgressEvent(stage, 0, 0))

    return check


@dataclass(slots=True)
class _MakingFolder:
    """The folder in which the file of an object is made.

    Attributes:
        folder: Where it is.
        spent: Whether all that is in it is in the store by now.
    """

    folder: Path
    spent: bool = False


@contextmanager
def _making_folder(parent: Path, url: ObjectUrl) -> Iterator[_MakingFolder]:
    """The folder in which the file of an object is made; held while the `with` block runs.

    It is named by the render's content, so that whoever makes that again on this machine goes on with it. It goes when
    it is spent, and no other worker is at it; or when nobody came back to it in a week.
    """
    folder = parent / url.parent.name
    try:
        _sweep(parent)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = open_locked(folder, wait=True, shared=True)
    except OSError as error:
        problem = f"renders cannot be made in {parent} ({error.strerror})"
        raise write_error(error)(problem, "free some space there, or name another folder", path=parent) from error
    made = _MakingFolder(folder)
    try:
        yield made
    finally:
        if lock is not None:
            os.close(lock)
    if made.spent and lock is None:  # folders cannot be locked here
        shutil.rmtree(folder, ignore_errors=True)
    elif made.spent:
        remove_unheld(folder)


def _sweep(parent: Path) -> None:
    """Remove what stopped renders left a week ago."""
    if not parent.is_dir():
        return
    for folder in parent.iterdir():
        with suppress(OSError):
            if last_change(folder) < time.time() - KEPT_SECONDS:
                remove_unheld(folder)
