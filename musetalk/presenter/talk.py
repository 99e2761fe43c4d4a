"""A script that was spoken: one voice, and when each word, bullet and slide comes."""

from __future__ import annotations

import math
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from musetalk.errors import LimitError, SpeechError
from musetalk.presenter.script import Passage, Pause, Script, Slide
from musetalk.tts.spans import read_aloud
from musetalk.tts.types import Speech, TextToSpeech, TimedPhoneme, TimedWord
from musetalk.utils.arrays import Float32Array
from musetalk.utils.files import writing

# Seconds of silence after what is spoken, besides what the voice itself leaves between sentences.
_AFTER = {"title": 0.4, "bullet": 0.2, "text": 0.25}
_AT_THE_END = 0.6


@dataclass(frozen=True, slots=True)
class SpokenPassage:
    """What was spoken in one go.

    Attributes:
        passage: What.
        words: As they are written, in order, in seconds of the talk.
    """

    passage: Passage
    words: tuple[TimedWord, ...]

    @property
    def start(self) -> float:
        """When its first word begins, in seconds."""
        return self.words[0].start

    @property
    def stop(self) -> float:
        """When its last word ends, in seconds."""
        return self.words[-1].stop


@dataclass(frozen=True, slots=True)
class ShownSlide:
    """A picture that is shown from a time on, until the next one.

    Attributes:
        path: Of the picture; None: none is shown.
        start: Seconds.
        line: Of the script.
    """

    path: Path | None
    start: float
    line: int


@dataclass(frozen=True, slots=True)
class Talk:
    """A script that was spoken.

    Attributes:
        seconds: How long it is.
        passages: In order.
        slides: In order.
        phonemes: In order.
    """

    seconds: float
    passages: tuple[SpokenPassage, ...]
    slides: tuple[ShownSlide, ...]
    phonemes: tuple[TimedPhoneme, ...]

    @property
    def words(self) -> tuple[TimedWord, ...]:
        """All that is spoken, as it is written, in order."""
        return tuple(word for passage in self.passages for word in passage.words)


def speak_script(
    script: Script,
    voice: TextToSpeech,
    path: Path,
    told: Callable[[int, int], None] = lambda _done, _all: None,
    longest: float = math.inf,
) -> Talk:
    """Speak a script into a WAV file, part by part: memory does not grow with its length, nor with a sentence's.

    Args:
        script: What to say.
        voice: Who says it.
        path: The file: int16, mono, at the voice's rate.
        told: Is told how many items of the script are spoken, and of how many.
        longest: Seconds that the talk may last; of what comes after them nothing is spoken or written.

    Raises:
        SpeechError: The voice cannot say something; tells the line.
        LimitError: The talk is too long; tells the line.
        OutputError: The file cannot be written.
        Cancelled: By what is told.
    """
    passages, slides, phonemes = list[SpokenPassage](), list[ShownSlide](), list[TimedPhoneme]()
    with writing(path), path.open("wb") as raw, wave.open(raw, "wb") as file:
        file.setparams((1, 2, voice.rate, 0, "NONE", ""))

        def now() -> float:
            return file.tell() / voice.rate

        def write(sound: bytes, line: int) -> None:
            file.writeframes(sound)
            if now() > longest:
                seconds = f"{round(now(), 1):g} s long, and {longest:g} s are allowed"
                problem = f"at line {line} of the script the talk is {seconds}"
                raise LimitError(problem, "make it shorter or raise limits.max_seconds", limit="max_seconds")

        for number, item in enumerate(script.items):
            told(number, len(script.items))
            if isinstance(item, Slide):
                slides.append(ShownSlide(item.path, now(), item.line))
            elif isinstance(item, Pause):
                write(_silence(item.seconds, voice.rate), item.line)
            else:
                words = list[TimedWord]()
                for speech in _speak(voice, item.text, item.line):
                    start = now()
                    words += [word.later(start) for word in speech.words]
                    phonemes += [sound.later(start) for sound in speech.phonemes]
                    write(_pcm(speech.samples), item.line)
                passages.append(SpokenPassage(item, tuple(words)))
                write(_silence(_AFTER[item.kind], voice.rate), item.line)
        write(_silence(_AT_THE_END, voice.rate), script.items[-1].line)
        told(len(script.items), len(script.items))
        return Talk(now(), tuple(passages), tuple(slides), tuple(phonemes))


def _speak(voice: TextToSpeech, text: str, line: int) -> Iterator[Speech]:
    """Yield a text as it is spoken; see `read_aloud`.

    Raises:
        SpeechError: It cannot be; tells the line.
    """
    try:
        yield from read_aloud(voice, text)
    except SpeechError as error:
        raise error.retold(f"in line {line} of the script, {error.problem}") from error


def _silence(seconds: float, rate: int) -> bytes:
    return bytes(2 * round(seconds * rate))


def _pcm(samples: Float32Array) -> bytes:
    return np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
