"""What happens on the Dub tab: each handler reads widgets, asks engine or jobs, and says what to show."""

from __future__ import annotations

from typing import Any

import gradio as gr

from musetalk.errors import JobError
from musetalk.jobs.job import Job
from musetalk.pipeline.request import RenderRequest
from musetalk.webui.accounts import account_of
from musetalk.webui.backend_names import result_label
from musetalk.webui.form import settings_form
from musetalk.webui.form.changed_since import picked_in
from musetalk.webui.form.widgets import Value
from musetalk.webui.html import panels
from musetalk.webui.site import Site, owner_of
from musetalk.webui.tabs.dub_stage import ResultPanel
from musetalk.webui.tabs.estimates import Estimates
from musetalk.webui.tabs.job_inputs import CHANGED, JobInputs
from musetalk.webui.tabs.job_watcher import JobWatcher, Update
from musetalk.webui.tabs.preview_handlers import PreviewHandlers, given


class DubHandlers(JobWatcher):
    """Handlers over one page's widgets; all visitors share them."""

    def __init__(self, site: Site, stage: ResultPanel, previews: PreviewHandlers, inputs: JobInputs) -> None:
        super().__init__(site, stage)
        self._stage = stage
        self.estimates = Estimates(site)  # the Compare tab's, too: what was looked at is known there
        self.previews = previews
        self.inputs = inputs
        self.source, self.voice = inputs.source, inputs.voice  # the Compare tab takes them over
        self.form = inputs.form  # the Models tab says what can be chosen in it, the Compare tab goes by it

    @property
    def watched(self) -> list[Any]:
        """What changes while a job is watched."""
        return [*super().watched, self._stage.preview, self._stage.estimate, self._stage.question]

    @property
    def stopped(self) -> list[Any]:
        """What changes where something is stopped."""
        return [*dict.fromkeys([*self.watched, *self.previews.watched])]

    @property
    def opened(self) -> list[Any]:
        """What changes when another job is watched, or none."""
        return [*self.watched, self._stage.changed, self._stage.previewing.picked_in]

    def stop(self, request: gr.Request, job_id: str, secret: str | None) -> Update:
        """End the preview that is under way; where there is none, the job that is watched."""
        if not self.previews.stop(request):
            return super().stop(request, job_id, secret)
        return self._without(self._stage.previewing.timer, self.previews.watch(request, job_id, secret))

    def generate(
        self, request: gr.Request, source: str | None, voice: str | None, secret: str | None, *values: Value
    ) -> Update:
        """Queue a render; where it would take long, ask first.

        Raises:
            MuseTalkError: It cannot work.
        """
        if question := self.estimates.question(source, voice, settings_form.named(values)):
            return {self._stage.question: question}
        return self.generate_anyway(request, source, voice, secret, *values)

    def generate_anyway(
        self, request: gr.Request, source: str | None, voice: str | None, secret: str | None, *values: Value
    ) -> Update:
        """Queue a render, however long it would take.

        Raises:
            MuseTalkError: It cannot work.
        """
        video, sound = given(source, "source"), given(voice, "voice")
        said, registry = settings_form.named(values), self._site.engine.registry
        settings, owner = settings_form.read(said, self._site.base, registry=registry), owner_of(secret, request)
        before = {job.id for job in self._site.jobs.jobs(owner)}
        job = self._site.jobs.submit(owner, RenderRequest(video, sound, settings), once=True)
        if job.id in before:
            gr.Info("This very render was asked for a moment ago: here it is.")
        self._site.uploads.sweep()
        return {**self.open(job), self._stage.estimate: "", self._stage.question: ""}

    def estimate(self, source: str | None, voice: str | None, *values: Value) -> str:
        """Return about how long a render would take, as HTML; empty: that cannot be said."""
        return self.estimates.told(source, voice, settings_form.named(values))

    def leave(self, job_id: str) -> Update:
        """Put the job away that is watched: something else is about to be looked at."""
        return self.put_away() if job_id else {self._stage.job: gr.skip()}  # Gradio takes an empty answer for none

    def leave_for(self, request: gr.Request, job_id: str, secret: str | None, source: str, _file: str | None) -> Update:
        """The same, unless a source was given that is the job's own."""
        return self.leave("" if source and self._watches_own(request, job_id, secret, source) else job_id)

    def mark(
        self, request: gr.Request, job_id: str, secret: str | None, voice: str, _file: str | None, *values: Value
    ) -> Update:
        """Say whether the inputs and settings are still those of the job that is watched."""
        job = self._watched_job(request, job_id, secret)
        return {
            self._stage.changed: CHANGED
            if job is not None and self.inputs.differ(job, voice, settings_form.named(values))
            else ""
        }

    def take_back(self, request: gr.Request, job_id: str, secret: str | None) -> Update:
        """Let inputs and settings be those of the job that is watched."""
        job = self._watched_job(request, job_id, secret)
        return {self.source: gr.skip()} if job is None else self.inputs.of_job(job)

    def open_from_elsewhere(self, job: Job) -> Update:
        """Show a job in the place of another one, and of a picture of another source."""
        return {**self.open(job), self._stage.preview: gr.Column(visible=False), self._stage.changed: ""}

    def given_back(self, job: Job) -> Update:
        """Say in which source the face was picked: in this one."""
        point = self.inputs.point_of(job)
        return {self._stage.previewing.picked_in: picked_in(str(self.inputs.place(job, "source")), point)}

    def put_away(self) -> Update:
        """Watch no job, and show the preview frame."""
        return {**super().put_away(), self._stage.preview: gr.Column(visible=True), self._stage.changed: ""}

    def _watches_own(self, request: gr.Request, job_id: str, secret: str | None, source: str) -> bool:
        job = self._watched_job(request, job_id, secret)
        return job is not None and self.inputs.owns(job, source)

    def _watched_job(self, request: gr.Request, job_id: str, secret: str | None) -> Job | None:
        try:
            return self._site.jobs.get(job_id, owner_of(secret, request)) if job_id else None
        except JobError:
            return None

    def _outcome(self, job: Job) -> Update:
        stage = self._stage
        result, facts = self._site.jobs.store.file(job, job.result), account_of(self._site, job)
        if result is None or facts is None:
            return {}
        notice = self._site.engine.registry.get(job.settings.backend).notice
        return {
            stage.video: gr.Video(str(result), visible=True, label=result_label(job.settings.backend)),
            stage.preview: gr.Column(visible=False),
            stage.report: panels.report_panel(facts, notice),
        }
