"""American English by `hibari-tts`: the voice that needs no weights of its own, its network lies in the package."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from musetalk.tts.english import EnglishReader
from musetalk.tts.network_voice import NetworkVoice, Sound
from musetalk.tts.onnx_graph import disable_telemetry, open_model
from musetalk.utils.arrays import Float32Array

RATE = 24_000
LENGTHS = ("Round", "Clip")  # how it makes its letters' lengths of what it calculates; so does Kokoro
UNIT = 600  # samples, 25 ms, that they are counted in
# What is heard begins so many units earlier than the lengths add up to, as with Kokoro, from which the network learned.
LEAD = 3


class HibariVoice(NetworkVoice):
    """Speaks American English.

    Args:
        speed: 1: as usual; 0.5 (slow) to 2.
    """

    def __init__(self, speed: float = 1.0) -> None:
        reader = EnglishReader()
        super().__init__(reader, HibariNetwork(reader.ids), speed, f"hibari {version('hibari-tts')} heart {speed:g}")


class HibariNetwork:
    """Makes the spectra of letters, which the package makes sound of. A `SpeechNetwork`.

    Args:
        ids: What the network calls letters.
    """

    rate, most = RATE, 400

    def __init__(self, ids: dict[str, int]) -> None:
        disable_telemetry()
        from hibari import dsp  # noqa: PLC0415 - with what lies beside it, 0.3 s
        from hibari.tts import ASSETS  # noqa: PLC0415

        self._ids, self._synthesise = ids, dsp.synth
        self._session: Any = open_model(Path(ASSETS) / "hibari.onnx", LENGTHS)[0]

    def run(self, letters: str, speed: float, drawn: np.random.Generator) -> Sound:
        """See `SpeechNetwork`."""
        given = np.asarray([[0, *(self._ids[letter] for letter in letters), 0]], np.int64)
        *spectra, lengths = self._session.run(None, {"ids": given, "speed": np.asarray([speed], np.float32)})
        samples = np.asarray(self._synthesise(*(each[0] for each in spectra), drawn), np.float32)
        return Sound(samples, borders_of(lengths))


def borders_of(lengths: Float32Array) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return where letters begin, and the last one ends, in seconds: float64 [n - 1].

    Args:
        lengths: [n] in units, with those of the pads at both ends.
    """
    ends = (np.cumsum(lengths.ravel(), dtype=np.float64) - LEAD) * UNIT / RATE
    return np.maximum(ends[:-1], 0.0)
