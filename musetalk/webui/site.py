"""What every part of the page works with, and how it speaks of errors and visitors."""

from __future__ import annotations

import functools
import html
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import gradio as gr

import musetalk
from musetalk.dispatch.dispatcher import Dispatcher
from musetalk.errors import JobError, MuseTalkError
from musetalk.jobs.service import JobService
from musetalk.jobs.store import owner_digest
from musetalk.lipsync import LipSync
from musetalk.settings import RenderSettings
from musetalk.utils.units import counted
from musetalk.webui.access import Access, Headers
from musetalk.webui.avatars import Avatars
from musetalk.webui.downloads import Downloads
from musetalk.webui.html.header import header
from musetalk.webui.html.plain_words import Reader
from musetalk.webui.html.problems import in_sentences
from musetalk.webui.previews import Previews
from musetalk.webui.readings import Readings
from musetalk.webui.uploads import Uploads

NAME = "MuseTalk Hybrid"
P = ParamSpec("P")
R = TypeVar("R")


class _OfSite(Protocol):
    """Handlers of one site."""

    _site: Site


S = TypeVar("S", bound=_OfSite)

# How handlers run that are quick and wait for nobody. Progress is shown on no widget: hidden on all that they change,
# Gradio's page would still go through these at every event. In the queue where an error may have to be told: outside
# it, Gradio's page drops errors.
AT_ONCE: dict[str, Any] = {"concurrency_limit": None, "api_visibility": "private", "show_progress_on": []}
EACH: dict[str, Any] = {**AT_ONCE, "trigger_mode": "multiple"}  # also while the one before is answered
UNQUEUED: dict[str, Any] = {"queue": False, "api_visibility": "private", "show_progress_on": []}


@dataclass(frozen=True, slots=True)
class Site:
    """One running app.

    Attributes:
        engine: Answers previews.
        jobs: Takes and renders jobs.
        base: Settings that visitors cannot change: limits, where weights are.
        device: What this process renders on, for people.
        uploads: What Gradio keeps of visitors' files.
        downloads: Brings weights.
        previews: Makes preview frames.
        readings: Reads scripts aloud.
        access: Whether whoever opens the page runs the server; None: nobody does who opens it.
        avatars: Those that speak live; None: nobody may.
        workers: Render the jobs; None: this process does.
        labels: What the page calls settings, by their dotted names; filled as the form is built.
    """

    engine: LipSync
    jobs: JobService
    base: RenderSettings
    device: str
    uploads: Uploads
    downloads: Downloads
    previews: Previews = field(default_factory=Previews)
    readings: Readings = field(default_factory=Readings)
    access: Access | None = None
    avatars: Avatars | None = None
    workers: Dispatcher | None = None
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def job_device(self) -> str:
        """What a job is rendered on, for people."""
        return self.device if self.workers is None else "a worker"

    @property
    def reader(self) -> Reader:
        """Who reads what the page says."""
        return Reader(self.access is not None and self.access.owner, self.downloads.allowed, self.labels)

    def heed(self, headers: Headers) -> None:
        """Let what is said and allowed go by where requests come from."""
        if self.access is not None:
            self.access.heed(headers)
            self.downloads.allowed = self.access.downloads
            if self.avatars is not None:
                self.avatars.allowed = self.access.avatar_making


def in_turn(
    events: Sequence[Any],
    handler: Callable[..., Any],
    inputs: Any,  # noqa: ANN401 - one of Gradio's components, or several
    outputs: Any,  # noqa: ANN401 - the same
    *,
    js: str | None = None,
    **how: Any,  # noqa: ANN401 - Gradio's own
) -> None:
    """Let events bring what is shown up to date, one answer after the other, so that none overwrites a newer one.

    What is done in between leaves showing it to the next answer, which it asks for by `anew()` in a box whose changes
    are one of the events.

    The handler hangs on a step of its own, which the events start in the page. Hung on the events themselves, it would
    set off all else that hangs on them: Gradio's page (6.31), once done with a handler that was asked for again
    meanwhile, repeats the whole event, and two such handlers of one event wake each other without end.

    Args:
        events: Whatever makes what is shown out of date.
        handler: Says what to show.
        inputs: Of the handler.
        outputs: The same.
        js: What the page makes of the inputs first.
        how: The handler runs; by itself outside the queue.
    """
    step = gr.on(events, None, js="() => []", api_visibility="private")
    step.then(handler, inputs, outputs, js=js, **{**(how or UNQUEUED), "trigger_mode": "always_last"})


def anew() -> str:
    """Return what was not said before."""
    return secrets.token_hex(4)


def site_header(site: Site) -> str:
    """Name, device and queue as they are now."""
    waiting = site.jobs.waiting()
    queue = "idle" if not waiting else f"{waiting} render{'s' if waiting > 1 else ''} in the queue"
    if site.jobs.draining:
        queue = "about to be restarted"
    device = site.device if site.workers is None else counted(site.workers.jobs, "worker")
    return header(NAME, musetalk.__version__, device, queue)


def owner_of(secret: str | None, request: gr.Request) -> str:
    """Return whose jobs a visitor sees: their name's where they had to log in, else their browser's.

    Raises:
        JobError: Neither is known.
    """
    name = getattr(request, "username", None)
    if name:
        return owner_digest(f"user:{name}")
    if not secret:
        raise JobError("this browser is not known yet", "reload the page, and let it keep local data")
    return owner_digest(f"browser:{secret}")


def with_toasts(handler: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """A method of what has a `_site`, whose errors appear as a toast with the problem and what to do about it."""

    @functools.wraps(handler)
    def handle(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return handler(self, *args, **kwargs)
        except MuseTalkError as error:
            raise toast(error, self._site.reader) from error

    return handle


def toast(error: MuseTalkError, reader: Reader) -> gr.Error:
    """Return an error in Gradio's form, which stays until it is put away; problem and remedy are in its text."""
    return gr.Error(for_toast(error, reader), duration=None, print_exception=False)


def for_toast(error: MuseTalkError, reader: Reader) -> str:
    """Problem and remedy. File names in them are users' text, and Gradio takes what it is given for HTML."""
    return html.escape(in_sentences(error, reader))
