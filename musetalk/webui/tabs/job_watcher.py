"""`JobWatcher`: follows the job that a tab shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import gradio as gr

from musetalk.errors import JobError, MuseTalkError
from musetalk.jobs.job import Job
from musetalk.jobs.store import NEWEST
from musetalk.webui.accounts import result_address, shown_job
from musetalk.webui.form.settings_form import renewed
from musetalk.webui.html import panels
from musetalk.webui.html.figures import file_address
from musetalk.webui.html.problems import in_sentences
from musetalk.webui.html.status import HINT
from musetalk.webui.site import AT_ONCE, UNQUEUED, Site, owner_of, site_header, with_toasts

Update: TypeAlias = dict[Any, Any]
WATCH_SECONDS = 0.7
_STOP_SECONDS = 2.0
# Given the job that is watched, the status that is shown and a count: counts where the status is another job's.
_BELATED = """(job, status, count) =>
  (status.match(/data-job="([^"]*)"/)?.[1] ?? "") === (job ?? "") ? count : String(Number(count) + 1)"""


@dataclass(frozen=True, slots=True)
class WatchedPanel:
    """The widgets of a watched job.

    `header` is the page's, which shows the queue; `report` says how it went; `belated` counts the answers that came
    when another job was watched already.
    """

    header: gr.HTML
    video: gr.Video
    stop_button: gr.Button
    status: gr.HTML
    report: gr.HTML
    job: gr.Textbox
    timer: gr.Timer
    belated: gr.Textbox


class JobWatcher:
    """Handlers over the watched job of one tab.

    Args:
        site: Whose jobs.
        stage: Where it is shown.
        hint: What to do first.
    """

    def __init__(self, site: Site, stage: WatchedPanel, hint: str = HINT) -> None:
        self._site = site
        self._watched = stage
        self._hint = hint

    @property
    def watched(self) -> list[Any]:
        """What changes while a job is watched."""
        stage = self._watched
        return [stage.header, stage.job, stage.timer, stage.status, stage.stop_button, stage.report, stage.video]

    @property
    def opened(self) -> list[Any]:
        """What changes when another job is watched, or none."""
        return self.watched

    @property
    def job(self) -> gr.Textbox:
        """What holds the id of the watched job."""
        return self._watched.job

    def stop(self, request: gr.Request, job_id: str, secret: str | None) -> Update:
        """End the job that is watched; the last answer about it shows that it has ended, and no other comes after."""
        try:
            job = self._site.jobs.stop(job_id, owner_of(secret, request))
        except JobError:
            return self._nothing()
        return self._without(self._watched.timer, self.show(self._site.jobs.wait(job, _STOP_SECONDS)))

    def watch(self, request: gr.Request, job_id: str, secret: str | None) -> Update:
        """Show how far the watched job has come."""
        try:
            job = self._site.jobs.get(job_id, owner_of(secret, request))
        except JobError:
            return self._nothing()
        self._site.jobs.refresh(job.owner)
        if job.active:
            stop = gr.Button(interactive=True)  # also where an answer that was under way has said otherwise
            told = {self._watched.status: self._status(job), self._watched.header: site_header(self._site)}
            return {**told, self._watched.stop_button: stop}
        return self._without(self._watched.job, self.show(job))

    def catch_up(self, request: gr.Request, job_id: str, secret: str | None) -> Update:
        """Show once more what is watched, after an answer that came too late: it was of another job."""
        try:
            return self.open(self._site.jobs.get(job_id, owner_of(secret, request)))
        except JobError:
            return self.put_away()

    @with_toasts
    def act(self, request: gr.Request, event: gr.EventData, job_id: str, secret: str | None) -> Update:
        """Try the watched job once more, or put it away so that its inputs can be edited."""
        if event.action != "retry":
            return self.put_away()
        owner = owner_of(secret, request)
        try:
            return self.open(retry(self._site, job_id, owner))
        except MuseTalkError as error:
            job = self._site.jobs.get(job_id, owner)
            return {self._watched.status: self._status(job, in_sentences(error, self._site.reader))}

    def put_away(self) -> Update:
        """Watch no job, and show none."""
        stage = self._watched
        return {**self._cleared(), **self._nothing(), stage.job: "", stage.header: site_header(self._site)}

    def open(self, job: Job) -> Update:
        """Show a job in the place of another one."""
        return {**self._cleared(), **self.show(job)}

    def open_from_elsewhere(self, job: Job) -> Update:
        """The same with one whose inputs are not those that are looked at."""
        return self.open(job)

    def given_back(self, job: Job) -> Update:
        """Give back what a job was asked for besides its inputs and settings."""
        del job
        return {}

    def show(self, job: Job) -> Update:
        """Show a job, whatever its state."""
        stage = self._watched
        update: Update = {
            stage.header: site_header(self._site),
            stage.job: job.id,
            stage.timer: gr.Timer(active=job.active),
            stage.status: self._status(job),
            stage.stop_button: gr.Button(interactive=job.active),
        }
        return {**update, **self._outcome(job)} if job.state == "done" else update

    @staticmethod
    def _without(widget: Any, update: Update) -> Update:  # noqa: ANN401 - any widget
        return {each: said for each, said in update.items() if each is not widget}

    def _status(self, job: Job, problem: str = "") -> str:
        newest = self._newest(job) if job.state == "running" else ""
        file = result_address(self._site, job)
        return panels.status_panel(
            shown_job(self._site, job), self._site.jobs.place(job), newest=newest, file=file, problem=problem
        )

    def _newest(self, job: Job) -> str:
        """Return the address of a job's newest frame, another one for each; empty: there is none."""
        path = self._site.jobs.store.folder(job) / NEWEST
        try:
            return f"{file_address(path)}?{path.stat().st_mtime_ns}"
        except OSError:  # not yet, or no longer
            return ""

    def _outcome(self, job: Job) -> Update:
        """Show what a job that is done has made."""
        raise NotImplementedError

    def _cleared(self) -> Update:
        """Put away what another job has made."""
        return {self._watched.video: gr.Video(None, visible=False), self._watched.report: ""}

    def _nothing(self) -> Update:
        """Return what is watched is gone."""
        stage = self._watched
        return {
            stage.timer: gr.Timer(active=False),
            stage.status: panels.status_panel(None, hint=self._hint),
            stage.stop_button: gr.Button(interactive=False),
        }


def wire_watching(handlers: JobWatcher, stage: WatchedPanel, visitor: gr.BrowserState) -> None:
    """Let a stage show how far the watched job has come."""
    asked = [stage.job, visitor]
    told = stage.timer.tick(handlers.watch, asked, handlers.watched, **UNQUEUED)
    # Whoever leaves a job while an answer about it is under way must not see it come back.
    compared = [stage.job, stage.status, stage.belated]
    told.then(None, compared, stage.belated, js=_BELATED, api_visibility="private")
    stage.belated.change(handlers.catch_up, asked, handlers.opened, **AT_ONCE)


def retry(site: Site, job_id: str, owner: str) -> Job:
    """Queue a job that failed or was stopped once more, under what the server decides now.

    Raises:
        MuseTalkError: It is gone, done, or cannot work.
    """
    return site.jobs.retry(job_id, owner, lambda wanted: renewed(wanted, site.base))
