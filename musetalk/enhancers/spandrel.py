"""Restorers that spandrel loads: GFPGAN, RestoreFormer, and networks that restore or enlarge pictures of any kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn

from musetalk.backends.latent.vae import to_crops, to_pixels
from musetalk.errors import PATH, CheckpointError, ComputeError, NotFiniteError, OutOfMemoryError
from musetalk.progress import never_stop
from musetalk.runtime.checkpoint import load_state_dict
from musetalk.runtime.device import (
    Batches,
    Compute,
    choose_compute,
    frames_that_fit,
    is_out_of_memory,
    out_of_memory_as,
)
from musetalk.runtime.stop_points import with_stop_points
from musetalk.utils.arrays import UInt8Array

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor

Restoration: TypeAlias = Callable[[Tensor], Tensor]

FACE_SIZE = 512  # what GFPGAN and RestoreFormer were trained on, FFHQ's alignment included
_SMALLER = 256  # for networks that enlarge by more than 2: they make 1024 pixels and more of it
_MOST_AT_ONCE = 8  # faces on a GPU
_VALUES_PER_PIXEL = (
    720  # alive at once in GFPGAN, of the larger of both sides squared: measured on a CPU, 0.73 GB a face
)
_REASON = 120  # characters that an error tells of what spandrel had to say

_TAKE_SEVERAL = ("GFPGAN", "RestoreFormer")  # of the others spandrel only promises that they take one picture
DRAWS = ("AuraSR",)  # draw noise as they run, so that nothing comes out twice the same
_PURPOSES = ("FaceSR", "SR", "Restoration")

NO_MEMORY = "close other programs, or render without a restorer"
_CHOOSE = "choose gfpgan, or a file of GFPGAN, RestoreFormer or of a network that enlarges pictures"
# What spandrel's architectures raise for tensors that are not quite theirs, or when they are run: found by damaging
# files. Whoever names a file of their own may name one that does not do what its kind does.
_MISFITS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, AssertionError)


class NetworkEnhancer:
    """Restores faces with a network. A `FaceEnhancer`.

    Faces do not depend on each other. On a CPU they are restored one at a time: more are no faster, and take memory.

    Args:
        network: What restores: float32 [N, 3, S, S] from -1 to 1, on the device, to [N, 3, S', S'] in the same range.
        name: For reports.
        size: Side S, in pixels.
        compute: What it runs on.
        batch: Faces at once.
    """

    def __init__(self, network: Restoration, *, name: str, size: int, compute: Compute, batch: int = 1) -> None:
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
        """Restore faces: uint8 RGB [N, S, S, 3] to [N, S', S', 3]; at least one.

        Raises:
            ComputeError: A single face does not fit in memory, or becomes something that is no number, or the network
                cannot be run.
        """
        try:
            with torch.inference_mode():
                restored = self._batches.run(lambda start, stop: self._restored(faces[start:stop]), len(faces), check)
        except OutOfMemoryError as error:
            raise OutOfMemoryError("there is not enough memory to restore a face", NO_MEMORY) from error
        return np.concatenate(restored)

    def _restored(self, faces: UInt8Array) -> UInt8Array:
        try:
            pixels = self._network(to_pixels(faces, self._compute.device).contiguous())
        except _MISFITS as error:
            if is_out_of_memory(error):
                raise
            reason = " ".join(str(error).split())[:_REASON] or type(error).__name__
            raise ComputeError(f"the restorer cannot be run ({reason})", "choose another restorer") from error
        if not bool(torch.isfinite(pixels).all()):
            raise NotFiniteError(
                "the restorer's result is not a number", "choose the number type fp32, or verify the weights"
            )
        return to_crops(pixels)


def restoring_compute(device: str, dtype: str) -> Compute:
    """What restorers run on: in fp32, or in bf16 where that is asked for; never in fp16.

    Neither GFPGAN nor RestoreFormer stays within fp16's range, so that "fp16" is for the other networks of a render. On
    GPUs torch computes convolutions in TF32 of its own accord, which is as quick as it gets without another type.

    Raises:
        DeviceError: There is no such device.
    """
    return choose_compute(device, "bf16" if dtype == "bf16" else "fp32")


def faces_at_once(compute: Compute, side: int, batch: int | None = None) -> int:
    """How many faces to restore together.

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


