"""The pictures that a script may show: given on a tab, several of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from musetalk.errors import MediaError, MuseTalkError
from musetalk.webui.html.problems import problem_html, problem_slot
from musetalk.webui.html.slides_box import slides_box, slides_html
from musetalk.webui.site import AT_ONCE, EACH, Site, in_turn
from musetalk.webui.tabs.job_watcher import Update
from musetalk.webui.uploads import Uploads

_MOST = 100


@dataclass(frozen=True, slots=True)
class SlidesInput:
    """Where slides are given.

    `files` holds them: its value is a list of paths, or None, for whoever reads or sets it. The box names what it
    holds, and the problem says what is wrong with it.
    """

    files: gr.File
    box: gr.HTML
    problem: gr.HTML


class SlidesHandlers:
    """Handlers over the box of slides."""

    def __init__(self, site: Site, given: SlidesInput) -> None:
        self._site, self._given = site, given

    def take(self, event: gr.EventData, held: list[str] | None) -> Update:
        """Hold uploads beside those that are held; one of the same name is in its place."""
        given = self._given
        try:
            paths = event.paths if isinstance(event.paths, list) else []
            new = kept_slides(self._site.uploads, [str(path) for path in paths])
            names = {path.name for path in new}
            slides = [path for path in kept_slides(self._site.uploads, held) if path.name not in names] + [*new]
            if len(slides) > _MOST:
                raise MediaError(f"there are {len(slides):,} slides", f"give {_MOST} at most")
        except MuseTalkError as error:
            return {given.box: _html(held), given.problem: problem_html(error, self._site.reader)}
        finally:
            self._site.uploads.sweep()
        return {given.files: [str(path) for path in slides] or None, given.box: _html(slides), given.problem: ""}

    def remove(self, event: gr.EventData, held: list[str] | None) -> Update:
        """Hold one less."""
        left = [path for place, path in enumerate(held or ()) if place != event.place]
        return {self._given.files: left or None, self._given.problem: ""}

    def show(self, held: list[str] | None) -> Update:
        """Show what is held, whoever set it."""
        return {self._given.box: _html(held)}


def kept_slides(uploads: Uploads, named: Sequence[str] | None) -> tuple[Path, ...]:
    """Return the uploads that a browser names.

    Raises:
        MediaError: One is no upload, or no longer there.
    """
    kept = [uploads.kept(name) for name in named or ()]
    if None in kept:
        raise MediaError("a slide that was given is no longer here", "choose it again")
    return tuple(filter(None, kept))


def build_slides(site: Site) -> SlidesInput:
    """Build a box for slides where this is called."""
    box = slides_box(site.base.limits.max_bytes)
    given = SlidesInput(gr.File(visible="hidden", file_count="multiple", label="Slides"), box, problem_slot())
    handlers, outputs = SlidesHandlers(site, given), [given.files, given.box, given.problem]
    how: dict[str, Any] = {**EACH, "concurrency_limit": 4}
    box.upload(handlers.take, given.files, outputs, **how)
    box.delete(handlers.remove, given.files, outputs, **AT_ONCE)
    in_turn([given.files.change], handlers.show, given.files, outputs)
    return given


def _html(slides: Sequence[str | Path] | None) -> str:
    return slides_html([Path(slide) for slide in slides or ()])
