"""Texts before they are spoken: notes on pronunciation, sentences, and times for words as they are written."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetalk.tts.notes import Piece, read_notes, without_notes
from musetalk.tts.sentences import split_sentences
from musetalk.tts.types import TimedWord
from musetalk.tts.word_times import time_words


def test_notes_are_told_from_other_brackets() -> None:
    text = "Ask [Nguyen](say: win) or [hibari](/hibˈɑɹi/), see [here](https://example.org) and [pause 1]."
    assert read_notes(text) == (
        Piece("Ask ", "Ask "),
        Piece("Nguyen", "win"),
        Piece(" or ", " or "),
        Piece("hibari", "hibari", "hibˈɑɹi"),
        Piece(*[", see [here](https://example.org) and [pause 1]."] * 2),
    )
    assert without_notes("[GIF](say: jiff)!") == "GIF!"


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", ("One.", "Two!", "Three?", "Four")),
        ("Dr. Smith met J. Doe at 3.5 p.m. yesterday.", ("Dr. Smith met J. Doe at 3.5 p.m. yesterday.",)),
        ("It was I. He went.", ("It was I.", "He went.")),
        ('He said "no." Then he left.', ('He said "no."', "Then he left.")),
        ("See fig. 3 and No. 5.", ("See fig. 3 and No. 5.",)),
        ("Wait... what? Yes.", ("Wait... what?", "Yes.")),
        ("First line\ngoes on.\n\nSecond", ("First line goes on.", "Second")),
        ("一つ。二つ！", ("一つ。", "二つ！")),
        ("  \n\n ", ()),
        (". . .", (".", ".", ".")),
        ("A [U.S. Army](say: one. Two) man. Yes.", ("A [U.S. Army](say: one. Two) man.", "Yes.")),
    ],
)
def test_sentences(text: str, sentences: tuple[str, ...]) -> None:
    assert split_sentences(text) == sentences


@given(st.text(max_size=200))
def test_no_word_is_lost_between_sentences(text: str) -> None:
    assert [word for sentence in split_sentences(text) for word in sentence.split()] == text.split() or any(
        mark in text for mark in "。！？"
    )


def read(*words: str) -> list[TimedWord]:
    return [TimedWord(word, float(number), number + 1.0) for number, word in enumerate(words)]


def test_words_that_are_read_otherwise_share_their_time() -> None:
    timed = time_words(["It", "costs", "$9.99", "now!"], read("it", "costs", "nine", "dollars", "99", "now"))
    assert timed == (
        TimedWord("It", 0, 1),
        TimedWord("costs", 1, 2),
        TimedWord("$9.99", 2, 5),
        TimedWord("now!", 5, 6),
    )


@given(st.lists(st.text(min_size=1, max_size=8)), st.lists(st.text(min_size=1, max_size=8)))
def test_every_written_word_has_a_time_once_and_in_order(written: list[str], spoken: list[str]) -> None:
    timed = time_words(written, read(*spoken))
    assert [word.text for word in timed] == written
    times = [time for word in timed for time in (word.start, word.stop)]
    assert all(a <= b + 1e-9 for a, b in pairwise(times))
