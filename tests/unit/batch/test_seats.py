"""Workers that wait for their part of a cluster, on a Ray that is none."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from musetalk.batch.cluster.pool import RayPool, Waiting
from musetalk.batch.executor import Lost
from tests.helpers.batches import text_engine
from tests.helpers.waiting import until


@dataclass
class Cluster:
    """Machines whose parts others hold all the time, and a clock.

    Attributes:
        nodes: The machines, as Ray tells of them.
        seconds: The time.
        looks: How often Ray was asked for machines.
        failing: How many of the next actors cannot be made.
        seats: How many parts are waited for.
    """

    nodes: list[dict[str, object]] = field(default_factory=list)
    seconds: float = 1000.0
    looks: int = 0
    failing: int = 0
    seats: int = 0

    def join(self, cpus: int) -> None:
        facts = {"Alive": True, "Resources": {"CPU": cpus}, "NodeManagerHostname": "far"}
        self.nodes.append({"NodeID": str(len(self.nodes)), **facts})

    def pass_by(self, seconds: float) -> None:
        """Let time pass until the pool looks again."""
        self.seconds += seconds
        seen = self.looks
        until(lambda: self.looks > seen)

    def listed(self) -> list[dict[str, object]]:
        self.looks += 1
        return list(self.nodes)

    def seat(self, *_: object, **__: object) -> MagicMock:
        self.seats += 1
        return MagicMock()

    def leave(self, _: object) -> None:
        self.seats -= 1

    def actor(self, _: type) -> MagicMock:
        if self.failing:
            self.failing -= 1
            raise ConnectionError("the cluster is away")
        return MagicMock()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    found = Cluster()
    ray = SimpleNamespace(nodes=found.listed, remote=found.actor, kill=MagicMock(), exceptions=MagicMock())
    ray.wait = lambda refs, **_: ([], refs)
    groups = SimpleNamespace(placement_group=found.seat, remove_placement_group=found.leave)
    groups.placement_group_table = dict
    for name, module in (("ray", ray), ("ray.util.placement_group", groups), ("ray.util.scheduling_strategies", ray)):
        monkeypatch.setitem(sys.modules, name, module)
    ray.PlacementGroupSchedulingStrategy = MagicMock()
    return found


def test_what_others_hold_of_a_machine_that_came_late_is_waited_for_from_then_on(cluster: Cluster) -> None:
    waiting = Waiting(at_first=True)
    with RayPool(text_engine, cpus=1, waiting=waiting, now=lambda: cluster.seconds) as pool:
        cluster.seconds += 10 * waiting.held
        cluster.join(cpus=1)
        for _ in range(3):
            cluster.pass_by(5)
        assert not [event for event in pool.events(0) if isinstance(event, Lost)]
        cluster.pass_by(waiting.held)
        [lost] = [event for event in pool.events(1) if isinstance(event, Lost)]
        assert "others of the cluster held 1 CPU of far" in lost.said
    assert cluster.seats == 0


def test_workers_that_could_not_be_begun_are_begun_once_ray_can_again(cluster: Cluster) -> None:
    cluster.join(cpus=1)
    with RayPool(text_engine, cpus=1, now=lambda: cluster.seconds) as pool:
        cluster.failing = 1
        cluster.join(cpus=3)
        cluster.pass_by(5)
        until(lambda: not cluster.failing)
        cluster.pass_by(5)
        until(lambda: pool.workers == 4)
        assert cluster.seats == 4
    assert cluster.seats == 0


def test_a_worker_whose_place_nobody_can_take_is_told_to_be_gone(cluster: Cluster) -> None:
    cluster.join(cpus=1)
    with RayPool(text_engine, cpus=1, now=lambda: cluster.seconds) as pool:
        cluster.failing = 1
        pool.end("far-1", "it hangs")
        [lost] = pool.events(1)
        assert isinstance(lost, Lost)
        assert not lost.replaced
    assert cluster.seats == 0
