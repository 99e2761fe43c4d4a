"""English as it is read aloud: what is written in few signs is said in all its words, or refused."""

from __future__ import annotations

import pytest

from musetalk.errors import SpeechError
from musetalk.tts.english import EnglishReader


@pytest.fixture(scope="module")
def reader() -> EnglishReader:
    return EnglishReader()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("It is .5%.", "It is zero point five percent."),
        ("In .NET.", "In dot net."),
        ("It lost -$5.", "It lost minus five dollars."),
        ("It costs 5 €.", "It costs five euros."),
        ("Some $3bn and $1.5B.", "Some three billion dollars and one point five billion dollars."),
        ("Open 24/7.", "Open twenty-four seven."),
        ("It takes 1½ cups.", "It takes one and one half cups."),
        ("If x ≤ 3.", "If x less than or equal to three."),
    ],
)
def test_signs_are_said(reader: EnglishReader, written: str, said: str) -> None:
    def sounds(text: str) -> str:
        return "".join(sound for word in reader.read(text) for sound in word.sounds)

    assert sounds(written) == sounds(said)


def test_signs_that_nobody_reads_are_refused_and_pictures_left_out(reader: EnglishReader) -> None:
    with pytest.raises(SpeechError, match='"∑" cannot be read aloud'):
        reader.read("The ∑ of it.")
    assert len(reader.read("I \N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16} it, a | b + c.")) > 3
