"""The crop of each face: where it lies, by the generator's spec and the settings, and cutting it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from musetalk.backends.types import FaceGenerator
from musetalk.compositing.blending import Patch, make_patch
from musetalk.compositing.masks import FaceMask
from musetalk.faces.crops.aligner import Aligner
from musetalk.faces.crops.crop import BoxCropTransform, CropTransform, place_crops
from musetalk.faces.parsing.face_extent import halved_crop, shift_range
from musetalk.faces.parsing.parsed_faces import ParsedFaces
from musetalk.faces.types import FaceSample
from musetalk.media.frames import Frame, Part
from musetalk.pipeline.given_crops import GivenCrops
from musetalk.settings import CropSettings
from musetalk.utils.arrays import UInt8Array

AROUND = 4  # pixels around a crop that turning it looks at


def crop_from(frame: Frame, transform: CropTransform) -> UInt8Array:
    """Cut a crop out of a frame: uint8 RGB [S, S, 3]. No more of the frame becomes RGB than it takes."""
    width, height = frame.size
    x0, y0 = min(max(0, transform.x - AROUND), width - 1), min(max(0, transform.y - AROUND), height - 1)
    x1 = min(width, max(x0 + 1, transform.x + transform.width + AROUND))
    y1 = min(height, max(y0 + 1, transform.y + transform.height + AROUND))
    return transform.moved(-x0, -y0).crop(frame.read(x0, y0, x1, y1))


def patch_in(
    part: Part, generated: UInt8Array, transform: CropTransform, mask: FaceMask, share: float = 1.0
) -> Patch | None:
    """Bring a generated crop back to a part of its frame, in the part's pixels: see `make_patch`."""
    here = (-part.x, -part.y)
    return make_patch(part.rgb, generated, transform.moved(*here), mask.moved(*here), share)


class FaceCropper:
    """Crops of planned faces. Safe to share between threads.

    Args:
        parsed: Extents, landmarks and labels.
        generator: What paints.
        settings: How faces are cropped for it.
        given: Crops between cheeks and chin that were placed before, and are not placed here; None: there are none.
    """

    def __init__(
        self, parsed: ParsedFaces, generator: FaceGenerator, settings: CropSettings, given: GivenCrops | None = None
    ) -> None:
        self.parsed = parsed
        self.given = given if generator.spec.framing == "halved" else None
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
        return [self._halved(frame, face) for frame, face in zip(frames, faces, strict=True)]

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

    def _halved(self, frame: int, face: FaceSample) -> CropTransform:
        back = self._settings.resampling
        given = None if self.given is None else self.given.box(frame)
        if given is not None:
            x0, y0, x1, y1 = given
            return BoxCropTransform(x0, y0, x1 - x0, y1 - y0, self._size, "upstream", back)
        margin, shift = self._settings.extra_margin if self._spec.margin_below else 0, self._settings.bbox_shift
        extent = self.parsed.extent(frame, face)
        return replace(halved_crop(extent, size=self._size, bbox_shift=shift, extra_margin=margin), back=back)

    def _aligned(self, frames: Sequence[int], faces: Sequence[FaceSample], aligner: Aligner) -> list[CropTransform]:
        found = [self.parsed.points(frame, face) for frame, face in zip(frames, faces, strict=True)]
        points = [aligner.assume(face.box) if at is None else at for at, face in zip(found, faces, strict=True)]
        return aligner.place(points, self._size, self._settings.resampling)
