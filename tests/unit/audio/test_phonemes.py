"""The file of phonemes: what is written is read, and what cannot be is refused with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from musetalk.audio.phonemes import TimedPhoneme, read_phonemes, write_phonemes
from musetalk.errors import SettingsError

SPOKEN = (TimedPhoneme("tʃ", 0.1, 0.2), TimedPhoneme("ɪ", 0.2, 0.3), TimedPhoneme("n", 0.45, 0.5))


def write(path: Path, *phonemes: Any, **beside: Any) -> Path:  # noqa: ANN401 - whatever JSON holds
    path.write_text(json.dumps({"format": "musetalk-phonemes", "version": 1, "phonemes": phonemes, **beside}), "utf-8")
    return path


def phoneme(start: float, stop: float, ipa: str = "a") -> dict[str, Any]:
    return {"ipa": ipa, "start": start, "stop": stop}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "voice.json"
    write_phonemes(path, SPOKEN)
    assert read_phonemes(path, 0.5) == SPOKEN
    write_phonemes(path, ())
    assert read_phonemes(path, 0.5) == ()


@pytest.mark.parametrize(
    ("phonemes", "problem"),
    [
        ((phoneme(0.2, 0.3), phoneme(0.1, 0.2)), "phoneme 2"),
        ((phoneme(0.0, 0.3), phoneme(0.2, 0.4)), "phoneme 2"),
        ((phoneme(0.0, 0.3), phoneme(0.3, 0.3)), "ends where it begins"),
        ((phoneme(0.0, 0.3), phoneme(0.3, 1.2)), "another voice"),
        ((phoneme(-0.1, 0.3),), "phonemes.0.start"),
        ((phoneme(0.1, float("nan")),), "phonemes.0.stop"),
        ((phoneme(0.1, 0.2, ""),), "phonemes.0.ipa"),
        (({"ipa": "a", "start": 0.1},), "phonemes.0.stop"),
    ],
)
def test_what_no_voice_can_have_is_refused(tmp_path: Path, phonemes: tuple[Any, ...], problem: str) -> None:
    path = write(tmp_path / "voice.json", *phonemes)
    with pytest.raises(SettingsError, match=problem) as refused:
        read_phonemes(path, 1.0)
    assert (refused.value.names, refused.value.path) == (("speech.phonemes",), path)


@pytest.mark.parametrize("beside", [{"format": "other"}, {"version": 2}, {"words": []}])
def test_other_files_are_refused(tmp_path: Path, beside: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(beside))):
        read_phonemes(write(tmp_path / "voice.json", **beside), 1.0)


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "voice.json"
    with pytest.raises(SettingsError, match="cannot be read"):
        read_phonemes(path, 1.0)
    path.write_bytes(b"\xff\x00 no JSON")
    with pytest.raises(SettingsError, match="holds no phonemes"):
        read_phonemes(path, 1.0)
