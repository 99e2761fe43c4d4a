from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from musetalk.batch.course import Cutting
from musetalk.batch.executor import PartsTask, RenderTask, Task
from musetalk.batch.ledger import Ledger
from musetalk.batch.opening import open_ledger
from musetalk.batch.outcome import BatchReport, RowResult
from musetalk.batch.retries import LOST, RetryPolicy
from musetalk.batch.rows import Row
from musetalk.batch.run import BatchOptions, run_batch
from musetalk.batch.watch import Clock, Standing, Unwatched
from musetalk.errors import BackendError, ManifestError
from musetalk.progress import CancelToken
from tests.helpers.batches import FATES, NAMED, Chooser, ToldWorkers, some_rows

CUT = Cutting(voice_bytes=0, frames=20)
PAIRS = (("anna", "hello"), ("bert", "hello"), ("anna", "bye"), ("anna", "hello"))


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with open_ledger(None) as opened:
        yield opened


def done(
    rows: Sequence[Row], workers: ToldWorkers, ledger: Ledger, engine: Chooser = NAMED, **options: object
) -> BatchReport:
    return run_batch(
        rows,
        workers,
        ledger,
        engine=engine,
        options=BatchOptions(clock=workers.clock, **options),  # type: ignore[arg-type]
    )


def states(report: BatchReport) -> list[str]:
    return [row.state for row in report.rows]


def test_nothing_lies_where_renders_are_made_which_goes_at_the_end(tmp_path: Path) -> None:
    (row,) = some_rows(tmp_path, PAIRS[0])
    making = tmp_path / ".batch.ledger.making"
    with open_ledger(tmp_path / "batch.ledger") as kept:
        for lost in (replace(row, output=making / "a" / "0.mp4"), replace(row, voice=making / "hello")):
            with pytest.raises(ManifestError, match=r"line 2: .* lies where renders are made"):
                done([lost], ToldWorkers(), kept)
        assert states(done([row], ToldWorkers(), kept)) == ["done"]


def test_what_is_the_same_by_content_is_rendered_once(tmp_path: Path, ledger: Ledger) -> None:
    rows = some_rows(tmp_path, *PAIRS)
    (tmp_path / "copy").write_text("anna")
    rows.append(Row("line 6", tmp_path / "copy", tmp_path / "bye", tmp_path / "out" / "copy.mkv", {}))
    rows.append(Row("line 7", tmp_path / "copy", tmp_path / "bye", tmp_path / "out" / "copy.mp4", {"face": "largest"}))
    workers = ToldWorkers()
    report = done(rows, workers, ledger)
    assert states(report) == ["done", "done", "done", "duplicate", "done", "duplicate"]
    assert len(workers.begun) == 4  # another container is another file
    assert rows[3].output.read_bytes() == rows[0].output.read_bytes() == b"anna hello 0"
    rows[3].output.write_text("cut")
    assert rows[0].output.read_bytes() == b"anna hello 0"
    beside = json.loads((tmp_path / "out" / "0.mp4.report.json").read_text())
    assert (beside["state"], beside["report"]["output"]) == ("done", str(rows[0].output))
    assert report.counts["duplicate"] == 2


def test_files_that_settings_name_count_by_their_content(tmp_path: Path, ledger: Ledger) -> None:
    [row] = some_rows(tmp_path, ("anna", "hello"))
    rows = []
    for number, text in enumerate(("same", "same", "other")):
        captions = tmp_path / f"{number}.srt"
        captions.write_text(text)
        steps = [{"name": "captions", "options": {"file": str(captions)}}]
        rows.append(replace(row, output=tmp_path / f"{number}.mp4", settings={"captions": str(captions)}))
        rows.append(replace(row, output=tmp_path / f"{number}s.mp4", settings={"frame_steps": steps}))
    assert states(done(rows, ToldWorkers(), ledger)) == ["done", "done", "duplicate", "duplicate", "done", "done"]


