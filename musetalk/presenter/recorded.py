"""A script that somebody read and recorded: when its words, bullets and slides come."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from musetalk.audio.envelope import measure_envelope
from musetalk.errors import PackageError, SpeechError, VoiceError
from musetalk.media.sound.voice import SPEECH_RATE, Voice, read_speech
from musetalk.presenter.script import Passage, Pause, Script, Slide
from musetalk.presenter.talk import ShownSlide, SpokenPassage, Talk
from musetalk.progress import CancelToken
from musetalk.tts.alignment import SphinxAligner
from musetalk.tts.by_length import time_by_length
from musetalk.tts.english import EnglishReader
from musetalk.tts.notes import without_notes
from musetalk.tts.sentences import says_something, split_sentences
from musetalk.tts.types import TimedPhoneme, TimedWord
from musetalk.utils.arrays import BoolArray, Float32Array
from musetalk.utils.units import counted, duration

_FRAMES = Fraction(100)  # a second, in which it is told where somebody speaks
_SLIDE_BEFORE = 0.2  # seconds before what is spoken next, at which a slide comes
_SLOWEST, _FASTEST = 2, 30  # letters a second of speech, of any language; English has some 15
_AROUND = 0.3  # seconds around a word, in which what is heard may be it
_MOST_REST = 0.25  # of what is heard, that belongs to no word
_log = logging.getLogger(__name__)


def time_recording(script: Script, voice: Voice, cancel: CancelToken | None = None) -> tuple[Talk, tuple[str, ...]]:
    """Return when what a script says is spoken in a recording of it, and what the user should know of that.

    Where `pocketsphinx` is installed, and the script is in English, words and phonemes are found in the recording;
    elsewhere words are told from where somebody speaks and from how long they are.

    Args:
        script: What was read, all of it.
        voice: The recording.
        cancel: Ends the work.

    Raises:
        VoiceError: Nobody speaks in it.
    """
    sentences = [list(filter(says_something, split_sentences(passage.text))) for passage in script.passages]
    words, phonemes, notes = _timed([each for own in sentences for each in own], voice, cancel)
    rest, spoken = iter(words), list[SpokenPassage]()
    for passage, own in zip(script.passages, sentences, strict=True):
        spoken.append(SpokenPassage(passage, tuple(word for _ in own for word in next(rest))))
    if any(isinstance(item, Pause) for item in script.items):
        notes = (*notes, "pauses are those of the recording: [pause] says nothing beside it")
    slides = tuple(_slides(script, spoken, float(voice.seconds)))
    return Talk(float(voice.seconds), tuple(spoken), slides, phonemes), notes


def _timed(
    sentences: Sequence[str], voice: Voice, cancel: CancelToken | None
) -> tuple[Sequence[tuple[TimedWord, ...]], tuple[TimedPhoneme, ...], tuple[str, ...]]:
    samples = np.concatenate([np.zeros(0, np.float32), *read_speech(voice, cancel)])
    heard, reader = _heard(samples), EnglishReader()
    try:
        words, phonemes = SphinxAligner(reader).align(samples, sentences)
    except (PackageError, SpeechError) as error:
        why = str(error)
    else:
        return words, phonemes, tuple(_notes_on_the_rest(heard, words))
    _log.info("words are timed by their lengths: %s", why)
    words = time_by_length(heard, float(_FRAMES), sentences, reader)
    note = f"when words are spoken in the recording is told from their lengths ({why})"
    return words, (), (note, *_notes_on_pace(sentences, float(heard.sum() / _FRAMES)))


def _heard(samples: Float32Array) -> BoolArray:
    """Return in which frames somebody speaks: bool [N].

    Raises:
        VoiceError: Nobody does.
    """
    frames = int(len(samples) * _FRAMES / SPEECH_RATE)
    heard = measure_envelope([samples], fps=_FRAMES, frame_count=max(1, frames)).heard
    if not heard.any():
        raise VoiceError("nobody speaks in the recording", "give the recording of the script")
    return np.asarray(heard)


def _notes_on_pace(sentences: Sequence[str], seconds: float) -> Iterator[str]:
    """Yield a note where nobody could have said these sentences in so many seconds of speech."""
    letters = sum(letter.isalnum() for sentence in sentences for letter in without_notes(sentence))
    if not _SLOWEST <= letters / seconds <= _FASTEST:
        yield f"the recording has {duration(seconds)} of speech for {counted(letters, 'letter')}: is it of this script?"


def _notes_on_the_rest(heard: BoolArray, words: Sequence[Sequence[TimedWord]]) -> Iterator[str]:
    """Yield a note where much is said besides the words that were found, as in a recording of something else."""
    rest = heard.copy()
    for own in words:
        for word in own:
            rest[max(0, int((word.start - _AROUND) * _FRAMES)) : int((word.stop + _AROUND) * _FRAMES) + 1] = False
    if rest.sum() > _MOST_REST * heard.sum():
        seconds = duration(float(rest.sum() / _FRAMES))
        yield f"in {seconds} of the recording something is said that is not in the script: is it of this script?"


def _slides(script: Script, spoken: Sequence[SpokenPassage], seconds: float) -> Iterator[ShownSlide]:
    """Yield slides where what is spoken after them begins; the last ones with the end of what is spoken."""
    starts = iter(spoken)
    coming, ended = next(starts, None), 0.0
    for item in script.items:
        if isinstance(item, Passage) and coming is not None:
            ended, coming = coming.stop, next(starts, None)
        elif isinstance(item, Slide):
            start = ended if coming is None else max(ended, coming.start - _SLIDE_BEFORE)
            yield ShownSlide(item.path, min(start, seconds), item.line)
