"""What happens on the Dub tab: each handler reads widgets, asks engine or jobs, and says what to show."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import gradio as gr

from musetalk.errors import FaceError, MediaError, SettingsError
from musetalk.frame_preview import FramePreview
from musetalk.jobs.job import Job
from musetalk.looking.sheet import contact_sheet
from musetalk.recent import Recent
from musetalk.webui import drawing, form, panels
from musetalk.webui.accounts import account_of
from musetalk.webui.form import Value
from musetalk.webui.label_colours import legend
from musetalk.webui.site import Site, owner_of, with_toasts
from musetalk.webui.stage import Stage
from musetalk.webui.texts import preview_note
from musetalk.webui.watching import Update, Watching

_VISITS = 16  # whose last preview is kept, so that overlays are drawn without another one; some 4 MiB each
SHOWN_SIDE = 1280  # pixels; a preview frame larger than this is scaled down for the page


class DubHandlers(Watching):
    """Handlers over one page's widgets; all visitors share them. Of each of the last ones they keep what was drawn."""

    def __init__(self, site: Site, stage: Stage, source: gr.File, voice: gr.File, settings: form.SettingsForm) -> None:
        super().__init__(site, stage)
        self._stage = stage
        self._sketches: Recent[str, drawing.Sketch] = Recent(_VISITS)
        self.source, self.voice = source, voice  # the Compare tab takes them over
        self.form = settings  # the Models tab says what can be chosen in it, the Compare tab goes by it

    @property
    def watched(self) -> list[Any]:
        """What changes while a job is watched."""
        return [*super().watched, self._stage.preview]

    @property
    def previewed(self) -> list[Any]:
        """What a preview changes."""
        stage = self._stage
        offered = [stage.overlays, *stage.show.values()]
        how = [stage.stages, stage.sheet]
        return [stage.preview, *self.drawn, stage.speaking, *offered, stage.note, *how, stage.video, stage.scale]

    @property
    def drawn(self) -> list[Any]:
        """What another choice of overlays changes."""
        return [self._stage.frame, self._stage.legend]

    @with_toasts
    def preview_source(self, request: gr.Request, source: str | None, *values: Value) -> Update:
        """Show what was chosen as the source, and the faces in it; `values` are overlays and settings."""
        stage = self._stage
        if source is None:
            self._sketches.drop(_visit(request))
            hidden = {stage.speaking: gr.Image(visible=False), stage.overlays: gr.Row(visible=False)}
            return {stage.frame: None, stage.legend: "", stage.note: "", **hidden, **self._stages(None)}
        return self._preview(request, Path(source), None, None, values)

    @with_toasts
    def preview(
        self, request: gr.Request, source: str | None, voice: str | None, moment: str, *values: Value
    ) -> Update:
        """Show one frame, and the same frame speaking if there is a voice; `values` are overlays and settings."""
        sound = Path(voice) if voice else None
        return self._preview(request, given(source, "source"), sound, _seconds(moment), values)

    @with_toasts
    def redraw(self, request: gr.Request, *shown: bool) -> Update:
        """Draw other overlays into the frame that is shown."""
        sketch = self._sketches.get(_visit(request))
        if sketch is None:
            raise SettingsError("this preview is no longer kept", "press Preview frame")
        return self._draw(sketch, shown)

    def pick(self, event: gr.SelectData, scale: float) -> tuple[str, gr.Textbox]:
        """Choose the face under a click in the shown frame."""
        x, y = event.index
        return form.PICKED, gr.Textbox(f"{x * scale:.0f}, {y * scale:.0f}", visible=True)

    @with_toasts
    def generate(
        self, request: gr.Request, source: str | None, voice: str | None, secret: str | None, *values: Value
    ) -> Update:
        """Queue a render."""
        video, sound = given(source, "source"), given(voice, "voice")
        settings = form.read(values, self._site.base)
        job = self._site.jobs.submit(owner_of(secret, request), video, sound, settings)
        self._site.uploads.sweep()
        return self.open(job)

    def _preview(
        self,
        request: gr.Request,
        source: Path,
        voice: Path | None,
        moment: float | None,
        values: tuple[Any, ...],
    ) -> Update:
        stage = self._stage
        overlays = len(stage.show)
        settings = form.read(values[overlays:], self._site.base)
        found = self._site.engine.preview_frame(source, voice, settings, at=moment)
        self._site.uploads.sweep(spare=[source, *([voice] if voice else [])])
        sketch = drawing.sketch_of(found, max_side=SHOWN_SIDE)
        self._sketches.keep(_visit(request), sketch)
        speaking = gr.Image(visible=False)
        if found.result is not None:
            speaking = gr.Image(drawing.show_result(found, max_side=SHOWN_SIDE), visible=True)
        return {
            stage.preview: gr.Column(visible=True),
            stage.speaking: speaking,
            stage.overlays: gr.Row(visible=True),
            **{box: gr.Checkbox(visible=name in sketch.offers) for name, box in stage.show.items()},
            stage.note: preview_note(found),
            stage.video: gr.Video(visible=False),
            stage.scale: found.frame.shape[1] / sketch.ground.shape[1],
            **self._stages(found),
            **self._draw(sketch, values[:overlays]),
        }

    def _stages(self, found: FramePreview | None) -> Update:
        """The contact sheet of a preview; where nothing was painted, there is none."""
        stage = self._stage
        try:
            sheet = None if found is None else contact_sheet(found)
        except FaceError:
            sheet = None
        return {stage.stages: gr.Accordion(visible=sheet is not None), stage.sheet: sheet}

    def _draw(self, sketch: drawing.Sketch, shown: tuple[bool, ...]) -> Update:
        """The frame with the overlays that are switched on; `shown` in the order of `Stage.show`."""
        stage = self._stage
        overlays = [name for name, on in zip(stage.show, shown, strict=True) if on]
        parsed = (face.labels for face in sketch.parsed) if "parsing" in overlays else ()
        return {stage.frame: drawing.draw(sketch, overlays), stage.legend: legend(parsed)}

    def _outcome(self, job: Job) -> Update:
        stage = self._stage
        result, facts = self._site.jobs.store.file(job, job.result), account_of(self._site, job)
        if result is None or facts is None:
            return {}
        notice = self._site.engine.registry.get(job.settings.backend).notice
        return {
            stage.video: gr.Video(str(result), visible=True),
            stage.preview: gr.Column(visible=False),
            stage.report: panels.report_panel(facts, notice),
        }


def _visit(request: gr.Request) -> str:
    """Which open page asks; each has its own preview frame."""
    return request.session_hash or secrets.token_hex()  # who has no page is shown nobody's


def given(path: str | None, what: str) -> Path:
    """The file that somebody chose.

    Raises:
        MediaError: None was chosen.
    """
    if path is None:
        raise MediaError(f"there is no {what} yet", f"choose a {what} first")
    return Path(path)


def _seconds(moment: str) -> float | None:
    if not moment.strip():
        return None
    try:
        return float(moment.replace(",", "."))
    except ValueError as error:
        raise SettingsError(f'"{moment}" is no time', "give seconds, like 2.5, or leave it empty") from error
