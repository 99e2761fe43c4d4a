"""What rows ask for, by content: which of them are the same render."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import musetalk
from musetalk.batch.rows import Row
from musetalk.errors import PATH, MediaError, one_line
from musetalk.progress import CancelToken, noop
from musetalk.resume.identity import weight_facts
from musetalk.settings import RenderSettings
from musetalk.storage.locations import Location, ObjectUrl
from musetalk.storage.store import ObjectFacts, facts_of, identity_of, no_object
from musetalk.utils.files import readable

_BLOCK = 2**20
_KEPT_AT_ONCE = 500  # digests: a disk takes a while for each transaction, and to read again what was not kept
_KEPT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the system says of a file; where it is the same, so is the content."""

    size: int
    changed_ns: int
    number: int

    @classmethod
    def of(cls, path: Path) -> FileFacts:
        """Return the facts of a file.

        Raises:
            OSError: There is none.
        """
        facts = path.stat()
        return cls(facts.st_size, facts.st_mtime_ns, facts.st_ino)


@dataclass(frozen=True, slots=True)
class FileState:
    """A file, or an object, as it was when its digest, or what stands for that, was taken."""

    path: Location
    facts: FileFacts
    digest: str

    def changed(self) -> bool:
        """Return whether it holds something else by now; not, where it is gone.

        Raises:
            StorageError: The object's store says no, or cannot be reached.
        """
        if isinstance(self.path, ObjectUrl):
            there = facts_of(self.path)
            return there is not None and identity_of(self.path, there) != self.digest
        try:
            return FileFacts.of(self.path) != self.facts and read_digest(self.path, noop) != self.digest
        except OSError:
            return False


class DigestStore(Protocol):
    """Where digests are kept, so that no file is read again that has not changed."""

    def digest_of(self, path: Location, facts: FileFacts) -> str | None:
        """Return a file's digest, if it is known."""
        ...

    def keep_digests(self, known: Sequence[FileState]) -> None:
        """Keep digests of files, and of objects what stands for them."""
        ...


class Digests:
    """SHA-256 of files and folders, each read once. What was read is kept at the end, and now and then.

    Args:
        store: Where they are kept.
        cancel: Ends the reading.
        asked: Returns what a store says of an object.
    """

    def __init__(
        self,
        store: DigestStore,
        cancel: CancelToken | None = None,
        asked: Callable[[ObjectUrl], ObjectFacts | None] = facts_of,
    ) -> None:
        self._store, self.asked = store, asked
        self._cancel = cancel or CancelToken()
        self._known: dict[Location, str | MediaError] = {}
        self._states: dict[Location, FileState] = {}
        self._read: list[FileState] = []
        self._kept = time.monotonic()

    def keep(self) -> None:
        """Keep what was read until now."""
        read, self._read, self._kept = self._read, [], time.monotonic()
        if read:
            self._store.keep_digests(read)

    def of_input(self, path: Location, what: str) -> str:
        """Return the digest of an input: of a file, or of a folder's files by name; of an object what stands for it.

        Args:
            path: The input.
            what: It is, for messages: "source".

        Raises:
            MediaError: It cannot be read.
            StorageError: Its store says no, or cannot be reached.
        """
        known = self._known.get(path)
        if known is None and isinstance(path, ObjectUrl):
            known = self._known[path] = self._of_object(path)
        elif known is None and isinstance(path, Path):
            try:
                known = self._of_folder(path) if path.is_dir() else self.of_file(path)
            except (OSError, ValueError) as error:  # a name that no file can have
                reason = getattr(error, "strerror", None) or "no file can have such a name"
                problem = f'the {what} "{PATH}" cannot be read ({reason})'
                known = MediaError(problem, "check its path", path=path).called(readable(path))
            self._known[path] = known
        if isinstance(known, MediaError):
            raise known
        assert known is not None  # noqa: S101 - it is one of both
        return known

    def _of_object(self, url: ObjectUrl) -> str | MediaError:
        facts = self.asked(url)
        if facts is None:
            return no_object(url)
        digest = identity_of(url, facts)
        self._note(FileState(url, FileFacts(facts.size, 0, 0), digest))
        return digest

    def of_file(self, path: Path) -> str:
        """Return the digest of a file.

        Raises:
            OSError: It cannot be read.
            Cancelled: The reading was ended.
        """
        facts = FileFacts.of(path)
        digest = self._store.digest_of(path, facts)
        if digest is None:
            digest = read_digest(path, self._cancel.check)
            self._note(FileState(path, facts, digest))
        self._states[path] = FileState(path, facts, digest)
        return digest

    def state_of(self, path: Location) -> FileState | None:
        """Return an input as it was when its digest was taken; None: it was not, or it is a folder."""
        return self._states.get(path)

    def _note(self, state: FileState) -> None:
        self._states[state.path] = state
        self._read.append(state)
        if len(self._read) >= _KEPT_AT_ONCE or time.monotonic() > self._kept + _KEPT_SECONDS:
            self.keep()

    def _of_folder(self, folder: Path) -> str:
        whole = hashlib.sha256()
        for path in sorted(each for each in folder.iterdir() if each.is_file()):
            whole.update(f"{path.name}\0{self.of_file(path)}\0".encode("utf-8", "surrogateescape"))
        return whole.hexdigest()


