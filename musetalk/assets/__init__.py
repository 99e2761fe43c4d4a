"""The sample that ships with the project; what each file is, and whose: README.md beside them."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent
SAMPLE = _FOLDER / "sample.mp4"
PORTRAIT = _FOLDER / "portrait.png"
VOICE = _FOLDER / "voice.wav"
TALK = _FOLDER / "talk.md"
