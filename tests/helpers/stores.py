"""Objects in memory, by fsspec's own store for that, which fails where a test says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
import pytest

from musetalk.batch.rows import Row
from musetalk.storage.cache import FOLDER
from musetalk.storage.locations import ObjectUrl
from musetalk.storage.store import ObjectStore, store_of

TROUBLE = {"network": ConnectionResetError("the line is dead"), "forbidden": PermissionError("Access Denied")}


@contextmanager
def some_bucket(cache: Path) -> Iterator[ObjectUrl]:
    """Have a bucket, and a cache of its objects, while the `with` block runs."""
    url = ObjectUrl("memory", cache.parent.name)
    files = fsspec.filesystem("memory")
    files.mkdir(str(url))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER, str(cache))
        yield url
    files.rm(str(url), recursive=True)


def put(url: ObjectUrl, text: str) -> ObjectUrl:
    store_of(url).write(url, text.encode())
    return url


def text_of(url: ObjectUrl) -> str:
    content = store_of(url).read(url)
    assert content is not None, f"{url} is not there"
    return content.decode()


def names(prefix: ObjectUrl) -> set[str]:
    """What is there below a prefix, by the rest of the names."""
    return {url.key.removeprefix(f"{prefix.key}/") for url in store_of(prefix).below(prefix)}


def object_rows(bucket: ObjectUrl, *inputs: tuple[str, str], **settings: object) -> list[Row]:
    """Rows of sources and voices that hold these texts, to out/0.mp4, out/1.mp4, ..."""
    for text in {text for texts in inputs for text in texts}:
        put(bucket / f"in/{text}", text)
    return [
        Row(f"line {number}", bucket / f"in/{source}", bucket / f"in/{voice}", bucket / f"out/{number}.mp4", settings)
        for number, (source, voice) in enumerate(inputs)
    ]


class Trouble:
    """Lets a store fail.

    Args:
        patch: Undoes it.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.calls = Counter[str]()

    def let_fail(self, method: str, how: str = "network", *, times: int = 1, ending: str = "") -> None:
        """Let calls of a method fail, so often, that are about objects with names that end so."""
        kind = type(fsspec.filesystem("memory"))
        right = getattr(kind, method)

        def wrong(files: object, *arguments: str, **options: object) -> object:
            if any(str(each).endswith(ending) for each in arguments):
                self.calls[method] += 1
                if self.calls[method] <= times:
                    raise TROUBLE[how]
            return right(files, *arguments, **options)

        self._patch.setattr(kind, method, wrong)


class CountingStore(ObjectStore):
    """Counts what is downloaded; `meanwhile` happens then."""

    def __init__(self, meanwhile: Callable[[], object] | None = None) -> None:
        super().__init__(fsspec.filesystem("memory"))
        self.downloads = 0
        self._meanwhile = meanwhile

    def download(self, url: ObjectUrl, path: Path, check: Callable[[], None] = lambda: None) -> None:
        self.downloads += 1
        super().download(url, path, check)
        if self._meanwhile is not None:
            self._meanwhile()
