"""Where a file lies: on a disk, by its path, or in a store, by its URL."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from musetalk.errors import SettingsError
from musetalk.utils.files import readable

# Stores in which an object appears whole or not at all, and has a tag that changes with what it holds.
SCHEMES = ("s3", "gs", "az")
KEY_BYTES = 1024  # that an object's key may have
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)  # a single letter is a drive of Windows
_STORES, _OTHERS = "s3a?|gs|gcs|az|abfss?", "https?|ftp|memory|file"  # whose URLs people write
# What is meant as a URL, without its two slashes; of stores also as rclone writes it, without any.
_MEANT = re.compile(rf"({_STORES}|(?:{_OTHERS})(?=:/)):/?(?!/)(.*)", re.IGNORECASE | re.DOTALL)
_COLLAPSED = re.compile(rf"({_STORES}|{_OTHERS}):/+(.*)", re.IGNORECASE | re.DOTALL)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_NO_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # control characters, and halves of letters
_SEE = "see docs/batch.md"


@dataclass(frozen=True, slots=True)
class ObjectUrl:
    """An object in a store, or what the names of several begin with. Never a `Path`, which makes one slash of two.

    Attributes:
        scheme: Of the store: "s3".
        bucket: What it lies in.
        key: Its name there, with slashes, none at either end; empty: all of the bucket.
    """

    scheme: str
    bucket: str
    key: str = ""

    def __str__(self) -> str:
        """Return the URL."""
        return f"{self.scheme}://{self.bucket}" + (f"/{self.key}" if self.key else "")

    @property
    def name(self) -> str:
        """What is behind the last slash."""
        return self.key.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The name's ending, with its dot."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> ObjectUrl:
        """What is before the last slash."""
        return ObjectUrl(self.scheme, self.bucket, self.key.rpartition("/")[0])

    def __truediv__(self, below: str) -> ObjectUrl:
        """Return what lies below this."""
        return ObjectUrl(self.scheme, self.bucket, f"{self.key}/{below}" if self.key else below)

    def with_name(self, name: str) -> ObjectUrl:
        """Return what lies beside this under another name."""
        return self.parent / name

    def holds(self, other: ObjectUrl) -> bool:
        """Whether another one lies below this."""
        same = (self.scheme, self.bucket) == (other.scheme, other.bucket)
        return same and (not self.key or other.key.startswith(f"{self.key}/"))


Location: TypeAlias = Path | ObjectUrl


def on_disk(location: Location) -> Path:
    """Return the path of what the caller knows to lie on a disk.

    Raises:
        TypeError: It is an object.
    """
    if isinstance(location, ObjectUrl):
        raise TypeError(f"{location} lies in a store")
    return location


def is_url(text: str) -> bool:
    """Whether a text is a URL, or meant as one ("s3:/bucket"), and not the path of a file.

    A file or folder of such a name is meant by "./s3:/bucket", whatever folders there are.
    """
    return _URL.match(text) is not None or _MEANT.match(text) is not None


def taken_for_path(path: Path) -> str:
    """Return the URL that somebody took for a path, which has one slash where that has two; empty: it is a path."""
    found = _COLLAPSED.fullmatch(str(path))
    return f"{found[1]}://{found[2]}" if found is not None and not Path(path.parts[0]).exists() else ""


def parse_url(text: str, *, whole: bool = True) -> ObjectUrl:
    """Return what a URL names.

    Args:
        text: The URL.
        whole: Whether it is to name one object; else it may be what the names of several begin with.

    Raises:
        SettingsError: It is none of a store that can be used, or names no object.
    """
    found = _URL.fullmatch(text) or _MEANT.fullmatch(text)
    if found is None:
        raise SettingsError(f'"{readable(text)}" is no URL', f"for example: s3://bucket/name; {_SEE}")
    scheme, (bucket, _, key) = found[1].lower(), found[2].partition("/")
    if "@" in bucket:  # never shown: messages are logged, and kept in reports
        remedy = f"leave out what is before the @; who you are is said by the store's own variables and files ({_SEE})"
        raise SettingsError(f"a URL of {scheme}:// says who you are", remedy)
    if _NO_TEXT.search(text):
        raise SettingsError(f'"{readable(text)}" holds what no key of an object does', "write it as UTF-8")
    if scheme not in SCHEMES:
        known = ", ".join(f"{each}://" for each in SCHEMES)
        remedy = f"{known} are read and written; of all else, give the path of a file"
        raise SettingsError(f'"{readable(text)}" is of no store that batches use', remedy)
    if _URL.match(text) is None:
        remedy = f'write "{scheme}://{readable(found[2])}", or "./{readable(text)}" for a path that is called so'
        raise SettingsError(f'"{readable(text)}" is a URL without its two slashes', remedy)
    if not _BUCKET.fullmatch(bucket):
        remedy = f"{scheme}://BUCKET/NAME; who you are is said by the store's own variables and files ({_SEE})"
        raise SettingsError(f'"{readable(text)}" names no bucket', remedy)
    if not whole:
        key = key.rstrip("/")
    if whole and (not key or key.endswith("/")):
        problem = f'"{readable(text)}" names no object'
        raise SettingsError(problem, "folders of pictures are read from disks only: give the URL of one video")
    if key and (any(part in ("", ".", "..") for part in key.split("/")) or "?" in key):
        problem = f'the key of "{readable(text)}" has an empty part, one of dots, or a "?"'
        raise SettingsError(problem, "give the object another key")
    if len(key.encode()) > KEY_BYTES:
        raise SettingsError(f'the key of "{readable(text)[:40]}..." is too long', f"{KEY_BYTES} bytes are allowed")
    return ObjectUrl(scheme, bucket, key)


def location_of(text: str) -> Location:
    """Return the place of results that a text names: a folder, or what URLs begin with.

    Raises:
        SettingsError: It is a URL of no store that can be used.
    """
    if is_url(text):
        return parse_url(text, whole=False)
    path = Path(text)
    return path.absolute() if taken_for_path(path) else path  # "./s3:/bucket" was said, to mean a folder


def common_prefix(urls: Iterable[ObjectUrl]) -> ObjectUrl:
    """Return the longest prefix, up to a slash, below which all of some objects of one bucket lie."""
    first, *others = (url.parent for url in urls)
    parts = first.key.split("/")
    for each in others:
        alike = 0
        for mine, theirs in zip(parts, each.key.split("/"), strict=False):
            if mine != theirs:
                break
            alike += 1
        parts = parts[:alike]
    return ObjectUrl(first.scheme, first.bucket, "/".join(parts))
