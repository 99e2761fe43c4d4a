"""`Job`: the record of a job, as kept on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from musetalk.pipeline.forecast import Work
from musetalk.progress import Stage
from musetalk.settings import AUTO, RenderSettings

JobState: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled"]


class JobProgress(BaseModel):
    """How far a running job has come."""

    model_config = ConfigDict(frozen=True)

    stage: Stage
    done: int
    """Units of the stage finished, mostly frames."""
    total: int
    """Units expected; 0 while unknown."""
    frames_per_second: float = 0.0
    """Of this stage, over the last seconds; 0 while unknown."""
    seconds_left: float | None = None
    """Of this stage; None while unknown."""
    part: float = 0.0
    """Units beyond `done` that are under way, as far as they have come."""
    note: str = ""
    """The last sentence the engine had for the user."""
    step: int = 0
    """Of a backend's loop for each piece, the last one done."""
    steps: int = 0
    """How many it has; 0: it has none."""
    before: int = 0
    """How many others have their turn on the device before it; 0: it does not wait for one."""
    whole: float | None = None
    """Share of the whole job that is done, 0 to 1; None while unknown."""
    whole_seconds_left: float | None = None
    """Of the whole job; None while unknown."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """What a job reads beside source and voice, files of its own.

    Attributes:
        digest: Of what they hold.
        put: Writes them into a folder of the job's, which is there, and returns the settings that name them, as a tree
            of plain values.
    """

    digest: str
    put: Callable[[Path], Mapping[str, Any]]


class Job(BaseModel):
    """One render or comparison, from the moment it was asked for. Times are seconds since the epoch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """128 random bits in hexadecimal: whoever does not own it cannot guess it."""
    owner: str
    """Digest of who asked for it."""
    video: str
    """File name of the source inside the job's folder."""
    voice: str
    """File name of the voice inside the job's folder."""
    result: str
    """File name of the video to be made inside the job's folder; what a download is called."""
    avatar: str = ""
    """Id of the avatar that speaks, whose source `video` is; empty: none does."""
    title: str
    """For people: what is spoken by whom."""
    settings: RenderSettings
    """They name what paints, also where `auto` was asked for."""
    choice: str = ""
    """Why `auto` took that backend, a sentence; empty: it was named, or several are compared."""
    compare: tuple[str, ...] = ()
    """Backends to compare, each with these settings but for the backend; empty: a render."""
    failed: tuple[str, ...] = ()
    """Of these, those that made nothing while others did."""
    state: JobState = "queued"
    created: float
    started: float | None = None
    ended: float | None = None
    progress: JobProgress | None = None
    error: str = ""
    """Why it failed, and what to do about it."""
    error_kind: str = ""
    """The kind of that error, for programs: as `MuseTalkError.kind`, or "interrupted" or "unforeseen"."""
    interruptions: int = 0
    """How often in a row its server ended while it ran."""
    attached: str = ""
    """Digest of what it reads beside source and voice; empty: nothing."""
    work: Work | None = None
    """What each of its renders has to do; None in records of before this was kept."""
    room_bytes: int = 0
    """Disk that its folder may come to take while it is rendered; 0 in records of before this was kept."""
    length_seconds: float | None = None
    """How long the video to be made is; None in records of before this was kept."""

    @property
    def wanted(self) -> RenderSettings:
        """The settings as they were asked for."""
        return self.settings.with_backend(AUTO) if self.choice else self.settings

    @property
    def active(self) -> bool:
        """Whether it still waits or works."""
        return self.state in ("queued", "running")

    @property
    def seconds(self) -> float | None:
        """How long the work took; None while it has not ended."""
        return None if self.started is None or self.ended is None else self.ended - self.started
