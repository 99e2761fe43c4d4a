"""A box for one file on a tab: looked at as it comes, and told about beside it. And such a box for a source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from musetalk.errors import MediaError, MuseTalkError
from musetalk.webui.html.media_box import SOURCE, HeldMedia, MediaKind, box_html, media_box
from musetalk.webui.html.problems import problem_html, problem_slot
from musetalk.webui.media_looks import MediaLooks, key_of
from musetalk.webui.site import AT_ONCE, EACH, Site, in_turn
from musetalk.webui.tabs.job_watcher import Update
from musetalk.webui.turns import Turns

# In the queue and a few at a time: each reads a whole file.
READING: dict[str, Any] = {**AT_ONCE, "concurrency_limit": 4}
NEWEST: dict[str, Any] = {**EACH, **READING}
_UNSHOWN = "This browser cannot show the file, and no copy could be made of it. It is rendered all the same."


@dataclass(frozen=True, slots=True)
class FileInput:
    """A file that is given on a tab.

    `file` holds it: its value is a path, or None, for whoever reads or sets it. The box shows what it holds, and the
    problem says what is wrong with it.
    """

    file: gr.File
    box: gr.HTML
    problem: gr.HTML

    @property
    def all(self) -> list[Any]:
        """As outputs of a handler."""
        return [self.file, self.box, self.problem]


class FileHandlers:
    """Takes the uploads of one box.

    Args:
        site: Whose uploads.
        given: The box, and what it belongs to.
        kind: What it is for.
        look: Looks at a file; raises where it cannot be used.
    """

    def __init__(self, site: Site, given: FileInput, kind: MediaKind, look: Callable[[Path], object]) -> None:
        self._site, self._given = site, given
        self._kind, self._look = kind, look
        self._turns = Turns()

    def take(self, request: gr.Request, event: gr.EventData) -> Update:
        """Look at an upload; hold it, or say why not. The newest wins; none ends what is looked at."""
        return self._taken(request, event.path)

    def _taken(self, request: gr.Request, said: object) -> Update:
        given, whose = self._given, str(request.session_hash)
        turn = self._turns.begin(whose)
        if not said:
            return {given.box: gr.skip()}
        try:
            path = self._uploaded(said)
            self._look(path)
            update: Update = {given.file: str(path), given.problem: ""}
        except MuseTalkError as error:
            update = self._refused(error)
        finally:
            self._site.uploads.sweep()
        return update if self._turns.answered(whose, turn, str(said)) else {given.box: gr.skip()}

    def _heed(self, request: gr.Request, path: str) -> None:
        """Take what is held, whoever set it, for a newer wish than what is looked at."""
        self._turns.heed(str(request.session_hash), path)

    def _emptied(self) -> Update:
        return {self._given.file: None, self._given.box: box_html(self._kind, None), self._given.problem: ""}

    def _refused(self, error: MuseTalkError) -> Update:
        box = box_html(self._kind, None, refused=True)
        return {self._given.file: None, self._given.box: box, self._given.problem: self._told(error)}

    def _told(self, error: MuseTalkError) -> str:
        return problem_html(error, self._site.reader)

    def _uploaded(self, said: object) -> Path:
        """Return the file that a browser says it has uploaded.

        Raises:
            MediaError: It is none.
        """
        path = self._site.uploads.kept(str(said))
        if path is None:
            raise MediaError("the file that was uploaded is no longer here", "choose it again")
        return path


class SourceHandlers(FileHandlers):
    """Handlers over the box for a source; `looks` are those of the whole page."""

    def __init__(self, site: Site, given: FileInput, looks: MediaLooks) -> None:
        super().__init__(site, given, SOURCE, looks.source)
        self._looks = looks

    def show(self, request: gr.Request, path: str | None) -> Update:
        """Show what is held, whoever set it."""
        if path is None:
            return {self._given.box: box_html(SOURCE, None)}
        self._heed(request, path)
        try:
            held = self._looks.source(Path(path))
        except MuseTalkError as error:
            return self._refused(error)
        return {self._given.box: box_html(SOURCE, held), self._given.problem: ""}

    def copy(self, path: str | None) -> Update:
        """Show a copy of what is held, where a browser cannot show the file itself."""
        if path is None:
            return {self._given.box: gr.skip()}
        try:
            held = self._looks.source_copy(Path(path))
        except MuseTalkError:  # it is held all the same: what it looks like, the preview frame shows
            held = HeldMedia(Path(path).name, (), copied=_UNSHOWN, key=key_of(Path(path)))
        self._site.uploads.sweep(spare=[Path(path)])
        return {self._given.box: box_html(SOURCE, held)}

    def clear(self) -> Update:
        """Hold no source."""
        return self._emptied()


def build_source(site: Site, looks: MediaLooks) -> FileInput:
    """Build a box for a source where this is called; `looks` are those of the whole page."""
    with gr.Column(elem_classes="media media-source"):
        box = media_box(SOURCE, site.base.limits.max_bytes)
        problem = problem_slot()
    # Hidden, not absent: absent ones do not tell when they change.
    given = FileInput(gr.File(visible="hidden", label=SOURCE.title), box, problem)
    handlers = SourceHandlers(site, given, looks)
    box.upload(handlers.take, None, given.all, **NEWEST)
    box.clear(handlers.clear, None, given.all, **AT_ONCE)
    box.submit(handlers.copy, given.file, given.all, **{**AT_ONCE, "concurrency_limit": 1})
    in_turn([given.file.change], handlers.show, given.file, given.all, **READING)
    return given
