"""What happens on the Presenter tab: a script is read aloud at once, and made into a talk by a job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from musetalk.errors import JobError, MediaError, MuseTalkError
from musetalk.jobs.job import Job
from musetalk.webui.accounts import account_of
from musetalk.webui.backend_names import Way, result_label
from musetalk.webui.form.widgets import Value
from musetalk.webui.html import panels
from musetalk.webui.html.figures import file_address
from musetalk.webui.html.problems import ProblemSlots, problem_html
from musetalk.webui.html.talk_timeline import reading_status, talk_files, talk_timeline
from musetalk.webui.readings import ReadingTask
from musetalk.webui.site import Site, owner_of
from musetalk.webui.tabs.estimates import Estimates
from musetalk.webui.tabs.job_watcher import JobWatcher, Update
from musetalk.webui.tabs.presenter_stage import HINT, ScriptInput, TalkChoices, TalkStage
from musetalk.webui.tabs.preview_handlers import given
from musetalk.webui.tabs.slides_input import kept_slides
from musetalk.webui.talks import AskedTalk, asked_of, attach, captions_of, slides_of, title_of

_BETTER = Way("Presenter", ".talk-quality", "Choose another quality")


@dataclass(frozen=True, slots=True)
class TalkInputs:
    """The inputs of the tab.

    Attributes:
        site: Whose jobs and uploads.
        source: Who speaks.
        source_problem: What is wrong with that.
        script: What is spoken.
        choices: How the talk is made.
    """

    site: Site
    source: gr.File
    source_problem: gr.HTML
    script: ScriptInput
    choices: TalkChoices

    @property
    def read(self) -> list[Any]:
        """What is asked for, as inputs of a handler; see `asked`."""
        return [self.script.text, self.script.slides.files, *self.choices.widgets.values()]

    @property
    def given(self) -> list[Any]:
        """What changes when something is given back."""
        return [self.source, self.source_problem, *self.read]

    def asked(
        self, text: str | None, slides: Sequence[str] | None, values: Sequence[Value]
    ) -> tuple[AskedTalk, tuple[Path, ...]]:
        """Return what is asked for, and the slides.

        Raises:
            MediaError: A slide is no longer here.
            SettingsError: A choice is none of those that there are.
        """
        said = dict(zip(self.choices.widgets, values, strict=True))
        return AskedTalk.of({"text": text or "", **said}), kept_slides(self.site.uploads, slides)

    def of_job(self, job: Job) -> Update:
        """Give back the script, the source and the choices of a talk; what cannot be given back is said."""
        store, uploads = self.site.jobs.store, self.site.uploads
        update: Update = {self.source: None, self.source_problem: "", self.script.slides.files: None}
        try:
            if (own := store.file(job, job.video)) is None:
                raise FileNotFoundError("no longer kept")
            update[self.source] = str(uploads.lend(own, f"{job.id}/source"))
            lent = [uploads.lend(each, f"{job.id}/slides/{each.parent.name}") for each in slides_of(store, job)]
            update[self.script.slides.files] = [str(each) for each in lent] or None
        except OSError as error:
            problem = MediaError(f"the source of this talk cannot be given back ({error})", "choose it again")
            update[self.source_problem] = problem_html(problem, self.site.reader)
        asked = asked_of(store, job)
        if asked is None:
            return update
        told = {widget: getattr(asked, name) for name, widget in self.choices.widgets.items()}
        return {**update, self.script.text: asked.text, **told}

    def of_kept(self, kept: str, job: Job | None = None) -> Update:
        """Give back nothing: what is written here, the page keeps itself."""
        del kept, job
        return {}


class TalkHandlers(JobWatcher):
    """Handlers over one page's widgets; all visitors share them.

    Args:
        site: Whose engine, jobs and readings.
        stage: The right column.
        inputs: The others.
        estimates: Of the whole page.
    """

    def __init__(self, site: Site, stage: TalkStage, inputs: TalkInputs, estimates: Estimates) -> None:
        super().__init__(site, stage, HINT)
        self._stage = stage
        self._estimates = estimates
        self.inputs = inputs
        self.slots = ProblemSlots(inputs.source_problem, inputs.script.problem, inputs.choices.problem, stage.problem)

    @property
    def watched(self) -> list[Any]:
        """What changes while a talk is made."""
        return [*super().watched, self._stage.files, self._stage.question]

    @property
    def opened(self) -> list[Any]:
        """What changes when another talk is watched, or none."""
        return [*self.watched, self._stage.reading, self._stage.clock]

    @property
    def read_out(self) -> list[Any]:
        """What changes while a script is read aloud."""
        return [self._stage.reading, self._stage.clock, self._stage.stop_button, *self.slots.all]

    @property
    def made(self) -> list[Any]:
        """What changes where a talk is asked for, or stopped."""
        return [*dict.fromkeys([*self.watched, *self.read_out])]

    def read(self, request: gr.Request, text: str | None, slides: list[str] | None, *values: Value) -> Update:
        """Begin to read a script aloud; what is read for this page now ends.

        Raises:
            MuseTalkError: It cannot be; of a script, the line is told.
        """
        return self._reads(self._begin(request, *self.inputs.asked(text, slides, values), anew=True))

    def watch_reading(self, request: gr.Request, job_id: str, secret: str | None) -> Update:
        """Show how far the script is read aloud, or what came of it."""
        stage, task = self._stage, self._site.readings.newest(_visit(request))
        if task is not None and task.active:
            return self._reads(task)
        over: Update = {stage.clock: gr.Timer(active=False), stage.stop_button: self._stops(request, job_id, secret)}
        if task is None or task.found is None:
            told = {} if task is None or task.error is None else self.slots.told(task.error, self._site.reader)
            return {**over, stage.reading: "", **told}
        found = task.found
        shown = talk_timeline(found.script, found.talk, file_address(found.voice), found.notes)
        return {**over, stage.reading: shown}

    def make(
        self,
        request: gr.Request,
        source: str | None,
        secret: str | None,
        text: str | None,
        slides: list[str] | None,
        *values: Value,
    ) -> Iterator[Update]:
        """Read the script aloud where that is not done yet, and queue the talk; where it would take long, ask first."""
        yield from self._made(request, source, secret, text, slides, values, anyway=False)

    def make_anyway(
        self,
        request: gr.Request,
        source: str | None,
        secret: str | None,
        text: str | None,
        slides: list[str] | None,
        *values: Value,
    ) -> Iterator[Update]:
        """The same, however long it would take."""
        yield from self._made(request, source, secret, text, slides, values, anyway=True)

    def stop(self, request: gr.Request, job_id: str, secret: str | None) -> Update:
        """End the reading that is under way; where there is none, the job that is watched."""
        if not self._site.readings.stop(_visit(request)):
            return super().stop(request, job_id, secret)
        return self._without(self._stage.clock, self.watch_reading(request, job_id, secret))

    def leave(self, request: gr.Request) -> None:
        """End what is read for a page that is closed."""
        self._site.readings.forget(_visit(request))

    def open_from_elsewhere(self, job: Job) -> Update:
        """Show a talk in the place of another one, and of what was read aloud."""
        stage = self._stage
        return {**self.open(job), stage.question: "", stage.reading: "", stage.clock: gr.Timer(active=False)}

    def _made(
        self,
        request: gr.Request,
        source: str | None,
        secret: str | None,
        text: str | None,
        slides: list[str] | None,
        values: Sequence[Value],
        *,
        anyway: bool,
    ) -> Iterator[Update]:
        """Show what comes of a talk that is asked for, step by step; what is wrong is told in its place."""
        try:
            video, owner = given(source, "source"), owner_of(secret, request)
            asked, pictures = self.inputs.asked(text, slides, values)
            task = self._begin(request, asked, pictures, anew=False)
            yield {**self.slots.cleared(), **self._reads(task)}
            self._site.readings.wait(task)
            if task.found is None:  # why, its own clock tells
                yield {self._stage.job: gr.skip()}
                return
            settings, voice = asked.settings(self._site.base), task.found.voice
            if not anyway and (question := self._estimates.question_of(video, voice, settings)):
                yield {self._stage.question: question}
                return
            attachment = attach(asked, task.found)
            job = self._site.jobs.submit(
                owner, video, voice, settings, title_of(task.found), once=True, attachment=attachment
            )
            self._site.uploads.sweep()
            yield {**self.open(job), self._stage.question: ""}
        except MuseTalkError as error:
            yield self.slots.told(error, self._site.reader)

    def _begin(self, request: gr.Request, asked: AskedTalk, pictures: tuple[Path, ...], *, anew: bool) -> ReadingTask:
        """Return the reading of a script, which begins unless it is known and need not be `anew`."""
        visit, wish, readings = _visit(request), asked.wish(pictures), self._site.readings
        script = wish.script()
        known = None if anew else readings.known(visit, wish)
        return known or readings.read(visit, wish, script, self._site.uploads, self._site.base)

    def _reads(self, task: ReadingTask) -> Update:
        stage = self._stage
        if not task.active:
            return {stage.clock: gr.Timer(active=True)}  # which shows what came of it
        share = None if task.state == "waiting" else task.share or 0.0
        return {
            stage.reading: reading_status(share, self._site.readings.place(task)),
            stage.clock: gr.Timer(active=True),
            stage.stop_button: gr.Button(interactive=True),
        }

    def _stops(self, request: gr.Request, job_id: str, secret: str | None) -> gr.Button:
        """Return the button that ends what is under way, where only a job may be."""
        try:
            return gr.Button(interactive=self._site.jobs.get(job_id, owner_of(secret, request)).active)
        except JobError:
            return gr.Button(interactive=False)

    def _outcome(self, job: Job) -> Update:
        stage, store = self._stage, self._site.jobs.store
        result, facts = store.file(job, job.result), account_of(self._site, job)
        if result is None or facts is None:
            return {}
        notice = self._site.engine.registry.get(job.settings.backend).notice
        captions = captions_of(store, job)
        names = {f"Captions ({ending})": file_address(path) for ending, path in captions.items()}
        return {
            stage.video: gr.Video(str(result), visible=True, label=result_label(job.settings.backend)),
            stage.files: talk_files(names, result.stem),
            stage.report: panels.report_panel(facts, notice, _BETTER),
        }

    def _cleared(self) -> Update:
        return {**super()._cleared(), self._stage.files: ""}


def _visit(request: gr.Request) -> str:
    return str(request.session_hash)
