"""Kokoro's voices: one network as ONNX, and a table of styles for each voice."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from musetalk.errors import PATH, CheckpointError
from musetalk.tts.english import EnglishReader
from musetalk.tts.espeak_library import TIE
from musetalk.tts.espeak_reader import EspeakReader, Spelling
from musetalk.tts.hibari import LENGTHS, RATE, borders_of
from musetalk.tts.network_voice import NetworkVoice, Sound, WordReader
from musetalk.tts.onnx_graph import open_model
from musetalk.utils.arrays import Float32Array

AMERICAN, BRITISH = "en-us", "en-gb"
_STYLE = 256  # numbers, for each count of letters
_MOST = 510  # letters: with the pads at both ends, what its text encoder takes
_DURATION = "duration"  # the output of newer exports
_TOKENS = "tokens", "input_ids"  # the input, in older exports and in newer ones
_ESPEAK = {BRITISH: "en"}  # what espeak-ng calls it

# What the network calls letters; `hibari-tts`, which learned from it, has the same (a test compares them).
_LETTERS = (
    ';1 :2 ,3 .4 !5 ?6 —9 …10 "11 (12 )13 “14 ”15 ̃17 ʣ18 ʥ19 ʦ20 ʨ21 ᵝ22 ꭧ23 A24 I25 O31 Q33 S35 T36 W39 Y41 ᵊ42 a43'
    " b44 c45 d46 e47 f48 h50 i51 j52 k53 l54 m55 n56 o57 p58 q59 r60 s61 t62 u63 v64 w65 x66 y67 z68 ɑ69 ɐ70 ɒ71 æ72"
    " β75 ɔ76 ɕ77 ç78 ɖ80 ð81 ʤ82 ə83 ɚ85 ɛ86 ɜ87 ɟ90 ɡ92 ɥ99 ɨ101 ɪ102 ʝ103 ɯ110 ɰ111 ŋ112 ɳ113 ɲ114 ɴ115 ø116 ɸ118"
    " θ119 œ120 ɹ123 ɾ125 ɻ126 ʁ128 ɽ129 ʂ130 ʃ131 ʈ132 ʧ133 ʊ135 ʋ136 ʌ138 ɣ139 ɤ140 χ142 ʎ143 ʒ147 ʔ148 ˈ156 ˌ157"
    " ː158 ʰ162 ʲ164 ↓169 →171 ↗172 ↘173 ᵻ177"
)
KOKORO_IDS = {each[0]: int(each[1:]) for each in _LETTERS.split()} | {" ": 16}
# Sounds of several letters that it writes as one; first those that it has in British English alone.
_SPELLED_BRITISH = (("e^ə", "ɛː"), ("i^ə", "ɪə"), ("iə", "ɪə"), ("ə^l", "ᵊl"), ("ɐ", "ə"))
_SPELLED = (
    *(("a^ɪ", "I"), ("a^ʊ", "W"), ("d^z", "ʣ"), ("d^ʒ", "ʤ"), ("e^ɪ", "A"), ("o^ʊ", "O"), ("ə^ʊ", "Q")),
    *(("s^s", "S"), ("t^s", "ʦ"), ("t^ʃ", "ʧ"), ("ɔ^ɪ", "Y"), (TIE, ""), ("-", "")),
)


class KokoroVoice(NetworkVoice):
    """A voice of Kokoro.

    Args:
        model: The ONNX file.
        styles: The file of styles: of all voices (an .npz archive, whatever its ending), or of this one (float32).
        name: Of the voice: "af_heart".
        language: That it speaks: `AMERICAN`, by the reader of English that is here; others by espeak-ng.
        speed: 1: as usual; 0.5 (slow) to 2.

    Raises:
        CheckpointError: The files are none of Kokoro.
        PackageError: espeak-ng is not installed.
    """

    def __init__(self, model: Path, styles: Path, name: str, language: str, speed: float = 1.0) -> None:
        network = KokoroNetwork(model, read_styles(styles, name))
        told = "" if network.tells_lengths else ", times from the sound"
        fingerprint = f"kokoro {name} {network.checksum:08x} {language} {speed:g}{told}"
        super().__init__(_reader(language), network, speed, fingerprint)


class KokoroNetwork:
    """Makes sound of letters. A `SpeechNetwork`.

    Args:
        path: The ONNX file.
        styles: Of the voice, float32 [counts, 256].

    Attributes:
        checksum: Of the file and the styles.
        tells_lengths: Whether it says how long letters are, as all published exports can.
    """

    rate, most = RATE, _MOST

    def __init__(self, path: Path, styles: Float32Array) -> None:
        self._session, tensor = open_model(path, LENGTHS)
        outputs = [each.name for each in self._session.get_outputs()]
        self._sound, self._lengths = outputs[0], _DURATION if _DURATION in outputs else tensor
        self.tells_lengths, self._styles = bool(self._lengths), styles
        self.checksum = zlib.crc32(styles.tobytes(), zlib.crc32(path.read_bytes()))
        inputs = {each.name: each.type for each in self._session.get_inputs()}
        tokens = [name for name in _TOKENS if name in inputs]
        if not tokens or not {"style", "speed"} <= set(inputs):
            raise CheckpointError(f"{PATH} is no network of Kokoro: it takes {', '.join(inputs)}", path=path)
        if "int" in inputs["speed"]:
            raise CheckpointError(f"{PATH} takes no speeds but whole ones", "take a newer export of it", path=path)
        self._tokens = tokens[0]

    def run(self, letters: str, speed: float, drawn: np.random.Generator) -> Sound:
        """See `SpeechNetwork`."""
        given: dict[str, Any] = {
            self._tokens: np.asarray([[0, *(KOKORO_IDS[letter] for letter in letters), 0]], np.int64),
            "style": self._styles[min(len(letters), len(self._styles)) - 1][None],
            "speed": np.asarray([speed], np.float32),
        }
        samples, *lengths = self._session.run([self._sound, *filter(None, [self._lengths])], given)
        return Sound(samples.ravel(), borders_of(lengths[0]) if lengths else None)


def read_styles(path: Path, name: str) -> Float32Array:
    """Return the styles of a voice, float32 [counts, 256]: one for each count of letters, from 1 on.

    Raises:
        CheckpointError: The file has none of it.
    """
    try:
        if path.read_bytes()[:2] == b"PK":
            with np.load(path, allow_pickle=False) as voices:
                styles = np.asarray(voices[name], np.float32) if name in voices.files else None
        else:
            styles = np.fromfile(path, "<f4").astype(np.float32)
    except OSError as error:
        raise CheckpointError(f"{PATH} cannot be read ({error.strerror})", "make it readable", path=path) from error
    except Exception as error:  # archives can be damaged in many ways
        raise CheckpointError(f"{PATH} has no voices of Kokoro, or is damaged", path=path) from error
    if styles is None or styles.size == 0 or styles.size % _STYLE or not np.isfinite(styles).all():
        raise CheckpointError(f'{PATH} has no voice "{name}" of Kokoro', path=path)
    return styles.reshape(-1, _STYLE)


def _reader(language: str) -> WordReader:
    if language == AMERICAN:
        return EnglishReader()
    pairs = (*_SPELLED_BRITISH, *_SPELLED) if language == BRITISH else _SPELLED

    def spelled(tied: str) -> str:
        for sound, letters in pairs:
            tied = tied.replace(sound, letters)
        return tied

    return EspeakReader(_ESPEAK.get(language, language), Spelling(KOKORO_IDS, spelled))