def test_work_begins_before_all_rows_are_read_and_what_is_the_same_joins_it(tmp_path: Path, ledger: Ledger) -> None:
    names = ("anna", "bert", "carl", "late", "anna", "carl")
    rows = some_rows(tmp_path, *((name, "hello") for name in names))
    (tmp_path / "late").unlink()
    os.mkfifo(tmp_path / "late")  # is read once somebody writes it
    (tmp_path / "copy").write_text("bert")
    for name in ("copy", "gone"):
        rows.append(replace(rows[1], name=name, source=tmp_path / name, output=tmp_path / "out" / f"{name}.mp4"))

    class Holding(ToldWorkers):
        """Begins with `bert` in earnest when it is let go."""

        held: tuple[str, Task] | None = None

        def start(self, worker: str, task: Task) -> None:
            if isinstance(task, RenderTask) and task.source.name == "bert":
                self.held = worker, task
            else:
                super().start(worker, task)

        def let_go(self) -> None:
            if self.held is not None:
                super().start(*self.held)
                self.held = None

    class Opening(Unwatched):
        """Lets rows be read on once `carl` has failed, and `bert` go on once all are."""

        def row(self, result: RowResult) -> None:
            if result.output == str(rows[2].output):
                with (tmp_path / "late").open("w") as pipe:
                    (tmp_path / "late").unlink()
                    (tmp_path / "late").write_text("late")
                    pipe.write("late")

        def standing(self, standing: Standing) -> None:
            if standing.works == 4:
                workers.let_go()

    workers = Holding(2, iter(["done", "bad"]))
    options = BatchOptions(stall_seconds=0, clock=Clock(count(0, 0.25).__next__))
    report = run_batch(rows, workers, ledger, engine=NAMED, options=options, watcher=Opening())
    assert states(report) == ["done", "done", "failed", "done", "duplicate", "failed", "duplicate", "failed"]
    assert [row.error_kind for row in report.failed] == ["face", "face", "media"]
    assert sorted(task.source.name for task in workers.begun) == ["anna", "bert", "carl", "late"]
    assert rows[6].output.read_bytes() == rows[1].output.read_bytes() == b"bert hello 0"


def test_renders_of_one_source_follow_each_other_on_one_worker(tmp_path: Path, ledger: Ledger) -> None:
    pairs = [(source, f"voice{number}") for number in range(4) for source in ("anna", "bert", "carl")]
    workers = ToldWorkers(2)
    done(some_rows(tmp_path, *pairs), workers, ledger)
    turns = sum(one != other for had in workers.by_worker.values() for one, other in pairwise(had))
    assert turns <= 2
    assert sum(map(len, workers.by_worker.values())) == 12


def test_bad_input_fails_alone_and_at_once(tmp_path: Path, ledger: Ledger) -> None:
    rows = some_rows(tmp_path, ("anna", "hello"), ("bert", "hello"), ("carl", "hello"))
    rows.append(Row("line 9", tmp_path / "gone", tmp_path / "hello", tmp_path / "out" / "9.mp4", {}))
    rows.append(Row("line 10", tmp_path / "anna", tmp_path / "hello", tmp_path / "out" / "10.mp4", {"crf": 3}))
    workers = ToldWorkers(fates=iter(["bad"]))
    report = done(rows, workers, ledger)
    assert states(report) == ["failed", "done", "done", "failed", "failed"]
    assert [row.error_kind for row in report.failed] == ["face", "media", "settings"]
    assert len(workers.begun) == 3
    assert not rows[0].output.exists()
    with pytest.raises(ManifestError, match=r"line 9: .*gone.*; line 10: .*crf"):
        done(rows, ToldWorkers(), ledger, strict=True)


def test_what_was_rendered_of_an_input_that_changed_meanwhile_gets_no_name(tmp_path: Path) -> None:
    [row], path = some_rows(tmp_path, ("anna", "hello")), tmp_path / "out" / "ledger"

    class Editing(ToldWorkers):
        """Somebody puts another source there while it is rendered."""

        def start(self, worker: str, task: Task) -> None:
            row.source.write_text("bertha")
            super().start(worker, task)

    path.parent.mkdir()
    with open_ledger(path) as ledger:
        [result] = run_batch([row], Editing(), ledger, engine=NAMED).rows
    assert (result.state, result.error_kind) == ("failed", "media")
    assert not row.output.exists()
    with open_ledger(path, resume=True) as ledger:
        [result] = run_batch([row], ToldWorkers(), ledger, engine=NAMED).rows
    assert result.state == "done"
    assert row.output.read_text().startswith("bertha")


