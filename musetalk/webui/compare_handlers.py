"""What happens on the Compare tab."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from musetalk.errors import JobError
from musetalk.jobs.job import Job
from musetalk.webui import form
from musetalk.webui.backend_picker import backend_entries
from musetalk.webui.compare_frames import frame_of
from musetalk.webui.compare_panel import comparison_panel, lacking_list
from musetalk.webui.compare_stage import HINT, CompareStage
from musetalk.webui.dub_handlers import given
from musetalk.webui.figures import file_address
from musetalk.webui.form import Value
from musetalk.webui.site import Site, owner_of, with_toasts
from musetalk.webui.watching import Update, Watching


class CompareHandlers(Watching):
    """Handlers over one page's widgets; all visitors share them.

    Args:
        site: Whose engine and jobs.
        stage: The right column.
        backends: The choice of backends.
        lacking: What those lack that cannot be chosen.
    """

    def __init__(self, site: Site, stage: CompareStage, backends: gr.CheckboxGroup, lacking: gr.HTML) -> None:
        super().__init__(site, stage, HINT)
        self._stage = stage
        self._backends = backends
        self._lacking = lacking

    @property
    def watched(self) -> list[Any]:
        """What changes while a comparison is watched."""
        stage = self._stage
        return [*super().watched, stage.moment, stage.frame, stage.left, stage.right, stage.pair]

    @property
    def choice(self) -> list[Any]:
        """What changes with the weights that are there."""
        return [self._backends, self._lacking]

    def refresh(self) -> Update:
        """Offer the backends that can paint now."""
        names, lacking = choices(self._site)
        return {self._backends: gr.CheckboxGroup(choices=names), self._lacking: lacking}

    @with_toasts
    def compare(
        self,
        request: gr.Request,
        source: str | None,
        voice: str | None,
        secret: str | None,
        backends: list[str],
        *values: Value,
    ) -> Update:
        """Queue a comparison; `values` are the Dub tab's settings."""
        video, sound = given(source, "source"), given(voice, "voice")
        if len(backends) < 2:
            raise JobError("a comparison is of two backends or more", "choose them under Backends")
        listed = [backend.name for backend in self._site.engine.registry]
        backends.sort(key=lambda name: listed.index(name) if name in listed else len(listed))  # they come as clicked
        settings = form.read(values, self._site.base, backends)
        job = self._site.jobs.submit(owner_of(secret, request), video, sound, settings, compare=backends)
        self._site.uploads.sweep()
        return self.open(job)

    @with_toasts
    def show_pair(
        self, request: gr.Request, job_id: str, secret: str | None, frame: float, left: str, right: str
    ) -> Update:
        """Show one frame of two results."""
        job = self._site.jobs.get(job_id, owner_of(secret, request))
        return self._pair(job, self._facts(job), int(frame), left, right)

    def _outcome(self, job: Job) -> Update:
        stage, facts = self._stage, self._facts(job)
        if not facts:
            return {}
        folder = self._site.jobs.store.folder(job)
        plots = _file(folder, facts["plots"])
        painted = [part for part in facts["parts"] if part["video"] and part["report"]]
        video = _file(folder, facts["side_by_side"] or next((part["video"] for part in painted), ""))
        notices = {backend.name: backend.notice for backend in self._site.engine.registry}
        update: Update = {
            stage.report: comparison_panel(facts, file_address(plots) if plots else "", notices),
            stage.video: gr.Video(str(video) if video else None, visible=video is not None),
        }
        if len(painted) < 2:
            return update
        names, last = [part["backend"] for part in painted], min(part["report"]["frames"] for part in painted) - 1
        return {
            **update,
            stage.moment: gr.Column(visible=True),
            stage.frame: gr.Slider(maximum=max(last, 1), value=last // 2),
            stage.left: gr.Dropdown(choices=names, value=names[0]),
            stage.right: gr.Dropdown(choices=names, value=names[1]),
            **self._pair(job, facts, last // 2, names[0], names[1]),
        }

    def _cleared(self) -> Update:
        return {**super()._cleared(), self._stage.moment: gr.Column(visible=False), self._stage.pair: None}

    def _pair(self, job: Job, facts: Mapping[str, Any], frame: int, left: str, right: str) -> Update:
        folder = self._site.jobs.store.folder(job)
        videos = {part["backend"]: _file(folder, part["video"]) for part in facts.get("parts", ())}
        one, other = videos.get(left), videos.get(right)
        if one is None or other is None:
            raise JobError("there is no such result in this comparison", "choose another backend")
        label = f"Frame {frame}: {left}, {right}"
        return {self._stage.pair: gr.ImageSlider((frame_of(one, frame), frame_of(other, frame)), label=label)}

    def _facts(self, job: Job) -> dict[str, Any]:
        report = self._site.jobs.store.report(job)
        return {} if report is None else dict(json.loads(report.read_text(encoding="utf-8")))


def choices(site: Site) -> tuple[list[str], str]:
    """Names of the backends that can paint now, and what the others lack, as HTML."""
    entries = backend_entries(site.engine.registry, site.base, site.downloads.allowed)
    return [entry.name for entry in entries if not entry.lacks], lacking_list([each for each in entries if each.lacks])


def _file(folder: Path, name: str) -> Path | None:
    """One of a comparison's files, if it was made and is there."""
    return folder / name if name and (folder / name).is_file() else None
