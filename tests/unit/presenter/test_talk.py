"""Scripts that are spoken."""

from __future__ import annotations

import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from musetalk.errors import LimitError, OutputError, SpeechError
from musetalk.presenter.script import parse_script
from musetalk.presenter.talk import Talk, speak_script
from musetalk.tts.hibari import HibariVoice

TEXT = (
    "# A talk\n\nHello there. It works! …\n\n[slide a.png]\n- Papa [pause 1.5] and mama\n- made $5 pies [slide none]\n"
)


@pytest.fixture(scope="module")
def voice() -> HibariVoice:
    return HibariVoice()


@pytest.fixture(scope="module")
def spoken(voice: HibariVoice, tmp_path_factory: pytest.TempPathFactory) -> tuple[Talk, Path]:
    path = tmp_path_factory.mktemp("talk") / "voice.wav"
    return speak_script(parse_script(TEXT, Path), voice, path), path


def test_the_talk_is_as_long_as_its_voice(spoken: tuple[Talk, Path]) -> None:
    talk, path = spoken
    with wave.open(str(path)) as file:
        assert talk.seconds == file.getnframes() / file.getframerate()


def test_every_word_has_its_time(spoken: tuple[Talk, Path]) -> None:
    talk, _ = spoken
    assert " ".join(word.text for word in talk.words) == "A talk Hello there. It works! Papa and mama made $5 pies"
    assert all(a.stop <= b.start + 1e-9 for a, b in pairwise(talk.words))
    assert all(a.stop <= b.start + 1e-9 for a, b in pairwise(talk.phonemes))
    assert talk.words[-1].stop < talk.seconds


def test_words_are_heard_when_they_are_said_to_be(spoken: tuple[Talk, Path]) -> None:
    talk, path = spoken
    with wave.open(str(path)) as file:
        rate, samples = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), np.int16)

    def loudest(start: float, stop: float) -> int:
        return int(np.abs(samples[round(start * rate) : round(stop * rate)].astype(int)).max())

    for passage, follows in pairwise(talk.passages):
        assert loudest(passage.start, passage.stop) > 2000
        assert loudest(passage.stop + 0.15, follows.start - 0.05) < 300


def test_pauses_and_slides_come_where_they_stand(spoken: tuple[Talk, Path]) -> None:
    talk, _ = spoken
    papa, mama = (next(p for p in talk.passages if p.passage.text.startswith(text)) for text in ("Papa", "and"))
    assert 1.5 < mama.start - papa.stop < 2.7
    assert [slide.path for slide in talk.slides] == [Path("a.png"), None]
    works = next(p for p in talk.passages if "works" in p.passage.text)
    assert works.stop < talk.slides[0].start < papa.start
    assert talk.slides[1].start > talk.passages[-1].stop


def test_what_cannot_be_said_is_told_with_its_line(voice: HibariVoice, tmp_path: Path) -> None:
    with pytest.raises(SpeechError, match='in line 3 of the script, "日本語"'):
        speak_script(parse_script("Hello.\n\nNow 日本語.", lambda _: None), voice, tmp_path / "voice.wav")


def test_a_talk_that_becomes_too_long_ends_there(voice: HibariVoice, tmp_path: Path) -> None:
    path, script = tmp_path / "voice.wav", "Hi.\n\n" + "[pause 30]\n" * 1000
    with pytest.raises(LimitError, match=r"at line 5 of the script the talk is 9[\d.]* s long, and 80 s are allowed"):
        speak_script(parse_script(script, lambda _: None), voice, path, longest=80)
    assert path.stat().st_size < 100 * 48_000


def test_where_there_is_no_room_it_is_told(voice: HibariVoice, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"voice\.wav.* cannot be written"):
        speak_script(parse_script("Hi.", lambda _: None), voice, tmp_path / "gone" / "voice.wav")
