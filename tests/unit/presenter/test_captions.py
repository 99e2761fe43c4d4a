"""Captions: every word once, in order, in lines that fit."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from musetalk.media.captions import Caption, as_srt, as_vtt
from musetalk.presenter.captions import LINE, LINES, LONGEST, caption_words
from musetalk.tts.types import TimedWord

TEXTS = st.text(st.characters(exclude_categories=("Z", "C")), min_size=1, max_size=100)
LENGTHS = st.floats(0.0, 3.0)


def spoken(*words: tuple[str, float]) -> list[TimedWord]:
    timed, now = list[TimedWord](), 0.0
    for text, seconds in words:
        timed.append(TimedWord(text, now, now + seconds))
        now += seconds
    return timed


@given(st.lists(st.tuples(TEXTS, LENGTHS), min_size=1, max_size=40))
def test_every_word_is_read_once_and_in_order(words: list[tuple[str, float]]) -> None:
    captions = caption_words([spoken(*words)])
    assert "".join(line for caption in captions for line in caption.lines).replace(" ", "") == "".join(
        w for w, _ in words
    )
    assert all(1 <= len(caption.lines) <= LINES for caption in captions)
    assert all(len(line) <= LINE for caption in captions for line in caption.lines)
    assert all(a.start <= a.stop <= b.start for a, b in pairwise(captions))


@given(st.lists(st.tuples(TEXTS.filter(lambda text: len(text) < 20), st.floats(0.1, 1.0)), min_size=1, max_size=60))
def test_no_caption_stands_longer_than_one_reads(words: list[tuple[str, float]]) -> None:
    assert all(caption.stop - caption.start <= LONGEST + 1e-6 for caption in caption_words([spoken(*words)]))


def test_captions_end_with_sentences_and_lines_are_about_as_long() -> None:
    text = "A short one. And this is a sentence that takes two lines of a caption, more or less. End."
    captions = caption_words([spoken(*((word, 0.3) for word in text.split()))])
    assert [caption.lines for caption in captions] == [
        ("A short one.",),
        ("And this is a sentence that takes two", "lines of a caption, more or less. End."),
    ]


def test_passages_do_not_share_a_caption() -> None:
    first, second = spoken(("One", 0.2)), [TimedWord("two", 0.3, 0.5)]
    assert [caption.lines for caption in caption_words([first, second])] == [("One",), ("two",)]
    assert caption_words([first, second])[0].stop == 0.3


def test_wide_letters_count_twice() -> None:
    captions = caption_words([spoken(("字" * 50, 5.0))])
    assert [len(line) for caption in captions for line in caption.lines] == [21, 21, 8]


def test_files() -> None:
    captions = (Caption(("a < b", "& c"), 3661.0625, 3662.5), Caption(("d",), 3663, 3664))
    assert as_srt(captions) == "1\n01:01:01,062 --> 01:01:02,500\na < b\n& c\n\n2\n01:01:03,000 --> 01:01:04,000\nd\n"
    assert as_vtt(captions).startswith("WEBVTT\n\n01:01:01.062 --> 01:01:02.500\na &lt; b\n&amp; c\n\n01:01:03.000")
    assert not re.search(r"\n\n\n", as_vtt(captions))
