"""Named endpoints for programs: the same jobs as the page's, without the page."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeAlias, TypeVar

import gradio as gr

from musetalk.errors import MediaError, MuseTalkError, SettingsError
from musetalk.jobs.job import Job
from musetalk.pipeline.request import RenderRequest
from musetalk.webui.accounts import account_of, result_of, shown_job, videos_of
from musetalk.webui.form.settings_form import visitors_settings
from musetalk.webui.site import Site, owner_of

P = ParamSpec("P")
R = TypeVar("R")
_LOOK_EVERY_SECONDS = 0.2
_Answer: TypeAlias = tuple[str | None, dict[str, Any] | None]


class Api:
    """The endpoints' functions. A job is seen by whoever has its key, or logged in as the one who submitted it."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def render(
        self,
        request: gr.Request,
        video: str | None,
        voice: str | None,
        settings: dict[str, Any] | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio is asked for one
    ) -> _Answer:
        """Render and wait for it: the video and the report."""
        return await self._made(request, video, voice, settings, (), progress)

    async def compare(
        self,
        request: gr.Request,
        video: str | None,
        voice: str | None,
        backends: list[str] | None,
        settings: dict[str, Any] | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio is asked for one
    ) -> _Answer:
        """Render with each backend and wait for it: the videos side by side, and the comparison."""
        return await self._made(request, video, voice, settings, _names(backends), progress)

    async def _made(
        self,
        request: gr.Request,
        video: str | None,
        voice: str | None,
        settings: dict[str, Any] | None,
        backends: Sequence[str],
        progress: gr.Progress,
    ) -> _Answer:
        owner = owner_of(secrets.token_urlsafe(32), request)
        job = await asyncio.to_thread(self._submit, owner, video, voice, settings, backends)
        while job.active:
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
            job = _call(self._site.jobs.get, job.id, owner)
            if job.progress is not None:
                progress((job.progress.done, job.progress.total or None), desc=job.progress.stage, unit="frames")
        if job.state != "done":
            error = shown_job(self._site, job).error or f"the render was {job.state}"
            raise gr.Error(error, title=job.error_kind or job.state, print_exception=False)
        return self._outcome(job)

    def submit(
        self,
        request: gr.Request,
        video: str | None,
        voice: str | None,
        settings: dict[str, Any] | None,
        backends: list[str] | None = None,
    ) -> dict[str, Any]:
        """Queue a render, or a comparison of backends: {job, key}, with which it is watched and stopped."""
        key = secrets.token_urlsafe(32)
        compared = () if backends is None else _names(backends)
        return {"job": self._submit(owner_of(key, request), video, voice, settings, compared).id, "key": key}

    def status(
        self, request: gr.Request, job: str, key: str
    ) -> tuple[dict[str, Any], str | None, dict[str, Any] | None]:
        """How far a job is: {state, place, progress, error, error_kind}; once done, the video and the report."""
        found = _call(self._site.jobs.get, job, owner_of(key, request))
        told = {"id", "title", "state", "progress", "error", "error_kind", "failed"}
        state = shown_job(self._site, found).model_dump(mode="json", include=told)
        return ({**state, "place": self._site.jobs.place(found)}, *self._outcome(found))

    def files(self, request: gr.Request, job: str, key: str) -> list[str]:
        """What a job that is done has made: its video; of a comparison, all side by side, each alone, and the plots."""
        found = _call(self._site.jobs.get, job, owner_of(key, request))
        store, account = self._site.jobs.store, account_of(self._site, found)
        made = [result_of(self._site, found, account)]
        if found.compare and account is not None:
            made += [*videos_of(self._site, found, account).values(), store.file(found, account["plots"])]
        return [str(path) for path in made if path is not None] if found.state == "done" else []

    def stop(self, request: gr.Request, job: str, key: str) -> dict[str, Any]:
        """End a job that waits or runs: {state}."""
        return {"state": _call(self._site.jobs.stop, job, owner_of(key, request)).state}

    def _submit(
        self,
        owner: str,
        video: str | None,
        voice: str | None,
        settings: dict[str, Any] | None,
        backends: Sequence[str] = (),
    ) -> Job:
        return _call(self._checked_submit, owner, video, voice, settings, backends)

    def _checked_submit(
        self, owner: str, video: str | None, voice: str | None, settings: dict[str, Any] | None, backends: Sequence[str]
    ) -> Job:
        if video is None or voice is None:
            raise MediaError("a video and a voice are needed", "give both as files (gradio_client: handle_file)")
        parsed = visitors_settings(settings or {}, self._site.base)
        job = self._site.jobs.submit(owner, RenderRequest(Path(video), Path(voice), parsed), compare=backends)
        self._site.uploads.sweep()
        return job

    def _outcome(self, job: Job) -> _Answer:
        account = account_of(self._site, job)
        result = result_of(self._site, job, account)
        if job.state != "done" or account is None or (result is None and not job.compare):
            return None, None
        if result is None:  # where all but one failed, there is nothing to put beside it
            result = next(iter(videos_of(self._site, job, account).values()), None)
        return None if result is None else str(result), account


def _names(backends: object) -> list[str]:
    """What a program named to be compared: from JSON, so it can be anything.

    Raises:
        gr.Error: It is no list of names.
    """
    if not isinstance(backends, list) or not all(isinstance(name, str) for name in backends) or not backends:
        said = 'backends are a list of names, like ["preview", "musetalk-v15"]'
        raise gr.Error(said, title=SettingsError.kind, print_exception=False)
    return backends


def _call(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call, and turn an error into one that reaches programs whole, its kind as the title."""
    try:
        return call(*args, **kwargs)
    except MuseTalkError as error:
        raise gr.Error(str(error), title=error.kind, print_exception=False) from error


def add_api(site: Site) -> None:
    """Add the endpoints to the page that is being built; nothing of them is seen on it."""
    api = Api(site)
    with gr.Column(visible=False):
        video, voice = gr.File(label="video"), gr.File(label="voice")
        settings, report, state = gr.JSON(label="settings"), gr.JSON(label="report"), gr.JSON(label="state")
        job, key = gr.Textbox(label="job"), gr.Textbox(label="key")
        backends = gr.JSON(label="backends")
        result, files = gr.File(label="result"), gr.File(label="files", file_count="multiple")
        asked = [video, voice, settings]
        endpoints = (
            ("render", api.render, asked, [result, report]),
            ("compare", api.compare, [video, voice, backends, settings], [result, report]),
            ("submit", api.submit, [*asked, backends], state),
            ("status", api.status, [job, key], [state, result, report]),
            ("files", api.files, [job, key], files),
            ("stop", api.stop, [job, key], state),
        )
        for name, function, inputs, outputs in endpoints:
            gr.Button(name).click(function, inputs, outputs, api_name=name, concurrency_limit=None)
