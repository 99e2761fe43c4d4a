"""Batches of objects in a store, in place of files."""

from __future__ import annotations

import errno
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path

import fsspec
import pytest

from musetalk.batch.check import check_rows
from musetalk.batch.holder import Holder
from musetalk.batch.in_process import InProcess
from musetalk.batch.lease import NAME, Lease
from musetalk.batch.ledger import STALE_SECONDS
from musetalk.batch.manifest import read_manifest
from musetalk.batch.opening import open_ledger
from musetalk.batch.outcome import BatchReport
from musetalk.batch.reach import within_reach
from musetalk.batch.retries import RetryPolicy
from musetalk.batch.rows import Row
from musetalk.batch.run import BatchOptions, run_batch
from musetalk.batch.watch import Clock
from musetalk.errors import Cancelled, LedgerError, ManifestError, OutputError, StorageError, StorageUnreachableError
from musetalk.pipeline.file_uses import FileUses
from musetalk.pipeline.report import RenderReport
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken, noop
from musetalk.storage.cache import FOLDER
from musetalk.storage.locations import Location, ObjectUrl
from musetalk.storage.store import store_of
from tests.helpers.batches import NAMED, TextEngine
from tests.helpers.stores import TROUBLE, Trouble, names, object_rows, put, some_bucket, text_of

PAIRS = (("anna", "hello"), ("bert", "hello"), ("anna", "hello"))
AT_ONCE = BatchOptions(RetryPolicy(first_seconds=0.0))
WATCHED = replace(AT_ONCE, clock=Clock(sleep=lambda _: None))


class CountingEngine(TextEngine):
    """Counts what it renders; `meanwhile` something may happen, or an object be replaced."""

    def __init__(self, meanwhile: ObjectUrl | Callable[[], object] | None = None) -> None:
        self.rendered: list[str] = []
        self._meanwhile = meanwhile

    def make(self, request: RenderRequest, out: Path, **how: object) -> RenderReport:
        self.rendered.append(out.name)
        report = super().make(request, out, **how)  # type: ignore[arg-type]
        if isinstance(self._meanwhile, ObjectUrl):
            put(self._meanwhile, "another one")
        elif self._meanwhile is not None:
            self._meanwhile()
        return report


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[ObjectUrl]:
    with some_bucket(tmp_path / "cache") as url:
        yield url


def done(
    rows: Sequence[Row],
    ledger: Path,
    engine: TextEngine | None = None,
    *,
    resume: bool = False,
    options: BatchOptions = AT_ONCE,
) -> BatchReport:
    outputs = [row.output for row in rows]
    with open_ledger(ledger, resume=resume, outputs=outputs) as opened, InProcess(engine or TextEngine()) as worker:  # type: ignore[arg-type]
        return run_batch(rows, worker, opened, engine=NAMED, options=options)


def leased_by_another(prefix: ObjectUrl, beat: float) -> None:
    far = Holder("far", "another machine", 1, 0.0)
    put(prefix / NAME, json.dumps({"id": "another", "holder": asdict(far), "beat": beat}))


def states(report: BatchReport) -> list[str]:
    return [row.state for row in report.rows]


def test_objects_are_rendered_once_to_objects_that_have_reports_beside_them(tmp_path: Path, bucket: ObjectUrl) -> None:
    rows, engine = object_rows(bucket, *PAIRS), CountingEngine()
    report = done(rows, tmp_path / "batch.ledger", engine)
    assert states(report) == ["done", "done", "duplicate"]
    assert len(engine.rendered) == 2
    assert names(bucket / "out") == {f"{each}.mp4{ending}" for each in range(3) for ending in ("", ".report.json")}
    made = text_of(bucket / "out/2.mp4")
    assert made.startswith("anna hello")
    assert made == text_of(bucket / "out/0.mp4")
    beside = json.loads(text_of(bucket / "out/2.mp4.report.json"))
    assert beside["output"] == beside["report"]["output"] == str(rows[2].output)
    assert (beside["size"], beside["digest"]) == (len(made), hashlib.sha256(made.encode()).hexdigest())
    assert not list((tmp_path / "cache" / "making").iterdir())


