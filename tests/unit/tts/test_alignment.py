"""Words found in recordings of them."""

from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetalk.errors import PackageError, SpeechError
from musetalk.tts.alignment import SphinxAligner
from musetalk.tts.by_length import time_by_length
from musetalk.tts.english import EnglishReader
from musetalk.tts.hibari import HibariVoice
from musetalk.tts.types import Speech, TimedWord
from musetalk.utils.arrays import Float32Array

SENTENCES = (
    "Papa made it to a very happy place, on March 3rd, 2024.",
    "It costs $9.99 — [GIF](say: jiff) by Bob!",
    "Yes.",
    "The early bird catches the worm, as they say.",
)


@pytest.fixture(scope="module")
def reader() -> EnglishReader:
    return EnglishReader()


@pytest.fixture(scope="module")
def recorded() -> tuple[Float32Array, list[Speech], list[float]]:
    """A recording at 16 kHz, and what is known of it: its sentences, and when each begins."""
    voice = HibariVoice()
    spoken = [voice.speak(sentence) for sentence in SENTENCES]
    samples = np.concatenate([speech.samples for speech in spoken])
    starts = np.cumsum([0.0, *(speech.seconds for speech in spoken)]).tolist()
    at = np.arange(int(len(samples) * 2 / 3)) * 1.5
    return np.interp(at, np.arange(len(samples)), samples).astype(np.float32), spoken, starts


def late(
    found: tuple[tuple[TimedWord, ...], ...], recorded: tuple[Float32Array, list[Speech], list[float]]
) -> list[float]:
    """By how many seconds each word that is spoken begins later than it does."""
    _, spoken, starts = recorded
    assert [[word.text for word in words] for words in found] == [[w.text for w in speech.words] for speech in spoken]
    return [
        word.start - known.start - start
        for words, speech, start in zip(found, spoken, starts, strict=False)
        for word, known in zip(words, speech.words, strict=True)
        if known.stop > known.start
    ]


def test_words_and_phonemes_are_found(
    reader: EnglishReader, recorded: tuple[Float32Array, list[Speech], list[float]]
) -> None:
    pytest.importorskip("pocketsphinx")
    words, phonemes = SphinxAligner(reader).align(recorded[0], SENTENCES)
    assert np.abs(late(words, recorded)).max() < 0.08
    known = [
        sound.later(start) for speech, start in zip(recorded[1], recorded[2], strict=False) for sound in speech.phonemes
    ]
    for closed in (sound for sound in known if sound.ipa in "pbm"):
        middle = (closed.start + closed.stop) / 2
        near = [abs((sound.start + sound.stop) / 2 - middle) for sound in phonemes if sound.ipa == closed.ipa]
        assert min(near) < 0.05
    assert all(a.stop <= b.start + 1e-9 for a, b in pairwise(phonemes))


def test_a_recording_of_something_else_is_told(
    reader: EnglishReader, recorded: tuple[Float32Array, list[Speech], list[float]]
) -> None:
    pytest.importorskip("pocketsphinx")
    with pytest.raises(SpeechError, match="does not say"):
        SphinxAligner(reader).align(
            recorded[0][:64_000], ["Completely different words that nobody ever spoke here."] * 3
        )


def test_without_the_package_it_says_how_to_get_it(reader: EnglishReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(PackageError, match=r"\[align\]"):
        SphinxAligner(reader)


def test_without_an_aligner_words_are_told_from_their_lengths(
    reader: EnglishReader, recorded: tuple[Float32Array, list[Speech], list[float]]
) -> None:
    samples = recorded[0]
    level = np.abs(samples[: len(samples) // 160 * 160]).reshape(-1, 160).max(axis=1)
    words = time_by_length(level > 0.01, 100.0, SENTENCES, reader)
    assert np.median(np.abs(late(words, recorded))) < 0.2
    assert np.abs(late(words, recorded)).max() < 1.0


@given(
    st.lists(st.booleans(), min_size=1, max_size=300),
    st.lists(
        st.lists(st.text("abc", min_size=1, max_size=9), min_size=1, max_size=6).map(" ".join), min_size=1, max_size=5
    ),
)
def test_every_word_has_a_time_within_the_recording(heard: list[bool], sentences: list[str]) -> None:
    found = time_by_length(np.array(heard), 25.0, sentences)
    assert [[word.text for word in words] for words in found] == [sentence.split() for sentence in sentences]
    times = [time for words in found for word in words for time in (word.start, word.stop)]
    assert all(a <= b + 1e-9 for a, b in pairwise(times))
    assert times[0] >= 0
    assert times[-1] <= len(heard) / 25 + 1e-9
