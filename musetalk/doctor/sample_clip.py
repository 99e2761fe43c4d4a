"""The clip that every backend is given: a face that drifts and brightens from frame to frame, and a voice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from musetalk.assets import PORTRAIT
from musetalk.audio.envelope import measure_envelope
from musetalk.audio.feature_store import FeatureFile, write_features
from musetalk.audio.features import measure_features
from musetalk.audio.types import STEPS_PER_SECOND, AudioFeatureSpec
from musetalk.audio.windows import FeatureTrack
from musetalk.faces.detection.haar import HaarDetector
from musetalk.faces.tracking.mouth import locate_mouth, mouth_prior
from musetalk.faces.types import FaceBox, FaceSample
from musetalk.media.pictures.decoding import read_image
from musetalk.settings import DetectorSettings
from musetalk.utils.arrays import Float32Array, UInt8Array

FRAMES = 16
FPS = Fraction(25)
_RATE = 16_000  # Hz
_STATES, _WIDTH = 5, 384  # of Whisper-tiny
_SYLLABLES = 4.0  # Hz
_SIDE = 512  # of the drawn face's picture, in pixels
_SEED = 3


@dataclass(frozen=True, slots=True)
class Scene:
    """The clip before any backend's own framing.

    Attributes:
        frames: uint8 RGB [H, W, 3] each. Not to be written to.
        faces: The face in each.
        origin: Where it comes from, for people.
    """

    frames: tuple[UInt8Array, ...]
    faces: tuple[FaceSample, ...]
    origin: str


def make_scene(portrait: Path = PORTRAIT) -> Scene:
    """Make the clip.

    Args:
        portrait: A picture with a face; where there is no such file, or no face in it, one is drawn.
    """
    found = _face_in(portrait) if portrait.is_file() else None
    picture, box = found or _drawn()
    mouth = locate_mouth(picture, box) or mouth_prior(box)
    frames, faces = [], []
    for k in range(FRAMES):
        # Brighter by a level each, so that no crop is another's again: latents are kept by what crops show.
        frame = np.roll(np.minimum(picture, 255 - k) + np.uint8(k), k, axis=1)
        frame.setflags(write=False)
        frames.append(frame)
        moved = replace(box, x0=box.x0 + k, x1=box.x1 + k)
        faces.append(FaceSample(0, moved, replace(mouth, cx=mouth.cx + k)))
    return Scene(tuple(frames), tuple(faces), portrait.name if found else "a drawn face")


def envelope_windows() -> Float32Array:
    """Return what the preview hears of the voice: float32 [16, 2]."""
    return measure_envelope([voice()], fps=FPS, frame_count=FRAMES).window(0, FRAMES)


def feature_windows(
    audio_spec: AudioFeatureSpec, folder: Path, whisper: Path | None = None, device: str = "cpu"
) -> Float32Array:
    """Return what networks hear of the voice: float32 [16, 50, 384].

    Args:
        audio_spec: Whose habits to follow.
        folder: For a temporary file.
        whisper: Where Whisper's weights lie; None: they are not here, features are drawn.
        device: What Whisper runs on.

    Raises:
        BackendError: Whisper's files are damaged, or another network's.
    """
    path = folder / "features.npy"
    if whisper is None:
        features = drawn_features(path)
    else:
        from musetalk.audio.whisper import load_whisper  # noqa: PLC0415 - loads torch

        features = measure_features([voice()], load_whisper(whisper, audio_spec, device=device), path)
    return FeatureTrack(features, fps=FPS, frame_count=FRAMES, audio_spec=audio_spec).window(0, FRAMES)


def drawn_features(path: Path) -> FeatureFile:
    """Features as long as the voice, of standard normal numbers, the same every time."""
    shape = (int(FRAMES * STEPS_PER_SECOND / FPS), _STATES, _WIDTH)
    drawn = np.random.default_rng(_SEED).standard_normal(shape, dtype=np.float32)
    return write_features(path, shape, [drawn])


def voice() -> Float32Array:
    """Return a buzz that comes and goes like syllables: float32 [10240], 16 kHz."""
    t = np.arange(int(FRAMES * _RATE / FPS)) / _RATE
    buzz = sum(np.sin(2 * np.pi * 220 * n * t) / n for n in range(1, 6))
    return np.asarray(0.25 * buzz * (0.5 - 0.5 * np.cos(2 * np.pi * _SYLLABLES * t)), dtype=np.float32)


def _face_in(portrait: Path) -> tuple[UInt8Array, FaceBox] | None:
    picture = read_image(portrait)
    detector = HaarDetector(DetectorSettings(name="haar"))
    scale = min(1.0, detector.max_side / max(picture.shape[:2]))
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    found = detector.detect([np.asarray(small, np.uint8)])[0]
    if not found:
        return None
    box = max(found, key=lambda each: each.area)
    x0, y0, x1, y1 = (edge / scale for edge in (box.x0, box.y0, box.x1, box.y1))
    return picture, FaceBox(x0, y0, x1, y1, box.score)


def _drawn() -> tuple[UInt8Array, FaceBox]:
    """Ellipses for head, eyes and mouth on a plain ground, where a typical face has them in its box."""
    picture = np.full((_SIDE, _SIDE, 3), (90, 110, 130), np.uint8)
    box = FaceBox(136.0, 136.0, 376.0, 376.0, 1.0)
    mouth = mouth_prior(box)
    cv2.ellipse(picture, (256, 256), (96, 124), 0, 0, 360, (205, 165, 140), cv2.FILLED, cv2.LINE_AA)
    for x in (216, 296):
        cv2.ellipse(picture, (x, 222), (16, 7), 0, 0, 360, (50, 40, 40), cv2.FILLED, cv2.LINE_AA)
    middle, half = (round(mouth.cx), round(mouth.cy)), (round(mouth.half_width), 8)
    cv2.ellipse(picture, middle, half, 0, 0, 360, (150, 60, 70), cv2.FILLED, cv2.LINE_AA)
    return picture, box
