"""The queue: jobs are submitted, watched and stopped by their owners, and rendered one at a time per engine."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from musetalk.avatars.store import AvatarStore
from musetalk.comparison.types import Comparison
from musetalk.errors import (
    Cancelled,
    DrainingError,
    JobError,
    MuseTalkError,
    NoJobError,
    OutputError,
)
from musetalk.jobs.asking import compared, look_at
from musetalk.jobs.job import Attachment, Job
from musetalk.jobs.job_lines import log_event, logged_as
from musetalk.jobs.meter import ProgressMeter
from musetalk.jobs.room import Room
from musetalk.jobs.slots import Slots
from musetalk.jobs.speaking import request_of
from musetalk.jobs.store import NEWEST, REPORT, JobStore
from musetalk.jobs.tally import JobTally, Outcome
from musetalk.jobs.thumbnail import make_thumbnail
from musetalk.jobs.twins import Asked, find_twin
from musetalk.pipeline.engine import Comparer, Engine
from musetalk.pipeline.forecast import CostBook, Forecast, RenderKind, Work
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken, ProgressCallback, ProgressEvent
from musetalk.settings import RenderSettings
from musetalk.utils.files import whole_file
from musetalk.utils.log_lines import facts
from musetalk.utils.prometheus import Family

_SWEEP_SECONDS = 60.0
_TITLE_LENGTH = 120  # characters
_log = logging.getLogger(__name__)


class JobService:
    """Takes jobs and renders them in the order in which they came.

    Args:
        engines: One per device; each renders one job at a time, unless there are `slots`.
        store: Where jobs are kept; queued ones from an earlier process are taken up again.
        compare: What carries out comparisons; None: they are refused.
        named: From backends' names to what titles call them.
        costs: What renders cost here, as the engines learn it; None: nobody is told how long a whole job takes.
        avatars: Those that may speak; None: none may.
        room: How many jobs may wait and run; None: as usual.
        slots: How many jobs may run at once, where that changes; None: as many as there are engines.
    """

    def __init__(
        self,
        engines: Sequence[Engine],
        store: JobStore,
        *,
        compare: Comparer | None = None,
        named: Callable[[str], str] = str,
        costs: CostBook | None = None,
        avatars: AvatarStore | None = None,
        room: Room | None = None,
        slots: Slots | None = None,
    ) -> None:
        self.store = store
        self._engines = engines
        self._compare = compare
        self._named = named
        self._costs = costs
        self._avatars = avatars
        self._room = room or Room()
        self._slots = slots
        self._changed = threading.Condition()
        self._tokens: dict[str, CancelToken] = {}
        self._contexts: dict[str, contextvars.Context] = {}
        self._stopped: set[str] = set()  # by their owners, while they run
        self._draining = False
        self._tally = JobTally()
        self._tally.accepted("kept", self.waiting() + len(store.given_up))
        for job in store.given_up:
            self._tally.ended(job, "failed", job.error_kind, job.ended or store.now())
        self._workers: list[threading.Thread] = []
        if slots is not None:
            slots.on_change(self._look_again)
        self._look_again()

    def submit(
        self,
        owner: str,
        request: RenderRequest,
        title: str = "",
        compare: Sequence[str] = (),
        *,
        once: bool = False,
        attachment: Attachment | None = None,
    ) -> Job:
        """Check the inputs, take them over, and queue the render; or the comparison of some backends.

        Args:
            owner: From `owner_digest`.
            request: What is asked for.
            title: For people; empty: the names of the inputs.
            compare: Backends to compare; empty: a render.
            once: Whether one of the same inputs and settings that waits or runs, or has just ended, is that job.
            attachment: What it reads beside source and voice; None: nothing.

        Raises:
            MuseTalkError: It cannot work, or there is no room for it.
        """
        backends = compared(compare, possible=self._compare is not None)
        request = request.with_backend(backends[0]) if backends else request
        # Chosen before the job is queued: what was estimated and told then is what is rendered, and a job that a later
        # process takes up is still the one that was asked for.
        chosen = self._engines[0].choose(request.settings)
        request, choice = request.with_backend(chosen.backend), chosen.reason(self._named)
        asked = Asked(request, bool(choice), backends, "" if attachment is None else attachment.digest)
        if once and (twin := find_twin(self.store, self.jobs(owner), asked)) is not None:
            return twin
        self._check_room(owner)
        asks = look_at(self._engines[0], request, backends)
        title = self._title(title or f"{request.video.stem} + {request.voice.stem}", backends)
        picture = make_thumbnail(asks.source)
        job = self.store.prepare(owner, request, title, picture, backends, asks.seconds, asks.disk_bytes)
        if attachment is not None:
            job = job.model_copy(update={"settings": self.store.attach(job, attachment)})
        more = {"work": Work.of(asks.source, asks.seconds), "choice": choice, "attached": asked.attached}
        job = job.model_copy(update=more)
        with self._changed:
            if once and (twin := find_twin(self.store, self.jobs(owner), asked)) is not None:
                self.store.remove(job)
                return twin
            self._enqueue(job)
        log_event(_log, job, "submitted", backends=job.compare or (job.settings.backend,))
        return job

    def _enqueue(self, job: Job) -> None:
        """Let a new job wait for its turn, under the lock; where it cannot be kept, it is gone.

        Raises:
            OutputError: It cannot.
        """
        # The worker renders in the submitter's context: hosts find there on whose account a device is used.
        self._contexts[job.id] = contextvars.copy_context()
        try:
            self.store.put(job)
        except OutputError:
            self._contexts.pop(job.id)
            self.store.remove(job)
            raise
        self._tally.accepted("submitted")
        self._changed.notify_all()

    def _title(self, words: str, backends: tuple[str, ...]) -> str:
        return f"{words}: {' beside '.join(map(self._named, backends))}" if backends else words

    def _check_room(self, owner: str) -> None:
        """Refuse what would be one too many, and all that comes when the server is about to end.

        Raises:
            QueueError: It would; or it is (`DrainingError`).
        """
        if self._draining:
            raise DrainingError
        own = sum(job.active for job in self.jobs(owner))
        self._room.check(self.waiting(), own, self._workers_there)

    def retry(self, job_id: str, owner: str, renew: Callable[[RenderSettings], RenderSettings] | None = None) -> Job:
        """Queue a job that failed or was stopped once more, with its own inputs; one that waits or runs stays as it is.

        Args:
            job_id: Of the job, which keeps it.
            owner: Whose.
            renew: Makes the job's settings those of now; None: they stay as they were asked for.

        Raises:
            MuseTalkError: See `get`; or it is done, cannot work, or there is no room for it.
        """
        job = self.get(job_id, owner)
        if job.active:
            return job
        if job.state == "done":
            raise JobError("this render is done", "change something, and render again")
        for name, which in ((job.video, "source"), (job.voice, "voice")):
            if not (self.store.folder(job) / name).exists():
                raise JobError(f"the {which} of this render is no longer kept", "give it again in a new render")
        self._check_room(owner)
        settings = job.wanted if renew is None else renew(job.wanted)
        chosen = self._engines[0].choose(settings)
        settings, choice = settings.with_backend(chosen.backend), chosen.reason(self._named)
        folder = self.store.folder(job)
        asks = look_at(self._engines[0], RenderRequest(folder / job.video, folder / job.voice, settings), job.compare)
        with self._changed:
            job = self.get(job_id, owner)
            if not job.active:
                self.store.clear(job)
                self.store.make_room(0, asks.disk_bytes, spare=job)
                now, over = self.store.now(), {"started": None, "ended": None, "error": "", "error_kind": ""}
                anew = {"state": "queued", "created": now, "interruptions": 0, **over}
                self._contexts[job.id] = contextvars.copy_context()
                room = self.store.input_bytes(job) + asks.disk_bytes
                asked = {"settings": settings, "choice": choice, "length_seconds": asks.seconds, "room_bytes": room}
                self._update(job, {**anew, **asked}, to_disk=True)
                self._tally.accepted("retried")
                self._changed.notify_all()
                log_event(_log, job, "asked for once more")
        return self.store.newest(job)

    def rename(self, job_id: str, owner: str, title: str) -> Job:
        """Give one's job another title.

        Raises:
            JobError: See `get`; or the title is empty.
        """
        words = " ".join(title.split())[:_TITLE_LENGTH].strip()
        if not words:
            raise JobError("a render needs a name", "give it one letter or more")
        with self._changed:
            job = self.get(job_id, owner).model_copy(update={"title": words})
            result = self.store.name_result(job) if job.state == "done" else job.result
            self._update(job, {"title": words, "result": result}, to_disk=True)
        return self.store.newest(job)

    def refresh(self, owner: str) -> None:
        """Let one's waiting jobs run in the context of this request: what an older one carried may have expired."""
        with self._changed:
            for job in self.jobs(owner):
                if job.state == "queued":
                    self._contexts[job.id] = contextvars.copy_context()

    def get(self, job_id: str, owner: str) -> Job:
        """Return one's own job.

        Raises:
            NoJobError: There is none of that id, or it is somebody else's.
        """
        job = self.store.get(job_id, owner)
        if job is None:
            remedy = "it may have been removed; your renders are under Jobs"
            raise NoJobError("there is no such render of yours", remedy)
        return job

    def jobs(self, owner: str) -> list[Job]:
        """Return one's own jobs, newest first."""
        return [job for job in reversed(self.store.all()) if job.owner == owner]

    def place(self, job: Job) -> int:
        """Return how many jobs have to end before this one has its turn; 0 where it is not waiting."""
        active = [other.id for other in self.store.all() if other.active]
        return self._to_end(active.index(job.id)) if job.id in active else 0

    @property
    def ahead(self) -> int:
        """How many jobs have to end before one that came now would have its turn."""
        return self._to_end(self.waiting())

    def _to_end(self, before: int) -> int:
        return max(0, before + 1 - max(1, self._most_running()))

    def waiting(self) -> int:
        """Jobs of everybody that wait or run."""
        return sum(job.active for job in self.store.all())

    def stop(self, job_id: str, owner: str) -> Job:
        """End a job that waits or runs; one that has ended stays as it is.

        Raises:
            JobError: See `get`.
        """
        with self._changed:
            job = self.get(job_id, owner)
            if job.state == "queued":
                self._end(job, "cancelled")
            elif job.id in self._tokens:
                self._stopped.add(job.id)
                self._tokens[job.id].cancel()
        return self.store.newest(job)

    def delete(self, job_id: str, owner: str) -> None:
        """Remove a job that has ended, with all its files.

        Raises:
            JobError: See `get`; or it still waits or runs.
        """
        with self._changed:
            job = self.get(job_id, owner)
            if job.active:
                raise JobError("this render has not ended", "stop it first")
            self.store.remove(job)

    def delete_ended(self, owner: str) -> None:
        """Remove all jobs of one's own that have ended, with all their files."""
        with self._changed:
            for job in self.jobs(owner):
                if not job.active:
                    self.store.remove(job)

    def wait(self, job: Job, timeout: float) -> Job:
        """Wait until a job has ended, or for `timeout` seconds; its state then."""
        with self._changed:
            self._changed.wait_for(lambda: not self.store.newest(job).active, timeout)
        return self.store.newest(job)

    @property
    def draining(self) -> bool:
        """Whether no more jobs are taken or begun, for the server is about to end."""
        return self._draining

    @property
    def running(self) -> int:
        """Jobs that run now."""
        return len(self._tokens)

    @property
    def max_queue(self) -> int:
        """Jobs of everybody that may wait or run, with as many workers as there are now."""
        return self._room.of_all(self._workers_there)

    @property
    def _workers_there(self) -> int:
        return 0 if self._slots is None else self._slots.jobs

    def drain(self) -> None:
        """Take no more jobs, and begin none: what waits is for the next start, what runs goes on until `close`."""
        with self._changed:
            self._draining = True
            self._changed.notify_all()

    def figures(self) -> list[Family]:
        """Return counts and gauges of the jobs, all of one moment.

        What was accepted since the process began is what has ended since then, and what waits and runs.
        """
        with self._changed:
            active = [job for job in self.store.all() if job.active]
            return self._tally.figures(active, self.max_queue, self.store.now())

    def close(self) -> None:
        """Stop what runs and queue it again, keep what waits for the next start, and let go of the folder."""
        with self._changed:
            self._draining = True
            for token in self._tokens.values():
                token.cancel()
            self._changed.notify_all()
        for worker in self._workers:
            worker.join()
        self.store.close()

    def _most_running(self) -> int:
        return len(self._engines) if self._slots is None else self._slots.jobs

    def _look_again(self) -> None:
        """Have a thread, and room on the disk, for each job that may run, and let those see that it may."""
        with self._changed:
            self.store.at_once = max(1, self._most_running())
            while len(self._workers) < self._most_running() and not self._draining:
                number = len(self._workers)
                engine = self._engines[number % len(self._engines)]
                worker = threading.Thread(target=self._work, args=(engine,), name=f"jobs-{number}", daemon=True)
                self._workers.append(worker)
                worker.start()
            self._changed.notify_all()

    def _work(self, engine: Engine) -> None:
        while (job := self._next()) is not None:
            context = self._contexts.pop(job.id, contextvars.copy_context())
            context.run(self._render_logged, engine, job)
            self.store.sweep()

    def _next(self) -> Job | None:
        """Wait for the next job and mark it as running; None when the service closes."""
        with self._changed:
            while not self._draining:
                job = next((job for job in self.store.all() if job.state == "queued"), None)
                if job is not None and len(self._tokens) < self._most_running():
                    self._tokens[job.id] = CancelToken()
                    now = self.store.now()
                    self._tally.started(max(0.0, now - job.created))
                    self._update(job, {"state": "running", "started": now}, to_disk=True)
                    return job
                if not self._changed.wait(_SWEEP_SECONDS):
                    self.store.sweep()
        return None

    def _render_logged(self, engine: Engine, job: Job) -> None:
        with logged_as(job):
            self._render(engine, job)

    def _render(self, engine: Engine, job: Job) -> None:
        kinds = [RenderKind.of(job.settings.with_backend(name)) for name in job.compare or (job.settings.backend,)]
        meter = ProgressMeter(self.forecast(job.work, kinds) if job.work else None)

        def note(event: ProgressEvent) -> None:
            if event.picture:
                self._show(job, event.picture)
            self._update(job, {"progress": meter.read(event)}, to_disk=meter.worth_keeping(event))

        try:
            self._work_on(engine, job, note)
        except Cancelled:
            ends_here = not self._draining or job.id in self._stopped
            self._end(job, "cancelled") if ends_here else self._requeue(job)
        except MuseTalkError as error:
            self._end(job, "failed", str(error), error.kind)
        except Exception:  # noqa: BLE001 - whatever a backend throws, the queue goes on; job and log say what happened
            _log.exception("failed, which was not foreseen", extra=facts(kind="unforeseen"))
            said = "an error that we did not foresee: please report it, with the server's log"
            self._end(job, "failed", said, "unforeseen")
        else:
            self._end(job, "done")

    def forecast(self, work: Work, kinds: Sequence[RenderKind]) -> Forecast | None:
        """Return how long a job should take once its turn comes, see `CostBook.forecast`; None: costs are not kept."""
        return None if self._costs is None else self._costs.forecast(work, kinds)

    def _show(self, job: Job, picture: bytes) -> None:
        """Keep the newest frame of a job for whoever watches; where it cannot be kept, none is shown."""
        try:
            with whole_file(self.store.folder(job) / NEWEST) as partial:
                partial.write_bytes(picture)
        except OutputError as error:
            _log.info("the newest frame of job %s is not shown (%s)", job.id, error)

    def _work_on(self, engine: Engine, job: Job, note: ProgressCallback) -> None:
        folder, cancel = self.store.folder(job), self._tokens[job.id]
        request = request_of(job, folder, self._avatars, cancel)
        if not job.compare:
            report = engine.make(request, folder / job.result, on_progress=note, cancel=cancel)
            report.chosen(job.choice).save(folder / REPORT)
            self._tally.rendered(report)
            self._update(job, {"length_seconds": report.video_seconds}, to_disk=False)
        elif self._compare is None:  # queued by a process that could
            raise JobError("backends cannot be compared here", "render with one of them")
        else:
            made = self._compare(engine, request, folder, job.compare, on_progress=note, cancel=cancel)
            if isinstance(made, Comparison):
                failed = tuple(part.backend for part in made.parts if part.error)
                self._update(job, {"failed": failed}, to_disk=False)
                for _, report in made.rendered:
                    self._tally.rendered(report)

    def _requeue(self, job: Job) -> None:
        """Let a job whose process ends before it wait for the next start, which goes on with it."""
        with self._changed:
            self._tokens.pop(job.id, None)
            with suppress(OSError):
                self.store.clear(job)
            self._update(job, {"state": "queued", "started": None, "progress": None}, to_disk=True)
            self._changed.notify_all()
        log_event(_log, job, "stopped, and queued again for the next start")

    def _end(self, job: Job, state: Outcome, error: str = "", kind: str = "") -> None:
        now = self.store.now()
        with self._changed:
            self._tokens.pop(job.id, None)
            self._stopped.discard(job.id)
            self._contexts.pop(job.id, None)
            with suppress(OSError):
                (self.store.folder(job) / NEWEST).unlink() if state == "done" else self.store.clear(job)
            result = self.store.name_result(self.store.newest(job)) if state == "done" else job.result
            changes = {"state": state, "error": error, "error_kind": kind, "ended": now, "progress": None}
            self._tally.ended(self.store.newest(job), state, kind, now)
            self._update(job, {**changes, "result": result}, to_disk=True)
            ended = self.store.newest(job)
            self._changed.notify_all()
        log_event(_log, ended, f"{state}: {error}" if error else state, kind, seconds=round(ended.seconds or 0.0, 3))

    def _update(self, job: Job, changes: dict[str, object], *, to_disk: bool) -> None:
        """Change a job; a record that cannot be written (the disk is full, the folder is gone) stops no render."""
        with self._changed:  # a new title and progress may come at once
            try:
                self.store.put(self.store.newest(job).model_copy(update=changes), to_disk=to_disk)
            except OutputError as error:
                _log.warning("job %s is kept in memory only (%s)", job.id, error)
