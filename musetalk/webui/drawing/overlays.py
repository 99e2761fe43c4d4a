"""Pictures of a previewed frame: faces, mask, crop, and what the parser saw."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from musetalk.faces.crops.crop import CropTransform
from musetalk.faces.detection.opencv import shrunk
from musetalk.faces.parsing.parsed_faces import ParsedFace
from musetalk.faces.types import FaceBox
from musetalk.inspection.frame import FramePreview
from musetalk.utils.arrays import Float32Array, UInt8Array
from musetalk.webui.drawing.label_colors import paint_labels
from musetalk.webui.drawing.pen import Color, Pen, Points, plate_of

Overlay: TypeAlias = Literal["faces", "crop", "parsing"]
USUAL: tuple[Overlay, ...] = ("faces",)

# RGB
FOUND: Color = (236, 240, 244)
CHOSEN: Color = (255, 196, 61)
OUTLINE: Color = (120, 232, 255)
CROP: Color = (255, 158, 205)

_LINE = 1 / 500  # width of a thin line, of the picture's longer side
_CORNER = 0.2  # length of a corner mark, of the box's shorter side


@dataclass(frozen=True, slots=True)
class OverlayBase:
    """A previewed frame as large as it is shown, and what can be drawn into it: some MiB, whatever the source.

    Attributes:
        ground: The frame: uint8 RGB [h, w, 3]. Not to be written to.
        size: (width, height) of the source's frame; all below is in its pixels.
        boxes: Every face found, from left to right.
        chosen: Those of them that are painted.
        outlines, crops, lines, parsed: Of each chosen face, as of `FramePreview`.
    """

    ground: UInt8Array
    size: tuple[int, int]
    boxes: tuple[FaceBox, ...]
    chosen: frozenset[FaceBox]
    outlines: tuple[Float32Array, ...]
    crops: tuple[CropTransform, ...]
    lines: tuple[float | None, ...]
    parsed: tuple[ParsedFace, ...]

    @property
    def offers(self) -> frozenset[Overlay]:
        """What there is to draw."""
        there: dict[Overlay, Collection[object]] = {"faces": self.boxes, "crop": self.crops, "parsing": self.parsed}
        return frozenset(name for name, held in there.items() if held)


def sketch_of(preview: FramePreview, *, max_side: int = 1280) -> OverlayBase:
    """Take from a preview what drawing needs.

    Args:
        preview: The frame and what is known of it.
        max_side: Most pixels on the longer side of what is shown; smaller frames keep their size.
    """
    height, width = preview.frame.shape[:2]
    return OverlayBase(
        ground=_fitted(preview.frame, max_side),
        size=(width, height),
        boxes=preview.boxes,
        chosen=frozenset(face.box for face in preview.chosen),
        outlines=preview.outlines,
        crops=preview.crops,
        lines=preview.lines,
        parsed=tuple(face for face in preview.parsed if face is not None),
    )


def draw(sketch: OverlayBase, overlays: Collection[Overlay] = USUAL) -> UInt8Array:
    """Draw what was found into the source's frame.

    Args:
        sketch: The frame and what is known of it.
        overlays: What to draw; of what the sketch does not offer, nothing is seen. "faces": every face found has a
            thin box and its number, from left to right; the chosen ones have marked corners, and a dashed line where
            source and generated face are mixed half and half. "crop": what the generator sees of each chosen face, and
            the line at which that is halved. "parsing": the labels of each chosen face, a color each.

    Returns:
        uint8 RGB [h, w, 3].
    """
    picture = sketch.ground.copy()
    scale = np.array([picture.shape[1] / sketch.size[0], picture.shape[0] / sketch.size[1]])
    pen = Pen(picture, _line(picture))
    if "parsing" in overlays:
        for face in sketch.parsed:
            corner, far = _edges(face.seen) * scale
            paint_labels(picture, face.labels, (*corner, *far))
    if "faces" in overlays:
        for outline in sketch.outlines:
            pen.dashed(outline * scale, OUTLINE)
    if "crop" in overlays:
        for crop, line in zip(sketch.crops, sketch.lines, strict=True):
            _draw_crop(pen, crop, line, scale)
    if "faces" in overlays:
        _draw_boxes(pen, sketch, scale)
    return picture


def show_result(preview: FramePreview, *, max_side: int = 1280) -> UInt8Array:
    """Return the result as it is written, with at most `max_side` pixels; without a voice, the frame itself."""
    return _fitted(preview.frame if preview.output is None else preview.output, max_side)


def number_plates(sketch: OverlayBase) -> list[tuple[float, float, float, float]]:
    """Where the numbers of the faces are drawn: (x, y, width, height) in pixels of the drawn picture, as of `boxes`."""
    height, width = sketch.ground.shape[:2]
    scale = np.array([width / sketch.size[0], height / sketch.size[1]])
    line = _line(sketch.ground)
    corners = [np.array([box.x0, box.y0]) * scale for box in sketch.boxes]
    return [plate_of(str(number), corner, line, (width, height)) for number, corner in enumerate(corners, 1)]


def to_source_point(
    x: float, y: float, picture_size: tuple[int, int], frame_size: tuple[int, int]
) -> tuple[float, float]:
    """Tell which point of the source a pixel of a drawn picture shows.

    Args:
        x: The pixel's column.
        y: Its row.
        picture_size: (width, height) of the picture.
        frame_size: (width, height) of the source's frame.

    Returns:
        (x, y) in source pixels, of the pixel's middle, held inside the frame.
    """
    (width, height), (across, down) = picture_size, frame_size
    return (
        min(max((x + 0.5) * across / width, 0.0), float(across)),
        min(max((y + 0.5) * down / height, 0.0), float(down)),
    )


def _draw_boxes(pen: Pen, sketch: OverlayBase, scale: Points) -> None:
    for box in sketch.boxes:
        corners = _corners(box) * scale
        frame = np.concatenate([corners, corners[:1]])
        if box in sketch.chosen:
            pen.lines([frame], CHOSEN, also=_corner_marks(corners))
        else:
            pen.lines([frame], FOUND)
    for number, box in enumerate(sketch.boxes, 1):
        pen.tag(str(number), _corners(box)[0] * scale, CHOSEN if box in sketch.chosen else FOUND)


def _draw_crop(pen: Pen, crop: CropTransform, line: float | None, scale: Points) -> None:
    """A crop's edges, and across it the line that halves it."""
    (x0, y0), (x1, y1) = _edges(crop)
    frame = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]) * scale
    across = [] if line is None else [np.array([(x0, line), (x1, line)]) * scale]
    pen.lines([frame, *across], CROP)


