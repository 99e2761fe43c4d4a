"""The Haar cascades that OpenCV 4 carries, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2

from musetalk.errors import PackageError

WINDOW = 20  # side of the windows that the face and eye cascades were trained on, in pixels
STAGE_THRESHOLD = 53.7555  # stageThreshold of the last stage in haarcascade_frontalface_alt2.xml
_REMEDY = "install opencv-python-headless from 4.9 to below 5, and no other opencv package beside it"


@dataclass(frozen=True, slots=True)
class Cascades:
    """Loaded cascades. They keep scratch space of their own: one thread at a time.

    Attributes:
        face: Finds frontal faces, with few false alarms.
        second: Finds them on other grounds, with more false alarms and less mind to tilting.
        eye: Finds eyes, behind glasses too.
    """

    face: cv2.CascadeClassifier
    second: cv2.CascadeClassifier
    eye: cv2.CascadeClassifier


def load_cascades() -> Cascades:
    """Load the cascades.

    Raises:
        PackageError: This OpenCV has none, or they cannot be read.
    """
    return Cascades(
        face=_load("haarcascade_frontalface_alt2.xml"),
        second=_load("haarcascade_frontalface_default.xml"),
        eye=_load("haarcascade_eye_tree_eyeglasses.xml"),
    )


def load_profile() -> cv2.CascadeClassifier:
    """Load the cascade for faces that look to one side: the picture's left; mirrored ones are found in its mirror.

    Raises:
        PackageError: This OpenCV has none, or it cannot be read.
    """
    return _load("haarcascade_profileface.xml")


def _load(name: str) -> cv2.CascadeClassifier:
    folder = getattr(getattr(cv2, "data", None), "haarcascades", None)
    if folder is None or not hasattr(cv2, "CascadeClassifier"):
        raise PackageError(f"OpenCV {cv2.__version__} has no Haar cascades", _REMEDY)
    path, problem = Path(folder) / name, f"OpenCV cannot read its face cascade {name}"
    try:
        cascade = cv2.CascadeClassifier(str(path))
    except cv2.error as error:
        raise PackageError(problem, _REMEDY, path=path) from error
    if cascade.empty():
        raise PackageError(problem, _REMEDY, path=path)
    return cascade
