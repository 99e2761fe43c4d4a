"""What happens on the Presenter tab: a script is read aloud at once, and made into a talk by a job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gradio as gr

from musetalk.avatars.bundle import Avatar, open_avatar
from musetalk.errors import JobError, MediaError, MuseTalkError, about
from musetalk.jobs.job import Job
from musetalk.webui.accounts import account_of
from musetalk.webui.backend_names import Way, result_label
from musetalk.webui.form.voice_picker import ready_voices, voice_choices, voice_lacks
from musetalk.webui.form.widgets import Value
from musetalk.webui.html import panels
from musetalk.webui.html.figures import file_address
from musetalk.webui.html.problems import ProblemSlots, problem_html
from musetalk.webui.html.talk_timeline import reading_status, talk_files, talk_timeline
from musetalk.webui.readings import ReadingTask, ReadingWish
from musetalk.webui.site import Site, owner_of
from musetalk.webui.tabs.estimates import Estimates
from musetalk.webui.tabs.job_watcher import JobWatcher, Update
from musetalk.webui.tabs.presenter_stage import (
    HINT,
    ScriptInput,
    SpeakerInput,
    TalkChoices,
    TalkStage,
    TalkVoice,
    avatars,
    speak_several,
)
from musetalk.webui.tabs.preview_handlers import given
from musetalk.webui.tabs.slides_input import kept_slides
from musetalk.webui.talks import AskedTalk, asked_of, attach, captions_of, slides_of, title_of

_BETTER = Way("Presenter", ".talk-quality", "Choose another quality")


@dataclass(frozen=True, slots=True)
class TalkInputs:
    """The inputs of the tab.

    Attributes:
        site: Whose jobs and uploads.
        speaker: Who speaks.
        voice: What reads the script aloud.
        script: What is spoken.
        choices: How the talk is made.
    """

    site: Site
    speaker: SpeakerInput
    voice: TalkVoice
    script: ScriptInput
    choices: TalkChoices

    @property
    def source(self) -> gr.File:
        """The video or the picture."""
        return self.speaker.source.file

    @property
    def recording(self) -> gr.File:
        """The recording of the script."""
        return self.voice.recording.given.file

    @property
    def chosen(self) -> list[Any]:
        """What there are more or fewer of by the time: avatars and voices; see `offered`."""
        return [self.speaker.avatar, self.voice.voice]

    @property
    def read(self) -> list[Any]:
        """What is asked for, as inputs of a handler; see `asked`."""
        return [self.script.text, self.script.slides.files, self.recording, *self.choices.widgets.values()]

    @property
    def given(self) -> list[Any]:
        """What changes when something is given back."""
        return [self.source, self.speaker.source.problem, *self.read]

    def asked(
        self, text: str | None, slides: Sequence[str] | None, recording: str | None, *values: Value
    ) -> tuple[AskedTalk, ReadingWish]:
        """Return what is asked for, and what of it is read aloud.

        Raises:
            MediaError: A slide or the recording is no longer here, or was never given.
            SettingsError: A choice is none of those that there are.
        """
        uploads, held = self.site.uploads, zip(self.choices.widgets, values, strict=True)
        said = {name: "" if value is None else value for name, value in held}
        asked = AskedTalk.of({**said, "text": text or ""})
        return asked, asked.wish(kept_slides(uploads, slides), uploads.kept(recording) if recording else None)

    def offered(self, avatar: str | None, voice: str | None, *, leave: bool = False) -> Update:
        """Offer the avatars and voices that there are now; what is gone is no longer chosen.

        Args:
            avatar: Who is chosen, or is to be.
            voice: The same.
            leave: Whether what is there is left as it is chosen: somebody may have chosen another one meanwhile.
        """
        names, models = avatars(self.site), self.site.base.models_dir
        several: bool | Literal["hidden"] = True if speak_several(ready_voices(models)) else "hidden"
        return {
            self.speaker.avatar: _choose([(name, name) for name in names], avatar, leave=leave),
            self.voice.voice: _choose(voice_choices(models), voice, leave=leave),
            self.voice.language: gr.Textbox(visible=several),
        }

    def of_job(self, job: Job) -> Update:
        """Give back the script, who spoke and the choices of a talk; what cannot be given back is said."""
        problem, asked = self.speaker.source.problem, asked_of(self.site.jobs.store, job)
        update: Update = {self.source: None, problem: "", self.script.slides.files: None, self.recording: None}
        try:
            update |= self._files_of(job, asked)
        except OSError as error:
            gone = MediaError(f"the source of this talk cannot be given back ({error})", "choose it again")
            update[problem] = problem_html(gone, self.site.reader)
        if asked is None:
            return update
        told = {widget: getattr(asked, name) for name, widget in self.choices.widgets.items()}
        told |= {widget: choice for widget, choice in self.offered(asked.avatar, asked.voice).items() if widget in told}
        return {**update, self.script.text: asked.text, **told, self.voice.language: asked.language}

    def of_kept(self, kept: str, job: Job | None = None) -> Update:
        """Give back nothing: what is written here, the page keeps itself."""
        del kept, job
        return {}

    def _files_of(self, job: Job, asked: AskedTalk | None) -> Update:
        """Give back the files of a talk.

        Raises:
            OSError: One is no longer there, or there is no room for it.
        """
        store, uploads = self.site.jobs.store, self.site.uploads
        folder = store.folder(job)
        lent = [uploads.lend(each, f"{job.id}/slides/{each.parent.name}") for each in slides_of(store, job)]
        update: Update = {self.script.slides.files: [str(each) for each in lent] or None}
        if not job.avatar:
            update[self.source] = str(uploads.lend(folder / job.video, f"{job.id}/source"))
        if asked is not None and asked.heard == "recording":
            update[self.recording] = str(uploads.lend(folder / job.voice, f"{job.id}/voice"))
        return update


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
        self.slots = ProblemSlots(
            inputs.speaker.source.problem, inputs.script.problem, inputs.choices.problem, stage.problem
        )

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

    def read(self, request: gr.Request, *said: Any) -> Update:  # noqa: ANN401 - see `TalkInputs.asked`
        """Begin to read a script aloud; what is read for this page now ends.

        Raises:
            MuseTalkError: It cannot be; of a script, the line is told.
        """
        return self._reads(self._begin(request, self.inputs.asked(*said)[1], anew=True))

    def refresh(self, avatar: str | None, voice: str | None) -> Update:
        """Offer the avatars and voices that there are now."""
        return self.inputs.offered(avatar, voice, leave=True)

    def lacks(self, voice: str | None) -> str:
        """Say what the chosen voice lacks."""
        return voice_lacks(voice, self._site.base.models_dir, self._site.reader)

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
        event: gr.EventData,
        source: str | None,
        secret: str | None,
        *said: Any,  # noqa: ANN401 - see `TalkInputs.asked`
    ) -> Iterator[Update]:
        """Read the script aloud where that is not done yet, and queue the talk, step by step.

        Where it would take long, that is asked first, unless this is the answer. What is wrong is told in its place.
        """
        answered = event.target is not None and event.target._id == self._stage.question._id
        try:
            owner = owner_of(secret, request)
            asked, wish = self.inputs.asked(*said)
            who = self._speaker(asked, source)
            task = self._begin(request, wish, anew=False)
            yield {**self.slots.cleared(), **self._reads(task)}
            self._site.readings.wait(task)
            if task.found is None:  # why, its own clock tells
                yield {self._stage.job: gr.skip()}
                return
            talk = asked.request(who, task.found.voice, self._site.base)
            if not answered and (question := self._estimates.question_of(talk)):
                yield {self._stage.question: question}
                return
            job = self._site.jobs.submit(
                owner, talk, title_of(task.found), once=True, attachment=attach(asked, task.found)
            )
            self._site.uploads.sweep()
            yield {**self.open(job), self._stage.question: ""}
        except MuseTalkError as error:
            yield self.slots.told(error, self._site.reader)

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

    def _speaker(self, asked: AskedTalk, source: str | None) -> Path | Avatar:
        """Return who speaks.

        Raises:
            MediaError: It is a source, and there is none.
            AvatarError: It is an avatar that is gone, or damaged.
        """
        if asked.speaker == "source" or self._site.avatars is None:
            return given(source, "source")
        with about("source"):
            return open_avatar(self._site.avatars.store.named(asked.avatar))

    def _begin(self, request: gr.Request, wish: ReadingWish, *, anew: bool) -> ReadingTask:
        """Return the reading of a script, which begins unless it is known and need not be `anew`."""
        visit, readings = _visit(request), self._site.readings
        script = wish.script()
        known = None if anew else readings.known(visit, wish)
        return known or readings.read(visit, wish, script, self._site.uploads, self._site.base)

    def _reads(self, task: ReadingTask) -> Update:
        stage = self._stage
        if not task.active:
            return {stage.clock: gr.Timer(active=True)}  # which shows what came of it
        share, recorded = None if task.state == "waiting" else task.share or 0.0, task.wish.recording is not None
        return {
            stage.reading: reading_status(share, self._site.readings.place(task), recorded=recorded),
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


def _choose(choices: list[tuple[str, str]], value: str | None, *, leave: bool) -> gr.Dropdown:
    """Return a choice with a value, which is left unsaid on request, or with the first one where that is gone."""
    names = [name for _, name in choices]
    if value not in names:
        return gr.Dropdown(choices, value=next(iter(names), None))
    return gr.Dropdown(choices) if leave else gr.Dropdown(choices, value=value)


def _visit(request: gr.Request) -> str:
    return str(request.session_hash)
