"""Enhancers of any architecture that spandrel knows: GFPGAN, RestoreFormer, and what enhances or enlarges pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from musetalk.enhancers.network_enhancer import (
    FACE_SIZE,
    MISFITS,
    NO_MEMORY,
    Enhancement,
    NetworkEnhancer,
    faces_at_once,
    gfpgan_enhancement,
    placed,
    said_by,
)
from musetalk.errors import PATH, CheckpointError, OutOfMemoryError
from musetalk.runtime.checkpoint import load_state_dict
from musetalk.runtime.device import Compute, out_of_memory_as
from musetalk.utils.modules import importing

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor

_SMALLER = 256  # for networks that enlarge by more than 2: they make 1024 pixels and more of it
_TAKE_SEVERAL = ("GFPGAN", "RestoreFormer")  # of the others spandrel only promises that they take one picture
DRAWS = ("AuraSR",)  # draw noise as they run, so that nothing comes out twice the same
_PURPOSES = ("FaceSR", "SR", "Restoration")
_CHOOSE = "choose gfpgan, or a file of GFPGAN, RestoreFormer or of a network that enlarges pictures"


def load_spandrel_enhancer(path: Path, compute: Compute, batch: int | None = None) -> NetworkEnhancer:
    """Load an enhancer of whichever architecture spandrel finds its tensors to be.

    Face enhancers, and networks that leave pictures their size or double it, take faces of 512 pixels; those that
    enlarge further take 256.

    Args:
        path: .pth, .safetensors and the like; only its tensors are read.
        compute: What to run on; fp32 is taken instead of a number type that the architecture is not made for.
        batch: Faces at once; None: as many as help and fit.

    Raises:
        WeightsError: There is no such file.
        CheckpointError: It is damaged, holds code, or no network that can enhance faces.
        OutOfMemoryError: It does not fit.
    """
    with out_of_memory_as(OutOfMemoryError(f"there is not enough memory to load {PATH}", NO_MEMORY, path=path)):
        described = _described(path)
        numbers = compute if described.supports_bfloat16 else replace(compute, dtype=torch.float32)
        placed(described.model, numbers)
    kind = described.architecture.id
    enhancement = gfpgan_enhancement(described.model, numbers) if kind == "GFPGAN" else _enhancement(described, numbers)
    size = FACE_SIZE if described.scale <= 2 else _SMALLER
    several = faces_at_once(numbers, size * described.scale, batch) if kind in _TAKE_SEVERAL else 1
    name = f"{path.name} by spandrel ({described.architecture.name})"
    return NetworkEnhancer(enhancement, name=name, size=size, compute=numbers, batch=several)


def _enhancement(described: ImageModelDescriptor[nn.Module], compute: Compute) -> Enhancement:
    """Any other network, by spandrel's own call, which is from 0 to 1 and pads what does not fit."""

    def enhance(pixels: Tensor) -> Tensor:
        enhanced: Tensor = described(pixels.add(1).div_(2).to(compute.dtype))
        return enhanced.float().mul_(2).sub_(1)

    return enhance


def _described(path: Path) -> ImageModelDescriptor[nn.Module]:
    """Return the network of a file, float32 on the CPU, if it is one that can enhance faces."""
    with importing():
        from spandrel import MAIN_REGISTRY, ImageModelDescriptor, UnsupportedModelError  # noqa: PLC0415 - slow to import

    state = load_state_dict(path)
    try:
        described = MAIN_REGISTRY.load(state)
    except UnsupportedModelError as error:
        raise CheckpointError(f"{PATH} is no enhancer that spandrel knows", _CHOOSE, path=path) from error
    except MISFITS as error:
        problem = f"{PATH} is damaged, or of another make than spandrel knows ({said_by(error)})"
        raise CheckpointError(problem, _CHOOSE, path=path) from error
    takes = described.input_channels, described.output_channels
    if not isinstance(described, ImageModelDescriptor) or described.purpose not in _PURPOSES or takes != (3, 3):
        problem = f"{PATH} holds a network that does not make one picture in colour of another"
        raise CheckpointError(problem, _CHOOSE, path=path)
    if described.architecture.id in DRAWS:
        problem = f"{PATH} holds a network that gives another result at every call"
        raise CheckpointError(problem, _CHOOSE, path=path)
    return described
