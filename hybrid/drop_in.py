"""LatentSync for code that has MuseTalk's loop of its own: one call where that calls its UNet.

    tools = load_latentsync_unet3d(models / "latentsync-1.5", vae)
    ...
    # instead of latents = unet(latent_batch, timesteps, encoder_hidden_states=audio)[0]
    latents = surgical_unet3d_inference(latent_batch, audio, timesteps, tools=tools, face_crops=crops)

Both take what is known of some frames and return their latents with a speaking mouth, float [B, 4, h, w], which the
same autoencoder decodes. What goes in differs: MuseTalk is given one step, latents whose lower half was hidden as
black, and a voice heard its own way; LatentSync twenty steps from noise, latents that hide the pixels of its own mask,
and a voice heard in its way. So nothing of MuseTalk's input is handed on: crops are encoded anew.

It is what this project's pipeline runs, without the pipeline; `examples/latentsync_in_musetalks_loop.py` is such a
loop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from hybrid.conditioning import LATENT_CHANNELS, Conditioning, conditioning_of, format_for_musetalk
from hybrid.denoiser import LatentSyncDenoiser
from hybrid.mask import LATENT_PIXELS, hide_painted
from hybrid.sampler import PUBLISHED, Sampling
from hybrid.unet3d.loading import place_unet3d
from musetalk.backends.latent.generator import finite
from musetalk.backends.latent.vae import VaeEncoder, to_pixels
from musetalk.errors import ComputeError, OutOfMemoryError
from musetalk.runtime.device import Compute, out_of_memory_as, release_memory
from musetalk.utils.arrays import UInt8Array

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

__all__ = [
    "FallbackUNet",
    "SurgicalTools",
    "format_for_latentsync",
    "format_for_musetalk",
    "load_latentsync_unet3d",
    "surgical_unet3d_inference",
]

_log = logging.getLogger(__name__)


class Encoder(Protocol):
    """Pictures to latents: `VaeEncoder` is one."""

    def encode(self, pixels: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
        """Encode float [N, 3, S, S] from -1 to 1 to float [N, 4, S/8, S/8], scaled."""
        ...


class FallbackUNet(Protocol):
    """MuseTalk's network, as diffusers has it."""

    def __call__(
        self, sample: torch.Tensor, timestep: torch.Tensor, *, encoder_hidden_states: torch.Tensor, return_dict: bool
    ) -> tuple[torch.Tensor, ...]:
        """Paint: float [B, 8, h, w], timestep 0 and the voice to (float [B, 4, h, w],)."""
        ...


@dataclass(frozen=True, slots=True)
class SurgicalTools:
    """What the call works with besides its frames; loaded once.

    Attributes:
        denoiser: LatentSync's.
        encoder: Pictures to latents.
        compute: What both run on.
    """

    denoiser: LatentSyncDenoiser
    encoder: Encoder
    compute: Compute


def load_latentsync_unet3d(checkpoint: Path, vae: AutoencoderKL, sampling: Sampling = PUBLISHED) -> SurgicalTools:
    """Load LatentSync's network, to run where MuseTalk's autoencoder does and in its number type.

    Args:
        checkpoint: latentsync_unet.pt, or a folder with it.
        vae: Stable Diffusion's (sd-vae-ft-mse), which such a loop has; LatentSync's latents are its, too.
        sampling: How the loop runs.

    Raises:
        BackendError: The file is missing, damaged or another network's.
    """
    compute = Compute(vae.device, vae.dtype)
    unet = place_unet3d(checkpoint, compute)
    return SurgicalTools(LatentSyncDenoiser(unet, compute, sampling), VaeEncoder(vae, compute), compute)


def format_for_latentsync(
    crops: UInt8Array,
    encoder: Encoder,
    *,
    noise: torch.Tensor | None = None,
    seed: int = PUBLISHED.seed,
    batch: int = 1,
) -> Conditioning:
    """Make of a clip's crops what LatentSync's network takes: they are encoded anew, whole and with its own mask.

    Args:
        crops: uint8 RGB [f, S, S, 3], S a multiple of 8.
        encoder: Pictures to latents.
        noise: float [1, 4, 1, h, w], which all frames begin with, or [1, 4, f, h, w]; None: drawn by `seed`.
        seed: The same seed draws the same noise on every device.
        batch: Frames encoded at once; each is two pictures.

    Raises:
        ValueError: The crops or the noise have another shape or type. MuseTalk's latents are no crops.
    """
    _check_crops(crops)
    masked, reference = [], []
    for start in range(0, len(crops), batch):
        pixels = to_pixels(crops[start : start + batch])
        both = encoder.encode(torch.cat([hide_painted(pixels), pixels]))
        masked.append(both[: len(pixels)])
        reference.append(both[len(pixels) :])
    return conditioning_of(torch.cat(masked), torch.cat(reference), noise=noise, seed=seed)


def _log_fallback(reason: str) -> None:
    _log.warning("LatentSync could not paint a clip, MuseTalk does: %s", reason)


