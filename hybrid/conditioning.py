"""What LatentSync's network is given beside the noise, and the way from its result back to single frames.

Its input has 13 channels: 4 of noise that become the face, 1 of the mask (1 keeps, 0 paints), 4 of the frame with the
painted pixels hidden, 4 of a reference that shows the face with its mouth: the frame itself. MuseTalk's 8 channels are
no part of that: there the lower half is hidden as black before encoding, here the pixels of `mask.py` as grey.
The autoencoder is Stable Diffusion's fine-tuned one (sd-vae-ft-mse), latents times 0.18215, no shift, at 256 and at
512 alike (bytedance/LatentSync, scripts/inference.py, latentsync/pipelines/lipsync_pipeline.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from hybrid.clips import as_clip, as_frames
from hybrid.mask import LATENT_PIXELS, hide_painted, latent_mask
from hybrid.sampler import LATENT_CHANNELS, PUBLISHED, Conditions, draw_noise
from musetalk.backends.latent.vae import to_pixels
from musetalk.utils.arrays import UInt8Array


class Encoder(Protocol):
    """Pictures to latents: `VaeEncoder` is one."""

    def encode(self, pixels: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
        """Encode float [N, 3, S, S] from -1 to 1 to float [N, 4, S/8, S/8], scaled."""
        ...


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What a clip of f frames is painted from; all on one device and in one number type.

    Attributes:
        noise: float [1, 4, f, h, w], with a standard deviation of 1: a scheduler may ask for another.
        mask: float [1, 1, f, h, w]: 1 keeps, 0 paints.
        masked: float [1, 4, f, h, w], latents of the crops with the painted pixels hidden.
        reference: float [1, 4, f, h, w], latents of the crops.
    """

    noise: torch.Tensor
    mask: torch.Tensor
    masked: torch.Tensor
    reference: torch.Tensor

    def __post_init__(self) -> None:
        """Check the parts against each other.

        Raises:
            ValueError: A part has another shape than the others ask for.
        """
        shape = self.noise.shape
        if len(shape) != 5 or shape[1] != LATENT_CHANNELS:
            raise ValueError(f"noise must be [1, 4, f, h, w], not {_shape(self.noise)}")
        for name, channels in (("mask", 1), ("masked", LATENT_CHANNELS), ("reference", LATENT_CHANNELS)):
            part: torch.Tensor = getattr(self, name)
            if part.shape != (shape[0], channels, *shape[2:]):
                wanted = [shape[0], channels, *shape[2:]]
                raise ValueError(f"{name} must be {wanted} beside noise of {list(shape)}, not {_shape(part)}")

    @property
    def frames(self) -> int:
        """Frames in the clip."""
        return int(self.noise.shape[2])

    def network_input(self, latents: torch.Tensor) -> torch.Tensor:
        """Join latents on their way from noise to face with what they are painted from: float [1, 13, f, h, w].

        Args:
            latents: float [1, 4, f, h, w].

        Raises:
            ValueError: They have another shape.
        """
        if latents.shape != self.noise.shape:
            raise ValueError(f"latents must be {list(self.noise.shape)}, not {_shape(latents)}")
        return torch.cat([latents, self.mask, self.masked, self.reference], dim=1)

    def conditions(self, audio: torch.Tensor) -> Conditions:
        """The same as the sampler takes it, which draws the noise itself.

        Args:
            audio: float [f, 50, 384], Whisper's features.
        """
        mask, masked, reference = (as_frames(part) for part in (self.mask, self.masked, self.reference))
        return Conditions(mask, masked, reference, audio)


