"""A script, a face and a voice: the finished talk, with captions beside it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from musetalk.avatars.bundle import Avatar
from musetalk.errors import BackendError, FaceError, ScriptError, about
from musetalk.lipsync import LipSync
from musetalk.media.ffmpeg_commands import SoundTrack
from musetalk.media.sound.voice import extract_voice
from musetalk.pipeline.file_uses import FileUses
from musetalk.pipeline.preflight import check_output
from musetalk.pipeline.report import RenderReport
from musetalk.presenter.drawing import read_slide
from musetalk.presenter.layout import Aspect, LayoutName
from musetalk.presenter.presets import PRESETS, Quality, merged
from musetalk.presenter.recorded import time_recording
from musetalk.presenter.report import TalkReport
from musetalk.presenter.script import Script
from musetalk.presenter.static import write_static
from musetalk.presenter.talk import Talk, speak_script
from musetalk.presenter.talk_file import TalkFile
from musetalk.presenter.talk_files import write_talk_files
from musetalk.progress import CancelToken, ProgressCallback, ProgressEvent, noop
from musetalk.settings import RenderSettings
from musetalk.tts.notes import without_notes
from musetalk.tts.registry import USUAL, VoiceRegistry
from musetalk.tts.spec import Reading
from musetalk.tts.types import TextToSpeech
from musetalk.utils.files import fitting_name, put_in_place, temporary_folder, whole_file
from musetalk.utils.text import unwritable
from musetalk.weights.part_spec import Place

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TalkOptions:
    """How a talk is made.

    Attributes:
        quality: Backend, size and encoding at once; see `PRESETS`.
        layout: Where the presenter stands.
        aspect: The picture's shape.
        voice: What reads aloud, by name.
        reading: How it reads.
        recording: Somebody who read the script, in place of a voice that reads it aloud: any file with sound.
        burn_captions: Whether captions are written into the picture, besides the track that players switch on.
        allow_static: Whether a still with sound will do where lips cannot be moved.
        settings: Of the render, as a tree; they win over those of the quality.
    """

    quality: Quality = "standard"
    layout: LayoutName = "full"
    aspect: Aspect = "16:9"
    voice: str = USUAL
    reading: Reading = field(default_factory=Reading)
    recording: Path | None = None
    burn_captions: bool = False
    allow_static: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, Any]:
        """All settings of the render, as a tree, but those that name the files of a talk."""
        return merged(PRESETS[self.quality].settings, self.settings)

    def open_voice(self, models_dir: Path) -> TextToSpeech:
        """Return what reads aloud.

        Raises:
            SpeechError: There is none of that name, or it cannot read so.
            PackageError: A package or a file of it is missing; says how to get it.
        """
        return VoiceRegistry().open(self.voice, Place(models_dir), self.reading)

    def drawn(self, talk: Talk) -> TalkFile:
        """Return what of a talk is drawn."""
        return TalkFile(
            talk=talk,
            layout=self.layout,
            aspect=self.aspect,
            shorter=PRESETS[self.quality].shorter,
            captions=self.burn_captions,
        )


def present(
    engine: LipSync,
    script: Script,
    source: Path | Avatar,
    out: Path,
    options: TalkOptions | None = None,
    *,
    beside: FileUses | None = None,
    on_progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> TalkReport:
    """Make a talk: read a script aloud, let a face speak it, and show its titles, bullets and slides.

    Args:
        engine: Moves the lips.
        script: What is said.
        source: Who says it: a video, a picture, a folder of pictures, or an avatar.
        out: The video to make; captions get its name with .srt and .vtt. All appear whole or not at all.
        options: How it is made; None: as usual.
        beside: Files that the caller reads and writes.
        on_progress: Called as work goes on.
        cancel: Ends the work.

    Raises:
        MuseTalkError: It cannot be done; the subclass and the text say why and what to do. Where lips cannot be moved
            and `allow_static` is set, a still with sound is made instead, and the report says so.
    """
    options, cancel = options or TalkOptions(), cancel or CancelToken()
    values = options.values
    video, settings = source.source if isinstance(source, Avatar) else source, _settings(source, values)
    srt, vtt = caption_files(out)
    uses = engine.files(video, options.recording or Path(), out, settings) + (beside or FileUses())
    check_output(out, uses.writing(srt, "the captions").writing(vtt, "the captions"), settings.output)
    notes = check_script(script, all_shown=options.burn_captions)
    engine.check_source(video, settings.source)  # before a long script is read aloud
    with temporary_folder(out.parent) as folder:
        spoken = _spoken(script, options, settings, folder, on_progress or noop, cancel)
        talk = spoken.talk
        files = write_talk_files(options.drawn(talk), folder)
        chosen = _settings(source, merged(values, files.settings))
        made, static, report = folder / f"talk{out.suffix.lower()}", "", None
        try:
            report = _render(engine, source, spoken.sound, made, chosen, on_progress, cancel)
        except (BackendError, FaceError) as error:
            if not options.allow_static:
                raise
            static = str(error)
            _log.warning("the lips do not move: %s", static)
            track = SoundTrack(spoken.sound, spoken.rate, None, talk.seconds, 0.0, talk.seconds)
            reading, encoder = chosen.source, chosen.encoder
            write_static(video, track, made, files, reading=reading, encoder=encoder, why=static, cancel=cancel)
        with whole_file(srt) as srt_made, whole_file(vtt) as vtt_made:
            shutil.copyfile(files.srt, srt_made)
            shutil.copyfile(files.vtt, vtt_made)
            put_in_place(made, out)
    if report is not None:
        report = _told_of(report, out, options)
    return TalkReport(out, (srt, vtt), talk, spoken.voice, report, static, (*notes, *spoken.notes))


@dataclass(frozen=True, slots=True)
class _Spoken:
    """A talk's voice: a WAV file, its rate, whose it is, and what the user should know of it."""

    talk: Talk
    sound: Path
    rate: int
    voice: str
    notes: tuple[str, ...] = ()


