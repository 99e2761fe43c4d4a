"""Workers on a Ray cluster: actors, each on a machine of its own or a part of one, replaced where they die.

Ray carries orders and short answers; sources, voices and results lie on a disk that all machines see. Whether a worker
died, over its task or with its machine, is read from Ray; what follows from that is the driver's, as everywhere.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import musetalk
from musetalk.batch.cluster.connection import load_ray
from musetalk.batch.cluster.seats import Seat, Share, described, placement_groups, share_of, waits
from musetalk.batch.cluster.worker import Broken, Leaving, RayWorker, Told, Unseen
from musetalk.batch.events import taken
from musetalk.batch.executor import Done, EngineFactory, Event, Failed, Lost, Notice, Ready, Task
from musetalk.batch.pool import MOST_STILLBORN, START_SECONDS
from musetalk.errors import BackendError, one_line
from musetalk.utils.units import roughly

CPUS = 4  # of a worker without a GPU: of more, decoding, faces, painting and encoding of one render use little
_THREADS = 4  # of an actor: its answers wait for news, and orders come meanwhile
_TAKE_SECONDS = 5.0
_LOOK_SECONDS = 2.0  # between two looks at which machines there are
_WAIT_SECONDS = 0.2
_AGAIN_SECONDS = 1.0  # before a call is made again whose machine did not answer
_ENDING_SECONDS = 3.0
_SAID = 300  # characters of Ray's words on a death
_log = logging.getLogger(__name__)


def paths_of(task: Task) -> Iterator[str]:
    """Yield what has to be there for a task: its inputs, and the folder of what it makes."""
    for each in fields(task):
        value = getattr(task, each.name)
        if isinstance(value, Path):
            yield os.fspath(value.parent if each.name == "out" else value)


@dataclass(frozen=True, slots=True)
class Waiting:
    """For how long a cluster is waited for in which no worker is there.

    Attributes:
        machines: For how many seconds those that have none, or none any more: machines come and go.
        held: For how many seconds what others of the cluster hold.
        tell: After how many that is told.
        at_first: Whether a cluster is waited for that had no machine for a worker from the beginning.
    """

    machines: float = 60.0
    held: float = START_SECONDS
    tell: float = 30.0
    at_first: bool = False


@dataclass(slots=True)
class _Worker:
    """A worker that is there, or is to come up.

    Attributes:
        name: Its name; another one has it once it has died.
        node: Id of its machine.
        host: The machine's name.
        actor: Its handle.
        seat: Its part of the machine.
        since: When it was begun, by the clock.
        task: Id of what it does; empty: nothing.
        have: How many of its events have come.
        was_ready: Whether it ever was.
        seated: When its seat was first seen to be its own, by the clock; 0: it waits for what others hold.
        told: Whether that was told.
    """

    name: str
    node: str
    host: str
    actor: Any
    seat: Seat
    since: float
    task: str = ""
    have: int = 0
    was_ready: bool = False
    seated: float = 0.0
    told: bool = False


@dataclass(frozen=True, slots=True)
class _Call:
    """A call of a worker's method."""

    worker: _Worker
    method: str
    arguments: tuple[object, ...] = ()