def format_for_latentsync(
    crops: UInt8Array,
    encoder: Encoder,
    *,
    noise: torch.Tensor | None = None,
    seed: int = PUBLISHED.seed,
    hide: Callable[[torch.Tensor], torch.Tensor] = hide_painted,
    batch: int = 1,
) -> Conditioning:
    """Make of a clip's crops what LatentSync's network takes: they are encoded anew, whole and with its own mask.

    Args:
        crops: uint8 RGB [f, S, S, 3], S a multiple of 8.
        encoder: Pictures to latents.
        noise: float [1, 4, 1, h, w], which all frames begin with, or [1, 4, f, h, w]; None: drawn by `seed`.
        seed: The same seed draws the same noise on every device.
        hide: Takes what the network is not to see out of pixels; returns a copy.
        batch: Frames encoded at once; each is two pictures.

    Raises:
        ValueError: The crops or the noise have another shape or type. MuseTalk's latents are no crops.
    """
    _check_crops(crops)
    masked, reference = [], []
    for start in range(0, len(crops), batch):
        pixels = to_pixels(crops[start : start + batch])
        both = encoder.encode(torch.cat([hide(pixels), pixels]))
        masked.append(both[: len(pixels)])
        reference.append(both[len(pixels) :])
    return conditioning_of(torch.cat(masked), torch.cat(reference), noise=noise, seed=seed)


def conditioning_of(
    masked: torch.Tensor, reference: torch.Tensor, *, noise: torch.Tensor | None = None, seed: int = PUBLISHED.seed
) -> Conditioning:
    """Make the conditioning of a clip whose crops were encoded already, with LatentSync's mask.

    Args:
        masked: float [f, 4, h, w], scaled latents of the crops with the painted pixels hidden.
        reference: float [f, 4, h, w], scaled latents of the crops.
        noise: float [1, 4, 1, h, w], which all frames begin with, or [1, 4, f, h, w]; None: drawn by `seed`.
        seed: The same seed draws the same noise on every device.

    Raises:
        ValueError: A shape is another, as MuseTalk's [f, 8, h, w] is.
    """
    for name, part in (("masked", masked), ("reference", reference)):
        if part.ndim != 4 or part.shape[1] != LATENT_CHANNELS or part.shape[2] != part.shape[3] or not len(part):
            raise ValueError(f"{name} latents must be [f, 4, h, h], not {_shape(part)}{_hint(part)}")
    if masked.shape != reference.shape:
        raise ValueError(f"masked {_shape(masked)} and reference latents {_shape(reference)} must have one shape")
    frames, _, height, width = masked.shape
    if noise is None:
        noise = draw_noise(seed, height, width)
    wanted = (1, LATENT_CHANNELS, height, width)
    if noise.ndim != 5 or (*noise.shape[:2], *noise.shape[3:]) != wanted or noise.shape[2] not in {1, frames}:
        one, all_ = [1, 4, 1, height, width], [1, 4, frames, height, width]
        raise ValueError(f"noise must be {one} or {all_}, not {_shape(noise)}")
    mask = torch.tensor(latent_mask(height * LATENT_PIXELS))
    return Conditioning(
        noise.to(masked).expand(1, LATENT_CHANNELS, frames, height, width),
        mask.to(masked).expand(1, 1, frames, height, width),
        as_clip(masked),
        as_clip(reference),
    )


def format_for_musetalk(result: torch.Tensor) -> torch.Tensor:
    """Bring what the sampler made of a clip back to frames, as MuseTalk's decoding takes them.

    Args:
        result: float [1, 4, f, h, w], scaled.

    Returns:
        float [f, 4, h, w].

    Raises:
        ValueError: The shape is another.
    """
    if result.ndim != 5 or result.shape[:2] != (1, LATENT_CHANNELS):
        raise ValueError(f"a clip's result must be [1, 4, f, h, w], not {_shape(result)}")
    return as_frames(result).contiguous()


def _check_crops(crops: UInt8Array) -> None:
    if crops.dtype != np.uint8 or crops.ndim != 4 or not len(crops):
        raise ValueError(f"crops must be uint8 RGB [f, S, S, 3], not {crops.dtype} {_shape(crops)}{_hint(crops)}")
    _, height, width, channels = crops.shape
    if height != width or channels != 3 or height % LATENT_PIXELS:
        raise ValueError(f"crops must be [f, S, S, 3] with S a multiple of {LATENT_PIXELS}, not {_shape(crops)}")


def _hint(values: UInt8Array | torch.Tensor) -> str:
    """Words for the mistake that is easily made."""
    if values.ndim == 4 and values.shape[1] == 2 * LATENT_CHANNELS:
        return ": these are MuseTalk's latents, which hide other pixels; hand over the crops"
    return ""


def _shape(values: UInt8Array | torch.Tensor) -> str:
    return str(list(values.shape))
