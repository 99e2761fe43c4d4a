"""Workers that take their time on a clock of their own: an `Executor` for the real driver of batches."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TypeAlias

from benchmarks.fleet_model import FPS, Clip, Fleet
from benchmarks.fleet_usage import Parts, Usage, frames_of, report_of
from musetalk.batch.executor import Done, Event, Failed, LookTask, Lost, PartsTask, Ready, RenderTask, Task
from musetalk.errors import FaceError, OutOfMemoryError
from musetalk.pipeline.report import RenderReport
from musetalk.storage.locations import on_disk

_ROUNDING = 1e-6  # seconds
AnyTask: TypeAlias = LookTask | PartsTask | RenderTask
Place: TypeAlias = tuple[str, int]  # what is kept of faces: of a clip, beside its parts; of a source, where all look
_LOT = 500  # frames whose faces are kept together, as soon as all of them are found; see `musetalk.pipeline.kept_looks`


@dataclass(slots=True, eq=False)
class _Job:
    """What a worker does: a start, or a task.

    Attributes:
        task: Which; None: it starts.
        begun: In seconds of undisturbed work, as `ends` is.
        ends: When it is through, if nothing happens.
        plan: Seconds in which it finds faces, before which nothing is made.
        known: Frames of the source whose faces were known when it began.
        before: Seconds until the first frame, those for the plan among them.
        parts: That it makes, in order.
        frame: Seconds for each of their frames.
        rate: Bytes a second that it asks of storage.
    """

    task: AnyTask | None
    begun: float
    ends: float
    plan: float = 0.0
    known: int = 0
    before: float = 0.0
    parts: Sequence[int] = ()
    frame: float = 0.0
    rate: float = 0.0


@dataclass(slots=True, eq=False)
class _Worker:
    """A worker: its machine, which may be taken away, what it does, and which frames' faces it knows."""

    name: str
    machine: object = field(default_factory=object)
    job: _Job | None = None
    known: dict[int, int] = field(default_factory=dict)


# When, a number that orders what happens at once, to whom, as long as that one has this job or machine, what.
_Planned: TypeAlias = tuple[float, int, _Worker, object, Callable[[_Worker], None]]


