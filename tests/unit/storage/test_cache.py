"""Objects as files of one machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from musetalk.errors import Cancelled, MediaError, SettingsError, StorageError, StorageUnreachableError
from musetalk.progress import CancelToken, noop
from musetalk.storage.cache import FOLDER, GIGABYTES, ObjectCache
from musetalk.storage.locations import ObjectUrl
from tests.helpers.stores import CountingStore, Trouble, put, some_bucket


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[ObjectUrl]:
    with some_bucket(tmp_path / "cache") as url:
        yield url


def cache_of(folder: Path, store: CountingStore, most_bytes: int = 1000) -> ObjectCache:
    return ObjectCache(folder / "cache", most_bytes, lambda _: store)


def fetched(cache: ObjectCache, url: ObjectUrl) -> str:
    with cache.file(url, noop) as file:
        return file.path.read_text()


def kept(folder: Path) -> set[str]:
    """The files that are kept; nothing else is there."""
    return {path.name for path in (folder / "cache").rglob("*") if path.is_file()}


def test_an_object_is_fetched_once_and_again_when_it_is_another(tmp_path: Path, bucket: ObjectUrl) -> None:
    store, url = CountingStore(), put(bucket / "a.mp4", "one")
    cache = cache_of(tmp_path, store)
    assert [fetched(cache, url) for _ in range(3)] == ["one"] * 3
    assert store.downloads == 1
    put(url, "two")
    assert fetched(cache, url) == "two"
    assert fetched(cache_of(tmp_path, store), url) == "two"
    assert store.downloads == 2


def test_many_who_want_an_object_fetch_it_once(tmp_path: Path, bucket: ObjectUrl) -> None:
    store, url = CountingStore(), put(bucket / "a.mp4", "one")
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda _: fetched(cache_of(tmp_path, store), url), range(8))) == ["one"] * 8
    assert store.downloads == 1


def test_what_was_used_least_recently_goes_and_what_is_in_use_stays(tmp_path: Path, bucket: ObjectUrl) -> None:
    store = CountingStore()
    cache = cache_of(tmp_path, store, most_bytes=25)
    urls = {name: put(bucket / name, name * 10) for name in "abcd"}
    with cache.file(urls["a"], noop) as used:
        fetched(cache, urls["b"])
        os.utime(used.path.parent, (0, 0))  # the oldest
        fetched(cache, urls["c"])
        assert kept(tmp_path) == {"a", "c"}
        with cache.file(urls["c"], noop):
            fetched(cache, urls["d"])  # nothing may go
            assert kept(tmp_path) == {"a", "c", "d"}
    fetched(cache, put(bucket / "e", "e" * 25))
    assert kept(tmp_path) == {"e"}


def test_a_download_that_fails_leaves_nothing(
    tmp_path: Path, bucket: ObjectUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, cancel = put(bucket / "a.mp4", "one"), CancelToken()
    cache, trouble = cache_of(tmp_path, CountingStore()), Trouble(monkeypatch)
    with pytest.raises(MediaError, match="there is no object"):
        fetched(cache, bucket / "none.mp4")
    trouble.let_fail("get_file")
    with pytest.raises(StorageUnreachableError, match="the line is dead"):
        fetched(cache, url)
    assert kept(tmp_path) == set()
    with monkeypatch.context() as patch:
        Trouble(patch).let_fail("info", "forbidden")
        with pytest.raises(StorageError, match="Access Denied") as refused:
            fetched(cache, url)
    assert type(refused.value) is StorageError
    cancel.cancel()
    with pytest.raises(Cancelled), cache.file(url, cancel.check):
        pass
    assert fetched(cache, url) == "one"


def test_an_object_that_is_replaced_while_it_is_fetched_is_fetched_again(tmp_path: Path, bucket: ObjectUrl) -> None:
    url, texts = put(bucket / "a.mp4", "one"), ["three", "two"]
    store = CountingStore(lambda: texts and put(url, texts.pop()))
    assert fetched(cache_of(tmp_path, store), url) == "three"
    restless = CountingStore(lambda: put(url, "other"))
    with pytest.raises(MediaError, match="changes while it is read"):
        fetched(ObjectCache(tmp_path / "another", 1000, lambda _: restless), url)


def test_a_file_that_somebody_cut_is_fetched_again(tmp_path: Path, bucket: ObjectUrl) -> None:
    url = put(bucket / "a.mp4", "one")
    cache = cache_of(tmp_path, CountingStore())
    with cache.file(url, noop) as file:
        path = file.path
    path.write_text("o")
    assert fetched(cache, url) == "one"


def test_a_machine_says_where_its_cache_is_and_how_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setenv(GIGABYTES, "0.5")
    cache = ObjectCache.of_this_machine()
    assert (cache.folder, cache.most_bytes) == (tmp_path, 500_000_000)
    for said in ("much", "nan", "inf"):
        monkeypatch.setenv(GIGABYTES, said)
        with pytest.raises(SettingsError, match=GIGABYTES):
            ObjectCache.of_this_machine()