class RayPool:
    """An `Executor` of actors on the Ray cluster that this process is connected to. As a context manager, it is closed.

    Machines that join get workers, and those of machines that go are gone.

    Args:
        factory: Makes the engine of each worker, there.
        cpus: Of a worker without a GPU.
        waiting: For how long workers are waited for.
        again: After how many seconds a worker comes once more on whose machine something did not fit (another version,
            a path that is not there, what others held), for somebody may have mended it; None: it never does.
        now: A clock, in seconds.

    Raises:
        PackageError: Ray is missing.
        BackendError: No machine of the cluster has what a worker takes.
    """

    def __init__(
        self,
        factory: EngineFactory,
        *,
        cpus: int = CPUS,
        waiting: Waiting | None = None,
        again: float | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ray, self._now = load_ray(), now
        self._factory, self._cpus, self._patience = factory, cpus, again
        self._waiting = waiting or Waiting()
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._stillborn: Counter[str] = Counter()
        self._hosts: Counter[str] = Counter()
        self._nodes = set[str]()  # ids of the machines that have or had workers
        self._refused: list[tuple[float, _Worker]] = []  # and when they may come again
        self._workers: dict[str, _Worker] = {}
        self._calls: dict[Any, _Call] = {}
        self._again: list[tuple[float, _Call]] = []
        self._names = 0
        self._looked = self._alive_at = self._now()
        try:
            self._look()
            self._check_room()
        except BaseException:
            self.close()
            raise
        self._thread = threading.Thread(target=self._run, name="ray-pool", daemon=True)
        self._thread.start()

    def __enter__(self) -> RayPool:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def workers(self) -> int:
        """See `Executor`; those that have gone count, and one that may come while there is none."""
        with self._lock:
            hoping = not self._workers and self._now() < self._alive_at + self._waiting.machines
            return self._names + hoping

    def start(self, worker: str, task: Task) -> None:
        """See `Executor`."""
        wanted = tuple(path for path in paths_of(task) if os.path.exists(path))  # noqa: PTH110 - many of them
        with self._lock:
            there = self._workers.get(worker)
            if there is not None:
                there.task = task.id
                self._call(_Call(there, "start", (task, wanted)))
        if there is None:  # it has gone just now
            self._events.put(Lost(worker, task.id, "it ended before it began", replaced=True, blamed=False))

    def events(self, timeout: float) -> list[Event]:
        """See `Executor`."""
        return taken(self._events, timeout)

    def end(self, worker: str, why: str) -> None:
        """See `Executor`."""
        with self._lock:
            there = self._workers.get(worker)
            if there is not None:  # else it has gone just now, which was told
                self._lose(there, why, blamed=True)

    def cancel(self, worker: str, task: str) -> None:
        """See `Executor`."""
        with self._lock:
            there = self._workers.get(worker)
            if there is not None:
                self._call(_Call(there, "cancel", (task,)))

    def close(self) -> None:
        """See `Executor`."""
        self._closing.set()
        if hasattr(self, "_thread"):
            self._thread.join(_ENDING_SECONDS)  # Ray may be waiting for a cluster that is gone
        with suppress(Exception):  # of machines that are gone, and clusters
            ends = [worker.actor.end.remote() for worker in self._workers.values()]
            if ends:
                self._ray.wait(ends, num_returns=len(ends), timeout=_ENDING_SECONDS)
        for worker in self._workers.values():
            self._kill(worker)
            worker.seat.free()
        self._workers.clear()

    def _run(self) -> None:
        """Take what workers tell until the pool is closed."""
        answered = self._now()
        while not self._closing.is_set():
            try:
                self._step()
                answered = self._now()
            except Exception as error:  # noqa: BLE001 - whatever Ray throws, the driver is not left waiting
                _log.warning("the cluster cannot be asked (%s)", one_line(error))
                if self._now() > answered + self._waiting.machines:
                    self._lose_all(f"the cluster cannot be asked ({one_line(error)})")
                self._closing.wait(_AGAIN_SECONDS)

    def _step(self) -> None:
        now = self._now()
        if now >= self._looked + _LOOK_SECONDS:
            self._look()
        with self._lock:
            due = [call for at, call in self._again if at <= now]
            self._again = [(at, call) for at, call in self._again if at > now]
            for call in due:
                self._call(call)
            refs = list(self._calls)
        if not refs:
            self._closing.wait(_WAIT_SECONDS)
            return
        ready, _ = self._ray.wait(refs, num_returns=1, timeout=_WAIT_SECONDS)
        with self._lock:
            for ref in ready:
                self._answered(self._calls.pop(ref), ref)

    def _look(self) -> None:
        """Look which machines there are: new ones get workers, and those of machines that went are gone."""
        alive = {node["NodeID"]: node for node in self._ray.nodes() if node["Alive"]}
        gpus = any(node["Resources"].get("GPU") for node in alive.values())
        with self._lock:
            self._looked = self._now()
            for worker in list(self._workers.values()):
                if worker.node not in alive:
                    self._lose(worker, f"its machine {worker.host} has gone", replaced=False, blamed=False)
                elif worker.seated and not worker.was_ready and self._looked > worker.seated + START_SECONDS:
                    self._lose(worker, f"it did not come up in {roughly(START_SECONDS)}", blamed=False)
            self._look_who_waits()
            self._begin_again(alive)
            for node, facts in alive.items():
                share = share_of(facts["Resources"], self._cpus, gpus=gpus)
                if node in self._nodes or not share.workers:
                    continue
                host = facts["NodeManagerHostname"]
                there = sum(worker.node == node for worker in self._workers.values())  # begun before Ray failed
                for _ in range(share.workers - there):
                    self._begin(f"{host}-{self._hosts[host] + 1}", node, host, Seat(node, share))
                    self._hosts[host] += 1
                    self._names += 1
                self._nodes.add(node)

    def _look_who_waits(self) -> None:
        """See who got a seat, tell of those who wait, and give them up where nobody else is there for too long."""
        groups = {} if all(worker.seated for worker in self._workers.values()) else placement_groups()
        for worker in self._workers.values():
            if not worker.seated and worker.seat.is_taken(groups):
                worker.seated = self._looked
        waiting = [worker for worker in self._workers.values() if not worker.seated]
        if len(waiting) < len(self._workers):
            self._alive_at = self._looked
        elif long := [worker for worker in waiting if self._looked > self._waits_since(worker) + self._waiting.held]:
            for worker in long:
                wanted = f"{described(worker.seat.share)} of {worker.host}"
                self._refuse(worker, f"others of the cluster held {wanted} for {roughly(self._waiting.held)}")
            return
        if any(not worker.told and self._looked > worker.since + self._waiting.tell for worker in waiting):
            self._tell_who_waits(waiting)

    def _waits_since(self, worker: _Worker) -> float:
        """Return since when it, and everybody else, has waited: its machine may have come long after the last one."""
        return max(self._alive_at, worker.since)

    def _tell_who_waits(self, waiting: list[_Worker]) -> None:
        alike = dict[Share, list[_Worker]]()
        for worker in waiting:
            worker.told = True
            alike.setdefault(worker.seat.share, []).append(worker)
        for share, workers in alike.items():
            hosts = [worker.host for worker in workers]
            self._events.put(Notice(waits(len(workers), len(self._workers), hosts, share)))

    def _check_room(self) -> None:
        """Make sure that there is a machine for a worker, or that one is waited for.

        Raises:
            BackendError: There is none.
        """
        if self._workers:
            return
        problem = "no machine of the cluster has a CPU or a GPU for a worker"
        if not self._waiting.at_first:
            remedy = (
                'let some join ("ray start --address HOST:6379"), or wait for them by ?wait=MINUTES behind the place'
            )
            raise BackendError(problem, remedy)
        self._events.put(Notice(f"{problem}: they are waited for"))

    def _begin(self, name: str, node: str, host: str, seat: Seat) -> None:
        """Begin a worker; where Ray cannot, its seat is free."""
        try:
            actor = seat.actor(self._ray, RayWorker, _THREADS, name, self._factory, os.getcwd())  # noqa: PTH109
        except BaseException:
            seat.free()
            raise
        worker = self._workers[name] = _Worker(name, node, host, actor, seat, self._now())
        self._call(_Call(worker, "about"))

    def _call(self, call: _Call) -> None:
        if call.worker is self._workers.get(call.worker.name):
            self._calls[getattr(call.worker.actor, call.method).remote(*call.arguments)] = call

    def _answered(self, call: _Call, ref: object) -> None:
        worker, errors = call.worker, self._ray.exceptions
        if worker is not self._workers.get(worker.name):
            return  # it has been given up
        try:
            answer = self._ray.get(ref)
        except errors.ActorUnavailableError:  # it may come back; where its machine is gone, Ray finds out
            self._again.append((self._now() + _AGAIN_SECONDS, call))
            return
        except errors.RayError as error:
            self._lose_by(worker, error)
            return
        if call.method == "about":
            worker.seated = worker.seated or self._now()
            self._check_version(worker, answer)
        elif call.method == "take":
            worker.have += len(answer)
            for told in answer:
                self._hand_on(worker, told)
        if call.method in ("about", "take"):
            self._call(_Call(worker, "take", (worker.have, _TAKE_SECONDS)))

    def _check_version(self, worker: _Worker, about: Mapping[str, str]) -> None:
        theirs, ours = about["musetalk"], musetalk.__version__
        if theirs != ours:
            said = f"{worker.host} has musetalk {theirs}, this machine {ours}: install the same on all"
            self._refuse(worker, said)

    def _refuse(self, worker: _Worker, said: str) -> None:
        """Give up a worker on whose machine something does not fit, for now or for good."""
        self._lose(worker, said, replaced=False, blamed=False)
        if self._patience is not None:
            self._refused.append((self._now() + self._patience, worker))

    def _begin_again(self, alive: Mapping[str, object]) -> None:
        """Begin workers again that were given up for long enough; not those of machines that have gone."""
        now = self._now()
        for due in [each for each in self._refused if each[0] <= now]:
            worker = due[1]
            if worker.node in alive:
                self._begin(worker.name, worker.node, worker.host, Seat(worker.node, worker.seat.share))
            self._refused.remove(due)

    def _hand_on(self, worker: _Worker, told: Told) -> None:
        if isinstance(told, Unseen):
            said = f'{worker.host} does not see "{told.path}": let all machines have the same disk under the same path'
            self._refuse(worker, said)
        elif isinstance(told, Leaving):
            self._lose(worker, f"its machine {worker.host} is being taken away", replaced=False, blamed=False)
        elif isinstance(told, Broken):
            self._lose(worker, told.said, blamed=False)
        else:
            if isinstance(told, Ready):
                worker.was_ready = True
                told = replace(told, machine=worker.node)
            if isinstance(told, Done | Failed):
                worker.task = ""
            self._events.put(told)

    def _lose_by(self, worker: _Worker, error: Exception) -> None:
        """Tell of a worker that Ray says has died."""
        if self._node_has_gone(worker, error):
            self._lose(worker, f"its machine {worker.host} has gone", replaced=False, blamed=False)
        else:
            self._lose(worker, _said(error), blamed=True)

    def _node_has_gone(self, worker: _Worker, error: Exception) -> bool:
        if getattr(error, "preempted", False) or "node has died" in str(error):
            return True
        return all(node["NodeID"] != worker.node or not node["Alive"] for node in self._ray.nodes())

    def _lose(self, worker: _Worker, said: str, *, blamed: bool, replaced: bool = True) -> None:
        """Tell that a worker is gone; another one takes its place if it is to be replaced, and ever was ready."""
        self._workers.pop(worker.name, None)
        self._kill(worker)
        self._stillborn[worker.name] = 0 if worker.was_ready else self._stillborn[worker.name] + 1
        if replaced and self._stillborn[worker.name] < MOST_STILLBORN:
            replaced = self._is_replaced(worker)
        else:
            replaced = False
            worker.seat.free()
        _log.debug("worker %s ended: %s", worker.name, said)
        self._events.put(Lost(worker.name, worker.task, said, replaced, blamed))

    def _is_replaced(self, worker: _Worker) -> bool:
        """Begin another worker in place of one that is gone; returns whether Ray can, else its seat is free."""
        try:
            self._begin(worker.name, worker.node, worker.host, worker.seat)
        except Exception as error:  # noqa: BLE001 - whatever Ray throws, the driver is told that nobody comes
            _log.warning("no worker takes the place of %s (%s)", worker.name, one_line(error))
            return False
        return True

    def _lose_all(self, said: str) -> None:
        with self._lock:
            for worker in list(self._workers.values()):
                self._lose(worker, said, replaced=False, blamed=False)

    def _kill(self, worker: _Worker) -> None:
        with suppress(Exception):  # it is gone
            self._ray.kill(worker.actor)


def _said(error: Exception) -> str:
    """Return why a worker died: of Ray's many words, those that say so."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if getattr(error, "actor_init_failed", False):
        return lines[-1][:_SAID]
    said = next((line for line in lines if "because" in line or "memory" in line), lines[0])
    return "its process died" if "its worker process has died" in said else said[:_SAID]
