"""`FrameLatentGenerator`: a latent generator that paints each frame by itself, of whatever clip it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from musetalk.backends.latent.generator import Denoiser, LatentGenerator, LatentOptions, finite
from musetalk.backends.latent.vae import LatentDecoder, VaeEncoder
from musetalk.backends.types import Clip, GeneratorSpec
from musetalk.progress import never_stop
from musetalk.runtime.device import Compute
from musetalk.utils.arrays import Float32Array, UInt8Array


class FrameDenoiser(Denoiser, Protocol):
    """A denoiser that looks at nothing of a clip but its frames, one by one."""

    def denoise_frames(self, latents: torch.Tensor, audio: torch.Tensor, check: Callable[[], None]) -> torch.Tensor:
        """Paint mouths, as `denoise` does, in frames of any clips.

        Args:
            latents: float [N, 8, h, w], scaled, on the device: the masked crops, then the crops.
            audio: float32 [N, 50, 384] on the device: Whisper features, without positions.
            check: Called between calls of the network; raises where the work is to end.

        Returns:
            float [N, 4, h, w], scaled, on the device.
        """
        ...


@dataclass(frozen=True, slots=True)
class LatentFrame:
    """One frame of a clip, as the networks take it.

    Attributes:
        latents: float [8, h, w], on the CPU: the masked crop, then the crop.
        speech: float32 [50, 384].
        top: The first row of the crop that is wanted.
    """

    latents: torch.Tensor
    speech: Float32Array
    top: int


class FrameLatentGenerator(LatentGenerator):
    """Paints mouths with a denoiser of frames, those of several clips in one call where that is asked for.

    On a GPU such a call has one of few sizes (the largest, its half, and so on), filled up with frames that nobody
    sees: what is recorded or compiled for a size serves all calls of it. A CPU gains nothing by that.

    Args:
        encoder: See `LatentGenerator`.
        decoder: See `LatentGenerator`.
        denoiser: What paints.
        compute: What all three run on.
        options: Sizes.
        spec: How the denoiser sees and hears.
    """

    def __init__(
        self,
        encoder: VaeEncoder,
        decoder: LatentDecoder,
        denoiser: FrameDenoiser,
        compute: Compute,
        options: LatentOptions,
        spec: GeneratorSpec,
    ) -> None:
        super().__init__(encoder, decoder, denoiser, compute, options, spec)
        self._frame_denoiser = denoiser

    @property
    def frames_at_once(self) -> int:
        """Most frames in one call of `forward`; see `PaintsFrames`."""
        return self._options.together

    def prepare(self, clip: Clip) -> list[LatentFrame]:
        """Return the frames of a clip as the networks take them, each with its own latents; see `PaintsFrames`.

        Raises:
            ComputeError: Memory ran out.
        """
        with self._computing("there is not enough memory to encode faces"):
            latents = self._source_latents(clip.crops, clip.check, clip.kept)
        return [LatentFrame(*each, clip.first_row) for each in zip(latents, clip.speech, strict=True)]

    def forward(self, frames: Sequence[LatentFrame], check: Callable[[], None] = never_stop) -> list[UInt8Array]:
        """Paint frames of any clips; see `PaintsFrames`.

        Returns:
            Of each the rows that are wanted: uint8 RGB [S - top, S, 3].

        Raises:
            ComputeError: Memory ran out, or the networks' numbers are none.
        """
        top = min(frame.top for frame in frames)
        filled = frames if self._compute.device.type == "cpu" else filled_up(frames, self.frames_at_once)
        with self._computing("there is not enough memory to paint frames"):
            latents = self._compute.tensor(torch.stack([frame.latents for frame in filled]))
            speech = torch.from_numpy(np.stack([frame.speech for frame in filled])).to(self._compute.device)
            painted = finite(self._frame_denoiser.denoise_frames(latents, speech, check))
            rows = [row for batch in self._decoded(painted, top, check) for row in batch]
        return [row[frame.top - top :] for frame, row in zip(frames, rows, strict=False)]

    def finish(self, clip: Clip, painted: Sequence[UInt8Array]) -> UInt8Array:
        """Return a clip's crops with what `forward` made of its frames: uint8 RGB [N, S, S, 3]."""
        return self._placed(clip, painted)


def filled_up(frames: Sequence[LatentFrame], most: int) -> list[LatentFrame]:
    """Return frames and so many more, as the last one, that their number is `most`, or its half, and so on."""
    size = most
    while size // 2 >= len(frames):
        size //= 2
    return [*frames, *[frames[-1]] * (size - len(frames))]
