"""What a job asks an engine for: a render of its source, or of an avatar that was prepared."""

from __future__ import annotations

from pathlib import Path

from musetalk.avatars.bundle import open_avatar
from musetalk.avatars.store import AvatarStore
from musetalk.errors import AvatarError, JobError
from musetalk.jobs.job import Job
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken


def request_of(job: Job, folder: Path, avatars: AvatarStore | None, cancel: CancelToken) -> RenderRequest:
    """Return what a job asks for.

    Args:
        job: The job.
        folder: Where its files are.
        avatars: Those that may speak; None: none may.
        cancel: Ends it.

    Raises:
        AvatarError: The avatar that is to speak is gone, or damaged.
        JobError: None may speak here.
    """
    voice = folder / job.voice
    if not job.avatar:
        return RenderRequest(folder / job.video, voice, job.settings)
    if avatars is None:
        raise JobError("avatars do not speak here", "give a video or a picture")
    return RenderRequest.of_avatar(open_avatar(_found(avatars, job.avatar), cancel), voice, job.settings)


def _found(avatars: AvatarStore, avatar: str) -> Path:
    """Return the folder of an avatar by its id; where it is not is told without one, which visitors read.

    Raises:
        AvatarError: It is gone.
    """
    try:
        return avatars.find(avatar)
    except AvatarError as error:
        raise AvatarError("the avatar that was to speak is not there any more", "render with another one") from error