def test_what_may_pass_is_tried_again_after_longer_and_longer(tmp_path: Path, ledger: Ledger) -> None:
    workers = ToldWorkers(fates=iter(["memory", "unforeseen", "memory"]))
    report = done(some_rows(tmp_path, ("anna", "hello")), workers, ledger)
    assert states(report) == ["done"]
    assert report.rows[0].attempts == 4
    assert workers.seconds == pytest.approx(0.75 * (1 + 2 + 4), rel=0.1)


def test_what_never_passes_is_given_up(tmp_path: Path, ledger: Ledger) -> None:
    workers = ToldWorkers(fates=iter(["memory"] * 9))
    report = done(some_rows(tmp_path, ("anna", "hello")), workers, ledger, retries=RetryPolicy(attempts=3))
    assert states(report) == ["failed"]
    assert (len(workers.begun), report.rows[0].error_kind) == (3, "memory")
    assert "after 3 attempts" in report.rows[0].error


def test_what_kills_its_workers_is_set_aside_after_two(tmp_path: Path) -> None:
    rows = some_rows(tmp_path, ("anna", "hello"), ("deadly", "hello"), ("deadly", "bye"))
    workers = ToldWorkers(2, poison=frozenset({"deadly"}))
    path = tmp_path / "ledger"
    with open_ledger(path) as ledger:
        report = done(rows, workers, ledger)
    assert states(report) == ["done", "set_aside", "set_aside"]
    assert sorted(workers.attempts.values()) == [1, 2, 2]
    assert report.rows[1].error_kind == LOST
    assert sum(share.losses for share in report.workers.values()) == 4
    with open_ledger(path, resume=True) as ledger:  # nor does the next one try it
        again = ToldWorkers()
        assert states(done(rows, again, ledger)) == ["skipped", "set_aside", "set_aside"]
        assert again.begun == []
        (tmp_path / "deadly").write_text("mended")
        assert states(done(rows, again, ledger)) == ["skipped", "done", "done"]


def test_a_worker_that_says_nothing_is_ended_and_what_it_did_is_done_again(tmp_path: Path, ledger: Ledger) -> None:
    workers = ToldWorkers(fates=iter(["silent", "slow"]))
    report = done(some_rows(tmp_path, ("anna", "hello")), workers, ledger, stall_seconds=60)
    assert states(report) == ["done"]  # however long what tells of itself takes
    assert (report.rows[0].attempts, report.workers["0"].losses) == (2, 1)
    assert workers.seconds > 60 + 240
    assert 60 < report.workers["0"].silent_seconds < 66  # until it was ended
    hanging = ToldWorkers(2, fates=iter(["silent"] * 2))
    report = done(some_rows(tmp_path, ("bert", "hello"), ("bert", "bye")), hanging, ledger, stall_seconds=60)
    assert sorted(states(report)) == ["done", "done"]
    hanging = ToldWorkers(fates=iter(["silent"] * 2))
    [result] = done(some_rows(tmp_path, ("carl", "hello")), hanging, ledger, stall_seconds=60).rows
    assert (result.state, result.error_kind) == ("set_aside", LOST)
    assert "its worker ended (it gave no sign of life for about 1 min), 2 times" in result.error


@pytest.mark.parametrize(("machines", "second"), [({}, "1"), ({"0": "a", "1": "a", "2": "b"}, "2")])
def test_what_was_lost_goes_to_another_worker_and_machine_if_there_is_one(
    tmp_path: Path, ledger: Ledger, machines: dict[str, str], second: str
) -> None:
    workers = ToldWorkers(3, iter(["lost"]), machines=machines)
    rows = some_rows(tmp_path, ("anna", "hello"), ("bert", "hello"), ("carl", "hello"))
    assert done(rows, workers, ledger).complete
    assert [name for name in "012" if "anna" in workers.by_worker[name]] == ["0", second]


def test_a_machine_that_goes_is_not_its_tasks_doing(tmp_path: Path, ledger: Ledger) -> None:
    workers = ToldWorkers(fates=iter(["machine lost"] * 5 + ["lost"]))
    report = done(some_rows(tmp_path, ("anna", "hello")), workers, ledger)
    assert states(report) == ["done"]
    assert report.rows[0].attempts == 2


