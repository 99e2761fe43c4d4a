"""LatentSync's fixed mask: which pixels of its crops the network is shown, and which it paints.

One picture of 256 x 256, resized with Lanczos for other sizes; 1 keeps a pixel, 0 paints it. The painted part is a U: a
column beside the nose on each side, joined below it in a bowl that reaches under the chin. `mask.png`, beside this
file, holds it. Its pixels are those of latentsync/utils/mask.png (bytedance/LatentSync, Apache-2.0); the file was made
here, row by row, from measures of that.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch

from musetalk.utils.arrays import Float32Array, UInt8Array
from musetalk.utils.easing import smoothstep

SIDE = 256  # of the picture
LATENT_PIXELS = 8  # pixels of a crop in one of its latents, each way

_PICTURE = Path(__file__).with_name("mask.png")
PAINTED_BOX = (9, 95, 248, 243)  # x0, y0, x1, y1 of what is painted, half open


@lru_cache(maxsize=4)
def keep_mask(size: int = SIDE) -> Float32Array:
    """Return the mask at a crop's size.

    Args:
        size: Side of the crop in pixels: 256 or 512 in the published models.

    Returns:
        float32 [size, size]: 1 keeps, 0 paints; in between only where it was resized. Not to be written to.
    """
    levels = _drawn()
    if size != SIDE:
        levels = np.asarray(cv2.resize(levels, (size, size), interpolation=cv2.INTER_LANCZOS4), dtype=np.uint8)
    mask = np.asarray(levels / 255.0, dtype=np.float32)
    mask.setflags(write=False)
    return mask


def latent_mask(size: int = SIDE) -> Float32Array:
    """Return the mask as the network's channel has it: the pixel at each latent's upper left corner.

    Args:
        size: Side of the crop in pixels, a multiple of 8.

    Returns:
        float32 [size / 8, size / 8]: 1 keeps, 0 paints.

    Raises:
        ValueError: `size` is no multiple of 8.
    """
    if size % LATENT_PIXELS:
        raise ValueError(f"crops of {size} pixels have no latents: {size} is no multiple of {LATENT_PIXELS}")
    return keep_mask(size)[::LATENT_PIXELS, ::LATENT_PIXELS]


def hide_painted(pixels: torch.Tensor) -> torch.Tensor:
    """Return what the network is shown of the frame that it repaints: painted pixels become 0, which is grey.

    Args:
        pixels: float [N, 3, S, S] from -1 to 1.

    Returns:
        A copy, of the same shape and type.
    """
    mask = torch.tensor(keep_mask(pixels.shape[-1]), device=pixels.device)
    return pixels * mask.to(pixels.dtype)


def paste_kept(painted: UInt8Array, crops: UInt8Array) -> UInt8Array:
    """Put the kept pixels back around what was painted, without a seam's width of mixing, as upstream does.

    Args:
        painted: uint8 RGB [N, S, S, 3], decoded.
        crops: uint8 RGB [N, S, S, 3], what the network was given.

    Returns:
        uint8 RGB [N, S, S, 3].
    """
    keep = keep_mask(crops.shape[1])[None, :, :, None]
    mixed = painted + keep * (crops.astype(np.float32) - painted)
    return np.asarray(np.rint(mixed), dtype=np.uint8)


@lru_cache(maxsize=16)
def visible_mask(size: int, feather: float) -> Float32Array:
    """How strongly a painted crop shows: nothing where the mask keeps, rising inwards from its edge (smoothstep).

    Args:
        size: Side of the crop in pixels.
        feather: Way from the edge to full strength, as a fraction of `size`.

    Returns:
        float32 [size, size]: 0 keeps the source, 1 takes the painted crop. Not to be written to.
    """
    painted = (keep_mask(size) < 0.5).astype(np.uint8)
    depth = np.asarray(cv2.distanceTransform(painted, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), dtype=np.float32)
    # The outermost painted pixels are at 1 and stay at 0: interpolated in a frame, nothing leaks to what is kept.
    alpha = smoothstep((depth - 1) / max(feather * size, 1.0))
    alpha.setflags(write=False)
    return alpha


def _drawn() -> UInt8Array:
    """Return the picture: uint8 [256, 256], 255 keeps, 0 paints."""
    packed = np.frombuffer(_PICTURE.read_bytes(), np.uint8)
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)
