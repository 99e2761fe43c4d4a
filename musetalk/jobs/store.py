"""Jobs on disk: a folder each, with inputs, state, result and report; bounded in age and in size."""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from musetalk.comparison.types import COMPARISON, SIDE_BY_SIDE
from musetalk.errors import PATH, DiskSpaceError, OutputError, write_error
from musetalk.jobs.job import Attachment, Job
from musetalk.pipeline.report import save_json
from musetalk.pipeline.request import RenderRequest
from musetalk.resume.part_folder import is_folder_of_parts
from musetalk.settings import RenderSettings, merge_settings
from musetalk.utils.files import bytes_below, link_or_copy, size_of
from musetalk.utils.units import apart, size

RECORD, REPORT, THUMBNAIL, NEWEST = "job.json", "report.json", "thumbnail.jpg", "newest.jpg"
ATTACHED = "_attached"  # what a job reads beside source and voice
_ID = re.compile(r"[0-9a-f]{32}")
INTERRUPTED = "the server ended twice while this was being rendered: start it again, and it goes on where it was"
_MOST_INTERRUPTIONS = 1  # after which a job is queued again: one that ends its server is not to do so forever
_NAME_LENGTH = 80  # characters: below every file system's limit, also as four bytes each with what is added
_log = logging.getLogger(__name__)


def owner_digest(secret: str) -> str:
    """Return what is kept of a visitor's secret (or name), so that reading the disk does not let one act as them."""
    return hashlib.sha256(secret.encode()).hexdigest()


