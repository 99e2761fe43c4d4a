"""A store of objects, by fsspec: asked for facts, read, written whole; its many errors become a few of ours."""

from __future__ import annotations

import errno
import hashlib
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from musetalk.errors import (
    DiskSpaceError,
    MediaError,
    MuseTalkError,
    PackageError,
    StorageError,
    StorageUnreachableError,
    one_line,
)
from musetalk.progress import noop
from musetalk.storage.locations import ObjectUrl
from musetalk.utils.files import readable

_TAGS = ("ETag", "etag", "md5Hash", "content_md5", "generation", "crc32c")  # as stores call them
_TIMES = ("LastModified", "last_modified", "mtime", "updated", "created")
_DIGEST = re.compile(r"[0-9a-f]{32}(-\d+)?")
_INSTALL = {"s3": 'pip install ".[storage]"', "gs": "pip install gcsfs", "az": "pip install adlfs"}
_NO_CREDENTIALS = frozenset(
    {
        "NoCredentialsError",
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "TokenRetrievalError",
        "UnauthorizedSSOTokenError",
        "ProfileNotFound",
        "DefaultCredentialsError",
        "ClientAuthenticationError",
    }
)
_WRONGLY_ASKED = frozenset({"ParamValidationError", "InvalidRegionError", "NoRegionError"})
# What a store says no to, each time: it is no accident of the network.
_REFUSALS = frozenset(
    {errno.EINVAL, errno.EPERM, errno.ENAMETOOLONG, errno.ENOSYS, getattr(errno, "EREMCHG", errno.EINVAL)}
)
# That a condition on what is there does not hold, as S3 and what speaks like it say it.
_OTHERWISE = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412"})
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What a store says of an object; where it is the same, so is what the object holds.

    Attributes:
        size: In bytes.
        tag: Its ETag, or what the store has in its place.
    """

    size: int
    tag: str

    @property
    def text(self) -> str:
        """Both in one word."""
        return f"{self.tag}:{self.size}"


def identity_of(url: ObjectUrl, facts: ObjectFacts) -> str:
    """Return a text that is the same only where an object's content is.

    An ETag that looks like a digest, as S3 has them, stands for the content, wherever the object lies; any other tag
    for the content of this one alone.
    """
    if _DIGEST.fullmatch(facts.tag):
        return f"etag:{facts.text}"
    return f"object:{hashlib.sha256(f'{url} {facts.text}'.encode('utf-8', 'surrogateescape')).hexdigest()}"


class ObjectStore:
    """A store. Safe to share between threads.

    Args:
        files: A file system of fsspec, which keeps no listings.
    """

    def __init__(self, files: Any) -> None:  # noqa: ANN401 - a framework, which may be missing
        self._files = files

    def facts(self, url: ObjectUrl) -> ObjectFacts | None:
        """Return what is known of an object now; None: there is none.

        Raises:
            StorageError: The store says no, or cannot be reached.
        """
        with _asking(url, "be looked at"):
            try:
                info = self._files.info(str(url))
            except FileNotFoundError:
                return None
        if info.get("type") != "file":
            return None
        tag = next((info[name] for name in _TAGS if info.get(name)), None)
        tag = tag or next((info[name] for name in _TIMES if info.get(name)), None)
        if tag is None:
            raise StorageError(f'the store says nothing by which "{readable(str(url))}" could be told from another one')
        return ObjectFacts(int(info["size"]), str(tag).strip('"'))

    def read(self, url: ObjectUrl) -> bytes | None:
        """Return what a small object holds; None: there is none.

        Raises:
            StorageError: The store says no, or cannot be reached.
        """
        with _asking(url, "be read"):
            try:
                content: bytes = self._files.cat_file(str(url))
            except FileNotFoundError:
                return None
        return content

    def write(self, url: ObjectUrl, content: bytes) -> None:
        """Put a small object in place, whole or not at all.

        Raises:
            StorageError: The store says no, or cannot be reached.
        """
        with _asking(url, "be written"):
            self._files.pipe_file(str(url), content)

    def write_if(self, url: ObjectUrl, content: bytes, tag: str | None) -> bool:
        """Put a small object in place if nothing, or still the same, is there; return whether it was.

        A store that does not know such conditions puts it there in any case. Tags are compared by S3 alone.

        Args:
            url: The object.
            content: What it is to hold.
            tag: Of what is to be there; None: nothing is to be.

        Raises:
            StorageError: The store says no, or cannot be reached.
        """
        condition = {"mode": "create"} if tag is None else {"IfMatch": f'"{tag}"'} if url.scheme == "s3" else {}
        with _asking(url, "be written"):
            try:
                self._files.pipe_file(str(url), content, **condition)
            except FileExistsError:
                return False
            except Exception as error:
                if _is_otherwise(error) or (tag is not None and isinstance(error, FileNotFoundError)):
                    return False
                if not _knows_no_condition(error):
                    raise
                self._files.pipe_file(str(url), content)
        return True

    def download(self, url: ObjectUrl, path: Path, check: Callable[[], None] = noop) -> None:
        """Write what an object holds to a file.

        Args:
            url: The object.
            path: The file; what is there is replaced. Where this fails, half of it may be there.
            check: Called on the way; may end it.

        Raises:
            MediaError: There is no such object any more.
            DiskSpaceError: The disk is full.
            StorageError: The store says no, or cannot be reached.
        """
        with _asking(url, "be read"):
            try:
                self._files.get_file(str(url), str(path), callback=_checking(check))
            except FileNotFoundError as error:
                raise no_object(url) from error

    def upload(self, path: Path, url: ObjectUrl, check: Callable[[], None] = noop) -> ObjectFacts:
        """Put a file in place as an object, whole or not at all; returns what the store says of it.

        Args:
            path: The file.
            url: The object; what is there is replaced.
            check: Called on the way; may end it.

        Raises:
            StorageError: The store says no, or cannot be reached.
        """
        with _asking(url, "be written"):
            self._files.put_file(str(path), str(url), callback=_checking(check))
        return self._arrived(url, path.stat().st_size)

    def copy(self, source: ObjectUrl, target: ObjectUrl) -> ObjectFacts:
        """Give an object another name, too, inside the store, whole or not at all; returns what that says of it.

        Raises:
            StorageError: The store says no, or cannot be reached.
        """
        with _asking(target, "be written"):
            try:
                self._files.cp_file(str(source), str(target))
            except FileNotFoundError as error:
                raise StorageUnreachableError(
                    f'"{readable(str(source))}" is not there any more', "try again"
                ) from error
        return self._arrived(target)

    def below(self, prefix: ObjectUrl) -> list[ObjectUrl]:
        """Return the objects whose names begin with a prefix and a slash.

        Raises:
            StorageError: The store says no, or cannot be reached.
        """
        with _asking(prefix, "be listed"):
            try:
                found: Iterable[str] = self._files.find(str(prefix))
            except FileNotFoundError:
                return []
        urls = (ObjectUrl(prefix.scheme, prefix.bucket, name.strip("/").partition("/")[2]) for name in found)
        return [url for url in urls if prefix.holds(url)]

    def remove(self, urls: Iterable[ObjectUrl]) -> None:
        """Remove objects, those that are there.

        Raises:
            StorageError: The store says no, or cannot be reached.
        """
        for url in urls:
            with _asking(url, "be removed"), suppress(FileNotFoundError):
                self._files.rm_file(str(url))

    def _arrived(self, url: ObjectUrl, size: int | None = None) -> ObjectFacts:
        """Return what the store says of an object that was just put there; its size, where that is known, is checked.

        Raises:
            StorageUnreachableError: It is not there, or of another size.
        """
        facts = self.facts(url)
        if facts is None or (size is not None and facts.size != size):
            has = "nothing" if facts is None else f"{facts.size:,} bytes of {size:,}"
            raise StorageUnreachableError(f'"{readable(str(url))}" did not arrive: the store has {has}', "try again")
        return facts


def store_of(url: ObjectUrl) -> ObjectStore:
    """Return the store of an object, as its own variables and files of settings say.

    Raises:
        PackageError: What reaches it is missing.
        StorageError: It is not set up.
    """
    try:
        import fsspec  # noqa: PLC0415 - an extra

        # Which fsspec makes once for each process. What it keeps of listings would hide what others do meanwhile.
        return ObjectStore(fsspec.filesystem(url.scheme, use_listings_cache=False))
    except (ImportError, ValueError) as error:
        remedy = f"{_INSTALL.get(url.scheme, 'install it')}, on each machine"
        raise PackageError(f"what reaches {url.scheme}:// cannot be imported ({one_line(error)})", remedy) from error
    except Exception as error:  # of many kinds
        raise _problem(error, url, "be reached") from error


def facts_of(url: ObjectUrl) -> ObjectFacts | None:
    """Return what its store says of an object now; None: there is none.

    Raises:
        PackageError: What reaches the store is missing.
        StorageError: It says no, or cannot be reached.
    """
    return store_of(url).facts(url)


def no_object(url: ObjectUrl) -> MediaError:
    """Return what to say where an object is not there."""
    return MediaError(f'there is no object "{readable(str(url))}"', "check its URL")


@contextmanager
def _asking(url: ObjectUrl, what: str) -> Iterator[None]:
    """Inside the `with` block, errors of whatever library a store is reached by become ours.

    Raises:
        MuseTalkError: See `_problem`.
    """
    try:
        yield
    except (MuseTalkError, FileNotFoundError) as error:
        if isinstance(error, MuseTalkError):
            raise
        raise StorageError(
            f'"{readable(str(url))}" cannot {what}: there is no such bucket', "make it, or correct the URL"
        ) from error
    except Exception as error:
        _log.debug("the store of %s failed", url, exc_info=True)
        raise _problem(error, url, what) from error


def _problem(error: Exception, url: ObjectUrl, what: str) -> MuseTalkError:
    """Return an error of a library as one of ours: what a network may be to blame for, passes; a refusal does not."""
    number, said = getattr(error, "errno", None), one_line(error) or type(error).__name__
    problem = f'"{readable(str(url))}" cannot {what} ({said})'
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & _NO_CREDENTIALS:
        remedy = {
            "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the machine's role",
        }.get(url.scheme, "log in, or set the store's own variables")
        return StorageError(f'nobody said who may use "{readable(str(url))}" ({said})', f"{remedy}, on each machine")
    if isinstance(error, PermissionError):
        return StorageError(problem, "let these credentials read the inputs, and write, list and delete the results")
    if number in (errno.ENOSPC, errno.EDQUOT):
        return DiskSpaceError(f"the disk that objects are fetched to is full ({said})", "free some space there")
    if kinds & _WRONGLY_ASKED or number in _REFUSALS:
        return StorageError(problem, "check the URL, and the region and the address of the store")
    return StorageUnreachableError(problem, "check the network, and the address of the store")


def _is_otherwise(error: Exception) -> bool:
    """Whether a store says that what is there is not what it was to be."""
    answer = getattr(error.__cause__ or error, "response", None)
    return isinstance(answer, dict) and answer.get("Error", {}).get("Code") in _OTHERWISE


def _knows_no_condition(error: Exception) -> bool:
    """Whether a store, or what reaches it, may have been asked for more than it can: not all say so in the same way."""
    asked_wrongly = getattr(error, "errno", None) in (errno.ENOSYS, errno.EINVAL)
    return asked_wrongly or isinstance(error, TypeError | NotImplementedError)


def _checking(check: Callable[[], None]) -> Any:  # noqa: ANN401 - a framework's class
    """Return a callback of fsspec's that calls `check` with each block."""
    from fsspec.callbacks import Callback  # noqa: PLC0415 - an extra

    class Checking(Callback):  # type: ignore[misc]
        def relative_update(self, _inc: int = 1) -> None:
            check()

    return Checking()
