from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.pipeline.parse import FaceReaders, parse_pictures
from musetalk.progress import RenderRun
from musetalk.utils.arrays import UInt8Array

SIDE = 96
PICTURES, EACH = 5, 4


class Counter:
    """Labels nothing, and counts."""

    at_once, fingerprint = 3, "counter"

    def __init__(self) -> None:
        self.seen: list[int] = []

    def labels(self, crops: Sequence[UInt8Array]) -> UInt8Array:
        self.seen += [int(crop.mean()) for crop in crops]
        return np.ones((len(crops), 512, 512), np.uint8)


def one_face(frames: int) -> FacePlan:
    box = np.tile(np.float32([30, 30, 66, 66, 1]), (frames, 1))
    mouth = np.tile(np.float32([48, 58, 8, 0]), (frames, 1))
    shots, tracks = np.zeros(frames, np.int32), np.zeros(frames, np.int32)
    return FacePlan(frames, SIDE, SIDE, shots, np.arange(frames), tracks, box, mouth)


def test_a_picture_that_is_repeated_is_parsed_once(tmp_path: Path) -> None:
    shades = [20 * (picture + 1) for picture in range(PICTURES) for _ in range(EACH)]
    pictures = [(number, np.full((SIDE, SIDE, 3), shade, np.uint8)) for number, shade in enumerate(shades)]
    parser, plan = Counter(), one_face(len(pictures))
    shapes = parse_pictures(
        pictures, plan, FaceReaders(parser), 1.0, folder=tmp_path, run=RenderRun(), total=len(pictures)
    )
    assert parser.seen == sorted(set(shades))
    assert all(shapes.parsed(number, plan.faces(number)[0]) is not None for number in range(len(pictures)))
