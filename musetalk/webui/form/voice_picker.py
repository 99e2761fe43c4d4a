"""The voices that read scripts aloud, as a choice: those that are ready, and those that lack something, marked so."""

from __future__ import annotations

from html import escape
from pathlib import Path

from musetalk.tts.registry import VoiceRegistry
from musetalk.tts.spec import VoiceSpec
from musetalk.webui.html.plain_words import VISITOR, Reader, plain
from musetalk.webui.html.units import sentence

_NOT_HERE = "not here yet"


def ready_voices(models_dir: Path) -> tuple[VoiceSpec, ...]:
    """Return the voices that can read a script aloud here."""
    return tuple(voice for voice in VoiceRegistry().voices(models_dir) if not voice.lacks(models_dir))


def voice_choices(models_dir: Path) -> list[tuple[str, str]]:
    """Return titles and names: of all voices that are ready, then, of those that lack the same, of the first."""
    ready, lacking = list[VoiceSpec](), dict[tuple[str, ...], VoiceSpec]()
    for voice in VoiceRegistry().voices(models_dir):
        if lacks := voice.lacks(models_dir):
            lacking.setdefault(lacks, voice)
        else:
            ready.append(voice)
    marked = [(f"{voice.title}: {_NOT_HERE}", voice.name) for voice in lacking.values()]
    return [*((voice.title, voice.name) for voice in ready), *marked]


def voice_lacks(name: str | None, models_dir: Path, reader: Reader = VISITOR) -> str:
    """Return what a voice lacks, as HTML; empty: nothing, or there is none of that name."""
    lacks = next((each.lacks(models_dir) for each in VoiceRegistry().voices(models_dir) if each.name == name), ())
    items = "".join(f"<li>{escape(sentence(plain(line, reader)))}</li>" for line in lacks)
    return f'<ul class="mt-lacks" aria-label="What the voice lacks">{items}</ul>' if items else ""
