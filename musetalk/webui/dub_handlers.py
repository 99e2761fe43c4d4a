"""What happens on the Dub tab: each handler reads widgets, asks engine or jobs, and says what to show."""

from __future__ import annotations

from typing import Any

import gradio as gr

from musetalk.jobs.job import Job
from musetalk.webui import form, panels
from musetalk.webui.accounts import account_of
from musetalk.webui.backend_names import result_label
from musetalk.webui.changed_since import PreviewInputs
from musetalk.webui.estimates import Estimates
from musetalk.webui.form import Value
from musetalk.webui.preview_handlers import PreviewHandlers, given
from musetalk.webui.site import Site, owner_of
from musetalk.webui.stage import Stage
from musetalk.webui.watching import Update, Watching


class DubHandlers(Watching):
    """Handlers over one page's widgets; all visitors share them."""

    def __init__(self, site: Site, stage: Stage, previews: PreviewHandlers, inputs: PreviewInputs) -> None:
        super().__init__(site, stage)
        self._stage = stage
        self._estimates = Estimates(site)
        self.previews = previews
        self.source, self.voice = inputs.source, inputs.voice  # the Compare tab takes them over
        self.form = inputs.form  # the Models tab says what can be chosen in it, the Compare tab goes by it

    @property
    def watched(self) -> list[Any]:
        """What changes while a job is watched."""
        return [*super().watched, self._stage.preview, self._stage.estimate]

    @property
    def stopped(self) -> list[Any]:
        """What changes where something is stopped."""
        return [*dict.fromkeys([*self.watched, *self.previews.watched])]

    def stop(self, request: gr.Request, job_id: str, secret: str | None) -> Update:
        """End the preview that is under way; where there is none, the job that is watched."""
        if not self.previews.stop(request):
            return super().stop(request, job_id, secret)
        return self.previews.watch(request, job_id, secret)

    def generate(
        self, request: gr.Request, source: str | None, voice: str | None, secret: str | None, *values: Value
    ) -> Update:
        """Queue a render; where it would take long, ask first.

        Raises:
            MuseTalkError: It cannot work.
        """
        if question := self._estimates.question(source, voice, values):
            return {self._stage.estimate: question}
        return self.generate_anyway(request, source, voice, secret, *values)

    def generate_anyway(
        self, request: gr.Request, source: str | None, voice: str | None, secret: str | None, *values: Value
    ) -> Update:
        """Queue a render, however long it would take.

        Raises:
            MuseTalkError: It cannot work.
        """
        video, sound = given(source, "source"), given(voice, "voice")
        settings = form.read(values, self._site.base)
        job = self._site.jobs.submit(owner_of(secret, request), video, sound, settings)
        self._site.uploads.sweep()
        return {**self.open(job), self._stage.estimate: ""}

    def estimate(self, source: str | None, voice: str | None, *values: Value) -> str:
        """About how long a render would take, as HTML; empty: that cannot be said."""
        return self._estimates.told(source, voice, values)

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
