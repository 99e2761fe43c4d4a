"""espeak-ng, where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

from musetalk.errors import SpeechError
from musetalk.tts.espeak import EspeakVoice

pytest.importorskip("espeakng_loader")


def test_words_and_phonemes_have_their_times() -> None:
    text = "Guten Tag, das kostet 9,99 Euro am 3. März — wirklich!"
    speech = EspeakVoice("de").speak(text)
    assert [word.text for word in speech.words] == text.split()
    times = [time for word in speech.words for time in (word.start, word.stop)]
    assert times == sorted(times)
    assert times[-1] <= speech.seconds
    assert "".join(sound.ipa for sound in speech.phonemes).startswith("ɡutətɑk".replace("ət", "ənt", 1))
    by_text = {word.text: word.stop - word.start for word in speech.words}
    assert by_text["9,99"] > 0.8
    assert np.abs(speech.samples).max() > 0.1


def test_two_voices_at_once_keep_their_languages() -> None:
    german, english = EspeakVoice("de"), EspeakVoice("en-us")
    alone = german.speak("Papa geht.")
    english.speak("Papa geht.")
    again = german.speak("Papa geht.")
    assert [sound.ipa for sound in again.phonemes] == [sound.ipa for sound in alone.phonemes]
    assert again.seconds == pytest.approx(alone.seconds, abs=0.002)


def test_notes_say_how_a_word_is_read() -> None:
    speech = EspeakVoice().speak("[GIF](say: jiff) pie.")
    assert [word.text for word in speech.words] == ["GIF", "pie."]
    assert speech.phonemes[0].ipa == "dʒ"
    with pytest.raises(SpeechError, match="/a/"):
        EspeakVoice().speak("[x](/a/)")


def test_faster_is_shorter() -> None:
    text = "Papa made apple pie."
    assert EspeakVoice(speed=1.8).speak(text).seconds < 0.8 * EspeakVoice().speak(text).seconds


def test_what_cannot_be_said_is_told() -> None:
    with pytest.raises(SpeechError, match='does not speak "xx"'):
        EspeakVoice("xx")
    with pytest.raises(SpeechError, match="nothing to say"):
        EspeakVoice("de").speak("—")