class SimulatedWorkers:
    """An `Executor` in which time passes as the costs say, and what shall fail fails.

    Work goes on at full speed, or all of it slower by the same share where more is asked of storage, or of processors
    that all workers share, than there is: so a job's end is known in seconds of undisturbed work, which pass the slower
    the more is asked.

    Args:
        workers: How many.
        clips: By the number that a task's voice is named by.
        fleet: Costs and failures.

    Attributes:
        now: Seconds since the start.
        usage: What was used so far.
    """

    def __init__(self, workers: int, clips: Sequence[Clip], fleet: Fleet) -> None:
        self.now = 0.0
        self.usage = Usage()
        self._clips, self._fleet = clips, fleet
        self._draw = random.Random(fleet.seed)  # noqa: S311 - no secret
        self._worked = 0.0  # seconds of undisturbed work since the start
        self._numbers = count()
        self._ends: list[_Planned] = []  # by seconds of undisturbed work
        self._times: list[_Planned] = []  # by the clock
        self._dues: list[float] = []  # when the driver wants to try something again
        self._happened: list[Event] = []
        self._made: dict[int, set[int]] = {}  # parts that are there, by clip
        self._known: dict[Place, int] = {}  # frames whose faces are known to all, by where that is kept
        self._looking: dict[Place, list[_Job]] = {}  # who finds more of them just now
        self._rate = 0.0
        self._busy = 0
        self._workers = {str(number): _Worker(str(number)) for number in range(workers)}
        for worker in self._workers.values():
            self._start_worker(worker)

    @property
    def workers(self) -> int:
        """See `Executor`."""
        return len(self._workers)

    def due(self, seconds: float) -> None:
        """Take note that the driver waits so long for something."""
        heapq.heappush(self._dues, self.now + seconds)

    def spend(self, what: str, seconds: float) -> None:
        """Let the driver, busy with `what`, take its time; workers go on meanwhile."""
        self.usage.driver[what] += seconds
        self._advance(self.now + seconds / (1.0 - self._listening()))

    def start(self, worker: str, task: Task) -> None:
        """See `Executor`."""
        assert isinstance(task, LookTask | PartsTask | RenderTask)  # noqa: S101 - there are no others
        self.spend("tasks", self._fleet.driver.begin)
        self.usage.tasks += 1
        at = self._workers[worker]
        if at.job is not None:
            raise AssertionError(f"worker {worker} was given a second task")
        self._begin(at, task)

    def events(self, timeout: float) -> list[Event]:
        """See `Executor`. As nothing else can happen, it waits until something does, however long that is."""
        if not self._happened and not self._is_due():
            self._advance(self._dues[0] if self._dues else math.inf, lambda: bool(self._happened))
        happened, self._happened = self._happened, []
        for event in happened:
            if isinstance(event, Done | Failed | Lost):
                self.spend("tasks", self._fleet.driver.take)
            if isinstance(event, Done) and isinstance(event.result, RenderReport):
                self.usage.video_seconds += event.result.video_seconds
                self.read(event.result.video_seconds * self._fleet.shared.output_rate)
                self.spend("publish", self._fleet.driver.publish)
        return happened

    def read(self, size: float) -> None:
        """Let the driver read so many bytes to know their digest, beside what workers ask of storage."""
        began, driver = self.now, self.read_ahead(size)
        self._advance(math.inf, lambda: driver.job is None)
        self.usage.driver["digests"] += self.now - began

    def read_ahead(self, size: float) -> _Worker:
        """Let a thread of the driver's read so many bytes, for which nobody waits; returns what reads."""
        driver, seconds = _Worker("driver"), size * self._fleet.driver.digest
        if seconds > 0:
            driver.job = _Job(None, self._worked, self._worked + seconds, rate=size / seconds)
            self._rate += driver.job.rate
            self._at(self._ends, driver.job.ends, driver, driver.job, self._has_read)
        return driver

    def _has_read(self, driver: _Worker) -> None:
        assert driver.job is not None  # noqa: S101 - it reads
        self._rate = max(0.0, self._rate - driver.job.rate)
        driver.job = None

    def _is_due(self) -> bool:
        """Whether the driver is to look for what it wanted to try again."""
        before = len(self._dues)
        while self._dues and self._dues[0] <= self.now:
            heapq.heappop(self._dues)
        return len(self._dues) < before

    def _listening(self) -> float:
        """Return which share of its time the driver listens to signs of progress."""
        return min(0.99, self._fleet.driver.progress * self._fleet.driver.signs * self._busy)

    def end(self, worker: str, why: str) -> None:
        """See `Executor`; none is ever silent."""

    def cancel(self, worker: str, task: str) -> None:
        """See `Executor`; nobody stops a simulation."""

    def close(self) -> None:
        """See `Executor`."""

    # What takes time

    def _start_worker(self, worker: _Worker) -> None:
        costs, losses = self._fleet.costs, self._fleet.failures.losses
        rate = costs.load_bytes / costs.load if costs.load else 0.0
        self._run(worker, _Job(None, self._worked, self._worked + costs.load, rate=rate), self._is_ready)
        if losses:
            worker.machine = object()
            self._at(self._times, self.now + self._draw.expovariate(losses / 3600), worker, worker.machine, self._go)

    def _is_ready(self, worker: _Worker) -> None:
        self._stop(worker)
        self._happened.append(Ready(worker.name, worker.name))

    def _begin(self, worker: _Worker, task: AnyTask) -> None:
        number, failures = int(task.voice.stem), self._fleet.failures
        fate = "good" if isinstance(task, LookTask) else self._clips[number].fate
        job = self._job_of(worker, task, number)
        length = job.ends - job.begun
        if fate == "poisoned":
            job.ends = job.begun + 0.5 * length
            self._run(worker, job, self._die)
        elif fate == "bad":
            job.ends = job.begun + job.before
            self._run(worker, job, self._refuse)
        elif self._draw.random() < failures.passing:
            job.ends = job.begun + self._draw.random() * length
            self._run(worker, job, self._fail)
        else:
            self._run(worker, job, self._finish)
        if failures.deaths:
            dies = self.now + self._draw.expovariate(failures.deaths / 3600)
            self._at(self._times, dies, worker, job, self._die)

    def _job_of(self, worker: _Worker, task: AnyTask, number: int) -> _Job:
        costs, shared, clip = self._fleet.costs, self._fleet.shared, self._clips[number]
        if clip.took is not None:
            return _Job(task, self._worked, self._worked + clip.took)
        if isinstance(task, LookTask):
            return _Job(task, self._worked, self._worked + costs.fixed, before=costs.fixed)
        made = self._made.get(number, set())
        wanted = task.numbers if isinstance(task, PartsTask) else range(Parts(clip.frames).count)
        parts = [each for each in wanted if each not in made]
        frames = sum(frames_of(each, clip) for each in parts)
        known = self._found(worker, number, clip)
        looked = max(0, clip.frames - known)
        join = 0.0 if isinstance(task, PartsTask) else costs.join * clip.frames
        before = costs.fixed + costs.plan * looked
        length = before + costs.frame * frames + join
        moved = (looked + frames) / FPS * shared.source_rate + frames / FPS * shared.output_rate
        if not isinstance(task, PartsTask):
            moved += 2 * clip.frames / FPS * shared.output_rate  # parts are read, and the joined file is written
        rate = moved / length if length else 0.0
        ends, plan = self._worked + length, costs.plan * looked
        job = _Job(task, self._worked, ends, plan, known, before, parts, costs.frame, rate)
        for place in self._places(number, clip):
            self._looking.setdefault(place, []).append(job)
        return job

    def _places(self, number: int, clip: Clip) -> list[Place]:
        """Return where what is found of faces is kept so that other workers find it."""
        beside: list[Place] = [("clip", number)]
        return [*beside, ("source", clip.source)] if self._fleet.costs.plans == "shared" else beside

    def _found(self, worker: _Worker, number: int, clip: Clip) -> int:
        """Return in how many frames of a source faces are known to a worker that begins with a clip."""
        found = worker.known.get(clip.source, 0)
        for place in self._places(number, clip):
            found = max(found, self._known.get(place, 0), *map(self._lots, self._looking.get(place, ())), 0)
        return min(found, clip.frames)

    def _lots(self, job: _Job) -> int:
        """Return in how many frames faces are known since a job looks for them."""
        if not job.plan:
            return job.known
        looked = self._worked - job.begun - (job.before - job.plan)
        return job.known + int(max(0.0, min(looked, job.plan)) / self._fleet.costs.plan) // _LOT * _LOT

    def _run(self, worker: _Worker, job: _Job, then: Callable[[_Worker], None]) -> None:
        worker.job = job
        self._rate += job.rate
        self._busy += 1
        self._at(self._ends, job.ends, worker, job, then)

    def _stop(self, worker: _Worker, *, well: bool = True) -> AnyTask | None:
        """Let a worker do nothing any more; returns what it did, of which what is whole is kept."""
        job = worker.job
        if job is None:
            return None
        worker.job = None
        self._busy -= 1
        self._rate = max(0.0, self._rate - job.rate)
        worked = min(self._worked, job.ends) - job.begun
        if job.task is None:
            self.usage.load += worked
            return None
        self.usage.work += worked
        self.usage.plan += min(worked, job.plan)
        kept = self._keep(worker, job, job.task, worked)
        self.usage.redone += 0.0 if well else worked - kept
        return job.task

    def _keep(self, worker: _Worker, job: _Job, task: AnyTask, worked: float) -> float:
        """Keep the parts that are whole, and what is known of the source; returns the seconds that these took."""
        number, kept = int(task.voice.stem), 0.0
        clip = self._clips[number]
        if isinstance(task, LookTask) or clip.took is not None:
            return kept
        whole = worked + _ROUNDING >= job.before
        found = clip.frames if whole else self._lots(job)
        worker.known[clip.source] = max(worker.known.get(clip.source, 0), found)
        for place in self._places(number, clip):
            self._known[place] = max(self._known.get(place, 0), found)
            self._looking[place].remove(job)
        if not whole:
            return kept
        made = self._made.setdefault(number, set())
        for part in job.parts:
            seconds = job.frame * frames_of(part, clip)
            if job.before + kept + seconds > worked + _ROUNDING:
                break
            kept += seconds
            made.add(part)
        return kept

    # What happens then

    def _finish(self, worker: _Worker) -> None:
        task = self._stop(worker)
        assert task is not None  # noqa: S101 - a start ends otherwise
        clip = self._clips[int(task.voice.stem)]
        result = report_of(task, clip) if isinstance(task, RenderTask) else Parts(clip.frames)
        if isinstance(task, RenderTask):
            on_disk(task.out).write_bytes(b"whole")
        self._happened += [Done(worker.name, task.id, result), Ready(worker.name, worker.name)]

    def _refuse(self, worker: _Worker) -> None:
        self._end_badly(worker, FaceError.kind, "no face was found")

    def _fail(self, worker: _Worker) -> None:
        self._end_badly(worker, OutOfMemoryError.kind, "there is not enough memory")

    def _end_badly(self, worker: _Worker, kind: str, said: str) -> None:
        task = self._stop(worker, well=False)
        assert task is not None  # noqa: S101 - a start ends otherwise
        self.usage.failed += 1
        self._happened += [Failed(worker.name, task.id, kind, said), Ready(worker.name, worker.name)]

    def _die(self, worker: _Worker) -> None:
        """End a worker over its task; another one starts under its name, on the same machine."""
        self._lose(worker, "ended by SIGKILL", blamed=True)
        self._start_worker(worker)

    def _go(self, worker: _Worker) -> None:
        """Take a worker's machine away; another one comes later."""
        self._lose(worker, "its machine has gone", blamed=False)
        worker.machine = object()
        worker.known.clear()
        comes = self.now + self._fleet.failures.replaced_after
        self._at(self._times, comes, worker, worker.machine, self._start_worker)

    def _lose(self, worker: _Worker, said: str, *, blamed: bool) -> None:
        task = self._stop(worker, well=False)
        self.usage.lost += 1
        self._happened.append(Lost(worker.name, task.id if task else "", said, replaced=True, blamed=blamed))

    # Time

    def _at(
        self, heap: list[_Planned], when: float, worker: _Worker, mark: object, then: Callable[[_Worker], None]
    ) -> None:
        heapq.heappush(heap, (when, next(self._numbers), worker, mark, then))

    def _speed(self) -> float:
        """Return how fast work goes on, of full speed."""
        shared = self._fleet.shared
        threads = self._busy * self._fleet.costs.threads + shared.others
        enough = shared.storage / self._rate if self._rate > 0 else 1.0
        return min(1.0, enough, shared.processors / threads if threads > 0 else 1.0)

    def _advance(self, until: float, enough: Callable[[], bool] = lambda: False) -> None:
        """Let time pass.

        Args:
            until: In seconds since the start.
            enough: Whether it is over before.
        """
        while not enough():
            for heap in (self._ends, self._times):
                while heap and heap[0][3] not in (heap[0][2].job, heap[0][2].machine):
                    heapq.heappop(heap)
            speed = self._speed()
            ends = self.now + max(0.0, self._ends[0][0] - self._worked) / speed if self._ends else math.inf
            comes = self._times[0][0] if self._times else math.inf
            when = min(ends, comes)
            if when == until == math.inf:
                raise AssertionError("the driver waits for workers that do nothing")
            self._pass(min(when, until), speed)
            if when > until:
                return
            if ends <= comes:
                self._worked = max(self._worked, self._ends[0][0])
            _, _, worker, _, then = heapq.heappop(self._ends if ends <= comes else self._times)
            then(worker)

    def _pass(self, until: float, speed: float) -> None:
        seconds = max(0.0, until - self.now)
        self.now = max(self.now, until)
        self._worked += seconds * speed
        self.usage.busy += seconds * self._busy
        self.usage.bytes += seconds * speed * self._rate
        self.usage.driver["progress"] += seconds * self._listening()
