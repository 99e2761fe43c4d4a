"""Which detector looks for faces: from settings to one of them, and what the user should know of it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from musetalk.faces.detection.haar import HaarDetector
from musetalk.faces.detection.mtcnn import MtcnnDetector
from musetalk.faces.detection.mtcnn_networks import PACKAGE, REMEDY, find_networks
from musetalk.faces.detection.yunet import YuNetDetector
from musetalk.faces.types import FaceDetector
from musetalk.settings import DetectorSettings
from musetalk.weights.catalog import S3FD, YUNET
from musetalk.weights.weight_file import lacking

DetectorName: TypeAlias = Literal["s3fd", "mtcnn", "yunet", "haar"]


def detector_name(settings: DetectorSettings, models_dir: Path) -> DetectorName:
    """Return the detector that settings ask for.

    "auto" is S3FD where its weights are, else MTCNN, else Haar's cascades.
    """
    if settings.name != "auto":
        return settings.name
    return "s3fd" if S3FD.state(models_dir) == "ready" else name_without_torch()


def name_without_torch() -> DetectorName:
    """Return the better of the detectors that need neither torch nor a download."""
    return "haar" if find_networks() is None else "mtcnn"


def detector_lacks(settings: DetectorSettings, models_dir: Path) -> tuple[str, ...]:
    """Return what the detector that settings name is missing, a sentence each.

    Empty: nothing. "auto" misses nothing.
    """
    if settings.name == "s3fd":
        return lacking([S3FD], models_dir, "faces")
    return lacking([YUNET], models_dir, "yunet") if settings.name == "yunet" else detector_lacks_package(settings)


def detector_lacks_package(settings: DetectorSettings) -> tuple[str, ...]:
    """Return which package the detector that settings name is missing, in a sentence; empty: none."""
    missing = settings.name == "mtcnn" and find_networks() is None
    return (f"the package {PACKAGE} is not installed: {REMEDY}",) if missing else ()


def detector_notes(settings: DetectorSettings, models_dir: Path) -> list[str]:
    """Return what the user should know where "auto" did not take what it would have liked to, a sentence each."""
    if settings.name != "auto":
        return []
    name, notes = detector_name(settings, models_dir), []
    if S3FD.state(models_dir) == "damaged":
        instead = "Haar cascades" if name == "haar" else "MTCNN"
        notes.append(f"faces were looked for by {instead}: {lacking([S3FD], models_dir, 'faces')[0]}")
    if name == "haar":
        notes.append(
            f"faces were looked for by Haar cascades, which miss tilted, dark and half-hidden ones: {REMEDY}, which "
            "needs no download of weights, finds them"
        )
    return notes


def load_light(name: DetectorName, settings: DetectorSettings, models_dir: Path) -> FaceDetector:
    """Load a detector that OpenCV runs.

    Raises:
        BackendError: What it needs is missing or cannot be read.
        ValueError: It is S3FD, which torch runs.
    """
    if name == "s3fd":
        raise ValueError("S3FD is loaded by musetalk.faces.detection.s3fd")
    if name == "mtcnn":
        return MtcnnDetector(settings)
    return YuNetDetector(settings, models_dir / YUNET.path) if name == "yunet" else HaarDetector(settings)
