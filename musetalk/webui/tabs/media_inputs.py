"""Source and voice of a tab: where they are given, looked at as they come, and told about beside their boxes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from musetalk import assets
from musetalk.errors import MediaError, MuseTalkError
from musetalk.utils.files import fitting_name
from musetalk.webui.html.media_box import SOURCE, VOICE, HeldMedia, MediaKind, box_html, media_box
from musetalk.webui.html.problems import problem_html, problem_slot
from musetalk.webui.media_looks import MediaLooks, key_of
from musetalk.webui.site import AT_ONCE, EACH, Site, in_turn
from musetalk.webui.tabs.job_watcher import Update
from musetalk.webui.texts import caps
from musetalk.webui.turns import Turns

_CUT = " cut"
_CLOCK = re.compile(r"[0-2]\d\.[0-5]\d\.[0-5]\d")
# Given what the player holds, the voice, a clock and what the player was given: sets the clock.
_TELL_TIME = """(sound, voice, clock, played) => {
  const now = new Date();
  const figures = [now.getHours(), now.getMinutes(), now.getSeconds()];
  return [sound, voice, figures.map((figure) => String(figure).padStart(2, "0")).join("."), played];
}"""
_UNSHOWN = "This browser cannot show the file, and no copy could be made of it. It is rendered all the same."


@dataclass(frozen=True, slots=True)
class MediaInputs:
    """What is given on one tab.

    `source` and `voice` hold the files: their values are paths, or None, for whoever reads or sets them. The rest
    follows them: boxes show what they hold, `player` plays the voice, records and cuts one, `played` is the path of
    what it was given to play, and the problems say what is wrong with either.
    """

    source: gr.File
    voice: gr.File
    source_box: gr.HTML
    voice_box: gr.HTML
    player: gr.Audio
    played: gr.Textbox
    source_problem: gr.HTML
    voice_problem: gr.HTML


class MediaHandlers:
    """Handlers over the inputs of one tab."""

    def __init__(self, site: Site, inputs: MediaInputs, looks: MediaLooks) -> None:
        self._site = site
        self._inputs = inputs
        self._looks = looks
        self._turns = Turns()

    def take_source(self, request: gr.Request, event: gr.EventData) -> Update:
        """Look at an upload; hold it as the source, or say why not. The newest wins; none ends what is looked at."""
        return self._taken(request, event.path, SOURCE)

    def take_voice(self, request: gr.Request, event: gr.EventData) -> Update:
        """Listen to an upload; hold it as the voice, or say why not. The newest wins; none ends what is listened to."""
        return self._taken(request, event.path, VOICE)

    def take_sound(self, request: gr.Request, path: str | None, voice: str | None, clock: str, played: str) -> Update:
        """The same with what was recorded or cut in the player, or is played by it once more after a cut.

        Args:
            request: Whose.
            path: What the player holds; browsers call all of it alike.
            voice: What is held, which a part may have been cut out of.
            clock: The visitor's time of day, which tells recordings apart.
            played: What the player was given to play. The voice does not tell: it may be another one by now, and the
                two would take turns without an end.
        """
        if path is None or path == played:
            return {self._inputs.player: gr.skip()}
        known = self._looks.voice_played(Path(path))
        return self._taken(request, str(known) if known else self._called(path, voice, clock), VOICE)

    def show_source(self, request: gr.Request, path: str | None) -> Update:
        """Show what is held as the source, whoever set it."""
        inputs = self._inputs
        if path is None:
            return {inputs.source_box: box_html(SOURCE, None)}
        self._turns.heed(_whose(request, SOURCE), path)
        try:
            held = self._looks.source(Path(path))
        except MuseTalkError as error:
            return self._refused(error, inputs.source, inputs.source_box, inputs.source_problem, SOURCE)
        return {inputs.source_box: box_html(SOURCE, held), inputs.source_problem: ""}

    def copy_source(self, path: str | None) -> Update:
        """Show a copy of the source, where a browser cannot show the file itself."""
        if path is None:
            return {self._inputs.source_box: gr.skip()}
        try:
            held = self._looks.source_copy(Path(path))
        except MuseTalkError:  # it is held all the same: what it looks like, the preview frame shows
            held = HeldMedia(Path(path).name, (), copied=_UNSHOWN, key=key_of(Path(path)))
        self._site.uploads.sweep(spare=[Path(path)])
        return {self._inputs.source_box: box_html(SOURCE, held)}

    def show_voice(self, request: gr.Request, path: str | None) -> Update:
        """Show, and offer to play, what is held as the voice, whoever set it."""
        inputs = self._inputs
        if path is None:
            return {inputs.voice_box: box_html(VOICE, None), **self._plays(None)}
        self._turns.heed(_whose(request, VOICE), path)
        try:
            look = self._looks.voice(Path(path))
        except MuseTalkError as error:
            return self._refused(error, inputs.voice, inputs.voice_box, inputs.voice_problem, VOICE)
        shown = {inputs.voice_box: box_html(VOICE, look.held), inputs.voice_problem: ""}
        return {**shown, **self._plays(look.played)}

    def clear_source(self) -> Update:
        """Hold no source."""
        inputs = self._inputs
        return {inputs.source: None, inputs.source_box: box_html(SOURCE, None), inputs.source_problem: ""}

    def clear_voice(self) -> Update:
        """Hold no voice."""
        inputs = self._inputs
        emptied = {inputs.voice: None, inputs.voice_box: box_html(VOICE, None), inputs.voice_problem: ""}
        return {**emptied, **self._plays(None)}

    def _plays(self, path: Path | None) -> Update:
        """Give the player something to play, and let the page know that it was given."""
        played = None if path is None else str(path)
        return {self._inputs.player: played, self._inputs.played: played or ""}

    def _taken(self, request: gr.Request, said: object, kind: MediaKind) -> Update:
        inputs = self._inputs
        holder, box, problem = inputs.source, inputs.source_box, inputs.source_problem
        look: Callable[[Path], object] = self._looks.source
        if kind is VOICE:
            holder, box, problem = inputs.voice, inputs.voice_box, inputs.voice_problem
            look = self._looks.voice
        whose = _whose(request, kind)
        turn = self._turns.begin(whose)
        if not said:
            return {box: gr.skip()}
        try:
            path = self._uploaded(said)
            look(path)
            update: Update = {holder: str(path), problem: ""}
        except MuseTalkError as error:
            update = self._refused(error, holder, box, problem, kind)
        finally:
            self._site.uploads.sweep()
        return update if self._turns.answered(whose, turn, str(said)) else {box: gr.skip()}

    def _called(self, path: str, voice: str | None, clock: str) -> str:
        """Return what came out of the player, under a name that says what it is."""
        sound = self._site.uploads.kept(path)
        if sound is None:
            return path
        stem = f"recording {clock if _CLOCK.fullmatch(clock) else ''}".strip()
        if voice is not None:
            stem = f"{Path(voice).stem.removesuffix(_CUT)}{_CUT}"
        try:
            return str(self._site.uploads.lend(sound, sound.parent.name, fitting_name(stem, sound.suffix)))
        except OSError:  # it keeps the name that the browser gave it
            return path

    def _refused(
        self, error: MuseTalkError, holder: gr.File, box: gr.HTML, problem: gr.HTML, kind: MediaKind
    ) -> Update:
        return {holder: None, box: box_html(kind, None, refused=True), problem: problem_html(error, self._site.reader)}

    def _uploaded(self, said: object) -> Path:
        """Return the file that a browser says it has uploaded.

        Raises:
            MediaError: It is none.
        """
        path = self._site.uploads.kept(str(said))
        if path is None:
            raise MediaError("the file that was uploaded is no longer here", "choose it again")
        return path


def _whose(request: gr.Request, kind: MediaKind) -> str:
    return f"{request.session_hash} {kind.name}"


def build_media(site: Site, looks: MediaLooks) -> MediaInputs:
    """Build boxes for source and voice, with examples, where this is called; `looks` are those of the whole page."""
    limit = site.base.limits.max_bytes
    with gr.Column(elem_classes="media media-source"):
        source_box = media_box(SOURCE, limit)
        source_problem = problem_slot()
    with gr.Column(elem_classes="media media-voice"):
        voice_box = media_box(VOICE, limit)
        voice_problem = problem_slot()
        player = gr.Audio(
            label="Voice: a recording, or speak now",
            sources=["microphone"],
            type="filepath",
            buttons=[],
            elem_classes="voice-player",
        )
    # Hidden, not absent: absent ones do not tell when they change.
    source, voice = (gr.File(visible="hidden", label=kind.title) for kind in (SOURCE, VOICE))
    played = gr.Textbox("", visible=False, label="played")
    gr.Markdown(caps(site.base.limits), elem_classes="caps")
    inputs = MediaInputs(source, voice, source_box, voice_box, player, played, source_problem, voice_problem)
    _wire(MediaHandlers(site, inputs, looks), inputs)
    gr.Examples(
        [[str(picture), str(assets.VOICE)] for picture in (assets.SAMPLE, assets.PORTRAIT)],
        [source, voice],
        label="Or try",
        example_labels=["Sample video", "Portrait"],
        api_visibility="private",
    )
    return inputs


def _wire(handlers: MediaHandlers, inputs: MediaInputs) -> None:
    of_source = [inputs.source, inputs.source_box, inputs.source_problem]
    of_voice = [inputs.voice, inputs.voice_box, inputs.voice_problem, inputs.player, inputs.played]
    # In the queue and a few at a time: each reads a whole file.
    reading: dict[str, Any] = {**AT_ONCE, "concurrency_limit": 4}
    newest: dict[str, Any] = {**EACH, **reading}
    inputs.source_box.upload(handlers.take_source, None, of_source, **newest)
    inputs.source_box.clear(handlers.clear_source, None, of_source, **AT_ONCE)
    inputs.source_box.submit(handlers.copy_source, inputs.source, of_source, **{**AT_ONCE, "concurrency_limit": 1})
    in_turn([inputs.source.change], handlers.show_source, inputs.source, of_source, **reading)
    inputs.voice_box.upload(handlers.take_voice, None, of_voice, **newest)
    inputs.voice_box.clear(handlers.clear_voice, None, of_voice, **AT_ONCE)
    in_turn([inputs.voice.change], handlers.show_voice, inputs.voice, of_voice, **reading)
    clock = gr.Textbox("", visible=False, label="clock")
    heard = [inputs.player, inputs.voice, clock, inputs.played]
    in_turn([inputs.player.change], handlers.take_sound, heard, of_voice, js=_TELL_TIME, **reading)
    inputs.player.clear(handlers.clear_voice, None, of_voice, **AT_ONCE)
