"""English texts as they are read aloud: numbers, dates and money in words, and every word as sounds."""

from __future__ import annotations

import json
import re
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from musetalk.errors import SpeechError
from musetalk.tts.notes import Piece, read_notes, without_notes
from musetalk.tts.onnx_graph import disable_telemetry

STRESS = "ˈˌ"  # stands before a syllable, and is as long as its first part
CARRIED = " -'ːˑʰʲʷˤ˞̧̩̪̯̺̻̝̃̊12345"  # what was said just before goes on into these
MARKS = ';:,.!?—…"“”()'  # of which no sound is made

# What is longer is no word, and read in parts: reading one takes `hibari-tts` the cube of its length, a minute for some
# hundred letters, while everybody else who wants something read waits. Of numbers it knows none of more digits.
_TOO_LONG = re.compile(r"(\d{30}(?=\d)|\S{32}(?=\S))")

# What `hibari-tts` reads as less than it says, or not at all, and how it is said.
_SAID = (
    (re.compile(r"(?<![\w.$€£¥])\.(?=\d)"), "0."),  # .5
    (re.compile(r"(?<![\w.])\.(?=[A-Za-z])"), "dot "),  # .NET
    (re.compile(r"[-\u2212](?=[$€£¥]\s?\d)"), "minus "),
    (re.compile(r"(?<![\w$€£¥.,])(\d+(?:[.,]\d+)*)\s?([$€£¥])(?!\w)"), r"\2\1"),  # 5 €
    (re.compile(r"(?<=[$€£¥])(\d+(?:\.\d+)?)\s?(?:bn|B)\b"), r"\1 billion"),
    (re.compile(r"(?<=[$€£¥])(\d+(?:\.\d+)?)\s?(?:mn|M)\b"), r"\1 million"),
    (re.compile(r"\b24/7\b"), "twenty-four seven"),
    (re.compile(r"(?<=\d)(?=[½¼¾⅓⅔])"), " and "),
    (re.compile(r"⅓"), "1/3"),
    (re.compile(r"⅔"), "2/3"),
    (re.compile(r"(?<=\d)\s?‰"), " per mille"),
    (re.compile(r"≤"), " less than or equal to "),
    (re.compile(r"≥"), " greater than or equal to "),
    (re.compile(r"≠"), " not equal to "),
    (re.compile(r"≈"), " about "),
    (re.compile(r"∞"), " infinity "),
    (re.compile(r"√"), " the square root of "),
    (re.compile(r"[⇒⟶]"), " to "),
)

# `hibari-tts` writes some sounds as one letter, as Kokoro does.
_IPA = {"A": "eɪ", "I": "aɪ", "O": "oʊ", "Q": "əʊ", "W": "aʊ", "Y": "ɔɪ", "T": "ɾ"}
_IPA |= {"ᵊ": "ə", "ᵻ": "ɪ", "ʤ": "dʒ", "ʧ": "tʃ", "ʣ": "dz", "ʦ": "ts"}
_LETTERS = dict(sorted(((ipa, letter) for letter, ipa in _IPA.items() if len(ipa) > 1), key=lambda each: -len(each[0])))


@dataclass(frozen=True, slots=True)
class ReadWord:
    """What is read between two spaces.

    Attributes:
        text: As it is read: "nine", where "9" was written.
        letters: Its sounds, as `hibari-tts` writes them: stress, spaces and punctuation included.
    """

    text: str
    letters: str

    @property
    def sounds(self) -> tuple[str, ...]:
        """Its sounds in IPA, without stress and length."""
        return tuple(ipa_of(letter) for letter in self.letters if letter not in STRESS + CARRIED + MARKS)


def ipa_of(letter: str) -> str:
    """Return a sound in IPA that `hibari-tts` writes as one letter."""
    return _IPA.get(letter, letter)


class EnglishReader:
    """Reads American English, by what is in `hibari-tts`. May be shared by threads.

    Attributes:
        ids: The letters that sounds are written with, and what the voice's network calls them.
    """

    def __init__(self) -> None:
        disable_telemetry()
        from hibari.g2p import G2P  # noqa: PLC0415 - takes 0.2 s
        from hibari.tts import ASSETS  # noqa: PLC0415

        self.ids: dict[str, int] = json.loads((Path(ASSETS) / "vocab.json").read_text("utf-8"))
        self._reader = G2P()
        self._reading = threading.Lock()  # it holds state

    def read(self, sentence: str) -> tuple[ReadWord, ...]:
        """Return the words of a sentence, which may hold notes on pronunciation.

        Raises:
            SpeechError: There is nothing to read in it, or something that cannot be read.
        """
        with self._reading:
            words = tuple(self._read(read_notes(sentence)))
        silent = [word.text for word in words if not word.letters.strip(MARKS) and _is_said(word.text)]
        if silent:
            shown = ", ".join(f'"{word.strip(MARKS)}"' for word in silent[:5])
            raise SpeechError(f"{shown} cannot be read aloud in English", "spell it: [word](say: as it sounds)")
        if not any(_has_letters(word.text) for word in words):
            raise SpeechError(f'there is nothing to say in "{without_notes(sentence)}"', "write some words")
        return words

    def _read(self, pieces: Sequence[Piece]) -> Iterator[ReadWord]:
        from hibari.g2p.normalize import normalize  # noqa: PLC0415

        given = {number: self._letters(piece.ipa) for number, piece in enumerate(pieces) if piece.ipa}
        marked = "".join(
            f"[{piece.written}](/{given[number]}/)" if number in given else _TOO_LONG.sub(r"\1 ", _said(piece.said))
            for number, piece in enumerate(pieces)
        )
        tokens = self._reader.phonemize_tokens(self._reader.tokenize(normalize(marked)))
        text = letters = ""
        for token in tokens:
            text += token.text
            letters += "".join(letter for letter in token.phonemes or "" if letter in self.ids)
            if token.whitespace:
                yield ReadWord(text, letters)
                text = letters = ""
        yield ReadWord(text, letters)

    def _letters(self, ipa: str) -> str:
        """Return a sound in IPA as it is written here.

        Raises:
            SpeechError: It is none of English.
        """
        letters = ipa.replace("g", "ɡ").replace("͡", "")
        for sound, letter in _LETTERS.items():
            letters = letters.replace(sound, letter)
        unknown = sorted({letter for letter in letters if letter not in self.ids})
        if unknown:
            problem = f"the sound {' '.join(unknown)} in the note /{ipa}/ is none that this voice can make"
            raise SpeechError(problem, "write it in the IPA of American English, or as [word](say: other words)")
        return letters


def _said(text: str) -> str:
    for sign, words in _SAID:
        text = sign.sub(words, text)
    return text


def _is_said(text: str) -> bool:
    """Whether something is to be heard of a text; without signs as \u2211 it would say something else."""
    return _has_letters(text) or any(unicodedata.category(sign) == "Sm" and not sign.isascii() for sign in text)


def _has_letters(text: str) -> bool:
    return any(letter.isalnum() for letter in text)
