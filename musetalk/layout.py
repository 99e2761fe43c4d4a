"""Where the crop and the mask of each face lie, by the habits of the generator and the wishes of the user."""

from __future__ import annotations

from collections.abc import Sequence

from musetalk.compositing.masks import FaceMask, both_masks, crop_mask, face_mask, shown_mask
from musetalk.compositing.parsed import ParsedMaskOptions, parsed_mask
from musetalk.faces.aligner import Aligner
from musetalk.faces.extent import halved_crop, shift_range
from musetalk.faces.face_shapes import FaceShapes
from musetalk.faces.geometry import Placement, place_crops
from musetalk.faces.types import FaceSample
from musetalk.generators.types import FaceGenerator
from musetalk.recent import Recent
from musetalk.settings import DrawnShape, ParsedShape, RenderSettings

_KEPT = 32  # masks: a picture, or a frame that is held, is shown again and again


class FaceLayout:
    """Crops and masks of planned faces. Safe to share between threads.

    Args:
        shapes: Extents and labels.
        generator: What paints.
        settings: Of the render.
    """

    def __init__(self, shapes: FaceShapes, generator: FaceGenerator, settings: RenderSettings) -> None:
        self._shapes = shapes
        self._size, self._traits = generator.crop_size, generator.traits
        self._settings = settings
        self._masks: Recent[tuple[int, int, Placement], FaceMask] = Recent(_KEPT)

    @property
    def shapes(self) -> FaceShapes:
        """Extents and labels of the faces."""
        return self._shapes

    def crops(self, frames: Sequence[int], faces: Sequence[FaceSample]) -> list[Placement]:
        """Place the crops of one clip.

        Args:
            frames: Its source frames.
            faces: The face in each.
        """
        if self._traits.framing == "square":
            return [*place_crops(faces, self._size)]
        if self._traits.aligner is not None and self._traits.framing == "aligned":
            return self._aligned(frames, faces, self._traits.aligner)
        margin = self._settings.extra_margin if self._traits.room_below else 0
        extents = (self._shapes.extent(frame, face) for frame, face in zip(frames, faces, strict=True))
        shift = self._settings.bbox_shift
        return [halved_crop(extent, size=self._size, bbox_shift=shift, extra_margin=margin) for extent in extents]

    def _aligned(self, frames: Sequence[int], faces: Sequence[FaceSample], aligner: Aligner) -> list[Placement]:
        found = [self._shapes.points(frame, face) for frame, face in zip(frames, faces, strict=True)]
        points = [aligner.assume(face.box) if at is None else at for at, face in zip(found, faces, strict=True)]
        return aligner.place(points, self._size)

    def line(self, frame: int, face: FaceSample) -> float | None:
        """The height at which the crop of a face is halved for the network, in source pixels; None where it is not."""
        if self._traits.framing != "halved":
            return None
        [crop] = self.crops([frame], [face])
        return crop.y + crop.height / 2

    def shift_range(self, frames: Sequence[int], faces: Sequence[FaceSample]) -> tuple[int, int] | None:
        """Lowest and highest `bbox_shift` of use for faces in source frames; None where it moves no line."""
        if self._traits.framing != "halved":
            return None
        return shift_range([self._shapes.extent(frame, face) for frame, face in zip(frames, faces, strict=True)])

    def mask(self, frame: int, face: FaceSample, crop: Placement) -> FaceMask:
        """Where the generated crop of a face shows in a source frame."""
        key = (frame, face.track, crop)
        mask = self._masks.get(key)
        if mask is None:
            mask = self._make_mask(frame, face, crop)
            self._masks.keep(key, mask)
        return mask

    def _make_mask(self, frame: int, face: FaceSample, crop: Placement) -> FaceMask:
        wanted, shown = self._settings.mask, self._traits.shown
        shape = wanted.shape_of(self._traits.mask)
        if shown is None or crop.size is None:
            return self._shaped(frame, face, crop, "ellipse" if shape == "painted" else shape)
        painted = shown_mask(crop, shown(crop.size))
        return painted if shape == "painted" else both_masks(self._shaped(frame, face, crop, shape), painted)

    def _shaped(self, frame: int, face: FaceSample, crop: Placement, shape: DrawnShape | ParsedShape) -> FaceMask:
        if shape == "ellipse" or shape == "box":  # noqa: PLR1714 - narrows the type
            return self._drawn_mask(face, crop)
        parsed = self._shapes.parsed(frame, face)
        if parsed is None:
            return self._drawn_mask(face, crop)
        wanted = self._settings.mask
        cheeks = wanted.left_cheek_width, wanted.right_cheek_width
        options = ParsedMaskOptions(shape, wanted.blur, left_cheek=cheeks[0], right_cheek=cheeks[1])
        return parsed_mask(parsed.labels, parsed.seen, crop, options)

    def _drawn_mask(self, face: FaceSample, crop: Placement) -> FaceMask:
        halved = self._traits.framing == "halved"
        return crop_mask(crop, self._settings.mask) if halved else face_mask(face.box, self._settings.mask)


def first_row_shown(masks: Sequence[FaceMask], crops: Sequence[Placement]) -> int:
    """The first row of the generated crops that any of their masks shows, and what scaling back takes with it."""
    rows = (
        crop.first_row(mask.x, mask.y, mask.x + mask.alpha.shape[1], mask.y + mask.alpha.shape[0])
        for mask, crop in zip(masks, crops, strict=True)
    )
    return max(0, min(rows))
