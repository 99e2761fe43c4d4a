"""What MuseTalk keeps of a prepared avatar: the folder's layout, and what was read of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import cv2
import numpy as np

from musetalk.media.pictures.decoding import read_image
from musetalk.utils.arrays import Int32Array, UInt8Array

if TYPE_CHECKING:
    from torch import Tensor

Version: TypeAlias = Literal["v1", "v15"]

# Names in the folder; that of the facts is spelled so there.
INFO, LATENTS, COORDS, MASK_COORDS = "avator_info.json", "latents.pt", "coords.pkl", "mask_coords.pkl"
FRAMES, MASKS, RESULTS = "full_imgs", "mask", "vid_output"

RATE = 25  # frames a second: the cache says none, and this is what MuseTalk plays it at unless told
LATENT_SHAPE = (8, 32, 32)  # of one frame: the masked crop, then the crop, both times Stable Diffusion's factor
CROP_SIZE = 256  # pixels of the square that a crop is scaled to before it is encoded
DIGITS = 8  # of the pictures' names


def picture_name(number: int) -> str:
    """Return the name of a frame or a mask in its folder."""
    return f"{number:0{DIGITS}d}.png"


@dataclass(frozen=True, slots=True)
class UpstreamInfo:
    """The facts of an avatar, as `avator_info.json` has them.

    Attributes:
        avatar_id: Its name.
        video_path: Where its frames came from.
        bbox_shift: Pixels by which the line was moved that halves the crops; v1.5 has none.
        version: Of MuseTalk, for which it was prepared.
    """

    avatar_id: str
    video_path: str
    bbox_shift: int
    version: Version


@dataclass(frozen=True, slots=True)
class UpstreamFrame:
    """One frame of an avatar with all that MuseTalk keeps of it.

    Attributes:
        picture: uint8 RGB [H, W, 3].
        box: The crop, as x0, y0, x1, y1 in pixels of the frame, half open. In v1.5 the margin below the chin is part
            of it: it is what the latents were made of, and where what is painted goes.
        mask: uint8 [h, w] over `mask_box`: 255 takes what is painted, 0 keeps the frame.
        mask_box: The blended square around the crop, as `box`; it may reach beyond the frame.
        latents: float [8, 32, 32] of the crop.
    """

    picture: UInt8Array
    box: Sequence[int]
    mask: UInt8Array
    mask_box: Sequence[int]
    latents: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class UpstreamAvatar:
    """What was read of MuseTalk's cache, forward only: N frames, each once. Pictures and latents stay on the disk.

    Attributes:
        folder: The cache.
        info: Its facts.
        width, height: Size of the frames.
        frames: Files of the frames, in order.
        masks: Files of the masks.
        boxes: int32 [N, 4], see `UpstreamFrame.box`. Not to be written to.
        mask_boxes: int32 [N, 4], see `UpstreamFrame.mask_box`. Not to be written to.
        latents: float [8, 32, 32] each, mapped from the file: it has to stay as it is while they are used.
        mirrored: Whether the cache holds every frame a second time, in reverse.
        notes: What the user should know of how it was read, a sentence each.
    """

    folder: Path
    info: UpstreamInfo
    width: int
    height: int
    frames: tuple[Path, ...]
    masks: tuple[Path, ...]
    boxes: Int32Array
    mask_boxes: Int32Array
    latents: tuple[Tensor, ...]
    mirrored: bool
    notes: tuple[str, ...] = ()

    @property
    def version(self) -> Version:
        """Of MuseTalk, for which it was prepared."""
        return self.info.version

    def __len__(self) -> int:
        return len(self.frames)

    def frame(self, number: int) -> UpstreamFrame:
        """Read one frame with all that is kept of it.

        Raises:
            MediaError: Its picture or its mask is damaged.
        """
        return UpstreamFrame(
            read_image(self.frames[number]),
            self.boxes[number].tolist(),
            read_mask(self.masks[number]),
            self.mask_boxes[number].tolist(),
            self.latents[number],
        )


def read_mask(path: Path) -> UInt8Array:
    """Read a mask: uint8 [h, w]. Masks in colour become grey, as MuseTalk makes them.

    Raises:
        MediaError: It is damaged.
    """
    return np.asarray(cv2.cvtColor(read_image(path), cv2.COLOR_RGB2GRAY), dtype=np.uint8)
