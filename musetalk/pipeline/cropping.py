"""`FaceCropper`: the crop of each face, by the generator's spec and the settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from musetalk.backends.types import FaceGenerator
from musetalk.faces.crops.aligner import Aligner
from musetalk.faces.crops.crop import CropTransform, place_crops
from musetalk.faces.parsing.face_extent import halved_crop, shift_range
from musetalk.faces.parsing.parsed_faces import ParsedFaces
from musetalk.faces.types import FaceSample
from musetalk.settings import CropSettings


class FaceCropper:
    """Crops of planned faces. Safe to share between threads.

    Args:
        parsed: Extents, landmarks and labels.
        generator: What paints.
        settings: How faces are cropped for it.
    """

    def __init__(self, parsed: ParsedFaces, generator: FaceGenerator, settings: CropSettings) -> None:
        self.parsed = parsed
        self._size, self._spec, self._settings = generator.crop_size, generator.spec, settings

    def crops(self, frames: Sequence[int], faces: Sequence[FaceSample]) -> list[CropTransform]:
        """Place the crops of one clip.

        Args:
            frames: Its source frames.
            faces: The face in each.
        """
        if self._spec.framing == "square":
            return [*place_crops(faces, self._size)]
        if self._spec.aligner is not None and self._spec.framing == "aligned":
            return self._aligned(frames, faces, self._spec.aligner)
        margin = self._settings.extra_margin if self._spec.margin_below else 0
        extents = (self.parsed.extent(frame, face) for frame, face in zip(frames, faces, strict=True))
        shift = self._settings.bbox_shift
        crops = [halved_crop(extent, size=self._size, bbox_shift=shift, extra_margin=margin) for extent in extents]
        return [replace(crop, back=self._settings.resampling) for crop in crops]

    def own_crop(self, frame: int, face: FaceSample) -> CropTransform:
        """Place the crop of a face as it is without other frames: native crops of a clip share their size."""
        return self.crops([frame], [face])[0]

    def line(self, frame: int, face: FaceSample) -> float | None:
        """Return the height at which the crop of a face is halved for the network, in source pixels.

        None where it is not.
        """
        if self._spec.framing != "halved":
            return None
        crop = self.own_crop(frame, face)
        return crop.y + crop.height / 2

    def shift_range(self, frames: Sequence[int], faces: Sequence[FaceSample]) -> tuple[int, int] | None:
        """Lowest and highest `bbox_shift` of use for faces in source frames; None where it moves no line."""
        if self._spec.framing != "halved":
            return None
        return shift_range([self.parsed.extent(frame, face) for frame, face in zip(frames, faces, strict=True)])

    def _aligned(self, frames: Sequence[int], faces: Sequence[FaceSample], aligner: Aligner) -> list[CropTransform]:
        found = [self.parsed.points(frame, face) for frame, face in zip(frames, faces, strict=True)]
        points = [aligner.assume(face.box) if at is None else at for at, face in zip(found, faces, strict=True)]
        return aligner.place(points, self._size, self._settings.resampling)
