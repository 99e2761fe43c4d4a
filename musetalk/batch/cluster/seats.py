"""What of a Ray cluster's machines workers take: how a machine is shared, and its parts, each kept for one worker.

Ray gives an actor what it asks for once that is free, and says of one that does not answer neither whether it waits for
that nor whether it is slow. So each worker has a placement group of its own, of which Ray does.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from musetalk.utils.units import counted, listed

_MOST_HOSTS = 3  # that are named of those that are full


@dataclass(frozen=True, slots=True)
class Share:
    """What of a machine each of its workers takes."""

    workers: int
    cpus: int
    gpus: int


def share_of(resources: Mapping[str, float], cpus: int, *, gpus: bool) -> Share:
    """Return how a machine is shared among workers.

    Args:
        resources: Its own, as Ray names them.
        cpus: Of a worker, where it has so many.
        gpus: Whether there are GPUs in the cluster: then workers are where these are, one on each.
    """
    cores, cards = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
    if gpus:
        return Share(cards, min(cpus, cores // cards), 1) if cards else Share(0, 0, 0)
    each = min(cpus, cores)
    return Share(cores // each, each, 0) if each else Share(0, 0, 0)


class Seat:
    """A part of a machine that is kept for one worker, as soon as it is free.

    Args:
        node: Id of the machine.
        share: How much it is.
    """

    def __init__(self, node: str, share: Share) -> None:
        self._groups: Any = importlib.import_module("ray.util.placement_group")
        self.share = share
        wanted = {"CPU": share.cpus, "GPU": share.gpus}
        bundle = {name: count for name, count in wanted.items() if count}
        self._group = self._groups.placement_group([bundle], bundle_label_selector=[{"ray.io/node-id": node}])

    def actor(self, ray: Any, kind: type, threads: int, *arguments: object) -> Any:  # noqa: ANN401 - an extra
        """Return a new actor that takes it, and that Ray does not begin again."""
        strategies = importlib.import_module("ray.util.scheduling_strategies")
        options = {
            "num_cpus": self.share.cpus,
            "num_gpus": self.share.gpus,
            "max_concurrency": threads,
            "max_restarts": 0,
            "max_task_retries": 0,
            "scheduling_strategy": strategies.PlacementGroupSchedulingStrategy(self._group, 0),
        }
        return ray.remote(kind).options(**options).remote(*arguments)

    def is_taken(self, groups: Mapping[str, Mapping[str, Any]]) -> bool:
        """Whether it was free, and is its worker's now.

        Args:
            groups: From `placement_groups`.
        """
        return groups.get(self._group.id.hex(), {}).get("state") == "CREATED"

    def free(self) -> None:
        """Let others have it."""
        with suppress(Exception):  # of clusters that are gone
            self._groups.remove_placement_group(self._group)


def placement_groups() -> Mapping[str, Mapping[str, Any]]:
    """Return what Ray knows of all placement groups of the cluster, by their ids."""
    groups: Any = importlib.import_module("ray.util.placement_group")
    table: Mapping[str, Mapping[str, Any]] = groups.placement_group_table()
    return table


def described(share: Share) -> str:
    """Return what a worker takes, in words."""
    parts = [counted(share.gpus, "GPU")] * bool(share.gpus) + [counted(share.cpus, "CPU")] * bool(share.cpus)
    return listed(parts)


def waits(waiting: int, workers: int, hosts: Iterable[str], share: Share) -> str:
    """Return what workers wait for, in words.

    Args:
        waiting: How many do.
        workers: How many there are, with these.
        hosts: Their machines.
        share: What each of them takes.
    """
    names = sorted(set(hosts))
    further = [counted(len(names) - _MOST_HOSTS, "other machine")] * (len(names) > _MOST_HOSTS)
    on = listed([*names[:_MOST_HOSTS], *further])
    who = f"{waiting:,} of {counted(workers, 'worker')} {'waits' if waiting == 1 else 'wait'}"
    each = " each" if waiting > 1 else ""
    return f"{who} for {described(share)}{each} of {on}, which others of the cluster hold"