def read_digest(path: Path, check: Callable[[], None]) -> str:
    """Return the SHA-256 of a file in hexadecimal; `check` is called on the way, and may end it.

    Raises:
        OSError: It cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            check()
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Content:
    """What a row asks for.

    Attributes:
        source: Digest of its source.
        key: Digest of all that decides what its file holds.
        inputs: Its files, as they were when they were read.
    """

    source: str
    key: str
    inputs: tuple[FileState, ...] = ()


def content_of(row: Row, settings: str, digests: Digests) -> Content:
    """Return what a row asks for: rows of the same key are one render.

    Args:
        row: The row.
        settings: From `settings_text`.
        digests: Of files.

    Raises:
        MediaError: One of its inputs cannot be read.
    """
    source, voice = digests.of_input(row.source, "source"), digests.of_input(row.voice, "voice")
    asked = (source, voice, settings, row.output.suffix.lower(), musetalk.__version__)
    states = map(digests.state_of, (row.source, row.voice))
    return Content(source, hashlib.sha256(json.dumps(asked).encode()).hexdigest(), tuple(filter(None, states)))


def settings_text(settings: RenderSettings, weights: Iterable[Path], digests: Digests) -> str:
    """Return settings as a text that is the same where they ask for the same: of files that they name, the content.

    Where weights lie is in it only where nothing is known of them: rows of other folders may then be other renders.

    Args:
        settings: Of a render.
        weights: What it loads, as far as that is on this machine. What was not recorded of them is read.
        digests: Of files.
    """

    def unrecorded(path: Path) -> str:
        try:
            return digests.of_file(path)
        except OSError as error:  # which the render will tell
            return one_line(error)

    facts = weight_facts(weights, settings.models_dir, unrecorded)
    values = settings.model_dump(mode="json", exclude={"models_dir"} if facts else None)
    return json.dumps([_by_content(values, digests), facts], sort_keys=True)


def _by_content(value: Any, digests: Digests) -> Any:  # noqa: ANN401 - plain values
    """Return plain values in which texts that name a file are replaced by its digest."""
    if isinstance(value, dict):
        return {name: _by_content(each, digests) for name, each in value.items()}
    if isinstance(value, list):
        return [_by_content(each, digests) for each in value]
    try:
        if isinstance(value, str) and Path(value).is_file():
            return f"sha256:{digests.of_file(Path(value))}"
    except (OSError, ValueError):  # it is no name, or cannot be read, which the render will tell
        return value
    return value
