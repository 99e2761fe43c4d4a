from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from musetalk.batch.content import Digests
from musetalk.batch.holder import Holder
from musetalk.batch.ledger import STALE_SECONDS, Entry
from musetalk.batch.opening import open_ledger
from musetalk.batch.reading import ReadAhead, Refused
from musetalk.batch.run import run_batch
from musetalk.errors import LedgerError, ManifestError
from musetalk.progress import CancelToken
from tests.helpers.batches import NAMED, ToldWorkers, some_rows
from tests.helpers.errors import raises_kind
from tests.helpers.programs import run_program


def held_by(path: Path, holder: Holder, beat: float) -> None:
    """Let a ledger say that somebody else holds it."""
    with open_ledger(path), sqlite3.connect(path) as database:
        database.execute("UPDATE driver SET id = 'x', holder = ?, beat = ?", (holder.text(), beat))


def test_there_is_one_driver_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with open_ledger(path) as first:
        with pytest.raises(LedgerError, match=f"process {os.getpid()} on .* works on"):
            open_ledger(path, resume=True).__enter__()
        first.put([Entry("a.mp4", "k", "done")])
    with open_ledger(path, resume=True) as second:
        assert second.entries()["a.mp4"].state == "done"
        assert second.notice == ""


def test_the_lock_of_a_driver_that_was_killed_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    program = (
        "import os, pathlib\nfrom musetalk.batch.opening import open_ledger\nfrom musetalk.batch.ledger import Entry\n"
        f"with open_ledger(pathlib.Path({str(path)!r})) as ledger:\n"
        "    ledger.put([Entry('a.mp4', 'k', 'failed')])\n    print(os.getpid(), flush=True)\n    os._exit(9)"
    )
    killed = run_program([sys.executable, "-c", program])
    assert killed.returncode == 9, killed.stderr
    with open_ledger(path, resume=True) as ledger:
        assert f"process {killed.stdout.strip()} on" in ledger.notice
        assert ledger.entries()["a.mp4"].state == "failed"