def test_without_workers_a_batch_ends(tmp_path: Path, ledger: Ledger) -> None:
    with pytest.raises(BackendError, match="no worker is left"):
        done(some_rows(tmp_path, ("anna", "hello")), ToldWorkers(2, iter(["gone"] * 2)), ledger)


def test_a_batch_goes_on_where_it_was(tmp_path: Path) -> None:
    rows, path = some_rows(tmp_path, *PAIRS), tmp_path / "ledger"
    with open_ledger(path) as ledger:
        report = done(rows, ToldWorkers(fates=iter(["done", "bad"])), ledger)
    assert sorted(states(report)) == ["done", "done", "duplicate", "failed"]
    failed = next(row for row in report.rows if row.state == "failed")
    rows[0].output.write_text("cut off")  # as is found by its content
    rows[3].output.unlink()
    with open_ledger(path, resume=True) as ledger:
        workers = ToldWorkers()
        report = done(rows, workers, ledger)
    assert report.complete
    assert report.counts["skipped"] == 1
    assert {row.output for row in report.rows if row.state == "done"} == {str(rows[0].output), failed.output}
    assert rows[0].output.read_bytes() == rows[3].output.read_bytes() == b"anna hello 0"
    with open_ledger(path, resume=True) as ledger:
        again = ToldWorkers()
        assert set(states(done(rows, again, ledger))) == {"skipped"}
        rows[3].output.unlink()
        assert states(done(rows, again, ledger))[3] == "duplicate"  # of one that is there
        assert again.begun == []


def test_a_row_that_asks_for_something_else_is_rendered_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with open_ledger(path) as ledger:
        done(some_rows(tmp_path, *PAIRS[:2]), ToldWorkers(), ledger)
    (tmp_path / "hello").unlink()
    rows = some_rows(tmp_path, *PAIRS[:2], bbox_shift=3)
    with open_ledger(path, resume=True) as ledger:
        report = done(rows, ToldWorkers(), ledger)
    assert states(report) == ["done", "done"]
    assert rows[0].output.read_bytes() == b"anna hello 3"


def test_weights_are_what_they_hold_and_not_where_they_lie(tmp_path: Path) -> None:
    def states(models: str, holding: str) -> list[str]:
        weights = tmp_path / models / "network.pth"
        weights.parent.mkdir(exist_ok=True)
        weights.write_text(holding)
        rows = some_rows(tmp_path, PAIRS[0], models_dir=str(weights.parent))
        with open_ledger(tmp_path / "ledger", resume=True) as ledger:
            report = run_batch(rows, ToldWorkers(), ledger, engine=Chooser((weights,)))
        return [row.state for row in report.rows]

    assert states("models", "weights") == ["done"]
    assert states("elsewhere", "weights") == ["skipped"]
    assert states("elsewhere", "others") == ["done"]


def test_of_weights_that_are_not_here_their_folder_tells_renders_apart(tmp_path: Path) -> None:
    first, second, third = some_rows(tmp_path, *[PAIRS[0]] * 3, models_dir="a")
    rows = [first, second, replace(third, settings={"models_dir": "b"})]
    with open_ledger(tmp_path / "ledger") as ledger:
        report = run_batch(rows, ToldWorkers(), ledger, engine=NAMED)
    assert [row.state for row in report.rows] == ["done", "duplicate", "done"]


def test_with_other_weights_it_is_another_render(tmp_path: Path) -> None:
    rows, path, weights = some_rows(tmp_path, *PAIRS[:1]), tmp_path / "ledger", tmp_path / "network.pth"
    weights.write_text("weights")
    engine = Chooser((weights,))

    def state() -> str:
        with open_ledger(path, resume=True) as ledger:
            return states(done(rows, ToldWorkers(), ledger, engine))[0]

    assert (state(), state()) == ("done", "skipped")
    weights.rename(tmp_path / "old")
    weights.write_text("weights")  # put there anew, and never recorded
    assert state() == "skipped"
    weights.write_text("changed")
    assert (state(), state()) == ("done", "skipped")


