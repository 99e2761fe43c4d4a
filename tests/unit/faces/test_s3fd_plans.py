"""Plans by following faces with S3FD: the same as by searching every frame, at a fraction of the price."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from musetalk.faces.detection.s3fd import S3FDDetector
from musetalk.faces.detection.s3fd_network import S3FD
from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.faces.tracking.planner import plan_faces
from musetalk.faces.types import FaceBox
from musetalk.settings import TrackerSettings
from tests.helpers.green_faces import Searching, Size, draw, green, tight

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]

Clip = Sequence[tuple[int, Sequence[FaceBox]]]  # per frame the shade of its ground, and its faces


def walking(k: int) -> FaceBox:
    """Across and towards the camera, and back."""
    swing = np.sin(k / 12)
    return tight(150 + 1.55 * k, 105 + 12.5 * swing, 60 + 9 * swing)


CLIPS: dict[str, Clip] = {
    "one face": [(60, [walking(k)]) for k in range(45)],
    "comes and goes": [(60, [walking(k)] if 14 <= k < 38 else []) for k in range(60)],
    "two faces": [
        (60, [*([walking(k)] if k < 31 else []), *([tight(320 - 0.5 * k, 165, 50)] if k > 7 else [])])
        for k in range(44)
    ],
    "cutaway": [
        *((60, [walking(k)]) for k in range(23)),
        *((190, []) for _ in range(13)),
        *((60, [tight(210 + 0.5 * k, 130, 45)]) for k in range(26)),
    ],
}


def plan_of(detector: S3FDDetector | Searching, clip: Clip, size: Size = (480, 270)) -> FacePlan:
    frames = (draw(size, faces, (shade, shade, shade)) for shade, faces in clip)
    return plan_faces(frames, frame_size=size, fps=Fraction(25), detector=detector, settings=TrackerSettings())


@pytest.mark.parametrize("name", CLIPS)
def test_plans_are_the_same_as_by_searching_every_frame(name: str) -> None:
    clip, (detector, network) = CLIPS[name], green(longest=320)
    searched = plan_of(Searching(detector), clip)
    assert searched.frame.tolist() == [k for k, (_, faces) in enumerate(clip) for _ in faces]
    whole = (192, 320)
    network.shown.clear()
    followed = plan_of(detector, clip)
    assert network.shown.count(whole) <= 0.1 * len(clip) + 2 * followed.shot_count
    for name_of in ("shots", "frame", "track"):
        assert np.array_equal(getattr(followed, name_of), getattr(searched, name_of))
    sizes = searched.boxes[:, 2] - searched.boxes[:, 0]
    assert (np.abs(followed.boxes[:, :4] - searched.boxes[:, :4]).max(axis=1) <= 0.01 * sizes).all()


def flop(size: Size, network: S3FD) -> int:
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 3, *size, device="meta"))
    return int(counter.get_total_flops())


def test_planning_costs_a_tenth_of_passes_at_full_size_at_most() -> None:
    clip = [(60, [tight(800 + 3 * k, 500, 260)]) for k in range(31)]
    detector, network = green()
    plan = plan_of(detector, clip, (1920, 1080))
    assert plan.frame.tolist() == list(range(31))
    with torch.device("meta"):
        s3fd = S3FD().requires_grad_(False)
    sizes = Counter(network.shown)
    assert (368, 640) in sizes
    spent = sum(count * flop(size, s3fd) for size, count in sizes.items())
    assert spent / len(clip) <= flop((1088, 1920), s3fd) / 10
