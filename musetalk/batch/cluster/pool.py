"""Workers on a Ray cluster: actors, each on a machine of its own or a part of one, replaced where they die.

Ray carries orders and short answers; sources, voices and results lie on a disk that all machines see. Whether a worker
died, over its task or with its machine, is read from Ray; what follows from that is the driver's, as everywhere.
"""

from __future__ import annotations

import importlib
import logging
import os
import queue
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import musetalk
from musetalk.batch.cluster.worker import Broken, Leaving, RayWorker, Told, Unseen
from musetalk.batch.events import taken
from musetalk.batch.executor import Done, EngineFactory, Event, Failed, Lost, Ready, Task
from musetalk.batch.pool import MOST_STILLBORN, START_SECONDS
from musetalk.errors import BackendError, PackageError, one_line
from musetalk.utils.units import roughly

CPUS = 4  # of a worker without a GPU: of more, decoding, faces, painting and encoding of one render use little
_THREADS = 4  # of an actor: its answers wait for news, and orders come meanwhile
_TAKE_SECONDS = 5.0
_LOOK_SECONDS = 2.0  # between two looks at which machines there are
_WAIT_SECONDS = 0.2
_TRIES = "RAY_gcs_server_port_wait_time_s"  # read when a driver connects: how often it tries
_AGAIN_SECONDS = 1.0  # before a call is made again whose machine did not answer
_ENDING_SECONDS = 3.0
_HOPE_SECONDS = 60.0  # that a cluster without workers is waited for: machines come and go
_SAID = 300  # characters of Ray's words on a death
_log = logging.getLogger(__name__)


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


def paths_of(task: Task) -> Iterator[str]:
    """Yield what has to be there for a task: its inputs, and the folder of what it makes."""
    for each in fields(task):
        value = getattr(task, each.name)
        if isinstance(value, Path):
            yield os.fspath(value.parent if each.name == "out" else value)


@dataclass(slots=True)
class _Worker:
    """A worker that is there, or is to come up.

    Attributes:
        name: Its name; another one has it once it has died.
        node: Id of its machine.
        host: The machine's name.
        actor: Its handle.
        share: What it takes.
        task: Id of what it does; empty: nothing.
        have: How many of its events have come.
        was_ready: Whether it ever was.
        began: When it first answered, by the clock; before, it may wait for what others of the cluster hold. 0: never.
    """

    name: str
    node: str
    host: str
    actor: Any
    share: Share
    task: str = ""
    have: int = 0
    was_ready: bool = False
    began: float = 0.0


@dataclass(frozen=True, slots=True)
class _Call:
    """A call of a worker's method."""

    worker: _Worker
    method: str
    arguments: tuple[object, ...] = ()


