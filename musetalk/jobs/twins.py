"""Whether a job that is asked for is there already: of the same inputs, with the same settings."""

from __future__ import annotations

import filecmp
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from musetalk.jobs.job import Job
from musetalk.jobs.store import JobStore
from musetalk.pipeline.request import RenderRequest

_ONCE_SECONDS = 10.0  # for which the same, asked for again, is a click too many also where it has ended
_NAMING_ATTACHED = ("frame_steps", "captions")  # settings that may name files of the job's own, beside the phonemes


@dataclass(frozen=True, slots=True)
class Asked:
    """A job as it is asked for.

    Attributes:
        request: What it renders; for a comparison, by the first of its backends.
        chosen: Whether what paints was chosen.
        compare: Backends that are compared.
        attached: Digest of what is attached.
    """

    request: RenderRequest
    chosen: bool
    compare: tuple[str, ...]
    attached: str


def find_twin(store: JobStore, jobs: Iterable[Job], asked: Asked) -> Job | None:
    """Return the first of these jobs with the same inputs and wishes that waits, runs, or has just ended well."""
    for job in jobs:
        fresh = job.active or (job.state == "done" and store.now() - (job.ended or 0) < _ONCE_SECONDS)
        if not fresh or not _wishes_the_same(job, asked):
            continue
        request, folder = asked.request, store.folder(job)
        seen = bool(job.avatar) or _same_file(request.video, folder / job.video)
        if seen and _same_file(request.voice, folder / job.voice):
            return job
    return None


def _wishes_the_same(job: Job, asked: Asked) -> bool:
    """Whether all but the inputs of a job is as it is asked for; names of files that are its own do not count."""
    request, own = asked.request, job.settings
    if job.attached:
        speech = own.speech.model_copy(update={"phonemes": request.settings.speech.phonemes})
        named = {name: getattr(request.settings, name) for name in _NAMING_ATTACHED}
        own = own.model_copy(update={**named, "speech": speech})
    wished = (request.settings, asked.chosen, asked.compare, asked.attached, request.avatar_id)
    return wished == (own, bool(job.choice), job.compare, job.attached, job.avatar)


def _same_file(one: Path, other: Path) -> bool:
    """Return whether two files are one, or of one name and content."""
    try:
        return one.samefile(other) or filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False
