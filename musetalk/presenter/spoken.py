"""A talk's voice: the script read aloud, or a recording of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from musetalk.errors import about
from musetalk.media.sound.voice import extract_voice
from musetalk.presenter.options import TalkOptions
from musetalk.presenter.recorded import time_recording
from musetalk.presenter.script import Script
from musetalk.presenter.talk import Talk, speak_script
from musetalk.progress import CancelToken, ProgressCallback, ProgressEvent
from musetalk.settings import Limits


@dataclass(frozen=True, slots=True)
class Spoken:
    """A script that was spoken.

    Attributes:
        talk: What is said when.
        sound: A WAV file: int16, mono.
        rate: Its samples a second.
        voice: Whose it is.
        notes: What the user should know of it, a sentence each.
    """

    talk: Talk
    sound: Path
    rate: int
    voice: str
    notes: tuple[str, ...] = ()


def speak(
    script: Script,
    options: TalkOptions,
    limits: Limits,
    models_dir: Path,
    folder: Path,
    *,
    on_progress: ProgressCallback,
    cancel: CancelToken,
) -> Spoken:
    """Return a talk's voice: a recording of it, or the script read aloud.

    Args:
        script: What is said.
        options: Who says it.
        limits: How long it may be, and what a recording may ask of the machine.
        models_dir: Where weights are.
        folder: Where the sound goes.
        on_progress: Is told how far a script is read aloud.
        cancel: Ends the work.

    Raises:
        SpeechError: It cannot be spoken; tells the line.
        LimitError: It is longer than may be.
        OutputError: There is no room for the sound.
        PackageError: A package or a file of the voice is missing.
        MediaError: The recording cannot be used.
    """
    if options.recording is None:
        voice, sound = options.open_voice(models_dir), folder / "voice.wav"
        talk = speak_script(script, voice, sound, _telling(on_progress, cancel), limits.max_seconds)
        return Spoken(talk, sound, voice.rate, voice.fingerprint)
    with about("voice"):
        recording = extract_voice(options.recording, folder, limits, cancel)
        talk, notes = time_recording(script, recording, cancel)
    return Spoken(talk, recording.path, recording.rate, options.recording.name, (*recording.notes, *notes))


def _telling(tell: ProgressCallback, cancel: CancelToken) -> Callable[[int, int], None]:
    """Return what tells how far a script is read aloud, and ends that when it is cancelled; see `speak_script`."""

    def told(done: int, total: int) -> None:
        cancel.check()
        tell(ProgressEvent("preflight", done, total, note="" if done else "reading the script aloud"))

    return told
