"""LatentSync behind the `Denoiser` protocol: runs the sampler's loop, again with less memory where that runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import torch

from hybrid.conditioning import LATENT_CHANNELS, Conditioning, conditioning_of, format_for_musetalk
from hybrid.sampler import PUBLISHED, NoisePredictor, Sampler, Sampling
from musetalk.backends.types import Clip
from musetalk.errors import OutOfMemoryError
from musetalk.runtime.device import LESS_MEMORY, Compute, is_out_of_memory, release_memory

_log = logging.getLogger(__name__)

_LEAST_CLIP = 8  # frames: with fewer the network's norms are too far from what they were trained on


class LatentSyncDenoiser:
    """Paints mouths with LatentSync's network. A `Denoiser` for latents that LatentSync's own mask hides a part of.

    Where memory runs out it works with less of it, in that call: first with the two halves of guidance one after the
    other, which changes nothing; then with clips of half the length, which changes the result a little. It keeps
    nothing between calls, and may be shared by renders.

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
        """How the loop runs."""
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
            OutOfMemoryError: Memory ran out.
            ValueError: A shape is another.
        """
        if latents.ndim != 4 or latents.shape[1] != 2 * LATENT_CHANNELS or len(latents) != len(audio):
            raise ValueError(
                f"latents must be [N, {2 * LATENT_CHANNELS}, h, w] beside audio [N, 50, 384], "
                f"not {list(latents.shape)} beside {list(audio.shape)}"
            )
        conditioning = conditioning_of(*latents.chunk(2, dim=1), seed=self._sampling.seed)
        painted = self.paint(conditioning, audio, clip.check, clip.step, clip.note, stride=clip.stride)
        return format_for_musetalk(painted)

    def paint(
        self,
        conditioning: Conditioning,
        audio: torch.Tensor,
        check: Callable[[], None] | None = None,
        on_step: Callable[[int, int], None] | None = None,
        note: Callable[[str], None] = _log.warning,
        *,
        stride: int = 1,
    ) -> torch.Tensor:
        """Paint the mouths of consecutive frames: float32 [1, 4, N, h, w]; raises as `denoise` does.

        `note` is told where the result is another than it was to be. `stride` is that of `Sampler.sample`.
        """
        sampling = self._sampling
        while True:
            try:
                painted = Sampler(self._predict, self._compute, sampling).sample(
                    conditioning, audio, stride=stride, check=check, on_step=on_step
                )
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                lighter = lighter_sampling(sampling)
                if lighter is None:
                    problem = f"there is not enough memory for a clip of {sampling.clip_length} frames"
                    raise OutOfMemoryError(problem, LESS_MEMORY) from error
            else:
                break
            # Out here the failed call's frames, and the tensors they held, are gone.
            release_memory()
            _log.info("memory ran out: clips of %d frames, halves together: %s", lighter.clip_length, lighter.paired)
            sampling = lighter
        if sampling.clip_length < self._sampling.clip_length:
            note(
                f"memory ran out: LatentSync painted clips of {sampling.clip_length} frames instead of "
                f"{self._sampling.clip_length}, which changes the result a little"
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