def test_a_driver_of_another_machine_is_dead_once_it_is_silent(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    held_by(path, Holder("far", "another machine", 1, 0.0), 1000.0)
    with pytest.raises(LedgerError, match="process 1 on far works on"):
        open_ledger(path, resume=True, now=lambda: 1000.0 + STALE_SECONDS / 2).__enter__()
    with open_ledger(path, resume=True, now=lambda: 1001.0 + STALE_SECONDS) as ledger:
        assert "process 1 on far had left" in ledger.notice


def test_a_driver_that_was_taken_for_dead_writes_nothing_more(tmp_path: Path) -> None:
    rows, path = some_rows(tmp_path, ("anna", "hello")), tmp_path / "ledger"
    with open_ledger(path) as first, sqlite3.connect(path) as database:
        database.execute("UPDATE driver SET id = 'another'")
        database.commit()
        for write in (lambda: first.put([Entry("a.mp4", "k")]), first.check_held):
            with pytest.raises(LedgerError, match="another driver has taken over"):
                write()
        with pytest.raises(LedgerError):
            run_batch(rows, ToldWorkers(), first, engine=NAMED)
    assert not rows[0].output.exists()


def test_what_fails_where_reading_is_given_up_is_told_to_whoever_takes_rows(tmp_path: Path) -> None:
    [row] = some_rows(tmp_path, ("anna", "hello"))

    def reader() -> Iterator[Refused]:
        try:
            while True:
                yield Refused(row, ManifestError("no"))
        finally:
            raise LedgerError("another driver has taken over")

    cancel = CancelToken()
    cancel.cancel()
    with ReadAhead(reader(), 2, cancel) as ahead:
        pass
    with pytest.raises(LedgerError):
        ahead.take(0)


def test_a_ledger_that_is_there_needs_resume(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with open_ledger(path):
        pass
    with open_ledger(path) as ledger:  # of which nothing was begun
        ledger.put([Entry("a.mp4", "k")])
    with raises_kind(LedgerError, path=path), open_ledger(path):
        pass


@pytest.mark.parametrize("damage", ["zeros", "gone"])
def test_a_ledger_that_is_lost_is_made_anew_from_the_outputs_and_says_so(tmp_path: Path, damage: str) -> None:
    rows, path = some_rows(tmp_path, ("anna", "hello"), ("bert", "hello"), ("carl", "hello")), tmp_path / "ledger"
    with open_ledger(path) as ledger:
        run_batch(rows, ToldWorkers(), ledger, engine=NAMED)
    data = path.read_bytes()
    path.unlink()
    if damage == "zeros":
        path.write_bytes(data[:100] + bytes(len(data) - 100))
    rows[1].output.write_text("cut")
    (tmp_path / "out" / "2.mp4.report.json").write_text("{}")
    with open_ledger(path, resume=True, outputs=[row.output for row in rows]) as ledger:
        assert ("was damaged" if damage == "zeros" else "there was no ledger") in ledger.notice
        assert "1 output known" in ledger.notice
        report = run_batch(rows, ToldWorkers(), ledger, engine=NAMED)
    assert [row.state for row in report.rows] == ["skipped", "done", "done"]
    assert "1 output known" in json.dumps(report.to_dict()["notes"])
    assert (tmp_path / "ledger.damaged-1").exists() == (damage == "zeros")


@pytest.mark.parametrize(
    "damage",
    [
        'UPDATE rows SET facts = \'{"frames": 1, "bac\'',
        "UPDATE rows SET key = CAST(x'6bff' AS TEXT)",
        "UPDATE rows SET deaths = 'x'",
        "UPDATE rows SET state = 'dune'",
        "INSERT INTO driver VALUES (1, 'x', '[]', 0)",
        'INSERT INTO driver VALUES (1, \'x\', \'{"host": "h", "machine": "m", "pid": -1, "started": 0}\', 0)',
        "ALTER TABLE digests RENAME COLUMN digest TO dixest",
    ],
)
def test_a_ledger_whose_bytes_were_changed_is_made_anew_or_does_no_harm(tmp_path: Path, damage: str) -> None:
    (row,), path = some_rows(tmp_path, ("anna", "hello")), tmp_path / "ledger"
    with open_ledger(path) as ledger:
        run_batch([row], ToldWorkers(), ledger, engine=NAMED)
    with closing(sqlite3.connect(path)) as database:
        database.execute(damage)
        database.commit()
    with open_ledger(path, resume=True, outputs=[row.output]) as ledger:
        assert ("1 output known" in ledger.notice) == ("key" not in damage)
        [result] = run_batch([row], ToldWorkers(), ledger, engine=NAMED).rows
    assert result.state == ("done" if "key" in damage else "skipped")  # another key: something else was made


@pytest.mark.parametrize(
    "said",
    ['"seconds": NaN', '"seconds": 1e999', '"size": 1e999', '"worker": "\\ud800"', '"worker": [1]', "[" * 9999],
)
def test_a_report_that_no_batch_wrote_tells_a_ledger_nothing(tmp_path: Path, said: str) -> None:
    (row,), path = some_rows(tmp_path, ("anna", "hello")), tmp_path / "ledger"
    with open_ledger(None) as ledger:
        run_batch([row], ToldWorkers(), ledger, engine=NAMED)
    report = row.output.with_name("0.mp4.report.json")
    whole = report.read_text().rstrip().removesuffix("}")
    with open_ledger(path, resume=True, outputs=[row.output]) as ledger:
        assert "1 output known" in ledger.notice
    path.unlink()
    report.write_text(f"{whole}, {said}}}")
    with open_ledger(path, resume=True, outputs=[row.output]) as ledger:
        assert not ledger.entries()


def test_sentences_may_name_files_whose_names_are_no_text(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "ledger") as ledger:
        ledger.put([Entry("a.mp4", "k", "failed", error="the captions \udce9.srt are not there")])
        assert ledger.entries()["a.mp4"].error == "the captions \\udce9.srt are not there"


def test_what_is_no_ledger_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "songs")) as database:
        database.execute("CREATE TABLE songs (name TEXT)")
    (tmp_path / "clips.csv").write_text("source,voice")
    for path in sorted(tmp_path.iterdir()):
        for resume in (False, True):
            with raises_kind(LedgerError, path=path), open_ledger(path, resume=resume):
                pass
    assert sorted(each.name for each in tmp_path.iterdir()) == ["clips.csv", "songs"]


def test_files_are_read_once_while_they_do_not_change(tmp_path: Path) -> None:
    path, file = tmp_path / "ledger", tmp_path / "voice.wav"
    file.write_text("one")
    with open_ledger(path) as ledger:
        digests = Digests(ledger)
        first = digests.of_file(file)
        digests.keep()
        facts = file.stat()
        file.write_text("two")
        os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        assert Digests(ledger).of_file(file) == first  # it was not read
        os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
        assert Digests(ledger).of_file(file) != first
