"""Long texts read aloud breath by breath."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musetalk.tts.hibari import HibariVoice
from musetalk.tts.spans import LONGEST, read_aloud, split_spans
from musetalk.tts.types import Speech, TimedPhoneme, TimedWord

CLAUSE = "where small boats wait for the evening tide and nobody counts them"


class Echo:
    """Says each word in 0.1 s, with half a second of silence around; keeps what it was asked for."""

    rate, fingerprint = 1000, "echo"

    def __init__(self) -> None:
        self.asked = list[str]()

    def speak(self, sentence: str) -> Speech:
        self.asked.append(sentence)
        words = sentence.split()
        times = [0.5 + 0.1 * number for number in range(len(words) + 1)]
        timed = tuple(map(TimedWord, words, times, times[1:]))
        sound = np.zeros(round((times[-1] + 0.5) * 1000), np.float32)
        sound[500:-500] = 1
        return Speech(sound, 1000, timed, tuple(TimedPhoneme("a", word.start, word.stop) for word in timed))


def test_the_first_part_of_a_sentence_without_end_is_spoken_before_the_others() -> None:
    voice = Echo()
    speeches = read_aloud(voice, f"{CLAUSE} " * 30)
    next(speeches)
    (asked,) = voice.asked
    assert len(asked) <= LONGEST
    assert asked.startswith(CLAUSE)


def test_words_have_their_times_where_parts_are_joined() -> None:
    text = ", ".join([CLAUSE] * 12) + ". And then?"
    speeches = list(read_aloud(Echo(), text))
    sound = np.concatenate([speech.samples for speech in speeches])
    starts = np.cumsum([0, *(len(speech.samples) / 1000 for speech in speeches)])
    words = [word.later(start) for speech, start in zip(speeches, starts, strict=False) for word in speech.words]
    assert [word.text for word in words] == text.split()
    for word in words:
        assert sound[round(word.start * 1000) : round(word.stop * 1000)].all()
    gaps = {round(after.start - before.stop, 3) for before, after in pairwise(words)}
    assert gaps == {0.0, 0.3, 1.0}  # within a part, for a breath, and between sentences


@pytest.mark.parametrize(
    ("sentence", "ends"),
    [
        (f"{CLAUSE}; " * 9, ";"),
        (f"{CLAUSE}, " * 9, ","),
        ("On March 3rd, 2024 they left " * 12, "left"),
        ("今天天气很好我们去公园，" * 20, "，"),
        (CLAUSE.replace(" and", "").replace("where ", "") * 9, ""),
    ],
)
def test_a_breath_is_taken_where_people_take_one(sentence: str, ends: str) -> None:
    first, *_ = split_spans(sentence)
    assert first.endswith(ends)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("ab,; 今。\u3000é—", max_size=60) | st.just("[Nguyen](say: win win)"), max_size=40))
def test_nothing_is_lost_and_no_note_is_cut(pieces: list[str]) -> None:
    sentence = " ".join("".join(pieces).split())
    spans = list(split_spans(sentence))
    assert "".join("".join(spans).split()) == "".join(sentence.split())
    assert "".join(spans).count("[Nguyen](say: win win)") == sentence.count("[Nguyen](say: win win)")
    assert all(span.count("[") == span.count("](say: win win)") for span in spans)
    assert all(len(span) <= LONGEST for span in spans)
    if len(sentence) <= LONGEST // 3:
        assert spans == [sentence] * bool(sentence)


def test_a_sentence_that_is_not_too_long_is_spoken_as_ever() -> None:
    voice = HibariVoice()
    sentence = "Papa made apple pie, and all of us had some of it."
    (speech,) = read_aloud(voice, sentence)
    assert np.array_equal(speech.samples, voice.speak(sentence).samples)
