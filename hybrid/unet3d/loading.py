"""Loads LatentSync's network from its published checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from hybrid.unet3d.config import UNet3DConfig, config_of
from musetalk.backends.latent.positional_encoding import position_table
from musetalk.backends.latent.upsampling import with_quick_upsampling
from musetalk.backends.latent.vae import weights_in
from musetalk.runtime.checkpoint import fill, load_state_dict
from musetalk.utils.modules import importing
from musetalk.weights import preferred

if TYPE_CHECKING:
    from hybrid.unet3d.unet import UNet3D
    from musetalk.runtime.device import Compute

_log = logging.getLogger(__name__)

WEIGHTS = ("latentsync_unet.safetensors", "latentsync_unet.pt")
_TABLE = ".pos_encoder.pe"


def load_unet3d(
    path: Path,
    config: UNet3DConfig | None = None,
    dtype: torch.dtype = torch.float32,
    note: Callable[[str], None] = _log.warning,
) -> UNet3D:
    """Load a network, on the CPU. Tensors that it has no place for are left out: upstream's loader takes no offence.

    Args:
        path: The checkpoint, or a folder with one of `WEIGHTS`; a lean copy that stands for it is read instead.
        config: Its sizes; None: as its tensors tell (see `config_of`).
        dtype: What its numbers become. Half as wide ones save half of the memory from the beginning.
        note: Told of tensors that were left out, a sentence.

    Raises:
        BackendError: The file is missing, damaged, or another network's: names the first tensors that are missing, or
            of another shape.
    """
    with importing():
        from hybrid.unet3d.unet import UNet3D  # noqa: PLC0415 - diffusers is slow to import

    path = weights_in(path, *WEIGHTS) if path.is_dir() else preferred(path)
    state = load_state_dict(path)
    sizes = config or config_of({name: tuple(tensor.shape) for name, tensor in state.items()})
    with torch.device("meta"):  # `fill` brings the memory
        unet = UNet3D(sizes).to(dtype)
    # The tables are no weights: exports may leave them out.
    tables = {name: table.shape for name, table in unet.state_dict().items() if name.endswith(_TABLE)}
    lacking = {name: position_table(*shape[1:])[None] for name, shape in tables.items() if name not in state}
    fill(unet, {**state, **lacking}, path, on_unexpected=note)
    return unet


def place_unet3d(path: Path, compute: Compute, note: Callable[[str], None] = _log.warning) -> UNet3D:
    """Load a network as `load_unet3d` does, ready to run; on a CPU quicker layers take the place of some.

    Args:
        path: As there.
        compute: What to run on.
        note: As there.
    """
    unet = compute.place(load_unet3d(path, dtype=compute.dtype, note=note))
    return with_quick_upsampling(unet) if compute.device.type == "cpu" else unet