def test_resuming_goes_by_what_the_store_says_of_outputs(tmp_path: Path, bucket: ObjectUrl) -> None:
    rows, ledger, engine = object_rows(bucket, *PAIRS), tmp_path / "batch.ledger", CountingEngine()
    done(rows, ledger, engine)
    assert states(done(rows, ledger, engine, resume=True)) == ["skipped"] * 3
    put(bucket / "out/1.mp4", "somebody else's")
    assert states(done(rows, ledger, engine, resume=True)) == ["skipped", "done", "skipped"]
    ledger.unlink()
    again = done(rows, ledger, engine, resume=True)
    assert (states(again), len(engine.rendered)) == (["skipped"] * 3, 3)
    assert "3 outputs known by the reports" in again.notes[0]
    put(bucket / "in/bert", "bertha")
    assert states(done(rows, ledger, engine, resume=True)) == ["skipped", "done", "skipped"]
    assert text_of(bucket / "out/1.mp4").startswith("bertha hello")


def test_an_object_that_is_not_there_fails_its_row_alone_and_is_named(tmp_path: Path, bucket: ObjectUrl) -> None:
    first, second = object_rows(bucket, ("anna", "hello"), ("bert", "hello"))
    rows = [replace(first, source=bucket / "in/none.mp4"), second]
    failed, whole = done(rows, tmp_path / "batch.ledger").rows
    assert (failed.state, failed.error_kind, whole.state) == ("failed", "media", "done")
    assert str(rows[0].source) in failed.error


def test_a_source_that_is_replaced_while_it_is_rendered_gives_nothing_a_name(tmp_path: Path, bucket: ObjectUrl) -> None:
    rows, ledger = object_rows(bucket, ("anna", "hello"), ("anna", "bye")), tmp_path / "batch.ledger"
    engine = CountingEngine(bucket / "in/anna")
    first, second = done(rows, ledger, engine).rows
    assert (first.state, first.error_kind, second.state) == ("failed", "media", "failed")
    assert "its source was changed while it was rendered" in first.error
    assert f"{bucket}/in/anna" in second.error
    assert engine.rendered == ["0.mp4"]  # the second one is not even begun
    assert names(bucket / "out") == set()
    assert states(done(rows, ledger, resume=True)) == ["done", "done"]
    assert text_of(bucket / "out/0.mp4").startswith("another one hello")


