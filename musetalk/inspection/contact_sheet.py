"""The contact sheet: every stage of a previewed frame on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from musetalk.errors import FaceError, OutputError
from musetalk.inspection.frame import FramePreview
from musetalk.inspection.panels import StepPanel, stages_of
from musetalk.utils.arrays import UInt8Array
from musetalk.utils.files import make_room_for, readable, whole_file
from musetalk.utils.text import fitted_font

_SIDE = 320  # pixels of a panel's picture
_COLUMNS = 3
_GAP, _LINE = 8, 22  # pixels between panels, and of a line of text
_PAPER, _TEXT, _REMARK, _EMPTY = (24, 26, 30), (240, 240, 240), (170, 176, 186), (40, 43, 49)


def contact_sheet(preview: FramePreview) -> UInt8Array:
    """Return every stage of each painted face of a previewed frame, nine panels a face, the faces one below the other.

    Returns:
        uint8 RGB [H, W, 3], 992 pixels wide.

    Raises:
        FaceError: No face is painted in that frame.
    """
    if preview.result is None or not preview.steps:
        reason = " ".join(preview.notes) or "no face is painted in this frame"
        raise FaceError(f"there is nothing to inspect in this frame ({reason.rstrip('.')})", "choose another frame")
    pages = []
    for number, steps in enumerate(preview.steps, 1):
        source, *further = stages_of(preview.frame, preview.result, steps)
        face = f", face {number}" if len(preview.steps) > 1 else ""
        named = replace(source, remark=f"output frame {preview.number}, {preview.seconds:.2f} s of the source{face}")
        pages.append(_page([named, *further]))
    return np.concatenate(pages)


def check_sheet(path: Path) -> None:
    """Make sure, before the work, that a sheet can be written.

    Raises:
        OutputError: It cannot.
    """
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise OutputError(
            f'a sheet cannot be written as "{readable(path.suffix)}"',
            "name a file that ends with .png or .jpg",
            path=path,
        )
    make_room_for(path)


def save_sheet(sheet: UInt8Array, path: Path) -> None:
    """Write a sheet as PNG or JPEG, by the file's ending, whole or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    check_sheet(path)
    with whole_file(path) as partial:
        Image.fromarray(sheet).save(partial)


def _page(stages: Sequence[StepPanel]) -> UInt8Array:
    rows = -(-len(stages) // _COLUMNS)
    across, down = _SIDE + _GAP, _SIDE + 2 * _LINE + _GAP
    page = Image.new("RGB", (_COLUMNS * across + _GAP, rows * down + _GAP), _PAPER)
    draw = ImageDraw.Draw(page)
    for number, stage in enumerate(stages):
        x, y = _GAP + number % _COLUMNS * across, _GAP + number // _COLUMNS * down
        for text, color, line in ((stage.name, _TEXT, 0.5), (stage.remark, _REMARK, 1.5)):
            draw.text((x, y + line * _LINE), text, fill=color, font=fitted_font(text, _SIDE, 15), anchor="lm")
        page.paste(Image.fromarray(letterboxed(stage.picture, _SIDE, _SIDE)), (x, y + 2 * _LINE))
    return np.array(page, np.uint8)


def letterboxed(picture: UInt8Array | None, width: int, height: int) -> UInt8Array:
    """Return a picture as large as fits into [height, width, 3], in the middle; None: an empty panel."""
    canvas = np.full((height, width, 3), _EMPTY, np.uint8)
    if picture is None:
        return canvas
    scale = min(width / picture.shape[1], height / picture.shape[0])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    x, y = (width - size[0]) // 2, (height - size[1]) // 2
    canvas[y : y + size[1], x : x + size[0]] = cv2.resize(picture, size, interpolation=how)
    return canvas
