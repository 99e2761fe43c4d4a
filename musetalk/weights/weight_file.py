"""One file of weights: where it belongs, where it comes from, whether it is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

from musetalk.errors import CheckpointError
from musetalk.weights.lock import LockEntry, read_lock
from musetalk.weights.variants import lean_path, preferred

State: TypeAlias = Literal["missing", "damaged", "ready"]

_SHOWN = 3  # files that a sentence names


@dataclass(frozen=True, slots=True)
class HubPlace:
    """A file of a repository on the Hugging Face hub, or on a mirror that HF_ENDPOINT names.

    Attributes:
        repository: Owner and name.
        path: Inside it.
        revision: A commit, so that the file stays the same; or a branch.
    """

    repository: str
    path: str
    revision: str = "main"

    @property
    def page(self) -> str:
        """Its address for people."""
        return f"https://huggingface.co/{self.repository}"


@dataclass(frozen=True, slots=True)
class UrlPlace:
    """A file at an address.

    Attributes:
        address: https.
    """

    address: str

    @property
    def page(self) -> str:
        """Its address for people."""
        return self.address


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file under the models folder.

    Attributes:
        path: Its place below that folder.
        place: Where it is downloaded from.
        licence: Its licence, as its authors name it.
        size: Its size in bytes; None: not known before it is asked for.
        sha256: 64 hexadecimal digits; empty: not known beforehand.
        alternatives: Files that serve instead if they are there and this one is not; never downloaded.
        used: Beginnings of the names of the tensors that are used; empty: all are. What a lean copy keeps.
        unconfirmed: Its SHA-256 as one public source alone gives it: no reason to refuse a file; empty: nobody does.
    """

    path: PurePosixPath
    place: HubPlace | UrlPlace
    licence: str
    size: int | None = None
    sha256: str = ""
    alternatives: tuple[WeightFile, ...] = ()
    used: tuple[str, ...] = ()
    unconfirmed: str = ""

    @property
    def source(self) -> str:
        """Where it comes from, for people: an address."""
        return self.place.page

    def present(self, models_dir: Path) -> WeightFile | None:
        """Return the file that is read: this one if it is there, or else the first alternative that is.

        None: there is neither.
        """
        for file in (self, *self.alternatives):
            if (models_dir / file.path).is_file():
                return file
        return None

    def read_from(self, models_dir: Path) -> Path | None:
        """Return the file that is read: it, what serves instead, or the lean copy that stands for that; None: none."""
        places = (preferred(models_dir / file.path) for file in (self, *self.alternatives))
        return next((place for place in places if place.is_file()), None)

    def state(self, models_dir: Path) -> State:
        """Return whether it, or what serves instead, is there; damaged: it has another size. Reads no contents."""
        present = self.present(models_dir)
        if present is None:
            copies = (lean_path(models_dir / file.path) for file in (self, *self.alternatives))
            return "ready" if any(copy.is_file() for copy in copies) else "missing"
        size = (models_dir / present.path).stat().st_size
        return "ready" if size == present.expected_size(models_dir, size) else "damaged"

    def expected_size(self, models_dir: Path, otherwise: int) -> int:
        """Return how large the file should be, in bytes; `otherwise` where nobody knows."""
        entry = _entry(models_dir, self.path)
        if entry is not None and (entry.own or self.size is None):
            return entry.size
        return otherwise if self.size is None else self.size


def lacking(files: Iterable[WeightFile], models_dir: Path, backend: str = "") -> tuple[str, ...]:
    """Say what is missing or damaged, one sentence each with the remedy; empty: nothing. Reads no contents.

    Args:
        files: What is needed.
        models_dir: Where they belong.
        backend: Whose they are, for the command that fetches them.
    """
    states = [(file, file.state(models_dir)) for file in files]
    missing = [file for file, state in states if state == "missing"]
    damaged = [file for file, state in states if state == "damaged"]
    command = _command(f"download {backend}".strip(), models_dir)
    sentences = [_missing_sentence(missing, command)] if missing else []
    return (*sentences, *(_damaged_sentence(file, models_dir, command) for file in damaged))


def readable_size(count: int) -> str:
    """Bytes for people, as disks and downloads count them: "3.4 GB", "53 MB", "748 bytes"."""
    for unit, power in (("GB", 9), ("MB", 6), ("kB", 3)):
        if count >= 10**power:
            value = count / 10**power
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return "1 byte" if count == 1 else f"{count} bytes"


def _missing_sentence(files: list[WeightFile], command: str) -> str:
    names = ", ".join(str(file.path) for file in files[:_SHOWN])
    more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    known = sum(file.size or 0 for file in files)
    about = "at least " if any(file.size is None for file in files) else ""
    size = f" ({about}{readable_size(known)})" if known else ""
    return f"{names}{more} missing{size}: {command}"


def _damaged_sentence(file: WeightFile, models_dir: Path, command: str) -> str:
    present = file.present(models_dir) or file
    size = (models_dir / present.path).stat().st_size
    wanted = present.expected_size(models_dir, size)
    adopt = _command(f"adopt {present.path}", models_dir)
    return (
        f"{present.path} has {size} bytes instead of {wanted}: {command} --replace; "
        f"or, if it is a checkpoint of your own: {adopt}"
    )


def _command(words: str, models_dir: Path) -> str:
    option = "" if models_dir == Path("models") else f' --models-dir "{models_dir}"'
    return f"python -m musetalk weights {words}{option}"


def _entry(models_dir: Path, path: PurePosixPath) -> LockEntry | None:
    """Return what is recorded of a file; nothing where the record is damaged, which `verify` complains of."""
    try:
        return read_lock(models_dir).get(str(path))
    except CheckpointError:
        return None
