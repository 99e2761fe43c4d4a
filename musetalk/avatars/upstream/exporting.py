"""MuseTalk's cache from an avatar of this program: the crops, masks and latents that it would speak with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import torch

from musetalk.avatars.bundle import Avatar
from musetalk.avatars.given_crops import GivenCropsFile
from musetalk.avatars.upstream.cache import CROP_SIZE, UpstreamFrame, UpstreamInfo
from musetalk.avatars.upstream.importing import BACKENDS
from musetalk.avatars.upstream.writing import write_upstream_cache
from musetalk.backends.latent.generator import crop_digest
from musetalk.backends.types import EncodesCrops
from musetalk.compositing.masks import FaceMask
from musetalk.errors import AvatarError, SettingsError
from musetalk.faces.crops.crop import BoxCropTransform, CropTransform, square_around
from musetalk.media.reader import read_frames
from musetalk.pipeline.prepare import RenderPlan
from musetalk.progress import RenderRun
from musetalk.settings import FaceChoice
from musetalk.utils.arrays import Float32Array, UInt8Array

_EXPAND = 1.5  # side of the square over which MuseTalk's masks lie, as a multiple of the crop's longer side


def upstream_info(avatar: Avatar, backend: str, face: FaceChoice, bbox_shift: int) -> UpstreamInfo:
    """Return the facts that MuseTalk keeps of an avatar.

    Args:
        avatar: The avatar.
        backend: What would paint it.
        face: Whose face.
        bbox_shift: See `CropSettings`.

    Raises:
        SettingsError: Another backend would paint, or more than one face: MuseTalk keeps one of each frame.
    """
    version = next((version for version, name in BACKENDS.items() if name == backend), None)
    if version is None:
        problem = f"MuseTalk's cache is for MuseTalk, not for {backend}"
        raise SettingsError(problem, f"choose {' or '.join(BACKENDS.values())}", names=["backend"])
    if face == "all":
        raise SettingsError("MuseTalk's cache holds one face", "choose one of them", names=["face"])
    return UpstreamInfo(avatar.name, avatar.manifest.source.name, bbox_shift, version)


def export_avatar(
    plan: RenderPlan, info: UpstreamInfo, folder: Path, *, run: RenderRun | None = None, replace: bool = False
) -> int:
    """Write MuseTalk's cache of a planned source.

    Args:
        plan: Of the whole source, for MuseTalk.
        info: The avatar's facts.
        folder: What to make; see `write_upstream_cache`.
        run: Progress, cancellation, warnings.
        replace: Whether an avatar that is there goes.

    Returns:
        How many frames it has.

    Raises:
        AvatarError: There is something at `folder`, or no face.
        OutputError: It cannot be written.
    """
    run = run or RenderRun()
    frames = _Frames(plan, run)
    count = write_upstream_cache(folder, info, frames, replace=replace)
    if frames.without_face:
        run.warn(
            f"{frames.without_face} of {count} frames show no face: MuseTalk has their neighbours' crops, and masks "
            "through which nothing of them shows"
        )
    if frames.cut:
        run.warn(f"{frames.cut} of {count} crops reached beyond the picture: they end at its edge, as MuseTalk's do")
    return count


class _Frames:
    """The frames of a plan as MuseTalk keeps them.

    Attributes:
        without_face: How many had no face, so far.
        cut: How many crops reached beyond the picture.
    """

    def __init__(self, plan: RenderPlan, run: RenderRun) -> None:
        generator = plan.session.generator
        if not isinstance(generator, EncodesCrops) or not len(plan.face_plan.frame):
            raise AvatarError("there is nothing that MuseTalk could keep: no face, or no latents")
        self._plan, self._run, self._generator = plan, run, generator
        self.without_face = self.cut = 0

    def __iter__(self) -> Iterator[UpstreamFrame]:
        plan, run = self._plan, self._run
        given = plan.session.cropper.given
        with closing(read_frames(plan.source, cancel=run.cancel)) as pictures:
            for number, picture in enumerate(pictures):
                known = _known(given, number) if isinstance(given, GivenCropsFile) else None
                box, square, mask = known or self._placed(number)
                yield UpstreamFrame(picture, box, mask, square, torch.from_numpy(self._latents(picture, box)))
                run.emit("finish", number + 1, plan.source.frame_count)

    def _placed(self, number: int) -> tuple[list[int], list[int], UInt8Array]:
        """Return crop, blended square and mask of a frame, as this program places them."""
        plan = self._plan
        faces = plan.face_plan.faces(number)
        self.without_face += not faces
        nearest = number if faces else _nearest(plan, number)
        face = faces[0] if faces else plan.face_plan.faces(nearest)[0]
        crop = plan.session.cropper.own_crop(nearest, face)
        box = _inside(crop, plan.source.width, plan.source.height)
        self.cut += box != [crop.x, crop.y, crop.x + crop.width, crop.y + crop.height]
        around = square_around(BoxCropTransform(box[0], box[1], box[2] - box[0], box[3] - box[1]), _EXPAND)
        reach = (around.x, around.y, around.x + around.width, around.y + around.height)
        square = [*map(min, reach[:2], box[:2]), *map(max, reach[2:], box[2:])]  # that of a few pixels is smaller
        shown = plan.session.masker.mask(number, face, crop) if faces else None
        return box, square, _levels(shown, box, square)

    def _latents(self, picture: UInt8Array, box: list[int]) -> Float32Array:
        """Return the latents of a crop, float32 [8, 32, 32]: those that are kept, or else it is encoded."""
        crop = BoxCropTransform(box[0], box[1], box[2] - box[0], box[3] - box[1], CROP_SIZE, "upstream").crop(picture)
        kept = None if self._plan.session.latents is None else self._plan.session.latents.get(crop_digest(crop))
        if kept is not None:
            return kept
        _, (latents,) = self._generator.latents(crop[None], self._run.cancel.check)
        return np.asarray(latents, np.float32)


def _known(given: GivenCropsFile, number: int) -> tuple[list[int], list[int], UInt8Array] | None:
    """Return crop, blended square and mask of a frame, as they came from MuseTalk."""
    box, square, mask = given.box(number), given.square(number), given.levels(number)
    return None if box is None or square is None or mask is None else ([*box], [*square], mask)


def _nearest(plan: RenderPlan, number: int) -> int:
    """Return the frame with a face that is nearest to one without."""
    frames = plan.face_plan.frame
    return int(frames[np.abs(frames - number).argmin()])


def _inside(crop: CropTransform, width: int, height: int) -> list[int]:
    """Return the part of a crop that lies in the picture; at the edge, what is left of it has a pixel at least."""
    x0, y0 = min(max(0, crop.x), width - 1), min(max(0, crop.y), height - 1)
    return [x0, y0, min(width, max(crop.x + crop.width, x0 + 1)), min(height, max(crop.y + crop.height, y0 + 1))]


def _levels(shown: FaceMask | None, box: list[int], square: list[int]) -> UInt8Array:
    """Return a mask over the blended square: uint8, 255 where the generated crop shows; None: nowhere."""
    levels = np.zeros((square[3] - square[1], square[2] - square[0]), np.uint8)
    if shown is None:
        return levels
    height, width = shown.alpha.shape
    x0, y0, x1, y1 = (
        max(box[0], shown.x),
        max(box[1], shown.y),
        min(box[2], shown.x + width),
        min(box[3], shown.y + height),
    )
    if x0 < x1 and y0 < y1:
        part = shown.alpha[y0 - shown.y : y1 - shown.y, x0 - shown.x : x1 - shown.x]
        levels[y0 - square[1] : y1 - square[1], x0 - square[0] : x1 - square[0]] = np.rint(part * 255)
    return levels
