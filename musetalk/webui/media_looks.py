"""What is known of uploaded files before anything is made of them, and copies of what browsers cannot show."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from musetalk.lipsync import LipSync
from musetalk.media.copies import COPY_SECONDS, copy_source, copy_suffix, copy_voice, plays_everywhere
from musetalk.media.probe import VoiceFacts, probe_voice
from musetalk.media.sound.voice import Voice, extract_probed
from musetalk.media.types import Source
from musetalk.settings import SourceSettings
from musetalk.utils.files import fitting_name, temporary_folder, whole_file
from musetalk.utils.lru_cache import LRUCache
from musetalk.utils.units import duration, number
from musetalk.webui.html.media_box import HeldMedia
from musetalk.webui.uploads import COPIES

_KEPT = 64  # looks; some kilobytes each
_KEPT_NAMES = 4096  # of what is played; some hundred bytes each
_SHOWN = "shown"  # the name of a source's copy


@dataclass(frozen=True, slots=True)
class VoiceLook:
    """What is known of a voice that was listened to.

    Attributes:
        held: As its box shows it.
        played: What the page plays: the file, or a copy that every browser plays.
    """

    held: HeldMedia
    played: Path


class MediaLooks:
    """Looks at files, and makes copies of what browsers cannot show. Safe to share between threads.

    Args:
        engine: Looks at sources.
        wanted: How sources are read.
        folder: Where uploads are, and copies go.
    """

    def __init__(self, engine: LipSync, wanted: SourceSettings, folder: Path) -> None:
        self._engine = engine
        self._wanted = wanted
        self._folder = folder
        self._sources: LRUCache[str, Source] = LRUCache(_KEPT)
        self._voices: LRUCache[str, VoiceLook] = LRUCache(_KEPT)
        self._voices_played: LRUCache[Path, Path] = LRUCache(_KEPT_NAMES)

    def source(self, path: Path) -> HeldMedia:
        """Return a source as its box shows it.

        Raises:
            MediaError: It cannot be used.
        """
        source = self._source(path)
        return HeldMedia(path.name, _facts_of(source), shown=path, shown_as=_shown_as(source), key=key_of(path))

    def source_copy(self, path: Path) -> HeldMedia:
        """The same, shown by a copy that any browser can show; where that cannot be made, by nothing.

        Raises:
            MediaError: It cannot be used.
            OutputError: The copy cannot be written.
        """
        source = self._source(path)
        made = self._folder_of(path) / f"{_SHOWN}{copy_suffix(source)}"
        if not made.is_file():
            with temporary_folder(Path(tempfile.gettempdir())) as folder, whole_file(made) as partial:
                copy_source(source, partial, folder, self._wanted.limits)
        if made.suffix == ".jpg":
            said = "This browser cannot show the file itself: this is a copy of it. Your file is what is rendered."
            return HeldMedia(
                path.name, _facts_of(source), shown=made, shown_as="picture", copied=said, key=key_of(path)
            )
        part = f" of its first {COPY_SECONDS} seconds" if source.seconds > COPY_SECONDS else ""
        said = f"This browser cannot play the file itself: this is a small copy{part}. Your file is what is rendered."
        return HeldMedia(path.name, _facts_of(source), shown=made, shown_as="video", copied=said, key=key_of(path))

    def voice(self, path: Path) -> VoiceLook:
        """Return a voice, listened to from its beginning to its end.

        Raises:
            MediaError: It cannot be used.
            OutputError: There is no room for it.
        """
        key = key_of(path)
        known = self._voices.get(key)
        if known is not None and known.played.is_file():
            return known
        facts = probe_voice(path, self._wanted.limits)
        with temporary_folder(Path(tempfile.gettempdir())) as folder:
            voice = extract_probed(facts, folder, self._wanted.limits)
            look = self._listened(path, facts, voice)
        self._voices.keep(key, look)
        self._voices_played.keep(look.played, path)
        return look

    def voice_played(self, played: Path) -> Path | None:
        """Return the voice of which the page plays that; None: it was recorded, or cut out of one."""
        return self._voices_played.get(played)

    def _listened(self, path: Path, facts: VoiceFacts, voice: Voice) -> VoiceLook:
        said = [duration(float(voice.seconds))]
        if facts.file.pictures:
            said.append("the sound of a video")
        played, copied = path, ""
        if (voice.notes and not voice.silent) or not plays_everywhere(facts):
            played = self._folder_of(path) / fitting_name(path.stem, ".flac")
            with whole_file(played) as partial:
                copy_voice(voice, partial)
            copied = "What plays here is a copy that every browser plays."
        return VoiceLook(HeldMedia(path.name, said, warnings=voice.notes, copied=copied), played)

    def _source(self, path: Path) -> Source:
        key = key_of(path)
        source = self._sources.get(key)
        if source is None:
            source = self._engine.check_source(path, self._wanted)
            self._sources.keep(key, source)
        return source

    def _folder_of(self, path: Path) -> Path:
        """Return where copies of a file are."""
        folder = self._folder / COPIES / key_of(path)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def key_of(path: Path) -> str:
    """Return what tells a file from all others, and from itself after a change."""
    facts = path.stat()
    return hashlib.sha256(f"{path.resolve()}\0{facts.st_size}\0{facts.st_mtime_ns}".encode()).hexdigest()[:32]


def _shown_as(source: Source) -> Literal["video", "picture"]:
    """Return what a browser would show it as, if it can."""
    return "picture" if source.images or source.animated or source.frame_count == 1 else "video"


def _facts_of(source: Source) -> tuple[str, ...]:
    size = f"{source.width}x{source.height}"
    if source.frame_count == 1:
        return (size, "a picture")
    facts = (size, f"{number(float(source.fps), 4)} frames/s", duration(source.seconds))
    return (*facts, "with sound") if source.has_sound else facts
