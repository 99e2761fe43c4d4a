"""The Jobs tab: one's own renders."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from musetalk.errors import JobError, MuseTalkError
from musetalk.jobs.job import Job
from musetalk.jobs.store import THUMBNAIL
from musetalk.webui.accounts import result_address, shown_job
from musetalk.webui.form.form_values import differences, titles, values_of
from musetalk.webui.form.settings_form import SettingsForm
from musetalk.webui.html import panels
from musetalk.webui.html.figures import file_address
from musetalk.webui.job_problems import JobProblems
from musetalk.webui.site import EACH, Site, anew, in_turn, owner_of, site_header, with_toasts
from musetalk.webui.tabs.job_views import JobViews
from musetalk.webui.tabs.job_watcher import Update, retry
from musetalk.webui.talks import own_settings

_REFRESH_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class JobList:
    """Its widgets: `header` is the page's, `timer` refreshes it, and so does whatever is said in `acted`."""

    header: gr.HTML
    listing: gr.HTML
    timer: gr.Timer
    acted: gr.Textbox


class JobsHandlers:
    """Handlers over the list; `form` has the words for settings."""

    def __init__(self, site: Site, jobs: JobList, views: JobViews, form: SettingsForm) -> None:
        self._site = site
        self._list = jobs
        self._views = views
        self._form, self._titles = form, titles(form)
        self._problems = JobProblems(site)

    def refresh(self, request: gr.Request, secret: str | None) -> Update:
        """Show the list as it is now; go on refreshing while anything in it moves."""
        try:
            owner = owner_of(secret, request)
            jobs = self._site.jobs.jobs(owner)
            problems, gone = self._problems.of(owner, jobs)
        except JobError:
            jobs, problems, gone = [], {}, ()
        entries = [self._entry(job, problems.get(job.id, "")) for job in jobs]
        return {
            self._list.header: site_header(self._site),
            self._list.listing: panels.job_list(entries, keeping(self._site), gone=gone),
            self._list.timer: gr.Timer(active=any(job.active for job in jobs)),
        }

    @with_toasts
    def act(self, request: gr.Request, event: gr.EventData, secret: str | None, *shown: str) -> Update:
        """Do what the button says that was pressed, or tell in the job's card why not.

        Args:
            request: Whose.
            event: What was pressed, and the job's title as it was seen.
            secret: The visitor's.
            shown: The jobs that other tabs show.
        """
        job_id, owner = str(event.job), owner_of(secret, request)
        self._problems.begin(owner, job_id)
        try:
            update = self._done(request, event, secret, shown)
        except MuseTalkError as error:
            self._problems.tell(owner, job_id, str(event.named), error)
            update = {}
        return {**update, self._list.acted: anew()}

    def _done(self, request: gr.Request, event: gr.EventData, secret: str | None, shown: tuple[str, ...]) -> Update:
        action, job_id, owner = event.action, str(event.job), owner_of(secret, request)
        jobs, update = self._site.jobs, Update()
        if action == "open":
            update = self._views.open(request, job_id, secret)
        elif action == "edit":
            update = self._views.edit(request, job_id, secret)
        elif action == "stop":
            jobs.stop(job_id, owner)
        elif action == "retry":
            update = self._views.show_again(retry(self._site, job_id, owner), shown)
        elif action == "rename":
            update = self._views.show_again(jobs.rename(job_id, owner, str(event.title)), shown)
        elif action == "delete":
            jobs.delete(job_id, owner)
            update = self._views.forget(shown, owner)
        elif action == "delete-all":
            jobs.delete_ended(owner)
            update = self._views.forget(shown, owner)
        return update

    def _entry(self, job: Job, problem: str) -> panels.JobEntry:
        store = self._site.jobs.store
        picture = store.file(job, THUMBNAIL)
        return panels.JobEntry(
            shown_job(self._site, job),
            place=self._site.jobs.place(job),
            picture=file_address(picture) if picture else "",
            file=result_address(self._site, job),
            differing=differences(values_of(own_settings(job)), self._form, self._titles),
            problem=problem,
            inputs_kept=all(store.file(job, name) for name in (job.video, job.voice)),
        )


def keeping(site: Site) -> panels.Keeping:
    """Return how long jobs are kept here."""
    return panels.Keeping(site.jobs.store.keep_seconds, site.jobs.store.max_bytes)


def build_jobs(
    site: Site, visitor: gr.BrowserState, tab: gr.Tab, views: JobViews, header: gr.HTML, form: SettingsForm
) -> None:
    """Build the tab where it is called."""
    listing = gr.HTML(panels.job_list([], keeping(site)), js_on_load=panels.JOB_LIST_JS, elem_id="jobs")
    timer = gr.Timer(_REFRESH_SECONDS, active=False)
    acted = gr.Textbox(visible="hidden", label="acted")
    handlers = JobsHandlers(site, JobList(header, listing, timer, acted), views, form)
    # Whoever begins a job and is here before the server has heard of it finds it, too.
    asked = [tab.select, timer.tick, acted.change, *(job.change for job in views.jobs)]
    in_turn(asked, handlers.refresh, visitor, [header, listing, timer])
    # Also while another press is answered: a job that is tried again is looked at first.
    listing.submit(handlers.act, [visitor, *views.jobs], [acted, *views.shown], **EACH)