def gfpgan_restoration(network: nn.Module, compute: Compute) -> Restoration:
    """GFPGAN's clean architecture, whoever's class it is, with the noise that its checkpoint stores.

    Left to itself it draws noise at every call, and then a face that stands still flickers.
    """

    def restore(pixels: Tensor) -> Tensor:
        restored, _ = network(pixels.to(compute.dtype), return_rgb=False, randomize_noise=False)
        return cast(Tensor, restored)

    return restore


def load_restorer(path: Path, compute: Compute, batch: int | None = None) -> NetworkEnhancer:
    """Load a restorer of whichever architecture spandrel finds its tensors to be.

    Face restorers, and networks that leave pictures their size or double it, take faces of 512 pixels; those that
    enlarge further take 256.

    Args:
        path: .pth, .safetensors and the like; only its tensors are read.
        compute: What to run on; fp32 is taken instead of a number type that the architecture is not made for.
        batch: Faces at once; None: as many as help and fit.

    Raises:
        WeightsError: There is no such file.
        CheckpointError: It is damaged, holds code, or no network that can restore faces.
        OutOfMemoryError: It does not fit.
    """
    with out_of_memory_as(OutOfMemoryError(f"there is not enough memory to load {PATH}", NO_MEMORY, path=path)):
        described = _described(path)
        numbers = compute if described.supports_bfloat16 else replace(compute, dtype=torch.float32)
        placed(described.model, numbers)
    kind = described.architecture.id
    restoration = gfpgan_restoration(described.model, numbers) if kind == "GFPGAN" else _restoration(described, numbers)
    size = FACE_SIZE if described.scale <= 2 else _SMALLER
    several = faces_at_once(numbers, size * described.scale, batch) if kind in _TAKE_SEVERAL else 1
    name = f"{path.name} by spandrel ({described.architecture.name})"
    return NetworkEnhancer(restoration, name=name, size=size, compute=numbers, batch=several)


def _restoration(described: ImageModelDescriptor[nn.Module], compute: Compute) -> Restoration:
    """Any other network, by spandrel's own call, which is from 0 to 1 and pads what does not fit."""

    def restore(pixels: Tensor) -> Tensor:
        restored: Tensor = described(pixels.add(1).div_(2).to(compute.dtype))
        return restored.float().mul_(2).sub_(1)

    return restore


def _described(path: Path) -> ImageModelDescriptor[nn.Module]:
    """The network of a file, float32 on the CPU, if it is one that can restore faces."""
    from spandrel import MAIN_REGISTRY, ImageModelDescriptor, UnsupportedModelError  # noqa: PLC0415 - slow to import

    state = load_state_dict(path)
    try:
        described = MAIN_REGISTRY.load(state)
    except UnsupportedModelError as error:
        raise CheckpointError(f"{PATH} is no restorer that spandrel knows", _CHOOSE, path=path) from error
    except _MISFITS as error:
        reason = " ".join(str(error).split())[:_REASON] or type(error).__name__
        problem = f"{PATH} is damaged, or of another make than spandrel knows ({reason})"
        raise CheckpointError(problem, _CHOOSE, path=path) from error
    takes = described.input_channels, described.output_channels
    if not isinstance(described, ImageModelDescriptor) or described.purpose not in _PURPOSES or takes != (3, 3):
        problem = f"{PATH} holds a network that does not make one picture in colour of another"
        raise CheckpointError(problem, _CHOOSE, path=path)
    if described.architecture.id in DRAWS:
        problem = f"{PATH} holds a network that gives another result at every call"
        raise CheckpointError(problem, _CHOOSE, path=path)
    return described
