"""A line above the tabs about a job of one's own that runs or ended on another tab."""

from __future__ import annotations

from html import escape

import gradio as gr

from musetalk.errors import JobError
from musetalk.jobs.job import Job
from musetalk.webui.html.status import doing, share_done
from musetalk.webui.site import AT_ONCE, Site, in_turn, owner_of, with_toasts
from musetalk.webui.tabs.job_views import JobViews
from musetalk.webui.tabs.job_watcher import Update

_TELL_SECONDS = 3.0
_ENDED = {"done": "Done", "failed": "Failed", "cancelled": "Stopped"}

# Listens on the component, which outlives its content. "submit" carries {action, job}: "show" or "silence_samples".
_JS = """
element.addEventListener("click", (event) => {
  const { action, job } = event.target.closest("button[data-action]")?.dataset ?? {};
  if (action) trigger("submit", { action, job });
});
"""


def told_line(job: Job | None, more: int = 0, place: int = 0) -> str:
    """Return what is said of a job that goes on, or has ended, elsewhere; empty without one.

    Args:
        job: Which.
        more: How many others of one's own wait or run.
        place: How many jobs have their turn before it.

    Returns:
        HTML; its title is escaped. What screen readers announce changes with the job's state alone.
    """
    if job is None:
        return ""
    figures = ""
    if job.state == "queued":
        state = "Waiting"
        figures = f"{place} before it" if place else "next in the queue"
    elif job.state == "running":
        state = "Rendering"
        share = share_done(job.progress)
        stage = doing(job.progress).lower()
        figures = stage if share is None else f"{stage}, {share:.0%}"
    else:
        state = _ENDED[job.state]
    others = f"and {more} more" if more else ""
    said = "".join(f"<span>{escape(figure)}</span>" for figure in (figures, others) if figure)
    silence_samples = "" if job.active else _button("silence_samples", "Dismiss", job)
    return (
        f'<div class="mt-told" data-state="{job.state}"><p role="status">{state}: <b>{escape(job.title)}</b></p>'
        f'<p class="mt-told-figures">{said}</p>{_button("show", "Show", job)}{silence_samples}</div>'
    )


def _button(action: str, word: str, job: Job) -> str:
    return f'<button type="button" class="mt-button" data-action="{action}" data-job="{job.id}">{word}</button>'


class ToldHandlers:
    """Handlers over the line; `last` holds the id of the job that it tells of."""

    def __init__(self, site: Site, views: JobViews, line: gr.HTML, last: gr.Textbox, timer: gr.Timer) -> None:
        self._site = site
        self._views = views
        self._line = line
        self._last = last
        self._timer = timer

    @property
    def told(self) -> list[gr.Component]:
        """What changes with what there is to tell."""
        return [self._line, self._last, self._timer]

    def tell(self, request: gr.Request, secret: str | None, last: str, *shown: str) -> Update:
        """Tell of the newest job that goes on and is none of those that are shown; else how the last one ended."""
        try:
            jobs = [job for job in self._site.jobs.jobs(owner_of(secret, request)) if job.id not in shown]
        except JobError:
            jobs = []
        active = [job for job in jobs if job.active]
        ended = next((job for job in jobs if job.id == last), None)
        told = min(active, key=self._site.jobs.place) if active else ended
        place = self._site.jobs.place(told) if told else 0
        return {
            self._line: gr.HTML(told_line(told, max(len(active) - 1, 0), place), visible=told is not None),
            self._last: told.id if told else "",
            self._timer: gr.Timer(active=bool(active)),
        }

    @with_toasts
    def act(self, request: gr.Request, event: gr.EventData, secret: str | None) -> Update:
        """Show the job that is told of, or tell of it no more."""
        hushed: Update = {self._last: "", self._line: gr.HTML("", visible=False)}
        return {**hushed, **self._views.open(request, str(event.job), secret)} if event.action == "show" else hushed


def build_told() -> tuple[gr.HTML, gr.Textbox, gr.Timer]:
    """Build the line where it is called, and what goes with it."""
    line = gr.HTML("", js_on_load=_JS, visible=False, elem_id="told")
    return line, gr.Textbox(visible=False, label="told"), gr.Timer(_TELL_SECONDS, active=False)


def wire_told(
    site: Site, views: JobViews, visitor: gr.BrowserState, built: tuple[gr.HTML, gr.Textbox, gr.Timer]
) -> ToldHandlers:
    """Let the line follow what is shown."""
    line, last, timer = built
    handlers = ToldHandlers(site, views, line, last, timer)
    asked = [visitor, last, *views.jobs]
    in_turn([timer.tick, *(job.change for job in views.jobs)], handlers.tell, asked, handlers.told)
    line.submit(handlers.act, visitor, [line, last, *views.shown], **AT_ONCE)
    return handlers
