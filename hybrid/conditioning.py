"""LatentSync's conditioning: what its network gets beside the noise, and its output as single frames.

Its input has 13 channels: 4 of noise that become the face, 1 of the mask (1 keeps, 0 paints), 4 of the frame with the
painted pixels hidden, 4 of a reference that shows the face with its mouth: the frame itself. MuseTalk's 8 channels are
no part of that: there the lower half is hidden as black before encoding, here the pixels of `mask.py` as grey.
The autoencoder is Stable Diffusion's fine-tuned one (sd-vae-ft-mse), latents times 0.18215, no shift, at 256 and at
512 alike (bytedance/LatentSync, scripts/inference.py, latentsync/pipelines/lipsync_pipeline.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from hybrid.clips import as_clip, as_frames
from hybrid.mask import LATENT_PIXELS, latent_mask

LATENT_CHANNELS = 4
PUBLISHED_SEED = 1247


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What the frames of one face are painted from besides the voice, in the layout that the network takes.

    Attributes:
        noise: float [1, 4, 1, h, w], which all frames begin with, or [1, 4, f, h, w]; with a standard deviation of 1: a
            scheduler may ask for another.
        mask: float [1, 1, f, h, w]: 1 keeps, 0 paints.
        masked: float [1, 4, f, h, w], scaled latents of the crops with the painted pixels hidden.
        reference: float [1, 4, f, h, w], scaled latents of the crops.
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
        shape = list(self.reference.shape)
        if len(shape) != 5 or shape[:2] != [1, LATENT_CHANNELS] or not shape[2]:
            raise ValueError(f"reference must be [1, {LATENT_CHANNELS}, f, h, w], not {shape}")
        frames, *place = shape[2:]
        for name, channels in (("mask", 1), ("masked", LATENT_CHANNELS)):
            part: torch.Tensor = getattr(self, name)
            if list(part.shape) != [1, channels, frames, *place]:
                wanted = [1, channels, frames, *place]
                raise ValueError(f"{name} must be {wanted} beside a reference of {shape}, not {_shape(part)}")
        one, every = ([1, LATENT_CHANNELS, count, *place] for count in (1, frames))
        if list(self.noise.shape) not in (one, every):
            raise ValueError(f"noise must be {one} or {every}, not {_shape(self.noise)}")

    @property
    def frames(self) -> int:
        """How many there are."""
        return int(self.reference.shape[2])

    def known(self, frames: Sequence[int]) -> torch.Tensor:
        """Return the conditioning of some frames, in this order: float [1, 9, n, h, w]."""
        return torch.cat([self.mask, self.masked, self.reference], dim=1)[:, :, frames]

    def start(self, frames: Sequence[int]) -> torch.Tensor:
        """Return the noise that some frames begin with, in this order: float32 [1, 4, n, h, w]."""
        return self.noise.float().expand_as(self.reference)[:, :, frames]


def conditioning_of(
    masked: torch.Tensor, reference: torch.Tensor, *, noise: torch.Tensor | None = None, seed: int = PUBLISHED_SEED
) -> Conditioning:
    """Make the conditioning of frames whose crops were encoded already, with LatentSync's mask.

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
    mask = torch.tensor(latent_mask(height * LATENT_PIXELS)).to(masked)
    return Conditioning(
        draw_noise(seed, height, width) if noise is None else noise,
        mask.expand(1, 1, frames, height, width),
        as_clip(masked),
        as_clip(reference),
    )


def draw_noise(seed: int, height: int, width: int) -> torch.Tensor:
    """Draw one frame of noise, float32 [1, 4, 1, h, w]; on the CPU, so that every device begins alike."""
    return torch.randn((1, LATENT_CHANNELS, 1, height, width), generator=torch.Generator().manual_seed(seed))


def format_for_musetalk(result: torch.Tensor) -> torch.Tensor:
    """Bring what the sampler made of a clip back to frames, as decoding takes them.

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


def _hint(latents: torch.Tensor) -> str:
    """Words for the mistake that is easily made."""
    if latents.ndim == 4 and latents.shape[1] == 2 * LATENT_CHANNELS:
        return ": these are MuseTalk's latents, which hide other pixels; hand over the crops"
    return ""


def _shape(values: torch.Tensor) -> str:
    return str(list(values.shape))