@pytest.mark.parametrize("method", ["put_file", "cp_file"])
def test_what_did_not_arrive_is_sent_again_and_not_rendered_again(
    tmp_path: Path, bucket: ObjectUrl, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    trouble, engine = Trouble(monkeypatch), CountingEngine()
    trouble.let_fail(method, times=2)
    [row] = done(object_rows(bucket, ("anna", "hello")), tmp_path / "batch.ledger", engine).rows
    assert (row.state, row.attempts, len(engine.rendered)) == ("done", 3, 1)
    assert names(bucket / "out") == {"0.mp4", "0.mp4.report.json"}


def test_a_store_that_answers_late_is_asked_again_and_one_that_does_not_ends_the_batch(
    tmp_path: Path, bucket: ObjectUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, ledger = object_rows(bucket, *PAIRS), tmp_path / "batch.ledger"
    with monkeypatch.context() as patch:
        Trouble(patch).let_fail("info", times=4)
        with pytest.raises(StorageUnreachableError, match="the line is dead"):
            done(rows, ledger)
    Trouble(monkeypatch).let_fail("info", times=3)
    assert states(done(rows, ledger, resume=True)) == ["done", "done", "duplicate"]


def test_what_a_store_forbids_is_not_tried_again(
    tmp_path: Path, bucket: ObjectUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble, rows, engine = Trouble(monkeypatch), object_rows(bucket, ("anna", "hello")), CountingEngine()
    with monkeypatch.context() as patch:
        Trouble(patch).let_fail("pipe_file", "forbidden", ending="made")
        with pytest.raises(StorageError, match="these credentials"):
            done(rows, tmp_path / "batch.ledger", engine)
    assert not engine.rendered
    trouble.let_fail("put_file", "forbidden", times=9)
    [row] = done(rows, tmp_path / "batch.ledger", resume=True).rows
    assert (row.state, row.error_kind, row.attempts) == ("failed", "storage", 1)
    assert "these credentials" in row.error
    assert names(bucket / "out") == set()


def test_objects_may_be_rendered_to_files(tmp_path: Path, bucket: ObjectUrl) -> None:
    [row] = object_rows(bucket, ("anna", "hello"))
    voice, out = tmp_path / "hello", tmp_path / "out" / "a.mp4"
    voice.write_text("hello")
    rows = [replace(row, voice=voice, output=out)]
    assert states(done(rows, tmp_path / "batch.ledger")) == ["done"]
    assert out.read_text().startswith("anna hello")
    assert names(bucket) == {"in/anna", "in/hello"}


def test_parts_go_to_other_machines_through_the_store(
    tmp_path: Path, bucket: ObjectUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    [row] = object_rows(bucket, ("anna", "hello"))
    folder, out = ".musetalk-parts-0123456789abcdef", bucket / "out/.making/key/0.mp4"
    told = (row.source, row.voice, out, (), noop, CancelToken())
    with within_reach(*told) as there:
        parts = there.place.out.parent / folder
        parts.mkdir()
        for name in ("render.json", "part-00000.mp4", "part-00000.json", ".partial-1-part-00001.mp4"):
            (parts / name).write_text(name)
        there.place.give_parts()
    assert not parts.exists()  # others have them in the store
    put(out.parent / "parts" / folder / "../../evil", "evil")
    monkeypatch.setenv(FOLDER, str(tmp_path / "another machine"))
    with within_reach(*told) as there:
        there.place.take_parts(range(1, 3))
        assert [path.name for path in (there.place.out.parent / folder).iterdir()] == ["render.json"]
        there.place.take_parts()
        made = {path.name: path.read_text() for path in (there.place.out.parent / folder).iterdir()}
    assert made == {name: name for name in ("render.json", "part-00000.mp4", "part-00000.json")}


def manifest(folder: Path, *lines: str, outputs: Location | None = None) -> tuple[Row, ...]:
    path = folder / "batch.csv"
    path.write_text("\n".join(("source,voice,output,captions", *lines)))
    return read_manifest(path, outputs or ObjectUrl("s3", "clips", "out"))


def test_a_manifest_names_objects_by_urls(tmp_path: Path) -> None:
    lines = ("s3://clips/a.mp4,b.wav,,", "a.mp4,gs://voices/b.wav,s3://clips/out/x/c.mp4,", "a.mp4,b.wav,x/./d.mp4,")
    first, second, third = manifest(tmp_path, *lines)
    assert (str(first.source), first.voice, str(first.output)) == (
        "s3://clips/a.mp4",
        tmp_path / "b.wav",
        "s3://clips/out/a_b.mp4",
    )
    assert (str(second.voice), str(second.output)) == ("gs://voices/b.wav", "s3://clips/out/x/c.mp4")
    assert str(third.output) == "s3://clips/out/x/d.mp4"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a.mp4,b.wav,../c.mp4,", "leads out of"),
        ("a.mp4,b.wav,/c.mp4,", "leads out of"),
        ("a.mp4,b.wav,s3://clips/c.mp4,", "leads out of"),
        ("a.mp4,b.wav,s3://clips/out/c.txt,", "is no video"),
        ("https://clips/a.mp4,b.wav,c.mp4,", "of no store that batches use"),
        ("s3://clips/out/c.mp4,b.wav,c.mp4,", "which line 2 makes"),
        ("a.mp4,b.wav,c.mp4,s3://clips/c.srt", "only source, voice and output may be one"),
    ],
)
def test_a_manifest_of_wrong_urls_is_refused(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(ManifestError, match=said):
        manifest(tmp_path, line)


def test_urls_of_results_need_a_place_that_is_one(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="let --output-dir name"):
        manifest(tmp_path, "a.mp4,b.wav,s3://clips/c.mp4,", outputs=tmp_path)


class NoInputs:
    def inputs(self, request: RenderRequest) -> FileUses:
        return FileUses()


def test_what_is_found_is_not_kept_beside_a_url(bucket: ObjectUrl) -> None:
    check_rows(object_rows(bucket, ("anna", "hello")), NoInputs(), FileUses())
    with pytest.raises(OutputError, match="coords_dir"):
        check_rows(object_rows(bucket, ("anna", "hello"), use_saved_coords=True), NoInputs(), FileUses())


def test_a_second_driver_with_a_ledger_of_its_own_is_refused_while_the_first_one_writes(
    tmp_path: Path, bucket: ObjectUrl
) -> None:
    rows, refused = object_rows(bucket, ("anna", "hello")), list[str]()

    def begin_another() -> None:
        with pytest.raises(LedgerError) as told:
            done(rows, tmp_path / "another.ledger")
        refused.append(str(told.value))

    assert done(rows, tmp_path / "batch.ledger", CountingEngine(begin_another)).complete
    assert f'writes below "{bucket / "out"}": wait for it' in refused[0]
    assert NAME not in names(bucket / "out")
    assert done(rows, tmp_path / "another.ledger").complete


def test_a_driver_of_another_machine_is_waited_for_until_it_is_silent(tmp_path: Path, bucket: ObjectUrl) -> None:
    rows = object_rows(bucket, ("anna", "hello"))
    leased_by_another(bucket / "out", time.time())
    with pytest.raises(LedgerError, match="process 1 on far writes below"):
        done(rows, tmp_path / "batch.ledger")
    leased_by_another(bucket / "out", time.time() - STALE_SECONDS)
    report = done(rows, tmp_path / "batch.ledger", options=WATCHED)
    assert report.complete
    assert "process 1 on far had left" in report.notes[0]


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_driver_whose_clock_is_another_one_is_watched(tmp_path: Path, bucket: ObjectUrl, hours: int) -> None:
    rows, beats = object_rows(bucket, ("anna", "hello")), count(time.time() + 3600 * hours)

    def sleep(_: float) -> None:
        leased_by_another(bucket / "out", next(beats))

    sleep(0)
    with pytest.raises(LedgerError, match="process 1 on far writes below"):
        done(rows, tmp_path / "batch.ledger", options=replace(AT_ONCE, clock=Clock(sleep=sleep)))
    assert done(rows, tmp_path / "batch.ledger", options=WATCHED).complete


def test_who_is_stopped_while_it_watches_leaves_the_lease_as_it_was(tmp_path: Path, bucket: ObjectUrl) -> None:
    rows, token = object_rows(bucket, ("anna", "hello")), CancelToken()
    leased_by_another(bucket / "out", 0.0)
    lease = text_of(bucket / "out" / NAME)
    options = replace(AT_ONCE, clock=Clock(sleep=lambda _: token.cancel()))
    with (
        open_ledger(tmp_path / "ledger") as ledger,
        InProcess(TextEngine()) as worker,  # type: ignore[arg-type]
        pytest.raises(Cancelled),
    ):
        run_batch(rows, worker, ledger, engine=NAMED, options=options, cancel=token)
    assert text_of(bucket / "out" / NAME) == lease


@pytest.mark.parametrize(
    "lease", ["", "[]", "x" * 20_000, '{"id": "1", "holder": {"zone": 2}, "beat": 1%s}' % ("0" * 400)]
)
def test_who_cannot_be_read_is_watched_as_well(tmp_path: Path, bucket: ObjectUrl, lease: str) -> None:
    rows, times = object_rows(bucket, ("anna", "hello")), count(1)

    def sleep(_: float) -> None:
        put(bucket / "out" / NAME, lease + " " * next(times))

    sleep(0)
    with pytest.raises(LedgerError, match="another driver writes below"):
        done(rows, tmp_path / "batch.ledger", options=replace(AT_ONCE, clock=Clock(sleep=sleep)))
    assert done(rows, tmp_path / "batch.ledger", options=WATCHED).complete


@pytest.mark.parametrize("ended", [False, True])
def test_a_driver_that_was_taken_for_dead_gives_no_names_in_a_store(
    tmp_path: Path, bucket: ObjectUrl, ended: bool
) -> None:
    rows, seconds = object_rows(bucket, ("anna", "hello")), count(0, 40)
    options = replace(AT_ONCE, clock=Clock(lambda: next(seconds)))

    def take_over() -> None:
        leased_by_another(bucket / "out", time.time())
        if ended:
            store_of(bucket).remove([bucket / "out" / NAME])

    with pytest.raises(LedgerError, match="another driver has taken over"):
        done(rows, tmp_path / "batch.ledger", CountingEngine(take_over), options=options)
    left = names(bucket / "out")
    assert not {name for name in left if name.endswith(".mp4") and "/" not in name}
    assert any("/" in name for name in left), "what was made there may be the other one's"
    assert (NAME in left) is not ended


def test_a_driver_that_is_taken_over_between_two_copies_makes_no_further_one(
    tmp_path: Path, bucket: ObjectUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(fsspec.filesystem("memory"))
    copy, seconds = kind.cp_file, count(0, 40)

    def copied(files: object, *arguments: str) -> None:
        copy(files, *arguments)
        leased_by_another(bucket / "out", time.time())

    monkeypatch.setattr(kind, "cp_file", copied)
    rows = object_rows(bucket, ("anna", "hello"), ("anna", "hello"))
    options = replace(AT_ONCE, strict=True, clock=Clock(lambda: next(seconds)))
    with pytest.raises(LedgerError, match="another driver has taken over"):
        done(rows, tmp_path / "batch.ledger", options=options)
    assert len({name for name in names(bucket / "out") if name.endswith(".mp4") and "/" not in name}) == 1


def test_a_lease_whose_taking_nobody_answered_is_not_left(
    tmp_path: Path, bucket: ObjectUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(fsspec.filesystem("memory"))
    write = kind.pipe_file

    def written(files: object, path: str, *arguments: object, **options: object) -> None:
        write(files, path, *arguments, **options)
        if path.endswith(NAME):
            raise TROUBLE["network"]

    monkeypatch.setattr(kind, "pipe_file", written)
    with pytest.raises(StorageUnreachableError, match="the line is dead"):
        done(object_rows(bucket, ("anna", "hello")), tmp_path / "batch.ledger")
    assert NAME not in names(bucket / "out")


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EINVAL])
def test_a_store_that_knows_no_conditions_takes_leases(
    tmp_path: Path, bucket: ObjectUrl, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    kind = type(fsspec.filesystem("memory"))
    write = kind.pipe_file

    def plainly(files: object, path: str, content: bytes, mode: str = "overwrite") -> None:
        if mode == "create":
            raise OSError(number, "If-None-Match")
        write(files, path, content)

    monkeypatch.setattr(kind, "pipe_file", plainly)
    assert done(object_rows(bucket, ("anna", "hello")), tmp_path / "batch.ledger").complete


def test_a_sign_of_life_that_comes_late_brings_no_lease_back(bucket: ObjectUrl) -> None:
    lease = Lease(bucket / "out")
    lease.take(lambda *_: None)
    assert names(bucket / "out") == {NAME}
    lease.free()
    lease.renew()
    assert names(bucket / "out") == set()