def _spoken(
    script: Script,
    options: TalkOptions,
    settings: RenderSettings,
    folder: Path,
    on_progress: ProgressCallback,
    cancel: CancelToken,
) -> _Spoken:
    """Return a talk's voice: a recording of it, or the script read aloud."""
    if options.recording is not None:
        return _recorded(script, options.recording, settings, folder, cancel)
    return _read_aloud(script, options, settings, folder, telling(on_progress, cancel))


def _read_aloud(
    script: Script, options: TalkOptions, settings: RenderSettings, folder: Path, told: Callable[[int, int], None]
) -> _Spoken:
    voice = options.open_voice(settings.models_dir)
    sound = folder / "voice.wav"
    return _Spoken(speak_script(script, voice, sound, told), sound, voice.rate, voice.fingerprint)


def _recorded(script: Script, recording: Path, settings: RenderSettings, folder: Path, cancel: CancelToken) -> _Spoken:
    with about("voice"):
        voice = extract_voice(recording, folder, settings.limits, cancel, track=settings.voice_track)
        talk, notes = time_recording(script, voice, cancel)
    return _Spoken(talk, voice.path, voice.rate, recording.name, (*voice.notes, *notes))


def caption_files(out: Path) -> tuple[Path, Path]:
    """Return where a talk's captions go: SubRip and WebVTT."""
    return out.parent / fitting_name(out.stem, ".srt"), out.parent / fitting_name(out.stem, ".vtt")


def _settings(source: Path | Avatar, values: Mapping[str, Any]) -> RenderSettings:
    if isinstance(source, Avatar):
        return source.settings_with(dict(values))
    return RenderSettings.parse(dict(values))


def _render(
    engine: LipSync,
    source: Path | Avatar,
    voice: Path,
    out: Path,
    settings: RenderSettings,
    on_progress: ProgressCallback | None,
    cancel: CancelToken,
) -> RenderReport:
    if isinstance(source, Avatar):
        return engine.speak(source, voice, out, settings, on_progress=on_progress, cancel=cancel)
    return engine.render(source, voice, out, settings, on_progress=on_progress, cancel=cancel)


def telling(tell: ProgressCallback, cancel: CancelToken) -> Callable[[int, int], None]:
    """Return what tells how far a script is read aloud, and ends that when it is cancelled; see `speak_script`."""

    def told(done: int, total: int) -> None:
        cancel.check()
        tell(ProgressEvent("preflight", done, total, note="" if done else "reading the script aloud"))

    return told


def check_script(script: Script, *, all_shown: bool) -> tuple[str, ...]:
    """Make sure that all of a script can be shown, before hours are spent on it; return what is left out.

    Args:
        script: What is said.
        all_shown: Whether what is spoken is written into the picture, too.

    Raises:
        ScriptError: A slide cannot be read, or there is no font here for some letters.
    """
    for slide in script.slides:
        if slide.path is not None:
            read_slide(slide.path, slide.line)
    left_out = dict[str, None]()
    for passage in script.passages:
        missing = unwritable(without_notes(passage.text) if all_shown else passage.shown)
        letters = [letter for letter in missing if letter.isalnum()]
        if letters:
            problem = f"there is no font here for {', '.join(letters[:8])} in line {passage.line} of the script"
            raise ScriptError(problem, "install one that has these letters, such as Noto", line=passage.line)
        left_out |= dict.fromkeys(missing)
    return (f"there is no font here for {' '.join(left_out)}: left out of the picture",) if left_out else ()


def _told_of(report: RenderReport, out: Path, options: TalkOptions) -> RenderReport:
    """Return a render's report as of the talk: without what was only there while it was made."""
    step = {"name": "talk", "layout": options.layout, "aspect": options.aspect, "captions": options.burn_captions}
    settings = merged(report.settings, {"frame_steps": [], "captions": None, "speech": {"phonemes": None}})
    return replace(report, output=str(out), frame_steps=(step,), settings=settings)
