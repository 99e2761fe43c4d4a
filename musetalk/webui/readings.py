"""Scripts that are read aloud for open pages, or timed in a recording: of each page the newest one."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias

from musetalk.errors import ScriptError, about, write_error
from musetalk.presenter.options import TalkOptions
from musetalk.presenter.present import check_script
from musetalk.presenter.script import Script, parse_script
from musetalk.presenter.spoken import speak
from musetalk.presenter.talk import Talk
from musetalk.progress import CancelToken, ProgressCallback
from musetalk.settings import RenderSettings
from musetalk.tts.registry import USUAL
from musetalk.tts.spec import Reading
from musetalk.webui.tasks import Task, Tasks
from musetalk.webui.uploads import COPIES, Uploads

MOST_LETTERS = 20_000  # of a script on the page: some 20 minutes of speech
_KEPT = 64  # pages whose last reading is kept; what was spoken is in files


@dataclass(frozen=True, slots=True)
class ReadingWish:
    """What is to be read aloud.

    Attributes:
        text: The script.
        slides: The pictures that it may show, uploads; the script calls them by their own names.
        voice: What reads it, by name.
        reading: How it reads.
        recording: Somebody who read it, an upload, in place of that voice; None: nobody did.
        all_shown: Whether what is spoken is written into the picture, too.
    """

    text: str
    slides: tuple[Path, ...] = ()
    voice: str = USUAL
    reading: Reading = field(default_factory=Reading)
    recording: Path | None = None
    all_shown: bool = False

    def script(self) -> Script:
        """Return what the script says.

        Raises:
            ScriptError: It says nothing, or what cannot be done; tells the line.
        """
        with about("voice"):  # told where a voice would be given: at the box of the script
            if len(self.text) > MOST_LETTERS:
                problem = f"the script is too long for the page ({len(self.text):,} letters)"
                raise ScriptError(problem, f"cut it into several of {MOST_LETTERS:,} letters at most")
            return parse_script(self.text, partial(_find, self.slides))


@dataclass(frozen=True, slots=True)
class SpokenScript:
    """A script that was read aloud.

    Attributes:
        script: What it says.
        talk: When.
        voice: The sound, a file among the uploads.
        notes: What is to be said of it.
    """

    script: Script
    talk: Talk
    voice: Path
    notes: tuple[str, ...]


ReadingTask: TypeAlias = Task[ReadingWish, SpokenScript]


class Readings(Tasks[ReadingWish, SpokenScript]):
    """Reads scripts aloud, two at a time; each page has one at most."""

    def __init__(self) -> None:
        super().__init__("reading", keep=_KEPT)

    def read(
        self, visit: str, wish: ReadingWish, script: Script, uploads: Uploads, base: RenderSettings
    ) -> ReadingTask:
        """Begin to read a script aloud; what is read for the page now ends, unless it is the same.

        Args:
            visit: Which page.
            wish: What to read.
            script: What it says.
            uploads: Where the sound goes.
            base: What visitors cannot change.
        """
        return self.start(visit, wish, partial(_read, wish, script, uploads, base))

    def known(self, visit: str, wish: ReadingWish) -> ReadingTask | None:
        """Return what a page has read of a wish, or reads; None: nothing, or its sound is gone."""
        newest = self.newest(visit)
        if newest is None or newest.wish != wish:
            return None
        kept = newest.state == "done" and newest.found is not None and newest.found.voice.is_file()
        return newest if newest.active or kept else None


def _read(
    wish: ReadingWish,
    script: Script,
    uploads: Uploads,
    base: RenderSettings,
    on_progress: ProgressCallback,
    cancel: CancelToken,
) -> SpokenScript:
    """Return a script, read aloud.

    Raises:
        ScriptError: Not all of it can be shown; tells the line.
        SpeechError: It cannot be spoken; tells the line.
        LimitError: It is longer than may be.
        OutputError: There is no room for the sound.
        PackageError: There is no voice here.
        MediaError: The recording cannot be used.
    """
    folder = uploads.folder / COPIES / secrets.token_hex(16)  # whoever has not been told cannot ask for it
    try:
        with about("voice"):
            notes = check_script(script, all_shown=wish.all_shown)
            options = TalkOptions(voice=wish.voice, reading=wish.reading, recording=wish.recording)
            folder.mkdir(parents=True)
            limits, place = base.limits, base.models_dir
            spoken = speak(script, options, limits, place, folder, on_progress=on_progress, cancel=cancel)
            return SpokenScript(script, spoken.talk, spoken.sound, (*notes, *spoken.notes))
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        problem = f"the sound cannot be kept ({error.strerror})"
        raise write_error(error)(problem, "free some space on the disk") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _find(slides: Sequence[Path], name: str) -> Path | None:
    """Return the upload of a name, with or without folders; uploads may have lost signs of their names."""
    name = name.replace("\\", "/").rpartition("/")[2]
    exact = (path for path in slides if path.name == name)
    alike = (path for path in slides if _letters(path.name) == _letters(name))
    return next(exact, None) or next(alike, None)


def _letters(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())
