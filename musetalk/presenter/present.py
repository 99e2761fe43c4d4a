"""A script, a face and a voice: the finished talk, with captions beside it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from musetalk.avatars.bundle import Avatar
from musetalk.errors import BackendError, FaceError, ScriptError
from musetalk.lipsync import LipSync
from musetalk.media.ffmpeg_commands import SoundTrack
from musetalk.pipeline.file_uses import FileUses
from musetalk.pipeline.preflight import check_output
from musetalk.pipeline.report import RenderReport
from musetalk.pipeline.request import RenderRequest
from musetalk.presenter.drawing import read_slide
from musetalk.presenter.options import TalkOptions
from musetalk.presenter.report import TalkReport
from musetalk.presenter.script import Script
from musetalk.presenter.spoken import speak
from musetalk.presenter.static import write_static
from musetalk.presenter.talk_files import write_talk_files
from musetalk.progress import CancelToken, ProgressCallback, noop
from musetalk.resume.types import ResumeOptions
from musetalk.settings import AUTO, RenderSettings, merge_settings
from musetalk.tts.notes import without_notes
from musetalk.utils.files import fitting_name, put_in_place, temporary_folder, whole_file
from musetalk.utils.text import unwritable

_log = logging.getLogger(__name__)


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
    asked = _request(source, options.recording or Path(), options.values)
    settings, (srt, vtt) = asked.settings, caption_files(out)
    uses = engine.files(asked, out) + (beside or FileUses())
    check_output(out, uses.writing(srt, "the captions").writing(vtt, "the captions"), settings.output)
    notes = check_script(script, all_shown=options.burn_captions)
    engine.check_source(asked.video, settings.source)  # before a long script is read aloud
    if settings.backend != AUTO:
        engine.registry.get(settings.backend)  # where there is none of that name, a still is not what was meant
    with temporary_folder(out.parent) as folder:
        place, tell = settings.models_dir, on_progress or noop
        spoken = speak(script, options, settings.limits, place, folder, on_progress=tell, cancel=cancel)
        talk = spoken.talk
        files = write_talk_files(options.drawn(talk), folder)
        request = _request(source, spoken.sound, merge_settings(options.values, files.settings))
        made, static, report = folder / f"talk{out.suffix.lower()}", "", None
        try:
            resume = ResumeOptions(beside=out)
            report = engine.make(request, made, resume=resume, on_progress=on_progress, cancel=cancel)
        except (BackendError, FaceError) as error:
            if not options.allow_static:
                raise
            static = str(error)
            _log.warning("the lips do not move: %s", static)
            track = SoundTrack(spoken.sound, spoken.rate, None, talk.seconds, 0.0, talk.seconds)
            reading, encoder = request.settings.source, request.settings.encoder
            write_static(request.video, track, made, files, reading=reading, encoder=encoder, why=static, cancel=cancel)
        with whole_file(srt) as srt_made, whole_file(vtt) as vtt_made:
            shutil.copyfile(files.srt, srt_made)
            shutil.copyfile(files.vtt, vtt_made)
            put_in_place(made, out)
    report = None if report is None else _told_of(report, out, options)
    return TalkReport(out, (srt, vtt), talk, spoken.voice, report, static, (*notes, *spoken.notes))


def caption_files(out: Path) -> tuple[Path, Path]:
    """Return where a talk's captions go: SubRip and WebVTT."""
    return out.parent / fitting_name(out.stem, ".srt"), out.parent / fitting_name(out.stem, ".vtt")


def _request(source: Path | Avatar, voice: Path, values: Mapping[str, Any]) -> RenderRequest:
    if isinstance(source, Avatar):
        return RenderRequest.of_avatar(source, voice, source.settings_with(dict(values)))
    return RenderRequest(source, voice, RenderSettings.parse(dict(values)))


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
    settings = merge_settings(report.settings, {"frame_steps": [], "captions": None, "speech": {"phonemes": None}})
    return replace(report, output=str(out), frame_steps=(step,), settings=settings)