class RayPool:
    """An `Executor` of actors on a Ray cluster. As a context manager, it is closed at the end.

    Machines that join get workers, and those of machines that go are gone.

    Args:
        address: "auto": the cluster that this machine is in; "ray://HOST:PORT": one that is reached by Ray's client;
            None: this process is connected already.
        factory: Makes the engine of each worker, there.
        cpus: Of a worker without a GPU.
        hope: For how many seconds a cluster in which no worker is left is waited for.
        again: After how many seconds a worker comes once more on whose machine something did not fit (another version,
            a path that is not there), for somebody may have mended it; None: it never does.

    Raises:
        PackageError: Ray is missing.
        BackendError: There is no such cluster, or it is another Ray's.
    """

    def __init__(
        self,
        address: str | None,
        factory: EngineFactory,
        *,
        cpus: int = CPUS,
        hope: float = _HOPE_SECONDS,
        again: float | None = None,
    ) -> None:
        self._ray = load_ray()
        self._factory, self._cpus, self._hope, self._patience = factory, cpus, hope, again
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
        self._looked = self._alive_at = time.monotonic()
        self._connected = address is not None
        if address is not None:
            _connect(self._ray, address)
        try:
            self._look()
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
            hoping = not self._workers and time.monotonic() < self._alive_at + self._hope
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
        self._workers.clear()
        if self._connected:
            self._connected = False
            self._ray.shutdown()

    def _run(self) -> None:
        """Take what workers tell until the pool is closed."""
        answered = time.monotonic()
        while not self._closing.is_set():
            try:
                self._step()
                answered = time.monotonic()
            except Exception as error:  # noqa: BLE001 - whatever Ray throws, the driver is not left waiting
                _log.warning("the cluster cannot be asked (%s)", one_line(error))
                if time.monotonic() > answered + self._hope:
                    self._lose_all(f"the cluster cannot be asked ({one_line(error)})")
                self._closing.wait(_AGAIN_SECONDS)

    def _step(self) -> None:
        now = time.monotonic()
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
            self._looked = time.monotonic()
            for worker in list(self._workers.values()):
                if worker.node not in alive:
                    self._lose(worker, f"its machine {worker.host} has gone", replaced=False, blamed=False)
                elif worker.began and not worker.was_ready and self._looked > worker.began + START_SECONDS:
                    self._lose(worker, f"it did not come up in {roughly(START_SECONDS)}", blamed=False)
            self._begin_again(alive)
            for node, facts in alive.items():
                share = share_of(facts["Resources"], self._cpus, gpus=gpus)
                if node in self._nodes or not share.workers:
                    continue
                host = facts["NodeManagerHostname"]
                self._nodes.add(node)
                for _ in range(share.workers):
                    self._hosts[host] += 1
                    self._names += 1
                    self._begin(f"{host}-{self._hosts[host]}", node, host, share)
            if self._workers:
                self._alive_at = self._looked

    def _begin(self, name: str, node: str, host: str, share: Share) -> None:
        strategies = importlib.import_module("ray.util.scheduling_strategies")
        options = {
            "num_cpus": share.cpus,
            "num_gpus": share.gpus,
            "max_concurrency": _THREADS,
            "max_restarts": 0,
            "max_task_retries": 0,
            "scheduling_strategy": strategies.NodeAffinitySchedulingStrategy(node, soft=False),
        }
        actor = self._ray.remote(RayWorker).options(**options).remote(name, self._factory, os.getcwd())  # noqa: PTH109
        worker = self._workers[name] = _Worker(name, node, host, actor, share)
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
            self._again.append((time.monotonic() + _AGAIN_SECONDS, call))
            return
        except errors.RayError as error:
            self._lose_by(worker, error)
            return
        if call.method == "about":
            worker.began = time.monotonic()
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
            self._refused.append((time.monotonic() + self._patience, worker))

    def _begin_again(self, alive: Mapping[str, object]) -> None:
        """Begin workers again that were given up for long enough; not those of machines that have gone."""
        now = time.monotonic()
        due = [worker for at, worker in self._refused if at <= now]
        self._refused = [(at, worker) for at, worker in self._refused if at > now]
        for worker in due:
            if worker.node in alive:
                self._begin(worker.name, worker.node, worker.host, worker.share)

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
        replaced = replaced and self._stillborn[worker.name] < MOST_STILLBORN
        _log.debug("worker %s ended: %s", worker.name, said)
        self._events.put(Lost(worker.name, worker.task, said, replaced, blamed))
        if replaced:
            self._begin(worker.name, worker.node, worker.host, worker.share)

    def _lose_all(self, said: str) -> None:
        with self._lock:
            for worker in list(self._workers.values()):
                self._lose(worker, said, replaced=False, blamed=False)

    def _kill(self, worker: _Worker) -> None:
        with suppress(Exception):  # it is gone
            self._ray.kill(worker.actor)


def load_ray() -> Any:  # noqa: ANN401 - an extra, whose types are not always there
    """Return Ray, which sends no statistics of its use.

    Raises:
        PackageError: It is missing.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray  # noqa: PLC0415 - an extra
    except ImportError as error:
        problem = f"Ray, which is to share the work among machines, cannot be imported ({error})"
        raise PackageError(problem, 'pip install ".[cluster]" in the checkout, on each machine') from error
    return ray


def _connect(ray: Any, address: str) -> None:  # noqa: ANN401 - see `load_ray`
    try:
        with _own_signals(), _asked_once():
            ray.init(address, namespace="musetalk", log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # of many kinds
        remedy = 'start it ("ray start --head", "ray start --address HOST:6379"), or correct its address'
        if isinstance(error, RuntimeError) and "ersion" in str(error):
            remedy = "install the same Python and Ray on all machines"
        raise BackendError(f"the Ray cluster {address} cannot be reached ({one_line(error)})", remedy) from error


@contextmanager
def _asked_once() -> Iterator[None]:
    """Have Ray ask a head that does not answer once, for 40 s, and not for a quarter of an hour.

    Ray means to try for 20 s, of twenty tries; with a head that is gone each of them takes that long.
    """
    if _TRIES in os.environ:
        yield
        return
    os.environ[_TRIES] = "1"
    try:
        yield
    finally:
        os.environ.pop(_TRIES, None)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep the program's own answers to signals, which Ray would replace."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _said(error: Exception) -> str:
    """Return why a worker died: of Ray's many words, those that say so."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if getattr(error, "actor_init_failed", False):
        return lines[-1][:_SAID]
    said = next((line for line in lines if "because" in line or "memory" in line), lines[0])
    return "its process died" if "its worker process has died" in said else said[:_SAID]
