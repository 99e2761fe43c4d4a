"""The files that a render reads to become a talk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from musetalk.audio.phonemes import write_phonemes
from musetalk.media.captions import as_srt, as_vtt
from musetalk.presenter.captions import caption_words
from musetalk.presenter.talk_file import TalkFile
from musetalk.utils.files import writing

TALK, PHONEMES, SRT, VTT = "talk.json", "phonemes.json", "captions.srt", "captions.vtt"


@dataclass(frozen=True, slots=True)
class TalkFiles:
    """A talk in a folder.

    Attributes:
        talk: What is drawn.
        folder: Where it lies, with its captions.
    """

    talk: TalkFile
    folder: Path

    @property
    def srt(self) -> Path:
        """Its captions as SubRip."""
        return self.folder / SRT

    @property
    def vtt(self) -> Path:
        """Its captions as WebVTT."""
        return self.folder / VTT

    @property
    def settings(self) -> dict[str, Any]:
        """Those of a render that name these files, as a tree."""
        own: dict[str, Any] = {
            "frame_steps": [{"name": "talk", "file": str(self.folder / TALK)}],
            "captions": str(self.srt),
        }
        if self.talk.talk.phonemes:  # of some recordings there are none
            own["speech"] = {"phonemes": str(self.folder / PHONEMES)}
        return own


def write_talk_files(talk: TalkFile, folder: Path) -> TalkFiles:
    """Write a talk and its captions into a folder.

    Raises:
        OutputError: They cannot be written.
    """
    files = TalkFiles(talk, folder)
    captions = caption_words(each.words for each in talk.talk.passages)
    with writing(folder):
        talk.write(folder / TALK)
        if talk.talk.phonemes:
            write_phonemes(folder / PHONEMES, talk.talk.phonemes)
        files.srt.write_text(as_srt(captions), "utf-8")
        files.vtt.write_text(as_vtt(captions), "utf-8")
    return files
