"""Batches on a Ray cluster of this machine: nodes that go, actors that die, disks that are not shared."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import musetalk
from musetalk.batch.cluster.pool import RayPool, Waiting
from musetalk.batch.course import Cutting
from musetalk.batch.executor import Done, Event, Lost, Notice, Ready, RenderTask
from musetalk.batch.opening import open_ledger
from musetalk.batch.outcome import RowResult
from musetalk.batch.places import render_engine
from musetalk.batch.retries import RetryPolicy
from musetalk.batch.rows import Row
from musetalk.batch.run import BatchOptions, run_batch
from musetalk.batch.watch import Unwatched
from musetalk.errors import BackendError
from musetalk.lipsync import LipSync
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import UInt8Array
from tests.helpers.batches import NAMED, some_rows, text_engine
from tests.helpers.media import decode, decode_sound, tone, write_wav
from tests.helpers.programs import run_program

ray = pytest.importorskip("ray", reason="the extra `cluster` is not installed")
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]  # of Ray's own
ROOT = Path(__file__).parents[2]
SOON = BatchOptions(RetryPolicy(first_seconds=0.01))


@dataclass(frozen=True)
class Machines:
    """A cluster whose head renders nothing, and this process's connection to it."""

    cluster: Any
    nodes: dict[str, Any] = field(default_factory=dict)

    def add(self) -> str:
        node = self.cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
        self.nodes[node.node_id] = node
        return str(node.node_id)

    def remove(self, node: str) -> None:
        self.cluster.remove_node(self.nodes.pop(node), allow_graceful=False)


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    Path(tempfile.gettempdir(), "ray").mkdir(exist_ok=True)  # where Ray writes its address, and which it does not make
    # Of a name that is short enough for sockets in it; what Ray ends may still write there.
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as folder:
        soon = {
            "health_check_initial_delay_ms": 1000,
            "health_check_period_ms": 1000,
            "health_check_failure_threshold": 3,
        }
        head = {"num_cpus": 0, "temp_dir": folder, "include_dashboard": False, "object_store_memory": 80_000_000}
        cluster = Cluster(initialize_head=True, head_node_args={**head, "_system_config": soon})
        found = Machines(cluster)
        found.add()
        ray.init(address=cluster.address, namespace="musetalk", log_to_driver=False)
        yield found
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture
def pool(machines: Machines) -> Iterator[RayPool]:
    with RayPool(text_engine, waiting=Waiting(machines=0)) as started:
        yield started


def until(pool: RayPool, wanted: Callable[[Event], bool]) -> list[Event]:
    """Take events until one is as wanted, however long that takes."""
    found: list[Event] = []
    while not any(map(wanted, found)):
        found += pool.events(60)
    return found


class Trouble(Unwatched):
    """Kills the actor that made the first row, and removes a machine after the eighth."""

    def __init__(self, machines: Machines, node: str) -> None:
        self._machines, self._node, self.ended = machines, node, list[str]()

    def row(self, result: RowResult) -> None:
        self.ended.append(result.row)
        if len(self.ended) == 1:
            assert result.report is not None
            os.kill(int(result.report.device), signal.SIGKILL)
        if len(self.ended) == 8:
            self._machines.remove(self._node)


def test_lost_machines_dead_actors_and_poison_cost_nothing_else(machines: Machines, tmp_path: Path) -> None:
    rows = some_rows(tmp_path, *[("deadly" if n == 5 else f"source {n % 3}", f"voice {n}") for n in range(24)])
    trouble = Trouble(machines, machines.add())
    with RayPool(text_engine) as pool, open_ledger(tmp_path / "ledger") as ledger:
        assert pool.workers == 2
        report = run_batch(rows, pool, ledger, engine=NAMED, options=SOON, watcher=trouble)
    assert sorted(trouble.ended) == sorted(row.name for row in rows)
    assert [row.state for row in report.rows] == ["set_aside" if n == 5 else "done" for n in range(24)]
    assert all(row.output.exists() == (row.source.name != "deadly") for row in rows)
    assert sum(share.renders for share in report.workers.values()) == 23


def test_a_machine_that_does_not_see_a_file_is_told_and_nothing_is_blamed(pool: RayPool, tmp_path: Path) -> None:
    [row] = some_rows(tmp_path, ("anna", "hello"))
    folder = os.open(tmp_path, os.O_RDONLY)  # which this process alone has under this name
    [ready] = until(pool, lambda event: isinstance(event, Ready))
    seen_here = Path(f"/proc/self/fd/{folder}/anna")
    pool.start(ready.worker, RenderTask("k-0", seen_here, row.voice, tmp_path / "made.mp4", RenderSettings()))
    [lost] = until(pool, lambda event: isinstance(event, Lost))
    os.close(folder)
    assert isinstance(lost, Lost)
    assert (lost.task, lost.replaced, lost.blamed) == ("k-0", False, False)
    assert f'does not see "{seen_here}"' in lost.said


def test_a_worker_that_hangs_can_be_ended(pool: RayPool, tmp_path: Path) -> None:
    [ready] = until(pool, lambda event: isinstance(event, Ready))
    rows = some_rows(tmp_path, ("hanging", "hello"), ("anna", "hello"))
    hanging, good = (
        RenderTask(f"k-{row.line}", row.source, row.voice, tmp_path / "made.mp4", RenderSettings()) for row in rows
    )
    pool.start(ready.worker, hanging)
    pool.end(ready.worker, "it said nothing")
    lost, *_ = until(pool, lambda event: isinstance(event, Ready))
    assert lost == Lost(ready.worker, hanging.id, "it said nothing", replaced=True)
    pool.start(ready.worker, good)
    assert isinstance(until(pool, lambda event: isinstance(event, Ready))[0], Done)


