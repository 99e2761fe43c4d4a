"""The surgical call: LatentSync where MuseTalk calls its UNet.

Both take what is known of some frames and return their latents with a speaking mouth, float [B, 4, h, w], which the
same autoencoder decodes. What goes in differs: MuseTalk is given one step, latents whose lower half was hidden as
black, and a voice heard its own way; LatentSync twenty steps from noise, latents that hide the pixels of its own mask,
and a voice heard in its way. So nothing of MuseTalk's input is handed on: crops are encoded anew.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch

from hybrid.conditioning import Conditioning, Encoder, conditioning_of, format_for_latentsync
from hybrid.sampler import LATENT_CHANNELS, PUBLISHED, Conditions, NoisePredictor, Sampler, Sampling
from musetalk.backends.latent.generator import finite
from musetalk.backends.types import Clip
from musetalk.errors import GeneratorError
from musetalk.runtime.device import LESS_MEMORY, Compute, is_out_of_memory, out_of_memory_as, release_memory
from musetalk.utils.arrays import UInt8Array

_log = logging.getLogger(__name__)

_LEAST_CLIP = 8  # frames: with fewer the network's norms are too far from what they were trained on


class LatentSyncDenoiser:
    """Paints mouths with LatentSync's network. A `Denoiser` for latents that LatentSync's own mask hides a part of.

    Where memory runs out it works with less of it: first with the two halves of guidance one after the other, and so
    from then on, for it changes nothing; then, in that call alone, with clips of half the length, which changes the
    result a little.

    Args:
        predict: The network, placed on `compute`; loaded once, and shared by all calls.
        compute: What to run on.
        sampling: How the loop runs.
    """

    def __init__(self, predict: NoisePredictor, compute: Compute, sampling: Sampling = PUBLISHED) -> None:
        self._predict, self._compute, self._sampling = predict, compute, sampling

    @property
    def network(self) -> NoisePredictor:
        """What tells the noise."""
        return self._predict

    @property
    def sampling(self) -> Sampling:
        """How the loop runs; its halves together as far as is known to fit."""
        return self._sampling

    def denoise(self, latents: torch.Tensor, audio: torch.Tensor, clip: Clip) -> torch.Tensor:
        """Paint the mouths of one clip (see `Denoiser`); its crops are not looked at.

        Args:
            latents: float [N, 8, h, w], scaled: the crop without what LatentSync's mask paints, then the crop.
            audio: float32 [N, 50, 384], as LatentSync hears.
            clip: Asked before each call of the network whether to go on, and told after each step how far it is.

        Returns:
            float32 [N, 4, h, w], scaled, on the device.

        Raises:
            GeneratorError: Memory ran out.
            ValueError: A shape is another.
        """
        return self.paint(conditions_of(latents, audio), clip.check, clip.step, clip.note, stride=clip.stride)

    def paint(
        self,
        conditions: Conditions,
        check: Callable[[], None] | None = None,
        on_step: Callable[[int, int], None] | None = None,
        note: Callable[[str], None] = _log.warning,
        *,
        stride: int = 1,
    ) -> torch.Tensor:
        """Paint the mouths of consecutive frames: float32 [N, 4, h, w]; raises as `denoise` does.

        `note` is told where the result is another than it was to be. `stride` is that of `Sampler.sample`.
        """
        asked = sampling = self._sampling
        while True:
            try:
                painted = Sampler(self._predict, self._compute, sampling).sample(
                    conditions, stride=stride, check=check, on_step=on_step
                )
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                lighter = lighter_sampling(sampling)
                if lighter is None:
                    problem = f"there is not enough memory for a clip of {sampling.clip_length} frames"
                    raise GeneratorError(problem, LESS_MEMORY) from error
            else:
                break
            # Out here the failed call's frames, and the tensors they held, are gone.
            release_memory()
            _log.info("memory ran out: clips of %d frames, halves together: %s", lighter.clip_length, lighter.paired)
            sampling = lighter
        self._sampling = replace(self._sampling, paired=sampling.paired)
        if sampling.clip_length < asked.clip_length:
            note(
                f"memory ran out: LatentSync painted clips of {sampling.clip_length} frames instead of "
                f"{asked.clip_length}, which changes the result a little"
            )
        return painted


def lighter_sampling(sampling: Sampling) -> Sampling | None:
    """The same in about half the memory; None where that would be too far from what the network was trained on."""
    if sampling.paired and sampling.guidance != 1:
        return replace(sampling, paired=False)
    half = sampling.clip_length // 2
    return (
        replace(sampling, clip_length=half, overlap=min(sampling.overlap, half // 2)) if half >= _LEAST_CLIP else None
    )


def conditions_of(latents: torch.Tensor, audio: torch.Tensor) -> Conditions:
    """Make of LatentSync's latents what the sampler takes.

    Args:
        latents: float [N, 8, h, w], scaled: the crop without what LatentSync's mask paints, then the crop.
        audio: float [N, 50, 384].

    Raises:
        ValueError: A shape is another.
    """
    if latents.ndim != 4 or latents.shape[1] != 2 * LATENT_CHANNELS or len(latents) != len(audio):
        raise ValueError(
            f"latents must be [N, {2 * LATENT_CHANNELS}, h, w] beside audio [N, 50, 384], "
            f"not {list(latents.shape)} beside {list(audio.shape)}"
        )
    masked, reference = latents.chunk(2, dim=1)
    return conditioning_of(masked, reference).conditions(audio)


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
        audio_features: float [B, 50, 384], as LatentSync hears (`LATENTSYNC_HEARING`), without positions.
        timesteps: MuseTalk's, for `fallback_unet`. LatentSync runs through its own.
        fallback_unet: MuseTalk's network, for when memory or numbers run out; None: then the error is raised.
        tools: LatentSync's network and the encoder.
        face_crops: uint8 RGB [B, S, S, 3], S = 8 h: the frames, which are encoded anew.
        own_latents: Whether `latent_batch` was made with LatentSync's own mask; then there are no crops, no fallback.
        fallback_audio: float [B, 50, 384], as MuseTalk hears (`MUSETALK_HEARING`), with its positions added.
        on_fallback: Told why, each time that `fallback_unet` paints.
        check: Called before each call of LatentSync's network; raises where the work is to end.
        stride: At how many times the 25 frames a second that LatentSync was trained on the frames follow each other:
            1 up to 37, 2 at 50 and 60.

    Returns:
        float [B, 4, h, w], scaled.

    Raises:
        GeneratorError: Memory or numbers ran out, and there is no fallback.
        ValueError: Shapes do not fit, or MuseTalk's latents came without the crops. Never a reason to fall back.
    """
    _check_call(latent_batch, audio_features, face_crops, own_latents, fallback_unet is not None, fallback_audio)
    with torch.inference_mode():
        try:
            if face_crops is None:
                conditions = conditions_of(tools.compute.tensor(latent_batch), audio_features)
            else:
                conditions = _encoded(face_crops, tools.encoder).conditions(audio_features)
            return finite(tools.denoiser.paint(conditions, check, stride=stride))
        except GeneratorError as error:
            if fallback_unet is None or fallback_audio is None:
                raise
            reason = str(error)
        # Out here what the failed call held is gone.
        release_memory()
        on_fallback(reason)
        painted = fallback_unet(latent_batch, timesteps, encoder_hidden_states=fallback_audio, return_dict=False)[0]
        return finite(painted)


def _encoded(crops: UInt8Array, encoder: Encoder) -> Conditioning:
    with out_of_memory_as(GeneratorError("there is not enough memory to encode a frame")):
        return format_for_latentsync(crops, encoder)


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
