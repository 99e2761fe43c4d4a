"""Whether a file is the one it should be: hashes, by all that is known of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

from musetalk.errors import PATH, CheckpointError, WeightsError
from musetalk.progress import CancelToken
from musetalk.weights.lock import LOCK_NAME, LockEntry, entry_of, guarded, read_lock, record
from musetalk.weights.variants import MADE_FROM, lean_path, read_metadata
from musetalk.weights.weight_file import WeightFile

Algorithm: TypeAlias = Literal["sha256", "git"]
BytesCallback: TypeAlias = Callable[[int], None]

_CHUNK = 4 * 2**20
_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.\w+$")  # torch.hub's custom: name-<beginning of its SHA-256>.pth


@dataclass(frozen=True, slots=True)
class Expectation:
    """What someone says of a file's bytes.

    Attributes:
        by: Who says it, for people.
        algorithm: "sha256", or "git": the SHA-1 of git's blobs, which the hub gives for small files.
        digits: Hexadecimal; the beginning of the hash, or all of it.
    """

    by: str
    algorithm: Algorithm
    digits: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found out about one file.

    Attributes:
        path: The file looked at, below the folder of models.
        state: "ready": what it should be; "recorded": nothing was known, so this is what it has to be from now on;
            "missing"; "damaged": something else than it should be.
        why: A sentence; empty where it goes without saying.
    """

    path: PurePosixPath
    state: Literal["ready", "recorded", "missing", "damaged"]
    why: str = ""


def expected(file: WeightFile, entry: LockEntry | None, tag: str = "") -> tuple[Expectation, ...]:
    """Return all that is known of a file's bytes.

    Args:
        file: Which.
        entry: What was recorded of it, if it was.
        tag: What the hub says: the SHA-256 of large files, git's hash of small ones; anything else says nothing.
    """
    said: list[Expectation] = []
    if file.sha256:
        said.append(Expectation("the list of this version", "sha256", file.sha256))
    if named := _IN_NAME.search(file.path.name):
        said.append(Expectation("its name", "sha256", named[1]))
    if re.fullmatch("[0-9a-f]{64}", tag):
        said.append(Expectation("the hub", "sha256", tag))
    elif re.fullmatch("[0-9a-f]{40}", tag):
        said.append(Expectation("the hub", "git", tag))
    if entry is not None and not entry.own and not file.sha256:
        said.append(Expectation(LOCK_NAME, "sha256", entry.sha256))
    return tuple(said)


def digest(
    path: Path,
    algorithm: Algorithm = "sha256",
    on_bytes: BytesCallback | None = None,
    cancel: CancelToken | None = None,
) -> str:
    """Hash a file.

    Args:
        path: Which.
        algorithm: See `Expectation`.
        on_bytes: Called with the bytes read so far.
        cancel: Ends it.

    Raises:
        BackendError: It cannot be read.
        Cancelled: Through `cancel`.
    """
    token = cancel or CancelToken()
    try:
        with path.open("rb") as file:
            running = hashlib.sha256()
            if algorithm == "git":  # https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
                running = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
            while chunk := file.read(_CHUNK):
                token.check()
                running.update(chunk)
                if on_bytes is not None:
                    on_bytes(file.tell())
    except OSError as error:
        problem = f"{PATH} cannot be read ({error.strerror})"
        raise CheckpointError(problem, "make it readable", path=path) from error
    return running.hexdigest()


def short_digest(path: Path) -> str:
    """Return the start of a file's SHA-256, enough to tell weights apart.

    Raises:
        BackendError: It cannot be read.
    """
    return digest(path)[:12]


def disagreement(path: Path, said: Iterable[Expectation], sha256: str) -> str:
    """Return what contradicts what is said of a file, as half a sentence; empty: nothing.

    Args:
        path: Which.
        said: All that is known of it.
        sha256: Its own.
    """
    for expectation in said:
        found = sha256 if expectation.algorithm == "sha256" else digest(path, "git")
        if not found.startswith(expectation.digits):
            kind = "SHA-256" if expectation.algorithm == "sha256" else "git hash"
            return f"its {kind} begins with {found[:12]}, {expectation.by} says {expectation.digits[:12]}"
    return ""


