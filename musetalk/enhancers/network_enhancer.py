"""An enhancer of faces over any network: in batches that fit, stopped at once, its numbers looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn

from musetalk.backends.latent.vae import to_crops, to_pixels
from musetalk.errors import ComputeError, NotFiniteError, OutOfMemoryError, one_line
from musetalk.progress import never_stop
from musetalk.runtime.device import Batches, Compute, choose_compute, frames_that_fit, is_out_of_memory
from musetalk.runtime.stop_points import with_stop_points
from musetalk.utils.arrays import UInt8Array

Enhancement: TypeAlias = Callable[[Tensor], Tensor]

FACE_SIZE = 512  # what GFPGAN and RestoreFormer were trained on, FFHQ's alignment included
NO_MEMORY = "close other programs, or render without an enhancer"
_MOST_AT_ONCE = 8  # faces on a GPU
# Alive at once in GFPGAN, of the larger of both sides squared: measured on a CPU, 0.73 GB a face.
_VALUES_PER_PIXEL = 720
_REASON = 120  # characters that an error tells of what a network had to say
# What spandrel's architectures raise for tensors that are not quite theirs, or when they are run: found by damaging
# files. Whoever names a file of their own may name one that does not do what its kind does.
MISFITS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, AssertionError)


class NetworkEnhancer:
    """Enhances faces with a network. A `FaceEnhancer`.

    Faces do not depend on each other. On a CPU they are enhanced one at a time: more are no faster, and take memory.

    Args:
        network: What enhances: float32 [N, 3, S, S] from -1 to 1, on the device, to [N, 3, S', S'] in the same range.
        name: For reports.
        size: Side S, in pixels.
        compute: What it runs on.
        batch: Faces at once.
    """

    def __init__(self, network: Enhancement, *, name: str, size: int, compute: Compute, batch: int = 1) -> None:
        self._network, self._name, self._size, self._compute = network, name, size, compute
        self._batches = Batches(batch)

    @property
    def name(self) -> str:
        """For reports."""
        return self._name

    @property
    def size(self) -> int:
        """Side of the faces it takes, in pixels."""
        return self._size

    @property
    def device(self) -> str:
        """What it runs on."""
        return str(self._compute.device)

    def enhance(self, faces: UInt8Array, check: Callable[[], None] = never_stop) -> UInt8Array:
        """Enhance faces: uint8 RGB [N, S, S, 3] to [N, S', S', 3]; at least one.

        Raises:
            ComputeError: A single face does not fit in memory, or becomes NaN, or the network
                cannot be run.
        """
        try:
            with torch.inference_mode():
                enhanced = self._batches.run(lambda start, stop: self._enhanced(faces[start:stop]), len(faces), check)
        except OutOfMemoryError as error:
            raise OutOfMemoryError("there is not enough memory to enhance a face", NO_MEMORY) from error
        return np.concatenate(enhanced)

    def _enhanced(self, faces: UInt8Array) -> UInt8Array:
        try:
            pixels = self._network(to_pixels(faces, self._compute.device).contiguous())
        except MISFITS as error:
            if is_out_of_memory(error):
                raise
            reason = said_by(error)
            raise ComputeError(f"the enhancer cannot be run ({reason})", "choose another enhancer") from error
        if not bool(torch.isfinite(pixels).all()):
            raise NotFiniteError(
                "the enhancer's result is not a number", "choose the number type fp32, or verify the weights"
            )
        return to_crops(pixels)


def enhancer_compute(device: str, dtype: str) -> Compute:
    """Return what enhancers run on: in fp32, or in bf16 where that is asked for; never in fp16 or int8.

    Neither GFPGAN nor RestoreFormer stays within fp16's range, so that "fp16" is for the other networks of a render; so
    is "int8". On
    GPUs torch computes convolutions in TF32 of its own accord, which is as quick as it gets without another type.

    Raises:
        DeviceError: There is no such device.
    """
    return choose_compute(device, "bf16" if dtype == "bf16" else "fp32")


def faces_at_once(compute: Compute, side: int, batch: int | None = None) -> int:
    """Return how many faces to enhance together.

    Args:
        compute: What runs it, the network on it already.
        side: The larger of both sides of a face, in pixels.
        batch: What the user wishes; None: as many as help and fit.
    """
    if compute.device.type == "cpu":
        return 1
    return batch or frames_that_fit(compute.device, _VALUES_PER_PIXEL * compute.dtype.itemsize * side**2, _MOST_AT_ONCE)


def placed(network: nn.Module, compute: Compute) -> None:
    """Move a network to its device, ready for inference, its tensors in their usual layout on every device.

    Not `Compute.place`: that chooses channels last on GPUs, which GFPGAN cannot be in. Its kernels have five
    dimensions, and it takes its features for vectors as they lie in memory.
    """
    network.requires_grad_(False).eval()
    network.to(device=compute.device, dtype=compute.dtype)
    with_stop_points(network)


def gfpgan_enhancement(network: nn.Module, compute: Compute) -> Enhancement:
    """Return GFPGAN's clean architecture, of either implementation, with the noise that its checkpoint stores.

    Left to itself it draws noise at every call, and then a face that stands still flickers.
    """

    def enhance(pixels: Tensor) -> Tensor:
        enhanced, _ = network(pixels.to(compute.dtype), return_rgb=False, randomize_noise=False)
        return cast(Tensor, enhanced)

    return enhance


def said_by(error: BaseException) -> str:
    """Return what a foreign package had to say, in one line of bearable length."""
    return one_line(error)[:_REASON] or type(error).__name__
