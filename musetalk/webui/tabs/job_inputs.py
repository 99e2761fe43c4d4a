"""What the inputs hold: given back by jobs, kept by the browser's tab over a reload, and compared with a job's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Literal, TypeAlias

import gradio as gr

from musetalk.errors import MediaError, SettingsError
from musetalk.jobs.job import Job
from musetalk.webui.addresses import KEPT, LEAVE_IT
from musetalk.webui.form import settings_form
from musetalk.webui.form.form_values import fits, not_in_form, values_of
from musetalk.webui.form.settings_form import SettingsForm
from musetalk.webui.form.widgets import Value
from musetalk.webui.html.problems import problem_html
from musetalk.webui.site import Site
from musetalk.webui.tabs.job_watcher import Update

Which: TypeAlias = Literal["source", "voice"]

# Listens on the component, which outlives its content.
CHANGED_JS = """
element.addEventListener("click", (event) => {
  if (event.target.closest("button")) trigger("submit", {});
});
"""
CHANGED = (
    '<p class="mt-changed" role="status">The inputs or settings are no longer those of this render. '
    '<button type="button" class="mt-link">Take them back</button></p>'
)
# Given the job that is shown: where there is none any more, what is to be edited is.
SHOW_INPUTS = """(job) => {
  if (job || !matchMedia("(max-width: 640px)").matches) return;
  [...document.querySelectorAll(".given")].find((each) => each.checkVisibility())?.scrollIntoView({ block: "start" });
}"""
# Given the job that is shown, source, voice and the form's values: keeps these for a reload, and beside what the inputs
# of a job hold what they held when none was shown, for whoever goes back there.
_KEEP = f"""(job, source, voice, ...values) => {{
  {LEAVE_IT}
  const names = %s;
  const said = Object.fromEntries(names.map((name, place) => [name, values[place]]));
  const now = {{ source: source?.path ?? "", voice: voice?.path ?? "", values: said }};
  const before = JSON.parse(sessionStorage.getItem("{KEPT}") ?? "{{}}")[""];
  sessionStorage.setItem("{KEPT}", JSON.stringify({{ "": before, [job ?? ""]: now }}));
}}"""


@dataclass(frozen=True, slots=True)
class JobInputs:
    """The inputs of a tab.

    Attributes:
        site: Whose jobs and uploads.
        source: The source.
        voice: The voice.
        form: The settings.
        problems: Where it is told what cannot be given back: of the source, of the voice.
    """

    site: Site
    source: gr.Component
    voice: gr.Component
    form: SettingsForm
    problems: tuple[gr.HTML, gr.HTML]

    @property
    def widgets(self) -> list[Any]:
        """All of them, as inputs of a handler."""
        return [self.source, self.voice, *self.form.widgets]

    @property
    def given(self) -> list[Any]:
        """What changes when something is given back."""
        return [*self.widgets, *self.problems]

    @property
    def keep(self) -> str:
        """A script that keeps what they hold, given the job that is shown and their values."""
        return _KEEP % json.dumps(settings_form.NAMES)

    @staticmethod
    def paths(place: int) -> str:
        """Return a script for handlers that are told a file's path, which Gradio would else look at at each change.

        The text at `place` among a handler's inputs becomes the path of the file that comes after it, which becomes
        none.
        """
        return f"(...given) => given.with({place}, given[{place + 1}]?.path ?? '').with({place + 1}, null)"

    def of_job(self, job: Job) -> Update:
        """Give back the inputs and settings of a job; what cannot be is said."""
        files = {**self._lent(job, "source"), **self._lent(job, "voice")}
        return {**files, **self.settings_of(job)}

    def settings_of(self, job: Job) -> Update:
        """Give back the settings alone."""
        values = values_of(job.wanted)
        hidden = not_in_form(values, self.form)
        if hidden:
            said = f"{', '.join(hidden)}: set by a program, and not in the form. A new render leaves it out."
            gr.Warning(escape(said), duration=None)
        return self._filled(values.shown)

    def of_kept(self, kept: str, job: Job | None = None) -> Update:
        """Give back what the browser kept of the inputs, where it kept anything.

        Args:
            kept: Its word: nothing in it is taken on trust.
            job: The job that is shown with them; its own source has to be among what was kept, else nothing is given.
        """
        try:
            drafts = json.loads(kept or "{}")
            draft = drafts.get(job.id if job else "") or {}
            values, paths = dict(draft.get("values", {})), [str(draft.get(name, "")) for name in ("source", "voice")]
        except (ValueError, AttributeError, TypeError):
            return {}
        source, voice = (self.site.uploads.kept(path) if path else None for path in paths)
        if job is not None and (source is None or not self.owns(job, str(source))):
            return {}
        gone = [Path(path).name for path, found in zip(paths, (source, voice), strict=True) if path and found is None]
        if gone:
            them = "it" if len(gone) == 1 else "them"
            gr.Warning(_sentence(f"{' and '.join(gone)}: no longer kept here; choose {them} again"), duration=None)
        given = {self.source: str(source) if source else None, self.voice: str(voice) if voice else None}
        return {**given, **self._filled(values)}

    def place(self, job: Job, which: Which) -> Path:
        """Return where among the uploads a file of a job is lent."""
        return self.site.uploads.folder / job.id / which / Path(_name(job, which)).name

    def point_of(self, job: Job) -> str:
        """Return the point on the face that was picked for a job, as the form says it; empty: none was."""
        return str(values_of(job.settings).shown[settings_form.POINT])

    def owns(self, job: Job, path: str) -> bool:
        """Return whether a source is a job's own."""
        return self._is(job, "source", path)

    def differ(self, job: Job, voice: str, said: Mapping[str, Value]) -> bool:
        """Return whether the voice or the settings that are given now are not those of a job."""
        try:
            settings = settings_form.read(said, self.site.base, registry=self.site.engine.registry)
        except SettingsError:
            return True
        return not self._is(job, "voice", voice) or settings != settings_form.renewed(job.wanted, self.site.base)

    def _filled(self, values: dict[str, Any]) -> Update:
        update: Update = {}
        for name, value in values.items():
            widget = self.form.by_name.get(name)
            if widget is not None and fits(widget, value):
                update[widget] = value
        face, point = self.form["face"], self.form[settings_form.POINT]
        if face in update:
            update[point] = gr.Textbox(update.get(point, ""), visible=update[face] == settings_form.PICKED)
        return update

    def _lent(self, job: Job, which: Which) -> Update:
        """Return a file of a job as if it had been uploaded; none, and told beside its box: it is gone."""
        holder, problem = (self.source, self.problems[0]) if which == "source" else (self.voice, self.problems[1])
        own = self.site.jobs.store.file(job, _name(job, which))
        why = f"the {which} of this render is no longer kept"
        if own is not None:
            try:
                return {holder: str(self.site.uploads.lend(own, f"{job.id}/{which}")), problem: ""}
            except OSError as error:
                why = f"the {which} of this render cannot be given back ({error.strerror})"
        return {holder: None, problem: problem_html(MediaError(why, "choose it again"), self.site.reader)}

    def _is(self, job: Job, which: Which, path: str) -> bool:
        """Return whether a path is that of a file of a job, or of an upload that became it."""
        own = self.site.jobs.store.file(job, _name(job, which))
        try:
            return path == str(self.place(job, which)) or (own is not None and own.samefile(path))
        except OSError:
            return False


def _name(job: Job, which: Which) -> str:
    return job.video if which == "source" else job.voice


def _sentence(text: str) -> str:
    """Return a sentence for a toast, the names of files in it escaped."""
    return escape(f"{text[:1].upper()}{text[1:]}.")
