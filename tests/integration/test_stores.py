"""Batches of objects in an S3 that runs here (moto): needs the extra `storage`, and `pip install "moto[server]"`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from musetalk.batch.lease import Lease
from musetalk.batch.opening import open_ledger
from musetalk.batch.outcome import BatchReport
from musetalk.batch.pool import ProcessPool
from musetalk.batch.retries import RetryPolicy
from musetalk.batch.run import BatchOptions, run_batch
from musetalk.errors import LedgerError, StorageError, StorageUnreachableError
from musetalk.storage.cache import FOLDER
from musetalk.storage.locations import ObjectUrl, parse_url
from musetalk.storage.store import ObjectStore, identity_of, store_of
from tests.helpers.batches import NAMED, text_engine
from tests.helpers.stores import names, object_rows, put, text_of

s3fs = pytest.importorskip("s3fs", reason='needs pip install ".[storage]"')
moto = pytest.importorskip("moto.server", reason='needs pip install "moto[server]"')

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of a server and a client that are not ours
]
_VARIABLES = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectUrl]:
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in _VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv(FOLDER, str(tmp_path / "cache"))
    s3fs.S3FileSystem.clear_instance_cache()
    name = tmp_path.name.replace("_", "-")  # moto's buckets are all of its process
    s3fs.S3FileSystem(use_listings_cache=False).mkdir(name)
    yield parse_url(f"s3://{name}", whole=False)
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def test_workers_of_a_machine_render_objects_to_objects(bucket: ObjectUrl, tmp_path: Path) -> None:
    pairs = [(source, voice) for source in ("anna", "bert") for voice in ("hello", "bye")]
    rows = object_rows(bucket, *pairs, ("anna", "bye"))

    def batch(resume: bool) -> BatchReport:
        with open_ledger(tmp_path / "batch.ledger", resume=resume) as ledger, ProcessPool(2, text_engine) as pool:
            return run_batch(rows, pool, ledger, engine=NAMED, options=BatchOptions(RetryPolicy(first_seconds=0.0)))

    assert [row.state for row in batch(resume=False).rows] == ["done"] * 4 + ["duplicate"]
    assert names(bucket / "out") == {f"{each}.mp4{ending}" for each in range(5) for ending in ("", ".report.json")}
    for number, texts in enumerate(pairs):
        assert text_of(bucket / f"out/{number}.mp4").startswith(" ".join(texts))
    assert json.loads(text_of(bucket / "out/0.mp4.report.json"))["state"] == "done"
    put(bucket / "out/3.mp4", "another one")
    put(bucket / "in/bert", "bertha")
    assert [row.state for row in batch(resume=True).rows] == ["skipped", "skipped", "done", "done", "skipped"]
    assert text_of(bucket / "out/3.mp4").startswith("bertha bye")


def test_equal_objects_are_one_by_their_etags(bucket: ObjectUrl) -> None:
    store, urls = store_of(bucket), [put(bucket / name, "the same") for name in ("a", "b/c")]
    one, other = (store.facts(url) for url in urls)
    assert one is not None
    assert other is not None
    assert identity_of(urls[0], one) == identity_of(urls[1], other)


def test_an_object_is_put_in_place_only_of_what_it_was_to_replace(bucket: ObjectUrl) -> None:
    store, url = store_of(bucket), bucket / "a"
    assert not store.write_if(url, b"none", "0" * 32)
    assert store.write_if(url, b"first", None)
    assert not store.write_if(url, b"second", None)
    first = store.facts(url)
    assert first is not None
    assert store.write_if(url, b"second", first.tag)
    assert not store.write_if(url, b"third", first.tag)
    assert text_of(url) == "second"


def test_of_drivers_that_begin_at_once_one_may_write(bucket: ObjectUrl) -> None:
    together = threading.Barrier(6)

    def begin() -> bool:
        lease = Lease(bucket / "out")
        together.wait()
        try:
            lease.take(lambda *_: None)
        except LedgerError:
            return False
        return True

    with ThreadPoolExecutor(6) as threads:
        begun = list(threads.map(lambda _: begin(), range(6)))
    assert sum(begun) == 1


def test_a_store_that_is_gone_refuses_or_is_not_set_up_is_told_apart(
    bucket: ObjectUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StorageError, match="no such bucket") as refused:
        put(parse_url("s3://none/a"), "a")
    assert type(refused.value) is StorageError
    wrong = ObjectStore(s3fs.S3FileSystem(skip_instance_cache=True, endpoint_url="http://127.0.0.1:9"))
    with pytest.raises(StorageUnreachableError, match="check the network"):
        wrong.facts(bucket / "a")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StorageError, match="AWS_ACCESS_KEY_ID") as refused:
        store_of(bucket).facts(bucket / "a")
    assert type(refused.value) is StorageError