def test_a_worker_whose_machine_did_not_fit_comes_again_where_that_is_wanted(
    machines: Machines, tmp_path: Path
) -> None:
    [row] = some_rows(tmp_path, ("anna", "hello"))
    folder = os.open(tmp_path, os.O_RDONLY)
    with RayPool(text_engine, again=0) as pool:
        [ready] = until(pool, lambda event: isinstance(event, Ready))
        unseen = Path(f"/proc/self/fd/{folder}/anna")
        pool.start(ready.worker, RenderTask("k-0", unseen, row.voice, tmp_path / "made.mp4", RenderSettings()))
        _, again = until(pool, lambda event: isinstance(event, Ready))
        assert again == ready
        pool.start(ready.worker, RenderTask("k-1", row.source, row.voice, tmp_path / "made.mp4", RenderSettings()))
        assert isinstance(until(pool, lambda event: isinstance(event, Done))[-1], Done)
    os.close(folder)


class Holder:
    """Somebody else's actor."""

    def is_there(self) -> bool:
        return True


class Noting(Unwatched):
    """Keeps what users are told."""

    def __init__(self) -> None:
        self.said = list[str]()

    def note(self, text: str) -> None:
        self.said.append(text)


def test_what_others_hold_is_waited_for_told_and_not_for_ever(machines: Machines, tmp_path: Path) -> None:
    holder = ray.remote(Holder).options(num_cpus=1).remote()
    ray.get(holder.is_there.remote())
    noting = Noting()
    with (
        RayPool(text_engine, waiting=Waiting(machines=0, held=2.5, tell=0)) as pool,
        open_ledger(tmp_path / "ledger") as ledger,
        pytest.raises(BackendError, match=r"no worker is left \(others of the cluster held 1 CPU of"),
    ):
        run_batch(some_rows(tmp_path, ("anna", "hello")), pool, ledger, engine=NAMED, watcher=noting)
    assert noting.said[0].startswith("1 of 1 worker waits for 1 CPU of")
    with RayPool(text_engine, waiting=Waiting(tell=0)) as pool:
        told = until(pool, lambda event: isinstance(event, Notice))[-1]
        assert isinstance(told, Notice)
        assert told.said.startswith("1 of 1 worker waits for 1 CPU of")
        ray.kill(holder)
        until(pool, lambda event: isinstance(event, Ready))


def test_another_version_is_refused(machines: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(musetalk, "__version__", "99.1")
    rows = some_rows(tmp_path, ("anna", "hello"))
    with (
        RayPool(text_engine, waiting=Waiting(machines=0)) as pool,
        open_ledger(tmp_path / "ledger") as ledger,
        pytest.raises(BackendError, match=r"has musetalk .*, this machine 99\.1: install the same on all"),
    ):
        run_batch(rows, pool, ledger, engine=NAMED)


def test_a_machine_that_is_being_drained_ends_what_it_does_and_gets_no_more(machines: Machines, tmp_path: Path) -> None:
    node = machines.add()
    with RayPool(text_engine) as pool:
        assert pool.workers == 2
        until(pool, lambda event: isinstance(event, Ready))
        client = ray._raylet.GcsClient(address=machines.cluster.address)
        accepted, _ = client.drain_node(node, 2, "spot", 0)
        assert accepted
        lost = until(pool, lambda event: isinstance(event, Lost))[-1]
        assert isinstance(lost, Lost)
        assert (lost.task, lost.replaced, lost.blamed) == ("", False, False)
        assert "is being taken away" in lost.said
    machines.remove(node)


def test_a_long_clip_over_two_machines_is_the_file_of_one(
    machines: Machines, small_portrait: UInt8Array, tmp_path: Path
) -> None:
    Image.fromarray(small_portrait).resize((96, 128)).save(tmp_path / "face.png")
    write_wav(tmp_path / "long.wav", tone(10.4))  # two parts
    settings = {"backend": "preview", "encoder": {"preset": "ultrafast"}}
    row = Row("line 2", tmp_path / "face.png", tmp_path / "long.wav", tmp_path / "out" / "long.mp4", settings)
    node = machines.add()
    with RayPool(render_engine) as pool, open_ledger(tmp_path / "ledger") as ledger:
        options = BatchOptions(cutting=Cutting(voice_bytes=0, frames=100))
        report = run_batch([row], pool, ledger, engine=LipSync(), options=options)
    machines.remove(node)
    assert report.complete
    assert sum(share.pieces for share in report.workers.values()) == 2  # of one, where the other comes up too late
    alone = tmp_path / "alone.mp4"
    LipSync().render(row.source, row.voice, alone, RenderSettings.parse(settings))
    assert (decode(row.output) == decode(alone)).all()
    assert (decode_sound(row.output) == decode_sound(alone)).all()


def test_the_command_renders_on_the_cluster_of_its_machine(
    machines: Machines, small_portrait: UInt8Array, tmp_path: Path
) -> None:
    Image.fromarray(small_portrait).resize((96, 128)).save(tmp_path / "face.png")
    write_wav(tmp_path / "a.wav", tone(0.4))
    (tmp_path / "clips.csv").write_text("source,voice,output\nface.png,a.wav,a.mp4\n")
    command = [sys.executable, "-m", "musetalk", "batch", "clips.csv", "-o", "out", "--on", "ray:auto"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_ADDRESS": machines.cluster.address}
    ended = run_program([*command, "--backend", "preview", "--preset", "ultrafast"], cwd=tmp_path, env=environment)
    assert ended.returncode == 0, ended.stderr
    assert "1 of 1 row done" in ended.stdout
    assert (tmp_path / "out" / "a.mp4").exists()
