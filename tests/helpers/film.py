"""The film that MuseTalk speaks in, and settings for small checkpoints."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from musetalk.assets import VOICE
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import UInt8Array
from tests.helpers.media import decode_sound, write_video, write_wav

FACE = range(4, 12)  # frames of the film that show the portrait; the others show none
FILM = 16


def settings(models: Path, **values: object) -> RenderSettings:
    """MuseTalk 1.5 with the weights there, faces by the detector that needs none; and whatever else is asked for.

    What is painted is not matched to the source: pieces of two backends differ in length, and so in what is matched.
    """
    unmatched = {"color": "none", "sharpness": "none"}
    base = {"backend": "musetalk-v15", "models_dir": models, "detector": {"name": "haar"}, "blend": unmatched}
    return RenderSettings.parse({**base, **values})


def write_film(folder: Path, portrait: UInt8Array, length: int, face: range, fps: Fraction = Fraction(25)) -> Path:
    """A film of that many frames, in some of which a portrait drifts by a pixel a frame; the others are grey."""
    frames = np.full((length, *portrait.shape), 128, np.uint8)
    for frame in face:
        frames[frame] = np.roll(portrait, frame - face.start, axis=1)
    return write_video(folder / "film.mp4", frames, fps, "-qp", "0")


def write_words(folder: Path, length: int) -> Path:
    """As much of the voice that ships as that many frames last."""
    return write_wav(folder / "words.wav", decode_sound(VOICE)[: length * 640])
