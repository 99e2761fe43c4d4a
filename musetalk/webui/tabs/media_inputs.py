"""Source and voice of a tab: where they are given, looked at as they come, and told about beside their boxes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from musetalk import assets
from musetalk.errors import MuseTalkError
from musetalk.utils.files import fitting_name
from musetalk.webui.html.media_box import VOICE, box_html, media_box
from musetalk.webui.html.problems import problem_slot
from musetalk.webui.media_looks import MediaLooks
from musetalk.webui.site import AT_ONCE, Site, in_turn
from musetalk.webui.tabs.job_watcher import Update
from musetalk.webui.tabs.source_input import NEWEST, READING, FileHandlers, FileInput, build_source
from musetalk.webui.texts import caps

_CUT = " cut"
_CLOCK = re.compile(r"[0-2]\d\.[0-5]\d\.[0-5]\d")
# Given what the player holds, the voice, a clock and what the player was given: sets the clock.
_TELL_TIME = """(sound, voice, clock, played) => {
  const now = new Date();
  const figures = [now.getHours(), now.getMinutes(), now.getSeconds()];
  return [sound, voice, figures.map((figure) => String(figure).padStart(2, "0")).join("."), played];
}"""


@dataclass(frozen=True, slots=True)
class VoiceInput:
    """A voice that is given on a tab: `player` plays it, records and cuts one; `played` is what it was given to play.

    That is a path, or empty.
    """

    given: FileInput
    player: gr.Audio
    played: gr.Textbox


@dataclass(frozen=True, slots=True)
class MediaInputs:
    """What is given on one tab.

    `source` and `voice` hold the files: their values are paths, or None, for whoever reads or sets them. The problems
    say what is wrong with either.
    """

    source: gr.File
    voice: gr.File
    source_problem: gr.HTML
    voice_problem: gr.HTML


class VoiceHandlers(FileHandlers):
    """Handlers over the box and the player of a voice; `looks` are those of the whole page."""

    def __init__(self, site: Site, inputs: VoiceInput, looks: MediaLooks) -> None:
        super().__init__(site, inputs.given, VOICE, looks.voice)
        self._inputs, self._looks = inputs, looks

    def take_sound(self, request: gr.Request, path: str | None, voice: str | None, clock: str, played: str) -> Update:
        """The same as `take` with what was recorded or cut in the player, or is played by it once more after a cut.

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
        return self._taken(request, str(known) if known else self._called(path, voice, clock))

    def show(self, request: gr.Request, path: str | None) -> Update:
        """Show, and offer to play, what is held, whoever set it."""
        if path is None:
            return {self._given.box: box_html(VOICE, None), **self._plays(None)}
        self._heed(request, path)
        try:
            look = self._looks.voice(Path(path))
        except MuseTalkError as error:
            return self._refused(error)
        return {self._given.box: box_html(VOICE, look.held), self._given.problem: "", **self._plays(look.played)}

    def clear(self) -> Update:
        """Hold no voice."""
        return {**self._emptied(), **self._plays(None)}

    def _plays(self, path: Path | None) -> Update:
        """Give the player something to play, and let the page know that it was given."""
        played = None if path is None else str(path)
        return {self._inputs.player: played, self._inputs.played: played or ""}

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


def build_voice(site: Site, looks: MediaLooks) -> VoiceInput:
    """Build a box and a player for a voice where this is called; `looks` are those of the whole page."""
    with gr.Column(elem_classes="media media-voice"):
        box = media_box(VOICE, site.base.limits.max_bytes)
        problem = problem_slot()
        player = gr.Audio(
            label="Voice: a recording, or speak now",
            sources=["microphone"],
            type="filepath",
            buttons=[],
            elem_classes="voice-player",
        )
    given = FileInput(gr.File(visible="hidden", label=VOICE.title), box, problem)
    inputs = VoiceInput(given, player, gr.Textbox("", visible=False, label="played"))
    handlers = VoiceHandlers(site, inputs, looks)
    outputs = [*given.all, player, inputs.played]
    box.upload(handlers.take, None, outputs, **NEWEST)
    box.clear(handlers.clear, None, outputs, **AT_ONCE)
    in_turn([given.file.change], handlers.show, given.file, outputs, **READING)
    clock = gr.Textbox("", visible=False, label="clock")
    heard = [player, given.file, clock, inputs.played]
    in_turn([player.change], handlers.take_sound, heard, outputs, js=_TELL_TIME, **READING)
    player.clear(handlers.clear, None, outputs, **AT_ONCE)
    return inputs


def build_media(site: Site, looks: MediaLooks) -> MediaInputs:
    """Build boxes for source and voice, with examples, where this is called; `looks` are those of the whole page."""
    source, voice = build_source(site, looks), build_voice(site, looks).given
    gr.Markdown(caps(site.base.limits), elem_classes="caps")
    gr.Examples(
        [[str(picture), str(assets.VOICE)] for picture in (assets.SAMPLE, assets.PORTRAIT)],
        [source.file, voice.file],
        label="Or try",
        example_labels=["Sample video", "Portrait"],
        api_visibility="private",
    )
    return MediaInputs(source.file, voice.file, source.problem, voice.problem)
