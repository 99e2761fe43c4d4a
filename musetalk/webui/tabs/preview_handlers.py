"""What happens around the preview frame: it is asked for, watched, stopped, drawn into, and faces are chosen in it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import gradio as gr

from musetalk.errors import JobError, MediaError, MuseTalkError, about
from musetalk.jobs.job import Job
from musetalk.lipsync import LipSync
from musetalk.progress import CancelToken, ProgressCallback
from musetalk.webui.backend_names import titled
from musetalk.webui.drawing.label_colors import legend
from musetalk.webui.drawing.lines_legend import lines_legend
from musetalk.webui.drawing.overlays import OverlayBase, draw
from musetalk.webui.drawing.shown_frame import ShownFrame, shown_frame
from musetalk.webui.form import settings_form
from musetalk.webui.form.changed_since import PreviewInputs, picked_in, values_of
from musetalk.webui.form.moments import moment_of
from musetalk.webui.html.plain_words import plain
from musetalk.webui.html.preview_status import LOST, preview_status, stamp
from musetalk.webui.previews import Preview, Wish, Work
from musetalk.webui.site import Site, owner_of
from musetalk.webui.tabs import face_picking
from musetalk.webui.tabs.dub_stage import ResultPanel
from musetalk.webui.tabs.job_inputs import JobInputs
from musetalk.webui.tabs.job_watcher import Update

SHOWN_SIDE = 1280  # pixels; a preview frame larger than this is scaled down for the page
_STOP_SECONDS = 2.0
_FORGOTTEN = "This preview is no longer kept: press Preview frame."
_GONE = "The face that was picked was in another source: Largest is chosen again."


class PreviewHandlers:
    """Handlers over one page's widgets; all visitors share them.

    Args:
        site: Whose engine and previews.
        stage: The right column.
        inputs: What a preview depends on.
        given: The same inputs, as jobs give them back.
    """

    def __init__(self, site: Site, stage: ResultPanel, inputs: PreviewInputs, given: JobInputs) -> None:
        self._site = site
        self._whole = stage
        self._stage = stage.previewing
        self._inputs = inputs
        self._given = given

    @property
    def watched(self) -> list[Any]:
        """What changes while a preview is made, and when it is done."""
        whole = self._whole
        return [*self._stage.all, whole.preview_status, whole.video, whole.stop_button]

    @property
    def chosen(self) -> list[Any]:
        """What changes with the choice of a face, besides."""
        return [*self.watched, self._inputs.form["face"], self._inputs.form[settings_form.POINT]]

    def start(self, request: gr.Request, said: str, *values: Any) -> Update:  # noqa: ANN401 - of all kinds of widgets
        """Begin a preview, in the place of one under way; `values` are of the inputs, `said` is the same as text."""
        return self._ask(request, said, values)

    def start_with_source(
        self,
        request: gr.Request,
        said: str,
        known: str,
        job_id: str,
        secret: str | None,
        *values: Any,  # noqa: ANN401 - of all kinds of widgets
    ) -> Update:
        """Show what was chosen as the source, and the faces in it; a face picked in another source is so no longer.

        Of a source that the watched job has given back no picture is made: its result is shown.
        """
        visit, (source, _, _, _) = visit_of(request), values_of(values)
        if source is None:
            self._site.previews.forget(visit)
            runs = self._job_runs(request, job_id, secret)
            return {**self._emptied(), self._whole.stop_button: gr.Button(interactive=runs)}
        inputs, (face, point) = self._inputs, self._inputs.face_in(values)
        job = self._job(request, job_id, secret)
        if job is not None and self._given.owns(job, source):
            return {self._stage.picked_in: picked_in(source, point)}
        update: Update = {}
        remark = ""
        if face == settings_form.PICKED and known != picked_in(source, point) and known.endswith(f"|{point}"):
            face, point = settings_form.FACE, ""
            said, values = inputs.with_face(said, values, face, point)
            update, remark = {inputs.form["face"]: face, inputs.form[settings_form.POINT]: ""}, _GONE
        self._site.previews.stop(visit)  # of another source
        alone = (source, None, "", *values[3:])
        return {self._stage.picked_in: picked_in(source, point), **self._ask(request, said, alone, remark), **update}

    def pick(
        self,
        request: gr.Request,
        event: gr.SelectData,
        said: str,
        *values: Any,  # noqa: ANN401 - of all kinds of widgets
    ) -> Update:
        """Choose the face under a click in the shown frame, and show it; nobody where there is none."""
        sketch = self._sketch(request)
        if sketch is None:
            return self._nobody(None, _FORGOTTEN)
        column, row = (int(place) for place in event.index)
        index = face_picking.face_at(sketch, column, row)
        if index is None:
            return self._nobody(sketch, face_picking.NOBODY)
        return self._choose(request, sketch, index, face_picking.point_of(sketch, index, column, row), said, values)

    def choose(
        self,
        request: gr.Request,
        event: gr.EventData,
        said: str,
        *values: Any,  # noqa: ANN401 - of all kinds of widgets
    ) -> Update:
        """Choose a face by its number, or the next one."""
        sketch = self._sketch(request)
        if sketch is None:
            return self._nobody(None, _FORGOTTEN)
        index = face_picking.face_of(sketch, event.face)
        if index is None:
            return self._nobody(sketch, face_picking.no_such_face(sketch))
        return self._choose(request, sketch, index, face_picking.point_of(sketch, index), said, values)

    def watch(self, request: gr.Request, job_id: str, secret: str | None, *shown: bool) -> Update:
        """Show how far the preview of this page is, and what came of it; `shown` are the overlays."""
        stage, previews = self._stage, self._site.previews
        preview = previews.newest(visit_of(request))
        if preview is not None and preview.active:
            return {
                self._whole.preview_status: preview_status(preview, previews.place(preview)),
                self._whole.stop_button: gr.Button(interactive=True),
            }
        update: Update = {
            stage.timer: gr.Timer(active=False),
            self._whole.preview_status: preview_status(
                preview, error=None if preview else LOST, reader=self._site.reader
            ),
            self._whole.stop_button: gr.Button(interactive=self._job_runs(request, job_id, secret)),
        }
        return (
            update
            if preview is None or preview.found is None
            else {**update, **self._made(preview, shown, instead=not job_id)}
        )

    def stop(self, request: gr.Request) -> bool:
        """End the preview of this page; whether one was under way."""
        return self._site.previews.stop(visit_of(request), _STOP_SECONDS)

    def leave(self, request: gr.Request) -> None:
        """End the previews of a page that was closed."""
        self._site.previews.forget(visit_of(request))

    def redraw(self, request: gr.Request, *shown: bool) -> Update:
        """Draw other overlays into the frame that is shown."""
        sketch = self._sketch(request)
        return self._nobody(None, _FORGOTTEN) if sketch is None else self._draw(sketch, shown)

    def _ask(self, request: gr.Request, said: str, values: Sequence[Any], remark: str = "") -> Update:
        source, voice, moment, settings = values_of(values)
        try:
            video, sound, at = given(source, "source"), Path(voice) if voice else None, moment_of(moment or "")
            wanted = settings_form.read(settings, self._site.base, registry=self._site.engine.registry)
            choice = self._site.engine.choose(wanted)
            wish = Wish(video, sound, wanted.with_backend(choice.backend), at, said, remark, choice.reason(titled))
        except MuseTalkError as error:
            return {self._whole.preview_status: preview_status(None, error=error, reader=self._site.reader)}
        return self._start(visit_of(request), wish)

    def _start(self, visit: str, wish: Wish) -> Update:
        stage, previews = self._stage, self._site.previews
        preview = previews.start(visit, wish, _work_on(self._site.engine, wish))
        self._site.uploads.sweep(spare=[wish.source, *([wish.voice] if wish.voice else [])])
        return {
            stage.timer: gr.Timer(active=True),
            self._whole.preview_status: preview_status(preview, previews.place(preview)),
            self._whole.stop_button: gr.Button(interactive=True),
        }

    def _choose(
        self,
        request: gr.Request,
        sketch: OverlayBase,
        index: int,
        point: tuple[float, float],
        said: str,
        values: Sequence[Any],
    ) -> Update:
        text, (face, at) = (
            f"{point[0]:.0f}, {point[1]:.0f}",
            (self._inputs.form["face"], self._inputs.form[settings_form.POINT]),
        )
        told, changed = self._inputs.with_face(said, values, settings_form.PICKED, text)
        remark = f"Face {index + 1} is chosen."
        return {
            **self._ask(request, told, changed, remark),
            face: settings_form.PICKED,
            at: gr.Textbox(text, visible=True),
            self._stage.picked_in: picked_in(changed[0] or "", text),
            self._stage.faces: face_picking.face_buttons(sketch, remark),
        }

    def _nobody(self, sketch: OverlayBase | None, said: str) -> Update:
        return {self._stage.faces: face_picking.face_buttons(sketch, said)}

    def _sketch(self, request: gr.Request) -> OverlayBase | None:
        preview = self._site.previews.shown(visit_of(request))
        return None if preview is None or preview.found is None else preview.found.sketch

    def _job_runs(self, request: gr.Request, job_id: str, secret: str | None) -> bool:
        job = self._job(request, job_id, secret)
        return job is not None and job.active

    def _job(self, request: gr.Request, job_id: str, secret: str | None) -> Job | None:
        try:
            return self._site.jobs.get(job_id, owner_of(secret, request)) if job_id else None
        except JobError:
            return None

    def _made(self, preview: Preview, overlays: Sequence[bool], *, instead: bool) -> Update:
        """Return the pictures of a preview that is done, `instead` of a result: not where a job was begun meanwhile."""
        stage, found = self._stage, preview.found
        if found is None:
            return {}
        speaking = gr.Image(visible=False)
        if found.speaking is not None:
            label = f"The same frame, speaking: {' and '.join(map(titled, found.painters)) or titled(found.backend)}"
            speaking = gr.Image(found.speaking, label=label, visible=True)
        place = {stage.column: gr.Column(visible=True), self._whole.video: gr.Video(visible=False)} if instead else {}
        return {
            **place,
            stage.stamp: stamp(found, preview.wish.choice),
            stage.said: preview.wish.said,
            stage.speaking: speaking,
            stage.faces: face_picking.face_buttons(found.sketch, preview.wish.remark),
            stage.overlays: gr.Row(visible=True),
            **{box: gr.Checkbox(visible=name in found.sketch.offers) for name, box in stage.show.items()},
            stage.note: plain(found.note, self._site.reader),
            stage.stages: gr.Accordion(visible=found.sheet is not None),
            stage.sheet: found.sheet,
            **self._draw(found.sketch, overlays),
        }

    def _draw(self, sketch: OverlayBase, shown: Sequence[bool]) -> Update:
        """Return the frame with the overlays that are switched on; `shown` in the order of the boxes."""
        stage = self._stage
        overlays = [name for name, on in zip(stage.show, shown, strict=True) if on]
        parsed = (face.labels for face in sketch.parsed) if "parsing" in overlays else ()
        return {
            stage.frame: draw(sketch, overlays),
            stage.lines: lines_legend(sketch, overlays),
            stage.legend: legend(parsed),
        }

    def _emptied(self) -> Update:
        stage = self._stage
        texts = dict.fromkeys((stage.stamp, stage.lines, stage.legend, stage.note, stage.said), "")
        return {
            stage.frame: None,
            stage.speaking: gr.Image(visible=False),
            stage.overlays: gr.Row(visible=False),
            stage.faces: face_picking.face_buttons(None),
            stage.stages: gr.Accordion(visible=False),
            stage.sheet: None,
            self._whole.preview_status: preview_status(None),
            stage.timer: gr.Timer(active=False),
            **texts,
        }


def _work_on(engine: LipSync, wish: Wish) -> Work:
    def work(on_progress: ProgressCallback, cancel: CancelToken) -> ShownFrame:
        found = engine.preview_frame(
            wish.source, wish.voice, wish.settings, at=wish.at, strict=True, on_progress=on_progress, cancel=cancel
        )
        return shown_frame(found, wish.settings.backend, max_side=SHOWN_SIDE)

    return work


def visit_of(request: gr.Request) -> str:
    """Return which open page asks; each has its own preview."""
    return request.session_hash or secrets.token_hex()  # who has no page is shown nobody's


def given(path: str | None, what: Literal["source", "voice"]) -> Path:
    """Return the file that somebody chose.

    Raises:
        MediaError: None was chosen.
    """
    if path is None:
        with about(what):
            raise MediaError(f"there is no {what} yet", f"choose a {what} first")
    return Path(path)
