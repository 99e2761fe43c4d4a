"""`FaceMasker`: the mask of each face, by the generator's spec and the settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import cv2
import numpy as np

from musetalk.backends.types import GeneratorSpec
from musetalk.compositing.masks import FaceMask, crop_mask, face_mask, intersect_masks, soft_square, visible_mask
from musetalk.compositing.masks_over_time import time_weights, weighted_mean
from musetalk.compositing.occlusion import find_occluders, keep_in_front
from musetalk.compositing.parsed_masks import ParsedMaskOptions, mask_of_shape, shape_map
from musetalk.faces.crops.crop import CropTransform, square_around
from musetalk.faces.parsing.face_extent import parsing_view
from musetalk.faces.types import FaceSample
from musetalk.pipeline.cropping import FaceCropper
from musetalk.settings import MaskSettings, ShownShape
from musetalk.utils.arrays import Float32Array, UInt8Array
from musetalk.utils.lru_cache import LRUCache
from musetalk.utils.stopping import stop_point

_KEPT = 32  # masks: a picture, or a frame that is held, is shown again and again
_KEPT_BEHIND = 16  # maps of frames, besides those that one mask takes
_BOUNDARY = 0.75  # of the blur's reach, over which parsed masks fade at the crop's edges
_SOFT_EDGE = 0.01  # around what lies in front of a face, as a fraction of the face's width


@dataclass(frozen=True, slots=True)
class _FaceMaps:
    """What one face's labels in one frame say of its mask.

    Attributes:
        shape: uint8 [512, 512] over the blended square, 255 where it belongs to a parsed shape; None: nobody asks.
        front: uint8 [512, 512] over the part of the frame that was parsed, 255 where something lies in front of the
            face; None: nobody asks.
    """

    shape: UInt8Array | None
    front: UInt8Array | None


class FaceMasker:
    """Masks of planned faces. Safe to share between threads.

    Args:
        cropper: Where their crops lie, and what was parsed of them.
        spec: Of what paints.
        settings: Where what it paints replaces the source.
        fps: Of the source; None: masks are not smoothed in time.
    """

    def __init__(
        self, cropper: FaceCropper, spec: GeneratorSpec, settings: MaskSettings, *, fps: Fraction | None = None
    ) -> None:
        self.cropper = cropper
        self._parsed, self._spec, self._settings = cropper.parsed, spec, settings
        self._shape = settings.shape_of(spec.mask)
        self._options = _parsed_options(settings, self._shape)
        self._weights = time_weights(settings.smoothing_seconds, fps)
        self._masks: LRUCache[tuple[int, int, CropTransform], FaceMask] = LRUCache(_KEPT)
        self._maps: LRUCache[tuple[int, int], _FaceMaps] = LRUCache(2 * len(self._weights) + _KEPT_BEHIND)

    def mask(self, frame: int, face: FaceSample, crop: CropTransform) -> FaceMask:
        """Return where the generated crop of a face shows in a source frame."""
        stop_point()
        key = (frame, face.track, crop)
        mask = self._masks.get(key)
        if mask is None:
            mask = self._make_mask(frame, face, crop)
            self._masks.keep(key, mask)
        return mask

    def remove_occluders(self, mask: FaceMask, frame: int, face: FaceSample) -> FaceMask:
        """Return a mask without what lies in front of a face in a source frame."""
        return self._behind(mask, frame, face, self._maps_around(frame, face))

    def _make_mask(self, frame: int, face: FaceSample, crop: CropTransform) -> FaceMask:
        given = None if self.cropper.given is None or self._settings.shape != "auto" else self.cropper.given.mask(frame)
        if given is not None:
            return given
        maps = self._maps_around(frame, face)
        shown, pasted = self._spec.paste_mask, self._spec.pasted
        if shown is None or crop.size is None:
            mask = self._shaped(frame, face, crop, maps)
        else:
            if pasted is not None and not self._moves:
                mask = FaceMask(*pasted(crop))
            else:
                mask = visible_mask(crop, self._moved(shown(crop.size), face, crop))
            if self._shape != "painted":
                mask = intersect_masks(self._shaped(frame, face, crop, maps), mask)
        return self._behind(mask, frame, face, maps)

    def _moved(self, shown: Float32Array, face: FaceSample, crop: CropTransform) -> Float32Array:
        """Return what a generator shows of its crops, where the settings want that."""
        wanted, side = self._settings, shown.shape[0]
        if self._shape != "painted" or not self._moves:
            return shown
        scale, middle = wanted.mouth_scale_factor, np.argwhere(shown > 0).mean(axis=0)
        drop = wanted.mouth_vertical_offset * crop.to_crop(face).box.height * side / (crop.size or side)
        matrix = np.array([[scale, 0, (1 - scale) * middle[1]], [0, scale, (1 - scale) * middle[0] + drop]])
        moved = cv2.warpAffine(shown, matrix, (side, side), flags=cv2.INTER_LINEAR)
        return np.asarray(moved, np.float32) * soft_square(side)

    @property
    def _moves(self) -> bool:
        """Whether masks are moved or scaled."""
        wanted = self._settings
        return (wanted.mouth_scale_factor, wanted.mouth_vertical_offset) != (1, 0)

    def _maps_around(self, frame: int, face: FaceSample) -> list[tuple[int, _FaceMaps]]:
        """Return what is known of a face in the frames around, ascending, as far as masks are smoothed in time."""
        if self._options is None and self._settings.occlusion is False:
            return []
        places = self._parsed.around(frame, face, len(self._weights) - 1)
        return [(at, self._face_maps(at, other)) for at, other in places]

    def _face_maps(self, frame: int, face: FaceSample) -> _FaceMaps:
        key = (frame, face.track)
        maps = self._maps.get(key)
        if maps is None:
            maps = self._make_maps(frame, face)
            self._maps.keep(key, maps)
        return maps

    def _make_maps(self, frame: int, face: FaceSample) -> _FaceMaps:
        parsed = self._parsed.parsed(frame, face)
        if parsed is None:
            return _FaceMaps(None, None)
        shape = front = None
        if self._options is not None:
            shape = shape_map(parsed.labels, parsed.seen, self.cropper.own_crop(frame, face), self._options)
        if self._settings.occlusion is not False:
            front = find_occluders(parsed.labels)
        return _FaceMaps(shape, front)

    def _shaped(
        self, frame: int, face: FaceSample, crop: CropTransform, maps: Sequence[tuple[int, _FaceMaps]]
    ) -> FaceMask:
        mean = self._mean((at - frame, each.shape) for at, each in maps)
        if self._options is None or mean is None:
            return self._drawn_mask(frame, face, crop)
        own = self.cropper.own_crop(frame, face)
        square = square_around(own, self._options.expand)
        drop = self._settings.mouth_vertical_offset * face.box.height / max(1, square.height)
        return mask_of_shape(mean, own, replace(self._options, drop=drop))

    def _behind(self, mask: FaceMask, frame: int, face: FaceSample, maps: Sequence[tuple[int, _FaceMaps]]) -> FaceMask:
        """Return the mask without what lies in front of the face."""
        fronts = [(at - frame, each.front) for at, each in maps]
        present = next((front for distance, front in fronts if distance == 0), None)
        hidden = any(front is not None and front.any() for _, front in fronts)
        around = self._mean(fronts) if hidden and len(fronts) > 1 else None
        edge = _SOFT_EDGE * face.box.width
        return keep_in_front(mask, parsing_view(face.box), present=present, around=around, edge=edge)

    def _mean(self, maps: Iterable[tuple[int, UInt8Array | None]]) -> UInt8Array | None:
        """Return the mean of maps, with weights by their distance in frames."""
        return weighted_mean((self._weights[abs(distance)], each) for distance, each in maps if each is not None)

    def _drawn_mask(self, frame: int, face: FaceSample, crop: CropTransform) -> FaceMask:
        if self._spec.framing == "halved":
            return crop_mask(crop, self._settings)
        return face_mask(face.box, self._settings, self.cropper.own_crop(frame, face))


def first_row_shown(masks: Sequence[FaceMask], crops: Sequence[CropTransform]) -> int:
    """The first row of the generated crops that any of their masks shows, and what scaling back takes with it."""
    rows = (
        crop.first_row(mask.x, mask.y, mask.x + mask.alpha.shape[1], mask.y + mask.alpha.shape[0])
        for mask, crop in zip(masks, crops, strict=True)
    )
    return max(0, min(rows))


def _parsed_options(wanted: MaskSettings, shape: ShownShape) -> ParsedMaskOptions | None:
    """Return how a parsed shape is made; None for others."""
    if shape == "ellipse" or shape == "box" or shape == "painted":  # noqa: PLR1714 - narrows the type
        return None
    return ParsedMaskOptions(
        shape,
        blur=wanted.blur_kernel_ratio,
        expand=wanted.expand_factor,
        upper=wanted.upper_boundary_ratio,
        left_cheek=wanted.left_cheek_width,
        right_cheek=wanted.right_cheek_width,
        boundary=0.0 if wanted.crop_edge == "cut" else _BOUNDARY,
        scale=wanted.mouth_scale_factor,
    )
