"""What every part of the page works with, and how it speaks of errors and visitors."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

import gradio as gr

import musetalk
from musetalk.errors import JobError, MuseTalkError
from musetalk.jobs.service import JobService
from musetalk.jobs.store import owner_digest
from musetalk.pipeline import LipSync
from musetalk.settings import RenderSettings
from musetalk.webui.downloads import Downloads
from musetalk.webui.header import header
from musetalk.webui.previews import Previews
from musetalk.webui.uploads import Uploads

NAME = "MuseTalk Hybrid"
P = ParamSpec("P")
R = TypeVar("R")

# How handlers run that are quick and wait for nobody. In the queue where an error may have to be told: outside it,
# Gradio's page drops errors.
AT_ONCE: dict[str, Any] = {"concurrency_limit": None, "api_visibility": "private", "show_progress": "hidden"}
UNQUEUED: dict[str, Any] = {"queue": False, "api_visibility": "private", "show_progress": "hidden"}
_TOAST_SECONDS = 15  # long enough to read a problem and its remedy


@dataclass(frozen=True, slots=True)
class Site:
    """One running app.

    Attributes:
        engine: Answers previews.
        jobs: Takes and renders jobs.
        base: Settings that visitors cannot change: limits, where weights are.
        device: What renders run on, for people.
        uploads: What Gradio keeps of visitors' files.
        downloads: Brings weights.
        previews: Makes preview frames.
    """

    engine: LipSync
    jobs: JobService
    base: RenderSettings
    device: str
    uploads: Uploads
    downloads: Downloads
    previews: Previews = field(default_factory=Previews)


def site_header(site: Site) -> str:
    """Name, device and queue as they are now."""
    waiting = site.jobs.waiting()
    queue = "idle" if not waiting else f"{waiting} render{'s' if waiting > 1 else ''} in the queue"
    return header(NAME, musetalk.__version__, site.device, queue)


def owner_of(secret: str | None, request: gr.Request) -> str:
    """Whose jobs a visitor sees: their name's where they had to log in, else their browser's.

    Raises:
        JobError: Neither is known.
    """
    name = getattr(request, "username", None)
    if name:
        return owner_digest(f"user:{name}")
    if not secret:
        raise JobError("this browser is not known yet", "reload the page, and let it keep local data")
    return owner_digest(f"browser:{secret}")


def with_toasts(handler: Callable[P, R]) -> Callable[P, R]:
    """A handler whose errors appear as a toast with the problem and what to do about it."""

    @functools.wraps(handler)
    def handle(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return handler(*args, **kwargs)
        except MuseTalkError as error:
            raise toast(error) from error

    return handle


def toast(error: MuseTalkError) -> gr.Error:
    """An error in Gradio's form, problem and remedy in its text: the page shows no title of ours."""
    return gr.Error(in_sentences(error), duration=_TOAST_SECONDS, print_exception=False)


def in_sentences(error: MuseTalkError) -> str:
    """Problem and remedy. File names in them are users' text, and Gradio takes what it is given for HTML."""
    return " ".join(sentence(text) for text in (error.problem, error.remedy) if text)


def sentence(text: str) -> str:
    """A note or a problem as a sentence for a toast, its file names escaped."""
    return html.escape(f"{text[:1].upper()}{text[1:]}.")