class JobStore:
    """The jobs under one folder. Safe to share between threads; one process at a time owns the folder.

    Args:
        root: The folder; made if it is missing.
        keep_seconds: Jobs that ended longer ago are removed.
        max_bytes: Disk that all jobs together may take, also while they are rendered; the oldest that have ended make
            room.
        now: The clock, in seconds since the epoch.

    Attributes:
        at_once: How many are rendered at once: for what these write, room is kept.

    Raises:
        OutputError: The folder cannot be written to, or another process owns it.
    """

    def __init__(
        self,
        root: Path,
        *,
        keep_seconds: float,
        max_bytes: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.root = root.resolve()
        self._keep_seconds = keep_seconds
        self._max_bytes = max_bytes
        self.at_once = 1
        self.now = now
        self._lock = threading.RLock()
        self._owned = FileLock(self.root / ".lock", thread_local=False)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._owned.acquire(timeout=0)
        except Timeout as error:
            raise OutputError(
                f'another server uses the jobs in "{PATH}"', "give this one another folder", path=root
            ) from error
        except OSError as error:
            problem = f'no jobs can be kept in "{PATH}" ({error.strerror})'
            raise write_error(error)(problem, "give another folder", path=root) from error
        self._prepared: dict[str, tuple[Job, int]] = {}  # jobs that are not kept yet, and bytes of their inputs
        self.given_up: list[Job] = []
        """Jobs that failed as the folder was opened: they ran when their server ended, again."""
        self._jobs = self._load()

    @property
    def keep_seconds(self) -> float:
        """How long jobs are kept after they ended."""
        return self._keep_seconds

    @property
    def max_bytes(self) -> int:
        """Disk that all jobs together may take."""
        return self._max_bytes

    def check(self) -> None:
        """Make sure that the folder is there, is this process's, and takes files.

        Raises:
            OutputError: It is not, or does not.
        """
        if not self._owned.is_locked:
            raise OutputError("the folder of jobs is no longer this server's", "start the server anew", path=self.root)
        try:
            with tempfile.TemporaryFile(dir=self.root) as file:
                file.write(b"taken")
                file.flush()
        except OSError as error:
            problem = f"no jobs can be kept ({error.strerror})"
            raise write_error(error)(problem, "look at the disk", path=self.root) from error

    def close(self) -> None:
        """Let another process own the folder."""
        self._owned.release()

    def prepare(
        self,
        owner: str,
        request: RenderRequest,
        title: str,
        thumbnail: bytes,
        compare: tuple[str, ...] = (),
        length_seconds: float | None = None,
        writes_bytes: int = 0,
    ) -> Job:
        """Make a job's folder with inputs of its own: links where the disk allows, else copies.

        It is a job only once it was `put`.

        Args:
            owner: From `owner_digest`.
            request: What is asked for; its files may be deleted afterwards.
            title: For people.
            thumbnail: JPEG.
            compare: Backends to compare; empty: a render.
            length_seconds: Of the video to be made; None: not known.
            writes_bytes: Disk that its render should need beside its inputs.

        Raises:
            OutputError: There is no room.
        """
        video, voice = request.video, request.voice
        inputs = size_of(video) + voice.stat().st_size
        job = Job(
            id=secrets.token_hex(16),
            owner=owner,
            video=f"_source/{_plain(video.name)}",
            voice=f"_voice/{_plain(voice.name)}",
            result=SIDE_BY_SIDE if compare else _result_name(title),
            avatar=request.avatar_id,
            title=title,
            settings=request.settings,
            compare=compare,
            created=self.now(),
            room_bytes=inputs + writes_bytes,
            length_seconds=length_seconds,
        )
        with self._lock:
            self.make_room(inputs, writes_bytes)
            self._prepared[job.id] = job, inputs
        try:
            for given, kept in ((video, self.folder(job) / job.video), (voice, self.folder(job) / job.voice)):
                kept.parent.mkdir(parents=True)
                link_or_copy(given, kept)
            (self.folder(job) / THUMBNAIL).write_bytes(thumbnail)
        except OSError as error:
            self.remove(job)
            problem = f"the job cannot be kept ({error.strerror})"
            raise write_error(error)(problem, "free some space on the disk") from error
        return job

    def attach(self, job: Job, attachment: Attachment) -> RenderSettings:
        """Put what a job reads beside its inputs into its folder, and return the settings that name it.

        Where that fails, the job is gone.

        Raises:
            OutputError: There is no room.
        """
        folder = self.folder(job) / ATTACHED
        try:
            folder.mkdir()
            return RenderSettings.parse(merge_settings(job.settings.model_dump(), attachment.put(folder)))
        except BaseException as error:
            self.remove(job)
            if isinstance(error, OSError):
                problem = f"the job cannot be kept ({error.strerror})"
                raise write_error(error)(problem, "free some space on the disk") from error
            raise

    def clear(self, job: Job) -> None:
        """Remove what a render that has not succeeded left: everything but record, inputs, thumbnail, and its parts."""
        _clean(self.folder(job), job)

    def put(self, job: Job, *, to_disk: bool = True) -> None:
        """Keep a job's newest state; on disk too, whole or not at all, unless it is only progress.

        Raises:
            OutputError: It is kept in memory only.
        """
        with self._lock:
            self._jobs[job.id] = job
            self._prepared.pop(job.id, None)
            if to_disk:
                save_json(job.model_dump(mode="json"), self.folder(job) / RECORD)

    def get(self, job_id: str, owner: str) -> Job | None:
        """Return the job, if there is one of that id and owner; whether it is missing or foreign is not told apart."""
        with self._lock:
            job = self._jobs.get(job_id) if _ID.fullmatch(job_id) else None
        return job if job is not None and secrets.compare_digest(job.owner, owner) else None

    def newest(self, job: Job) -> Job:
        """Return the state of a job as it is now."""
        with self._lock:
            return self._jobs[job.id]

    def all(self) -> list[Job]:
        """Return every job, oldest first."""
        with self._lock:
            return sorted(self._jobs.values(), key=lambda job: job.created)

    def remove(self, job: Job) -> None:
        """Forget a job and delete its folder."""
        with self._lock:
            self._jobs.pop(job.id, None)
            self._prepared.pop(job.id, None)
            shutil.rmtree(self.folder(job), ignore_errors=True)

    def folder(self, job: Job) -> Path:
        """Return where a job's files are."""
        return self.root / job.id

    def input_bytes(self, job: Job) -> int:
        """Return how much disk a job's source and voice take."""
        return sum(size_of(self.folder(job) / name) for name in (job.video, job.voice))

    def file(self, job: Job, name: str) -> Path | None:
        """Return one of a job's files, if it is there."""
        path = self.folder(job) / name
        return path if path.is_file() else None

    def report(self, job: Job) -> Path | None:
        """Return the account of what a job did, as JSON, if it is there."""
        return self.file(job, COMPARISON if job.compare else REPORT)

    def name_result(self, job: Job) -> str:
        """Call the video that a render has made by its title, as downloads will be; what it is called then."""
        name, folder = _result_name(job.title), self.folder(job)
        if job.compare or name == job.result:
            return job.result
        try:
            (folder / job.result).rename(folder / name)
        except OSError:  # it is gone, or read right now where that cannot be
            return job.result
        return name

    def used_bytes(self) -> int:
        """Disk that all jobs take."""
        return bytes_below(self.root)

    def sweep(self) -> None:
        """Remove what ended too long ago, then the oldest that ended until the rest fit."""
        with self._lock:
            for job in self.all():
                if not job.active and self.now() - (job.ended or job.created) > self._keep_seconds:
                    self.remove(job)
            self._shrink(0, 0)

    def make_room(self, inputs: int, writes: int, spare: Job | None = None) -> None:
        """Remove what ended, as `sweep` does, until a job more fits.

        Args:
            inputs: Bytes of its inputs that are to come.
            writes: Bytes that its render should write.
            spare: The job, where it has ended, and is to be rendered once more.

        Raises:
            DiskSpaceError: It does not fit beside the jobs that have not ended.
        """
        if inputs + writes > self._max_bytes:
            needed, there = apart(inputs + writes, self._max_bytes, size)
            raise DiskSpaceError(
                f"this render needs some {needed} of disk, and all together may take {there}",
                "give shorter or smaller inputs",
            )
        with self._lock:
            self.sweep()
            if not self._shrink(inputs, writes, spare):
                raise DiskSpaceError(
                    f"there is no room for another job ({size(self._max_bytes)} for all)",
                    "wait until one is done, or give shorter inputs",
                )

    def _shrink(self, inputs: int, writes: int, spare: Job | None = None) -> bool:
        """Remove the oldest that ended until so much more fits; whether it does."""
        while self._claimed_bytes(writes) + inputs > self._max_bytes:
            ended = next((job for job in self.all() if not job.active and job != spare), None)
            if ended is None:
                return False
            self.remove(ended)
        return True

    def _claimed_bytes(self, writes: int) -> int:
        """Return the disk that jobs take, and will while those are rendered that may write most, one more among them.

        Args:
            writes: What that one should write.
        """
        coming = [(job, max(0, inputs - bytes_below(self.folder(job)))) for job, inputs in self._prepared.values()]
        active = [*(job for job in self.all() if job.active), *(job for job, _ in coming)]
        growth = [max(0, job.room_bytes - bytes_below(self.folder(job))) for job in active]
        largest = sum(sorted([*growth, writes])[-self.at_once :])
        return bytes_below(self.root) + sum(inputs for _, inputs in coming) + largest

    def _load(self) -> dict[str, Job]:
        """Return what an earlier process left: interrupted jobs wait again, what is no job any more is removed."""
        jobs = {}
        for folder in self.root.iterdir():
            if not (folder.is_dir() and _ID.fullmatch(folder.name)):
                continue
            try:
                job = Job.model_validate_json((folder / RECORD).read_bytes())
            except (OSError, ValidationError) as error:
                _log.warning("the job %s cannot be read and is removed (%s)", folder.name, error)
                shutil.rmtree(folder, ignore_errors=True)
                continue
            if job.state == "running":
                job = self._interrupted(job)
                _clean(folder, job)
                save_json(job.model_dump(mode="json"), folder / RECORD)
            jobs[job.id] = job
        return jobs

    def _interrupted(self, job: Job) -> Job:
        """Return a job that ran when its server ended: it waits again, to go on where it was, or has failed."""
        changes: dict[str, object] = {"interruptions": job.interruptions + 1, "progress": None}
        if job.interruptions < _MOST_INTERRUPTIONS:
            return job.model_copy(update={**changes, "state": "queued", "started": None})
        failed = {"state": "failed", "error": INTERRUPTED, "error_kind": "interrupted", "ended": self.now()}
        self.given_up.append(job.model_copy(update={**changes, **failed}))
        return self.given_up[-1]


def _result_name(title: str) -> str:
    """Return the title as a file name that every system takes.

    Never that of an input, which begins with an underscore.
    """
    words = re.sub(r"[^\w.-]+", "_", title)[:_NAME_LENGTH].strip("._-")
    return f"{words or 'result'}.mp4"


def _plain(name: str) -> str:
    """Return a file's own name, by which reports and errors call it, without what is no text."""
    return re.sub(r"[^\w .,()+-]", "_", name)


def _clean(folder: Path, job: Job) -> None:
    inputs = (Path(job.video).parts[0], Path(job.voice).parts[0])
    for item in folder.iterdir():
        if item.name not in (RECORD, *inputs, ATTACHED, THUMBNAIL) and not is_folder_of_parts(item.name):
            shutil.rmtree(item) if item.is_dir() else item.unlink()
