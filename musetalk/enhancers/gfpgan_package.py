"""The enhancer `gfpgan-original`: GFPGAN by the package of that name (requirements-gfpgan.txt); `gfpgan` is spandrel's.

Only the network is taken from it. Its `GFPGANer` is not: that finds faces on its own, with models that it downloads by
itself. `basicsr`, under it, was last released in 2022 and imports a module that torchvision has dropped since; that one
import is mended while the packages are loaded.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from torch import nn

from musetalk.enhancers.network_enhancer import (
    FACE_SIZE,
    NO_MEMORY,
    NetworkEnhancer,
    faces_at_once,
    gfpgan_enhancement,
    placed,
    said_by,
)
from musetalk.errors import PATH, OutOfMemoryError, PackageError
from musetalk.runtime.checkpoint import built, fill, load_state_dict
from musetalk.runtime.device import Compute, out_of_memory_as
from musetalk.utils.modules import importing

_ARCHITECTURE = "gfpgan.archs.gfpganv1_clean_arch"
_GONE = "torchvision.transforms.functional_tensor"  # since torchvision 0.17; all that basicsr takes from it:
_TAKEN = "rgb_to_grayscale"
# Of version 1.4, as the package's own GFPGANer builds it for the architecture "clean".
_CONFIG: dict[str, Any] = {
    "out_size": FACE_SIZE,
    "num_style_feat": 512,
    "channel_multiplier": 2,
    "decoder_load_path": None,
    "fix_decoder": False,
    "num_mlp": 8,
    "input_is_latent": True,
    "different_w": True,
    "narrow": 1,
    "sft_half": True,
}
# What a package that is there but does not work may end its import with.
_BROKEN = (ImportError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)


def load_original(path: Path, compute: Compute, batch: int | None = None) -> NetworkEnhancer:
    """Load GFPGAN with the class of the `gfpgan` package; everything else is as with spandrel's.

    Args:
        path: GFPGANv1.4.pth; only its tensors are read.
        compute: What to run on.
        batch: Faces at once; None: as many as help and fit.

    Raises:
        PackageError: The packages are missing or broken.
        WeightsError: There is no such file.
        CheckpointError: It is damaged, or another network's.
        OutOfMemoryError: It does not fit.
    """
    make = original_class()
    with out_of_memory_as(OutOfMemoryError(f"there is not enough memory to load {PATH}", NO_MEMORY, path=path)):
        network = built(path, lambda: make(**_CONFIG))
        fill(network, load_state_dict(path), path)
        placed(network, compute)
    return NetworkEnhancer(
        gfpgan_enhancement(network, compute),
        name=f"{path.name} by the gfpgan package",
        size=FACE_SIZE,
        compute=compute,
        batch=faces_at_once(compute, FACE_SIZE, batch),
    )


def original_class() -> Callable[..., nn.Module]:
    """Return the class `GFPGANv1Clean` of the `gfpgan` package.

    Raises:
        PackageError: The package, or one that it needs, cannot be imported.
    """
    try:
        with importing(), _mended():
            return cast("Callable[..., nn.Module]", importlib.import_module(_ARCHITECTURE).GFPGANv1Clean)
    except _BROKEN as error:
        raise PackageError(
            f"the package gfpgan cannot be imported ({said_by(error)})",
            "pip install -r requirements-gfpgan.txt, or choose gfpgan, which needs no package besides",
        ) from error


@contextmanager
def _mended() -> Iterator[None]:
    """While the `with` block runs, have the module that basicsr imports, where torchvision has it no more."""
    if _GONE in sys.modules or find_spec(_GONE) is not None:
        yield
        return
    stand_in = ModuleType(_GONE)
    setattr(stand_in, _TAKEN, getattr(importlib.import_module("torchvision.transforms.functional"), _TAKEN))
    sys.modules[_GONE] = stand_in
    try:
        yield
    finally:
        if sys.modules.get(_GONE) is stand_in:
            del sys.modules[_GONE]
