"""What the Presenter tab shows: the script and how it is made into a talk, the voice at once, and what was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from musetalk import assets
from musetalk.presenter.presets import PRESETS
from musetalk.tts.spec import VoiceSpec
from musetalk.webui.form.voice_picker import ready_voices, voice_choices
from musetalk.webui.html import panels
from musetalk.webui.html.problems import problem_slot
from musetalk.webui.html.talk_timeline import CAPTIONS_JS, TALK_JS
from musetalk.webui.html.timeline_seek import SEEK_JS
from musetalk.webui.media_looks import MediaLooks
from musetalk.webui.readings import MOST_LETTERS
from musetalk.webui.site import Site
from musetalk.webui.tabs.estimates import question_box
from musetalk.webui.tabs.job_watcher import WATCH_SECONDS, WatchedPanel
from musetalk.webui.tabs.media_inputs import VoiceInput, build_voice
from musetalk.webui.tabs.slides_input import SlidesInput, build_slides
from musetalk.webui.tabs.source_input import FileInput, build_source
from musetalk.webui.texts import caps

HINT = "Write a script, hear it, choose who speaks it, then make the talk."
_READ_SECONDS = 0.4
_SCRIPT_INFO = "Paragraphs are spoken. # a title, - a bullet, [pause 0.8], [slide picture.png], [slide none]"
_LAYOUTS = [("Alone", "full"), ("Beside the words", "split"), ("In a corner", "slides")]
_ASPECTS = [("Wide 16:9", "16:9"), ("Tall 9:16", "9:16"), ("Square 1:1", "1:1")]


@dataclass(frozen=True, slots=True)
class ScriptInput:
    """Where a script is given: its text and slides, and what is wrong with them."""

    text: gr.Textbox
    slides: SlidesInput
    problem: gr.HTML


@dataclass(frozen=True, slots=True)
class SpeakerInput:
    """Who speaks: a source or an avatar."""

    speaker: gr.Radio
    avatar: gr.Dropdown
    source: FileInput


@dataclass(frozen=True, slots=True)
class TalkVoice:
    """What is heard: a voice that reads the script, with its language and speed, or a recording."""

    heard: gr.Radio
    voice: gr.Dropdown
    lacking: gr.HTML
    language: gr.Textbox
    speed: gr.Slider
    recording: VoiceInput


@dataclass(frozen=True, slots=True)
class TalkChoices:
    """How a talk is made: the widgets by the names of `AskedTalk`, and what is wrong with what they hold."""

    widgets: Mapping[str, Any]
    problem: gr.HTML


@dataclass(frozen=True, slots=True)
class TalkStage(WatchedPanel):
    """Its widgets besides those of the watched job.

    `reading` shows how far a script is read, and what came of it, while `clock` asks for it; `files` are the captions.
    """

    read_button: gr.Button
    make_button: gr.Button
    reading: gr.HTML
    clock: gr.Timer
    problem: gr.HTML
    question: gr.HTML
    files: gr.HTML


def build_script(site: Site) -> ScriptInput:
    """Build the box of the script where it is called."""
    with gr.Column(elem_classes="talk-said media"):
        text = gr.Textbox(
            label="Script",
            info=_SCRIPT_INFO,
            placeholder="# A title\n\nA paragraph, which is spoken.\n\n- A bullet, which appears as it is spoken",
            lines=12,
            max_lines=24,
            max_length=MOST_LETTERS,
            elem_id="script",
        )
        problem = problem_slot(".talk-said")
        gr.Examples(
            [[assets.TALK.read_text("utf-8")]],
            [text],
            label="Or try",
            example_labels=["Sample script"],
            api_visibility="private",
        )
        slides = build_slides(site)
    return ScriptInput(text, slides, problem)


def build_speaker(site: Site, looks: MediaLooks) -> SpeakerInput:
    """Build where it is chosen who speaks, where it is called; `looks` are those of the whole page."""
    names = avatars(site)
    speaker = gr.Radio(
        [("A video or a picture", "source"), ("An avatar", "avatar")],
        value="source",
        label="Who speaks",
        visible="hidden" if site.avatars is None else True,
        elem_classes="talk-speaker",
    )
    avatar = gr.Dropdown(
        names, value=next(iter(names), None), label="Avatar", info="Made in the Live tab.", elem_classes="talk-avatar"
    )
    with gr.Column(elem_classes="talk-source"):
        source = build_source(site, looks)
        gr.Markdown(caps(site.base.limits), elem_classes="caps")
        gr.Examples(
            [[str(assets.PORTRAIT)], [str(assets.SAMPLE)]],
            [source.file],
            label="Or try",
            example_labels=["Portrait", "Sample video"],
            api_visibility="private",
        )
    return SpeakerInput(speaker, avatar, source)


def build_voice_choice(site: Site, looks: MediaLooks) -> TalkVoice:
    """Build where it is chosen what reads the script aloud, where it is called."""
    models = site.base.models_dir
    choices = voice_choices(models)
    with gr.Column(elem_classes="talk-said"):
        heard = gr.Radio(
            [("A voice", "voice"), ("A recording", "recording")],
            value="voice",
            label="Who reads the script",
            elem_classes="talk-heard",
        )
        voice = gr.Dropdown(choices, value=choices[0][1], label="Voice", elem_classes="talk-voice")
        lacking = gr.HTML("", elem_classes="talk-voice", elem_id="voice-lacks")
        language = gr.Textbox(
            label="Language",
            info="Of a voice that speaks several, as de or pt-br.",
            max_length=20,
            visible=True if speak_several(ready_voices(models)) else "hidden",
            elem_classes="talk-language",
        )
        speed = gr.Slider(
            *(0.5, 2.0, 1.0), step=0.05, label="Speed of the voice", info="1: as usual.", elem_classes="talk-speed"
        )
        with gr.Column(elem_classes="talk-recording"):
            recording = build_voice(site, looks)
    return TalkVoice(heard, voice, lacking, language, speed, recording)


def avatars(site: Site) -> list[str]:
    """Return the names of the avatars that may speak."""
    entries = site.avatars.store.entries() if site.avatars is not None else []
    return [each.folder.name for each in entries if each.manifest is not None]


def speak_several(known: Sequence[VoiceSpec]) -> bool:
    """Return whether one of some voices speaks several languages, so that one is to be chosen."""
    return any(len(voice.languages) != 1 for voice in known)


def build_choices(speaker: SpeakerInput, voice: TalkVoice) -> TalkChoices:
    """Build the other choices of how a talk is made where it is called.

    Args:
        speaker: Who speaks.
        voice: What is heard.
    """
    summaries = [f"{name.capitalize()}: {preset.summary}" for name, preset in PRESETS.items()]
    quality = gr.Radio(
        [(name.capitalize(), name) for name in PRESETS],
        value="standard",
        label="Quality",
        info=". ".join(summaries) + ".",
        elem_classes="talk-quality",
    )
    problem = problem_slot(".talk-quality")
    layout = gr.Radio(_LAYOUTS, value="full", label="Layout", info="Where the presenter stands.")
    aspect = gr.Radio(_ASPECTS, value="16:9", label="Picture")
    burn = gr.Checkbox(
        label="Write captions into the picture",
        info="The video has them as a track in any case.",
        elem_classes="talk-said",
    )
    said = {"heard": voice.heard, "voice": voice.voice, "language": voice.language, "speed": voice.speed}
    shown = {"quality": quality, "layout": layout, "aspect": aspect, "burn_captions": burn}
    return TalkChoices({**shown, **said, "speaker": speaker.speaker, "avatar": speaker.avatar}, problem)


def build_talk_stage(header: gr.HTML) -> TalkStage:
    """Build the right column where it is called; `header` is the page's, which shows the queue."""
    with gr.Row(elem_classes="actions", equal_height=True):
        read_button = gr.Button("Read aloud", min_width=110, scale=1, elem_id="talk-read")
        make_button = gr.Button("Make the talk", variant="primary", min_width=110, scale=1, elem_id="talk-make")
        stop_button = gr.Button("Stop", variant="stop", min_width=80, scale=1, interactive=False)
    question = question_box("talk-question")
    problem = problem_slot(".talk")
    reading = gr.HTML("", js_on_load=TALK_JS, apply_default_css=False, elem_id="reading")
    status = gr.HTML(panels.status_panel(None, hint=HINT), js_on_load=panels.STATUS_JS, elem_id="talk-status")
    return TalkStage(
        header=header,
        video=gr.Video(label="Talk", visible=False, interactive=False, buttons=["download"], elem_id="talk-result"),
        stop_button=stop_button,
        status=status,
        files=gr.HTML("", js_on_load=CAPTIONS_JS, apply_default_css=False, elem_id="talk-files"),
        report=gr.HTML("", js_on_load=SEEK_JS, elem_id="talk-report"),
        job=gr.Textbox(visible="hidden", label="job"),
        timer=gr.Timer(WATCH_SECONDS, active=False),
        belated=gr.Textbox("0", visible="hidden", label="belated"),
        read_button=read_button,
        make_button=make_button,
        reading=reading,
        clock=gr.Timer(_READ_SECONDS, active=False),
        problem=problem,
        question=question,
    )