def verify(
    files: Iterable[WeightFile],
    models_dir: Path,
    on_bytes: Callable[[PurePosixPath, int], None] | None = None,
    cancel: CancelToken | None = None,
) -> tuple[Verdict, ...]:
    """Read files and compare them with what is known of them; record those of which nothing was known.

    Args:
        files: Which; each is looked at once.
        models_dir: Where they are.
        on_bytes: Called with a file's place and the bytes of it read so far.
        cancel: Ends it.

    Raises:
        BackendError: A file cannot be read, or the record is damaged.
        OutputError: The record cannot be written.
        Cancelled: Through `cancel`.
    """
    token = cancel or CancelToken()
    verdicts: list[Verdict] = []
    if not models_dir.is_dir():
        return tuple(Verdict(file.path, "missing") for file in dict.fromkeys(files))
    with guarded(models_dir, token):
        for file in dict.fromkeys(files):
            verdicts += _verify_one(file, models_dir, on_bytes, token)
    return tuple(verdicts)


def adopt(file: WeightFile, models_dir: Path) -> Verdict:
    """Record a file as the user's own, in place of the published one: fine-tuned, for example.

    Raises:
        BackendError: There is no such file, or it cannot be read.
        OutputError: The record cannot be written.
    """
    path = models_dir / file.path
    if not path.is_file():
        raise WeightsError(f"there is no file {PATH}", "put it there first", path=path)
    with guarded(models_dir, CancelToken()):
        record(models_dir, file.path, entry_of(digest(path), path.stat().st_size, "put there by the user", own=True))
    return Verdict(file.path, "recorded", "used as it is from now on")


def _verify_one(
    file: WeightFile,
    models_dir: Path,
    on_bytes: Callable[[PurePosixPath, int], None] | None,
    cancel: CancelToken,
) -> list[Verdict]:
    """Return the verdicts on what is there of a file: itself or what serves instead, and its lean copy."""
    present = file.present(models_dir)
    verdicts: list[Verdict] = []
    if present is not None:
        sha256 = digest(models_dir / present.path, on_bytes=_for_file(on_bytes, present.path), cancel=cancel)
        verdicts.append(_compare(present, models_dir, sha256))
    # An original and its alternative may differ in their endings only, and then share the place of their copy.
    copies = (one.path.with_name(lean_path(models_dir / one.path).name) for one in (file, *file.alternatives))
    for copy in dict.fromkeys(copies):
        if (models_dir / copy).is_file():
            sha256 = digest(models_dir / copy, on_bytes=_for_file(on_bytes, copy), cancel=cancel)
            verdicts.append(_compare_copy(copy, models_dir, sha256))
    return verdicts or [Verdict(file.path, "missing")]


def _for_file(on_bytes: Callable[[PurePosixPath, int], None] | None, path: PurePosixPath) -> BytesCallback | None:
    return None if on_bytes is None else lambda done: on_bytes(path, done)


def _compare(file: WeightFile, models_dir: Path, sha256: str) -> Verdict:
    path = models_dir / file.path
    entry = read_lock(models_dir).get(str(file.path))
    if entry is not None and entry.own:
        if entry.sha256 == sha256:
            return Verdict(file.path, "ready", "your own")
        return Verdict(file.path, "damaged", "it has changed since it was adopted as your own")
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return Verdict(file.path, "damaged", f"it has {size} bytes instead of {file.size}")
    said = expected(file, entry)
    why = disagreement(path, said, sha256)
    if why:
        return Verdict(file.path, "damaged", why)
    if entry is None or entry.sha256 != sha256:
        record(models_dir, file.path, entry_of(sha256, size, "found in its place"))
    return Verdict(file.path, "ready" if said else "recorded", _doubt(file, sha256))


def _doubt(file: WeightFile, sha256: str) -> str:
    """Return what the one public source that is known of a file says else of it; empty: nothing."""
    if file.unconfirmed in {"", sha256}:
        return ""
    return (
        f"its SHA-256 begins with {sha256[:12]}, the one public source that gives any says {file.unconfirmed[:12]}: "
        "it is used all the same"
    )


def _compare_copy(copy: PurePosixPath, models_dir: Path, sha256: str) -> Verdict:
    entry = read_lock(models_dir).get(str(copy))
    origin = read_metadata(models_dir / copy).get(MADE_FROM, "an unknown file")
    if entry is None:
        size = (models_dir / copy).stat().st_size
        record(models_dir, copy, entry_of(sha256, size, f"made from {origin}"))
        return Verdict(copy, "recorded", f"made from {origin}")
    if entry.sha256 != sha256:
        return Verdict(copy, "damaged", f"it has changed since it was made from {origin}: export again")
    return Verdict(copy, "ready", f"made from {origin}")
