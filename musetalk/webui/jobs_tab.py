"""The Jobs tab: one's own renders."""

from __future__ import annotations

import gradio as gr

from musetalk.errors import JobError
from musetalk.jobs.job import Job
from musetalk.jobs.store import THUMBNAIL
from musetalk.webui import panels
from musetalk.webui.accounts import shown_job
from musetalk.webui.figures import file_address
from musetalk.webui.job_views import JobViews
from musetalk.webui.site import AT_ONCE, UNQUEUED, Site, owner_of, site_header, with_toasts
from musetalk.webui.watching import Update

_REFRESH_SECONDS = 2.0


class JobsHandlers:
    """Handlers over the list."""

    def __init__(self, site: Site, listing: gr.HTML, timer: gr.Timer, views: JobViews, header: gr.HTML) -> None:
        self._site = site
        self._listing = listing
        self._timer = timer
        self._views = views
        self._header = header

    def refresh(self, request: gr.Request, secret: str | None) -> Update:
        """Show the list as it is now; go on refreshing while anything in it moves."""
        try:
            jobs = self._site.jobs.jobs(owner_of(secret, request))
        except JobError:
            jobs = []
        entries = [(shown_job(self._site, job), self._site.jobs.place(job), self._thumbnail(job)) for job in jobs]
        return {
            self._header: site_header(self._site),
            self._listing: panels.job_list(entries),
            self._timer: gr.Timer(active=any(job.active for job in jobs)),
        }

    @with_toasts
    def act(self, request: gr.Request, event: gr.EventData, secret: str | None) -> Update:
        """Open, stop or delete the job whose button was pressed."""
        action, job_id, owner = event.action, str(event.job), owner_of(secret, request)
        if action == "open":
            return self._views.open(request, job_id, secret)
        if action == "stop":
            self._site.jobs.stop(job_id, owner)
        elif action == "delete":
            self._site.jobs.delete(job_id, owner)
        return self.refresh(request, secret)

    def _thumbnail(self, job: Job) -> str:
        path = self._site.jobs.store.file(job, THUMBNAIL)
        return file_address(path) if path else ""


def build_jobs(site: Site, visitor: gr.BrowserState, tab: gr.Tab, views: JobViews, header: gr.HTML) -> None:
    """Build the tab where it is called."""
    listing = gr.HTML(panels.job_list([]), js_on_load=panels.JOB_LIST_JS, elem_id="jobs")
    timer = gr.Timer(_REFRESH_SECONDS, active=False)
    handlers = JobsHandlers(site, listing, timer, views, header)
    shown = [header, listing, timer]
    tab.select(handlers.refresh, visitor, shown, **UNQUEUED)
    timer.tick(handlers.refresh, visitor, shown, **UNQUEUED)
    listing.submit(handlers.act, visitor, [listing, timer, *views.shown], **AT_ONCE)
