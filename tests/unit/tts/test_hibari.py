"""The embedded voice: what it says, when, and that it says the same again."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from musetalk.errors import SpeechError
from musetalk.tts.english import EnglishReader
from musetalk.tts.hibari import LENGTHS, UNIT, HibariVoice
from musetalk.tts.onnx_graph import open_model
from musetalk.tts.types import Speech
from tests.helpers.programs import run_program
from tests.helpers.served import ROOT


@pytest.fixture(scope="module")
def voice() -> HibariVoice:
    return HibariVoice()


def level(speech: Speech, start: float, stop: float) -> float:
    """Return how loud a time is, in dB."""
    heard = speech.samples[round(start * speech.rate) : round(stop * speech.rate)]
    return float(20 * np.log10(np.sqrt(np.mean(heard * heard)) + 1e-9))


def test_the_network_tells_the_length_of_each_phoneme() -> None:
    from hibari.tts import ASSETS  # noqa: PLC0415

    ids = [0, 58, 156, 69, 58, 83, 4, 0]  # "pˈɑpə."
    session, tensor = open_model(Path(ASSETS) / "hibari.onnx", LENGTHS)
    assert tensor == "/Clip_output_0"
    given = {"ids": np.array([ids]), "speed": np.ones(1, np.float32)}
    *sound, lengths = session.run(None, given)
    assert lengths.shape == (len(ids),)
    assert np.array_equal(lengths, np.round(lengths))
    frames = sound[-1].shape[-1]
    assert [each.shape[1:] for each in sound] == [(601, frames)] * 5 + [(frames,)]
    assert lengths.sum() * 2 == frames


def test_nobody_is_told_of_its_use_and_nothing_is_left(tmp_path: Path) -> None:
    """ONNX Runtime begins a file in the temporary folder where it collects what it tells its makers."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    code = "from musetalk.tts.hibari import HibariVoice; HibariVoice()"
    ended = run_program([sys.executable, "-c", code], cwd=ROOT, env=environment)
    assert (ended.returncode, list(tmp_path.iterdir())) == (0, [])


def test_a_sentence_is_as_long_as_its_phonemes(voice: HibariVoice) -> None:
    speech = voice.speak("Papa made apple pie.")
    assert len(speech.samples) % UNIT == 0
    assert speech.samples.dtype == np.float32
    assert speech.rate == 24_000
    assert "".join(sound.ipa for sound in speech.phonemes) == "pɑpəmeɪdæpəlpaɪ"


def test_words_are_heard_at_their_times(voice: HibariVoice) -> None:
    speech = voice.speak("Stop. Papa, stop.")
    assert [word.text for word in speech.words] == ["Stop.", "Papa,", "stop."]
    spoken = [level(speech, word.start, word.stop) for word in speech.words]
    assert level(speech, 0, speech.words[0].start - 0.05) < min(spoken) - 30
    assert level(speech, speech.words[0].stop, speech.words[1].start) < min(spoken) - 10
    assert level(speech, speech.words[-1].stop + 0.02, speech.seconds) < min(spoken) - 25


def test_lips_that_close_are_heard_at_their_times(voice: HibariVoice) -> None:
    speech = voice.speak("Papa has a copper pipe on a happy puppet.")
    closed = [sound for sound in speech.phonemes if sound.ipa == "p"][1:]
    quieter = [
        level(speech, sound.start, sound.stop) < level(speech, sound.start - 0.06, sound.start) - 3 for sound in closed
    ]
    assert len(closed) == 7
    assert all(quieter)


def test_numbers_dates_money_and_abbreviations_are_read_and_shown_as_written(voice: HibariVoice) -> None:
    text = "Dr. Smith paid $9.99 at 12:30 p.m. on March 3rd, 2024, i.e. 10% of it — wow \U0001f600!"
    speech = voice.speak(text)
    assert [word.text for word in speech.words] == text.split()
    times = [time for word in speech.words for time in (word.start, word.stop)]
    assert times == sorted(times)
    sounds = "".join(sound.ipa for sound in speech.phonemes)
    assert "naɪndɑləɹz" in sounds  # nine dollars
    assert "twɛlvθɜɹ" in sounds  # twelve thirty
    by_text = {word.text: word.stop - word.start for word in speech.words}
    assert by_text["$9.99"] > 1.0
    assert by_text["—"] == 0.0


def test_notes_say_how_a_word_sounds(voice: HibariVoice) -> None:
    speech = voice.speak("[GIF](say: jiff) by [hibari](/hibˈɑɹi/).")
    assert [word.text for word in speech.words] == ["GIF", "by", "hibari."]
    assert "".join(sound.ipa for sound in speech.phonemes) == "dʒɪfbaɪhibɑɹi"


def test_the_same_text_sounds_the_same_whatever_came_before(voice: HibariVoice) -> None:
    first = voice.speak("The same.")
    voice.speak("Something else.")
    assert np.array_equal(voice.speak("The same.").samples, first.samples)


def test_speed_makes_it_shorter(voice: HibariVoice) -> None:
    text = "Papa made apple pie for all of us."
    quick = HibariVoice(1.6).speak(text)
    assert quick.seconds < 0.8 * voice.speak(text).seconds
    assert quick.words[-1].stop <= quick.seconds


def test_a_sentence_without_end_is_spoken_whole(voice: HibariVoice) -> None:
    text = "a very long and winding sentence of many parts " * 14
    speech = voice.speak(text)
    assert [word.text for word in speech.words] == text.split()
    assert speech.words[-1].stop <= speech.seconds
    starts = [sound.start for sound in speech.phonemes]
    assert starts == sorted(starts)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("日本語", '"日本語" cannot be read aloud in English'),
        ("Say 日本 now", '"日本" cannot be read aloud in English'),
        ("", "there is nothing to say"),
        ("— …", "there is nothing to say"),
        ("[x](/ʘa/)", "the sound ʘ in the note /ʘa/"),
    ],
)
def test_what_cannot_be_said_is_told(voice: HibariVoice, text: str, said: str) -> None:
    with pytest.raises(SpeechError, match=said):
        voice.speak(text)


@pytest.mark.parametrize(("endless", "parts"), [("a1" * 32, ["a1" * 16] * 2), ("9" * 60, ["9" * 30] * 2)])
def test_what_is_too_long_for_a_word_is_read_in_parts(endless: str, parts: list[str]) -> None:
    reader = EnglishReader()
    assert reader.read(endless) == reader.read(" ".join(parts))