def test_a_batch_that_is_stopped_says_so_and_leaves_the_rest(tmp_path: Path) -> None:
    rows, path, cancel = some_rows(tmp_path, *PAIRS), tmp_path / "ledger", CancelToken()

    class Stopping(ToldWorkers):
        def start(self, worker: str, task: Task) -> None:
            if self.begun:  # as where all processes of a machine are told to end
                cancel.cancel()
            super().start(worker, task)

    with open_ledger(path) as ledger:
        report = run_batch(rows, Stopping(fates=iter(["done", "lost"])), ledger, engine=NAMED, cancel=cancel)
        assert [entry.deaths for entry in ledger.entries().values()] == [0, 0, 0, 0]
    assert report.stopped
    assert states(report) == ["done", "stopped", "stopped", "duplicate"]
    with open_ledger(path, resume=True) as ledger:
        assert done(rows, ToldWorkers(), ledger).complete
    assert not list(tmp_path.glob(".*"))


def test_a_long_render_is_made_in_pieces_by_all_workers_and_joined(tmp_path: Path, ledger: Ledger) -> None:
    workers = ToldWorkers(2, parts={"hour": 7})
    report = done(some_rows(tmp_path, ("anna", "hour"), ("anna", "hello")), workers, ledger, cutting=CUT)
    assert states(report) == ["done", "done"]
    first, *pieces = [task for task in workers.begun if isinstance(task, PartsTask)]
    assert not first.numbers  # finds the faces, for all of them
    assert sorted(number for task in pieces for number in task.numbers) == list(range(7))
    assert len(pieces) == 3
    assert sum(isinstance(task, RenderTask) for task in workers.begun) == 2
    assert {share.pieces for share in report.workers.values()} == {1, 2}
    assert all(share.video_seconds > 0 for share in report.workers.values())
    apart = ToldWorkers(2, parts={"hour": 7}, machines={"0": "a", "1": "b"})  # who do not see what others keep
    assert done(some_rows(tmp_path / "2", ("anna", "hour")), apart, ledger, cutting=CUT).complete
    assert all(task.numbers for task in apart.begun if isinstance(task, PartsTask))
    assert done(some_rows(tmp_path / "1", ("anna", "hour")), one := ToldWorkers(1), ledger, cutting=CUT).complete
    assert len(one.begun) == 1  # of one worker nothing is gained


def test_what_fails_in_a_piece_fails_once(tmp_path: Path, ledger: Ledger) -> None:
    workers = ToldWorkers(2, iter(["done", "memory", "done", "bad"]), parts={"hour": 7})
    report = done(some_rows(tmp_path, ("anna", "hour")), workers, ledger, cutting=CUT)
    assert (states(report), report.rows[0].attempts) == (["failed"], 2)
    assert report.rows[0].error_kind == "face"


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz")), min_size=1, max_size=6),
    st.lists(st.sampled_from(FATES[:-1]), max_size=20),
    st.integers(1, 3),
)
def test_whatever_happens_every_row_ends_once(  # short ones whole, and long ones (of "z") in pieces
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]], fates: list[str], count: int
) -> None:
    folder = tmp_path_factory.mktemp("batch")
    rows, ended = some_rows(folder, *pairs), list[str]()
    workers = ToldWorkers(count, iter(fates), parts={"z": 7})

    class Listening:
        def row(self, result: object) -> None:
            ended.append(result.output)  # type: ignore[attr-defined]

        def standing(self, standing: object) -> None:
            assert standing.ended <= standing.works  # type: ignore[attr-defined]

        def note(self, text: str) -> None:
            assert text

    options = BatchOptions(clock=workers.clock, stall_seconds=5, reports=False, cutting=CUT)
    with open_ledger(folder / "ledger") as ledger:
        report = run_batch(rows, workers, ledger, engine=NAMED, options=options, watcher=Listening())
        kept = ledger.entries()
    assert sorted(ended) == sorted(str(row.output) for row in rows)
    assert max(workers.attempts.values(), default=0) <= 4 + 20 + 2 * count
    for row, result in zip(rows, report.rows, strict=True):
        assert row.output.exists() == result.whole
        if result.whole:
            assert row.output.read_text() == f"{row.source.name} {row.voice.name} 0"
        assert (kept[f"out/{row.output.name}"].state == "done") == result.whole
    assert sum(share.renders for share in report.workers.values()) == report.counts["done"]
    assert not [path for path in (folder / "out").glob("*") if path.suffix != ".mp4"]