def surgical_unet3d_inference(
    latent_batch: torch.Tensor,
    audio_features: torch.Tensor,
    timesteps: torch.Tensor,
    fallback_unet: FallbackUNet | None = None,
    *,
    tools: SurgicalTools,
    face_crops: UInt8Array | None = None,
    own_latents: bool = False,
    fallback_audio: torch.Tensor | None = None,
    on_fallback: Callable[[str], None] = _log_fallback,
    check: Callable[[], None] | None = None,
    stride: int = 1,
) -> torch.Tensor:
    """Paint speaking mouths with LatentSync, where MuseTalk's own code calls `unet(latent_batch, timesteps, audio)`.

    Args:
        latent_batch: float [B, 8, h, w]. MuseTalk's latents: only `fallback_unet` sees them. Or, with `own_latents`,
            latents made with LatentSync's mask: the crop without what it paints, then the crop.
        audio_features: float [B, 50, 384], as LatentSync hears (`LATENTSYNC_FEATURES`), without positions.
        timesteps: MuseTalk's, for `fallback_unet`. LatentSync runs through its own.
        fallback_unet: MuseTalk's network, for when memory or numbers run out; None: then the error is raised.
        tools: LatentSync's network and the encoder.
        face_crops: uint8 RGB [B, S, S, 3], S = 8 h: the frames, which are encoded anew.
        own_latents: Whether `latent_batch` was made with LatentSync's own mask; then there are no crops, no fallback.
        fallback_audio: float [B, 50, 384], as MuseTalk hears (`MUSETALK_FEATURES`), with its positions added.
        on_fallback: Told why, each time that `fallback_unet` paints.
        check: Called before each call of LatentSync's network; raises where the work is to end.
        stride: At how many times the 25 frames a second that LatentSync was trained on the frames follow each other:
            1 up to 37, 2 at 50 and 60.

    Returns:
        float [B, 4, h, w], scaled.

    Raises:
        ComputeError: Memory ran out, or numbers are none, and there is no fallback.
        ValueError: Shapes do not fit, or MuseTalk's latents came without the crops. Never a reason to fall back.
    """
    _check_call(latent_batch, audio_features, face_crops, own_latents, fallback_unet is not None, fallback_audio)
    with torch.inference_mode():
        try:
            seed = tools.denoiser.sampling.seed
            if face_crops is None:
                conditioning = conditioning_of(*tools.compute.tensor(latent_batch).chunk(2, dim=1), seed=seed)
            else:
                with out_of_memory_as(OutOfMemoryError("there is not enough memory to encode a frame")):
                    conditioning = format_for_latentsync(face_crops, tools.encoder, seed=seed)
            painted = tools.denoiser.paint(conditioning, audio_features, check, stride=stride)
            return finite(format_for_musetalk(painted))
        except ComputeError as error:
            if fallback_unet is None or fallback_audio is None:
                raise
            reason = str(error)
        # Out here what the failed call held is gone.
        release_memory()
        on_fallback(reason)
        stood_in = fallback_unet(latent_batch, timesteps, encoder_hidden_states=fallback_audio, return_dict=False)[0]
        return finite(stood_in)


def _check_crops(crops: UInt8Array) -> None:
    told = f"{crops.dtype} {list(crops.shape)}"
    if crops.ndim == 4 and crops.shape[1] == 2 * LATENT_CHANNELS:
        told += ": these are MuseTalk's latents, which hide other pixels; hand over the crops"
    if crops.dtype != np.uint8 or crops.ndim != 4 or not len(crops):
        raise ValueError(f"crops must be uint8 RGB [f, S, S, 3], not {told}")
    _, height, width, channels = crops.shape
    if height != width or channels != 3 or height % LATENT_PIXELS:
        raise ValueError(f"crops must be [f, S, S, 3] with S a multiple of {LATENT_PIXELS}, not {told}")


def _check_call(
    latents: torch.Tensor,
    audio: torch.Tensor,
    crops: UInt8Array | None,
    own_latents: bool,
    falls_back: bool,
    fallback_audio: torch.Tensor | None,
) -> None:
    """Refuse what can only be a mistake, before anything is painted.

    Raises:
        ValueError: Says what.
    """
    count, shape = len(latents), list(latents.shape)
    if latents.ndim != 4 or shape[1] != 2 * LATENT_CHANNELS:
        raise ValueError(f"latent_batch must be [B, {2 * LATENT_CHANNELS}, h, w], not {shape}")
    if audio.ndim != 3 or len(audio) != count:
        raise ValueError(f"audio_features must be [{count}, 50, 384], not {list(audio.shape)}")
    if own_latents and (crops is not None or falls_back):
        raise ValueError("latents made with LatentSync's mask come without face_crops, and MuseTalk cannot take them")
    if not own_latents and crops is None:
        raise ValueError(
            "MuseTalk's 8 channels are nothing that LatentSync's network can take (it has 13, and another mask): "
            "hand over face_crops, which are encoded for it"
        )
    if crops is not None and (len(crops) != count or crops.shape[1] != 8 * shape[2]):
        raise ValueError(f"face_crops must be [{count}, {8 * shape[2]}, {8 * shape[3]}, 3], not {list(crops.shape)}")
    if falls_back and (fallback_audio is None or len(fallback_audio) != count):
        raise ValueError("fallback_unet needs fallback_audio, the same frames as MuseTalk hears them")
