"""Scripts that somebody recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from musetalk.assets import VOICE
from musetalk.media.sound.voice import extract_voice
from musetalk.presenter.recorded import time_recording
from musetalk.presenter.script import parse_script
from musetalk.settings import Limits
from musetalk.tts.types import TimedWord

SAID = "The lips that you see here are moved by nothing but this voice, and that is all there is to it."


@pytest.mark.parametrize(("times", "odd"), [(1, False), (6, True)])
def test_a_recording_that_is_too_short_for_its_script_is_told(times: int, odd: bool, tmp_path: Path) -> None:
    script = parse_script("\n\n".join([SAID] * times), Path)
    _, notes = time_recording(script, extract_voice(VOICE, tmp_path, Limits()))
    assert any(note.endswith("is it of this script?") for note in notes) is odd


@pytest.mark.parametrize(("said", "odd"), [(1.0, False), (0.3, True)])
def test_what_is_said_besides_the_script_is_told(
    said: float, odd: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = extract_voice(VOICE, tmp_path, Limits())
    words = (TimedWord("Lips", 0.0, float(voice.seconds) * said),)

    class Aligner:
        """Finds the script in a part of the recording."""

        def __init__(self, _reader: object) -> None: ...

        def align(self, _samples: object, _sentences: object) -> tuple[object, object]:
            return (words,), ()

    monkeypatch.setattr("musetalk.presenter.recorded.SphinxAligner", Aligner)
    talk, notes = time_recording(parse_script("Lips", Path), voice)
    assert talk.words == words
    assert any("something is said that is not in the script" in note for note in notes) is odd
