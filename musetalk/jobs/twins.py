"""Whether a job that is asked for is there already: of the same inputs, with the same settings."""

from __future__ import annotations

import filecmp
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from musetalk.jobs.job import Job
from musetalk.jobs.store import JobStore
from musetalk.settings import RenderSettings

_ONCE_SECONDS = 10.0  # for which the same, asked for again, is a click too many also where it has ended
_NAMING_ATTACHED = ("frame_steps", "captions")  # settings that may name files of the job's own, beside the phonemes


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for, beside the inputs.

    Attributes:
        settings: Of the render.
        chosen: Whether what paints was chosen.
        compare: Backends that are compared.
        attached: Digest of what is attached.
        avatar: Id of the one that speaks; empty: none does.
    """

    settings: RenderSettings
    chosen: bool
    compare: tuple[str, ...]
    attached: str
    avatar: str


def find_twin(store: JobStore, jobs: Iterable[Job], video: Path, voice: Path, asked: Asked) -> Job | None:
    """Return the first of these jobs with the same inputs and wishes that waits, runs, or has just ended well."""
    for job in jobs:
        fresh = job.active or (job.state == "done" and store.now() - (job.ended or 0) < _ONCE_SECONDS)
        own = _as_attached(job.settings, asked.settings) if job.attached else job.settings
        if not fresh or Asked(own, bool(job.choice), job.compare, job.attached, job.avatar) != asked:
            continue
        folder = store.folder(job)
        seen = bool(job.avatar) or _same_file(video, folder / job.video)
        if seen and _same_file(voice, folder / job.voice):
            return job
    return None


def _same_file(one: Path, other: Path) -> bool:
    """Return whether two files are one, or of one name and content."""
    try:
        return one.samefile(other) or filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def _as_attached(settings: RenderSettings, other: RenderSettings) -> RenderSettings:
    """Return settings with other ones' names of files that may be of a job's own."""
    speech = settings.speech.model_copy(update={"phonemes": other.speech.phonemes})
    named = {name: getattr(other, name) for name in _NAMING_ATTACHED}
    return settings.model_copy(update={**named, "speech": speech})
