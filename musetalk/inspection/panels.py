"""Pictures of one face in one frame, stage by stage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from musetalk.compositing.masks import FaceMask
from musetalk.faces.crops.crop import BoxCropTransform
from musetalk.pipeline.generate import FaceSteps
from musetalk.utils.arrays import UInt8Array

_ROOM = 0.15  # around the crop, as a share of its longer side: the seam is looked for beside it, too
_AMPLIFIED = 8  # differences of one level would not be seen
_BOX, _CROP = (255, 196, 61), (255, 158, 205)  # RGB


@dataclass(frozen=True, slots=True)
class StepPanel:
    """One picture of how a face came about.

    Attributes:
        name: What it is.
        picture: uint8 RGB [h, w, 3]; None: there is none.
        remark: What has to be said of it, a few words; mostly empty.
    """

    name: str
    picture: UInt8Array | None
    remark: str = ""


def stages_of(frame: UInt8Array, result: UInt8Array, steps: FaceSteps) -> tuple[StepPanel, ...]:
    """Return every stage of one face.

    Args:
        frame: The source's: uint8 RGB [H, W, 3].
        result: The same, finished.
        steps: Of the face.
    """
    crop, around = steps.transform.crop(frame), surroundings(steps)
    before, after = around.crop(frame), around.crop(result)
    changed = cv2.absdiff(before, after)
    enhanced = None if steps.enhanced is None else steps.enhanced.face
    return (
        StepPanel("source", before),
        StepPanel("box and crop", _outlined(before, around, steps)),
        StepPanel("crop", crop, _size(crop)),
        StepPanel(
            "masked crop", steps.masked, "" if steps.masked is not None else "nothing is hidden from this backend"
        ),
        StepPanel("generated", steps.generated, f"{steps.backend}, {_size(steps.generated)}"),
        StepPanel("enhanced", enhanced, "no enhancement" if enhanced is None else _size(enhanced)),
        StepPanel("mask", mask_picture(steps.shown, around)),
        StepPanel("composite", after),
        StepPanel(
            f"difference, x{_AMPLIFIED}",
            np.minimum(changed.astype(np.uint16) * _AMPLIFIED, 255).astype(np.uint8),
            f"largest {int(changed.max(initial=0))} of 255",
        ),
    )


def surroundings(steps: FaceSteps) -> BoxCropTransform:
    """Return the part of the frame around a crop, in whole pixels."""
    crop = steps.transform
    room = round(_ROOM * crop.side)
    return BoxCropTransform(crop.x - room, crop.y - room, crop.width + 2 * room, crop.height + 2 * room)


def mask_picture(masks: Iterable[FaceMask], around: BoxCropTransform) -> UInt8Array:
    """Masks as grey levels over a part of the frame, the stronger over the weaker: uint8 RGB [height, width, 3]."""
    canvas = np.zeros((around.height, around.width), np.uint8)
    for mask in masks:
        rows, columns = mask.alpha.shape
        x0, x1 = max(mask.x, around.x), min(mask.x + columns, around.x + around.width)
        y0, y1 = max(mask.y, around.y), min(mask.y + rows, around.y + around.height)
        if x0 < x1 and y0 < y1:
            part = mask.alpha[y0 - mask.y : y1 - mask.y, x0 - mask.x : x1 - mask.x]
            under = canvas[y0 - around.y : y1 - around.y, x0 - around.x : x1 - around.x]
            under[...] = np.maximum(under, np.rint(part * 255))
    return np.repeat(canvas[..., None], 3, axis=2)


def _outlined(picture: UInt8Array, around: BoxCropTransform, steps: FaceSteps) -> UInt8Array:
    drawn, box, crop = picture.copy(), steps.face.box, steps.transform
    width = max(1, around.side // 150)
    for (x0, y0, x1, y1), color in (
        ((crop.x, crop.y, crop.x + crop.width, crop.y + crop.height), _CROP),
        ((box.x0, box.y0, box.x1, box.y1), _BOX),
    ):
        first = (round(x0 - around.x), round(y0 - around.y))
        last = (round(x1 - around.x) - 1, round(y1 - around.y) - 1)
        cv2.rectangle(drawn, first, last, color, width, cv2.LINE_AA)
    return drawn


def _size(picture: UInt8Array) -> str:
    return f"{picture.shape[1]} x {picture.shape[0]} pixels"
