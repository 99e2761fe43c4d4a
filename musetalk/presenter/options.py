"""How a talk is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from musetalk.presenter.layout import Aspect, LayoutName
from musetalk.presenter.presets import PRESETS, Quality
from musetalk.presenter.talk import Talk
from musetalk.presenter.talk_file import TalkFile
from musetalk.settings import merge_settings
from musetalk.tts.registry import USUAL, VoiceRegistry
from musetalk.tts.spec import Reading
from musetalk.tts.types import TextToSpeech
from musetalk.weights.part_spec import Place


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
        return merge_settings(PRESETS[self.quality].settings, self.settings)

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
