"""Piper's voices: VITS networks as ONNX, that were taught the phonemes of espeak-ng, with a JSON file beside each."""

from __future__ import annotations

import unicodedata
import zlib
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from musetalk.errors import PATH, CheckpointError, SpeechError
from musetalk.tts.espeak_library import TIE
from musetalk.tts.espeak_reader import EspeakReader, Spelling
from musetalk.tts.network_voice import NetworkVoice, Sound
from musetalk.tts.onnx_graph import NOISE, open_model
from musetalk.utils.arrays import Float32Array, Float64Array

_LENGTHS = ("Ceil",)  # the operation that VITS rounds lengths by
_PAD, _BEGIN, _END = "_", "^", "$"  # stand between all letters, before and after
_SIGNS = frozenset({_PAD, _BEGIN, _END})
# What is heard begins so many units earlier than the lengths add up to: by that, and by halves of the pads, words and
# closures of "joe" lie where an aligner finds them in its sound, 13 ms off in the middle.
_LEAD = 3
_CHANNELS = 192  # of the noise of each frame
_FRAMES = 512, 16  # that a sound has at most, and those that each of its letters adds: many times what they do
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Share = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]


class _Audio(BaseModel):
    sample_rate: int = Field(ge=8000, le=48_000)


class _Espeak(BaseModel):
    voice: str


class _Inference(BaseModel):
    noise_scale: _Share = 0.667
    length_scale: _Positive = 1.0
    noise_w: _Share = 0.8


class PiperConfig(BaseModel):
    """What is used of the file beside a voice.

    Attributes:
        audio: Samples a second.
        espeak: Which language it was taught.
        inference: How much chance is in its sound and in its lengths, and how long these are.
        phoneme_type: How texts become letters; the others need readers of their own.
        phoneme_id_map: What the network calls letters.
        hop_length: Samples of a unit of lengths.
        num_speakers: How many voices there are in it; the first is taken, or `default_speaker_id`.
        default_speaker_id: Which.
        vowel_clusters: Letters that are one; not known here.
    """

    audio: _Audio
    espeak: _Espeak
    inference: _Inference = _Inference()
    phoneme_type: Literal["espeak"] = "espeak"
    phoneme_id_map: dict[str, list[int]] = Field(min_length=4)
    hop_length: int = Field(256, ge=1, le=4096)
    num_speakers: int = Field(1, ge=1)
    default_speaker_id: int = Field(0, ge=0)
    vowel_clusters: list[list[str]] | None = Field(None, max_length=0)


class PiperVoice(NetworkVoice):
    """A voice of Piper.

    Args:
        path: Its ONNX file; the configuration is beside it, with `.json` appended.
        language: That it shall speak; empty: its own, the only one it can.
        speed: 1: as usual; 0.5 (slow) to 2.

    Raises:
        CheckpointError: The files are none of such a voice.
        PackageError: espeak-ng is not installed.
        SpeechError: It speaks another language.
    """

    def __init__(self, path: Path, language: str = "", speed: float = 1.0) -> None:
        config = read_piper_config(path.with_name(f"{path.name}.json"))
        own = config.espeak.voice
        if language and language.partition("-")[0] != own.partition("-")[0]:
            raise SpeechError(f'the voice "{path.stem}" speaks "{own}", not "{language}"', "choose another voice")
        network = PiperNetwork(path, config)
        reader = EspeakReader(own, Spelling(frozenset(config.phoneme_id_map) - _SIGNS, _spelled))
        told = "" if network.tells_lengths else ", times from the sound"
        super().__init__(reader, network, speed, f"piper {path.stem} {network.checksum:08x} {speed:g}{told}")


class PiperNetwork:
    """Makes sound of letters. A `SpeechNetwork`.

    Args:
        path: The ONNX file.
        config: What is said of it.

    Attributes:
        checksum: Of the file.
        tells_lengths: Whether its graph shows how long letters are, as all that Piper exports do.
    """

    most = 400

    def __init__(self, path: Path, config: PiperConfig) -> None:
        self._session, self._lengths = open_model(path, _LENGTHS)
        self._config, self.rate = config, config.audio.sample_rate
        self.checksum, self.tells_lengths = zlib.crc32(path.read_bytes()), bool(self._lengths)
        self._inputs = {each.name for each in self._session.get_inputs()}
        if not {"input", "input_lengths", "scales"} <= self._inputs:
            raise CheckpointError(f"{PATH} is no voice of Piper: it takes {', '.join(self._inputs)}", path=path)

    def run(self, letters: str, speed: float, drawn: np.random.Generator) -> Sound:
        """See `SpeechNetwork`."""
        ids, firsts = self._ids(letters)
        scales, first = self._config.inference, self._session.get_outputs()[0].name
        given: dict[str, Any] = {
            "input": np.asarray([ids], np.int64),
            "input_lengths": np.asarray([len(ids)], np.int64),
            "scales": np.asarray([scales.noise_scale, scales.length_scale / speed, scales.noise_w], np.float32),
        }
        if "sid" in self._inputs:
            given["sid"] = np.asarray([self._config.default_speaker_id], np.int64)
        if NOISE in self._inputs:
            least, each = _FRAMES
            frames = least + round(each * len(ids) * scales.length_scale / speed)
            given[NOISE] = drawn.standard_normal(_CHANNELS * frames, np.float32)
        samples, *lengths = self._session.run([first, *filter(None, [self._lengths])], given)
        return Sound(samples.ravel(), self._borders(lengths[0], firsts) if lengths else None)

    def _ids(self, letters: str) -> tuple[list[int], list[int]]:
        """Return what the network is given, and where in it each letter begins, and the last one ends."""
        names, pad = self._config.phoneme_id_map, self._config.phoneme_id_map[_PAD]
        ids, firsts = [*names[_BEGIN], *pad], list[int]()
        for letter in letters:
            firsts.append(len(ids))
            ids += [*names[letter], *pad]
        return [*ids, *names[_END]], [*firsts, len(ids)]

    def _borders(self, lengths: Float32Array, firsts: list[int]) -> Float64Array:
        """Return where letters begin, and the last one ends, in seconds: in the middle of the pads between them."""
        units = np.concatenate([[0.0], lengths.ravel()])
        at = np.asarray(firsts)
        borders = np.cumsum(units)[at] - units[at] / 2 - _LEAD
        return np.asarray(np.maximum(borders, 0.0) * self._config.hop_length / self.rate, np.float64)


def read_piper_config(path: Path) -> PiperConfig:
    """Read the file beside a voice.

    Raises:
        CheckpointError: It is none, or of a voice that cannot be read here.
    """
    try:
        config = PiperConfig.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{PATH} cannot be read ({error.strerror})", "make it readable", path=path) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        problem = f"{PATH} does not describe a voice that espeak-ng can read for ({where}: {first['msg']})"
        raise CheckpointError(problem, path=path) from error
    lacks = sorted(_SIGNS - set(config.phoneme_id_map))
    if lacks:
        raise CheckpointError(f"{PATH} has no {' '.join(lacks)} among its phonemes", path=path)
    return config


def _spelled(tied: str) -> str:
    """Return sounds of espeak-ng as Piper writes them: every sign by itself, what is above a letter behind it."""
    return unicodedata.normalize("NFD", tied.replace(TIE, ""))
