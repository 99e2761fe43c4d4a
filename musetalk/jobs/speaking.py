"""What renders a job: of a source, or of an avatar that was prepared."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from musetalk.avatars.bundle import open_avatar
from musetalk.avatars.store import AvatarStore
from musetalk.errors import AvatarError, JobError
from musetalk.jobs.job import Job
from musetalk.pipeline.engine import Engine
from musetalk.pipeline.report import RenderReport
from musetalk.progress import CancelToken


def renderer(
    engine: Engine, job: Job, video: Path, avatars: AvatarStore | None, cancel: CancelToken
) -> Callable[..., RenderReport]:
    """Return what renders a job, given its voice and all else that `Engine.render` takes.

    Args:
        engine: Renders.
        job: The job.
        video: Its source.
        avatars: Those that may speak; None: none may.
        cancel: Ends it.

    Raises:
        AvatarError: The avatar that is to speak is gone, or damaged.
        JobError: None may speak here.
    """
    if not job.avatar:
        return partial(engine.render, video)
    if avatars is None:
        raise JobError("avatars do not speak here", "give a video or a picture")
    return partial(engine.speak, open_avatar(_found(avatars, job.avatar), cancel))


def _found(avatars: AvatarStore, avatar: str) -> Path:
    """Return the folder of an avatar by its id; where it is not is told without one, which visitors read.

    Raises:
        AvatarError: It is gone.
    """
    try:
        return avatars.find(avatar)
    except AvatarError as error:
        raise AvatarError("the avatar that was to speak is not there any more", "render with another one") from error
