"""Talks as jobs: what was asked for, and the files that a job keeps of it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from musetalk.avatars.bundle import Avatar
from musetalk.errors import SettingsError, VoiceError
from musetalk.jobs.job import Attachment, Job
from musetalk.jobs.store import ATTACHED, JobStore
from musetalk.pipeline.request import RenderRequest
from musetalk.presenter.layout import Aspect, LayoutName
from musetalk.presenter.options import TalkOptions
from musetalk.presenter.presets import Quality
from musetalk.presenter.talk import ShownSlide
from musetalk.presenter.talk_files import SRT, VTT, write_talk_files
from musetalk.settings import RenderSettings
from musetalk.tts.registry import USUAL
from musetalk.tts.spec import Reading
from musetalk.webui.form.settings_form import renewed, visitors_settings
from musetalk.webui.readings import ReadingWish, SpokenScript

_ASKED, _SLIDES = "asked.json", "slides"
_TITLE_LETTERS = 60


class AskedTalk(BaseModel):
    """A talk as the page was asked for it.

    Attributes:
        text: The script.
        speaker: Who speaks.
        avatar: Which one, by name, where one speaks.
        heard: Whether a voice reads the script aloud, or somebody did.
        voice: Which one, by name.
        language: Which, of a voice that speaks several; empty: its own.
        speed: How fast it is read, 1: as usual.
        quality: Backend, size and encoding at once.
        layout: Where the presenter stands.
        aspect: The picture's shape.
        burn_captions: Whether captions are written into the picture, too.
    """

    model_config = ConfigDict(frozen=True)

    text: str = ""
    speaker: Literal["source", "avatar"] = "source"
    avatar: str = ""
    heard: Literal["voice", "recording"] = "voice"
    voice: str = USUAL
    language: str = ""
    speed: float = 1.0
    quality: Quality = "standard"
    layout: LayoutName = "full"
    aspect: Aspect = "16:9"
    burn_captions: bool = False

    @classmethod
    def of(cls, said: Mapping[str, object]) -> AskedTalk:
        """Return what a page says that is asked for.

        Raises:
            SettingsError: It cannot be asked for.
        """
        try:
            return cls.model_validate(said)
        except ValidationError as error:
            names = [str(item["loc"][0]) for item in error.errors()]
            raise SettingsError(
                f"{' and '.join(names)}: not one of the choices", "choose again", names=names
            ) from error

    @property
    def options(self) -> TalkOptions:
        """The same for the engine."""
        return TalkOptions(
            quality=self.quality,
            layout=self.layout,
            aspect=self.aspect,
            burn_captions=self.burn_captions,
        )

    def wish(self, slides: tuple[Path, ...], recording: Path | None) -> ReadingWish:
        """Return what of it is read aloud.

        Args:
            slides: The pictures that it may show.
            recording: Of it, if there is one.

        Raises:
            VoiceError: A recording is asked for, and there is none.
        """
        if self.heard == "recording":
            if recording is None:
                raise VoiceError("there is no recording yet", "give one, or choose a voice that reads the script")
            return ReadingWish(self.text, slides, recording=recording, all_shown=self.burn_captions)
        reading = Reading(self.speed, self.language.strip().lower())
        return ReadingWish(self.text, slides, self.voice, reading, all_shown=self.burn_captions)

    def request(self, who: Path | Avatar, voice: Path, base: RenderSettings) -> RenderRequest:
        """Return what is asked for.

        Args:
            who: Speaks; an avatar's settings hold where the talk says nothing.
            voice: What is spoken.
            base: What visitors cannot change.

        Raises:
            SettingsError: It cannot work.
        """
        if isinstance(who, Avatar):
            return RenderRequest.of_avatar(who, voice, renewed(who.settings_with(self.options.values), base))
        return RenderRequest(who, voice, visitors_settings(self.options.values, base))


def title_of(spoken: SpokenScript) -> str:
    """Return what a talk is called: as its first title or words."""
    first = spoken.talk.passages[0]
    words = " ".join((first.passage.shown or " ".join(word.text for word in first.words)).split())
    return words if len(words) <= _TITLE_LETTERS else f"{words[: _TITLE_LETTERS - 1].rstrip()}\u2026"


def attach(asked: AskedTalk, spoken: SpokenScript) -> Attachment:
    """Return what the job of a talk keeps: what is drawn, captions, its own copies of the slides, what was asked for.

    Args:
        asked: What was asked for.
        spoken: Its script, read aloud.
    """
    slides = dict.fromkeys(slide.path for slide in spoken.talk.slides if slide.path is not None)

    def put(folder: Path) -> dict[str, Any]:
        (folder / _ASKED).write_text(asked.model_dump_json(), "utf-8")
        copies = {path: folder / _SLIDES / str(number) / path.name for number, path in enumerate(slides)}
        for slide, copy in copies.items():
            copy.parent.mkdir(parents=True)  # one of its own: two slides may have one name
            shutil.copyfile(slide, copy)
        shown = tuple(ShownSlide(each.path and copies[each.path], each.start, each.line) for each in spoken.talk.slides)
        return write_talk_files(asked.options.drawn(replace(spoken.talk, slides=shown)), folder).settings

    digest = hashlib.sha256(asked.model_dump_json().encode())
    for slide in slides:
        digest.update(f"\0{slide.name}\0".encode() + hashlib.sha256(slide.read_bytes()).digest())
    return Attachment(digest.hexdigest(), put)


def asked_of(store: JobStore, job: Job) -> AskedTalk | None:
    """Return what was asked for of the talk that a job is; None: it is none."""
    path = store.file(job, f"{ATTACHED}/{_ASKED}")
    try:
        return AskedTalk.model_validate_json(path.read_bytes()) if path is not None else None
    except (OSError, ValidationError):
        return None


def own_settings(job: Job) -> RenderSettings:
    """Return a job's settings without those that name files of its own, which say nothing to people."""
    if not job.attached:
        return job.settings
    speech = job.settings.speech.model_copy(update={"phonemes": None})
    return job.settings.model_copy(update={"frame_steps": (), "captions": None, "speech": speech})


def slides_of(store: JobStore, job: Job) -> list[Path]:
    """Return the pictures that the talk of a job shows."""
    return sorted((store.folder(job) / ATTACHED / _SLIDES).glob("*/*"), key=lambda path: int(path.parent.name))


def captions_of(store: JobStore, job: Job) -> dict[str, Path]:
    """Return the captions of the talk that a job is, by the ending of their names."""
    found = {Path(name).suffix: store.file(job, f"{ATTACHED}/{name}") for name in (SRT, VTT)}
    return {ending: path for ending, path in found.items() if path is not None}
