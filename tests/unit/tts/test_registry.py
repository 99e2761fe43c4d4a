"""Voices that are chosen by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from musetalk.errors import PackageError, SpeechError
from musetalk.tts.built_in import HIBARI
from musetalk.tts.registry import USUAL, VoiceRegistry
from musetalk.tts.spec import Reading
from musetalk.weights.part_spec import Place

PLACE = Place(Path("models"))


def test_the_usual_voice_is_there() -> None:
    assert VoiceRegistry().open(USUAL, PLACE, Reading(language="en-us")).rate == 24_000


def test_a_voice_that_is_not_there_is_told_with_those_there_are() -> None:
    with pytest.raises(SpeechError, match=r'there is no speaking voice "nobody".*hibari'):
        VoiceRegistry().open("nobody", PLACE)


def test_a_voice_without_its_package_says_how_to_get_it() -> None:
    lacking = VoiceRegistry([replace(HIBARI, missing=lambda: ("the package x is not installed: pip install x",))])
    with pytest.raises(PackageError, match="pip install x"):
        lacking.open("hibari", PLACE)


@pytest.mark.parametrize(
    ("reading", "said"), [(Reading(3.0), "a speed of 3"), (Reading(language="de"), 'does not speak "de"')]
)
def test_what_a_voice_cannot_do_is_told(reading: Reading, said: str) -> None:
    with pytest.raises(SpeechError, match=said):
        VoiceRegistry().open("hibari", PLACE, reading)