def _line(picture: UInt8Array) -> float:
    """Width of a thin line, in pixels."""
    height, width = picture.shape[:2]
    return max(1.5, float(max(height, width)) * _LINE)


def _fitted(frame: UInt8Array, max_side: int) -> UInt8Array:
    """Return a copy of a frame, shrunk so that its longer side has at most `max_side` pixels."""
    small, _ = shrunk(frame, max_side)
    return small.copy() if small is frame else small


def _edges(place: CropTransform) -> Points:
    """Upper left and lower right corner: float64 [2, 2] as (x, y)."""
    return np.array([(place.x, place.y), (place.x + place.width, place.y + place.height)], np.float64)


def _corners(box: FaceBox) -> Points:
    """Return the corners of a box, from the upper left one around: float [4, 2] as (x, y)."""
    return np.array([(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1)])


def _corner_marks(corners: Points) -> list[Points]:
    """Return an angle at each corner of a box: float [3, 2] each."""
    length = _CORNER * float(np.abs(corners[2] - corners[0]).min())
    marks = []
    for index, corner in enumerate(corners):
        arms = [corners[index - 1] - corner, corners[(index + 1) % 4] - corner]
        before, after = (corner + arm / max(float(np.hypot(*arm)), 1e-6) * length for arm in arms)
        marks.append(np.stack([before, corner, after]))
    return marks
